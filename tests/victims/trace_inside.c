// Writes one line before each of many calls that look, wait or tell something outside, inside libc; prints how many.

#include "common.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#include <aliases.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmtmsg.h>
#include <ifaddrs.h>
#include <libgen.h>
#include <mntent.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <nl_types.h>
#include <pwd.h>
#include <resolv.h>
#include <sched.h>
#include <shadow.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <termios.h>
#include <threads.h>
#include <ttyent.h>
#include <unistd.h>
#include <utmpx.h>

static char text[4096];
static int fd, other, calls;

static void line(void) {
    require(write(fd, "one line\n", 9) == 9);
    calls++;
}

#define AFTER_A_LINE(call) (line(), (void)!(call))

int main(void) {
    struct dirent entry, *found;
    struct termios terminal;
    struct timex clock = {0};
    struct utsname names;
    struct rusage usage;
    struct ifaddrs *interfaces;
    struct sched_param parameters;
    sigset_t signals;
    FILE *mounts;
    socklen_t size = sizeof(int);
    int value;

    fd = open("lines", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    other = socket(AF_UNIX, SOCK_STREAM, 0);
    DIR *dir = opendir(".");
    require(fd >= 0 && other >= 0 && dir);

    AFTER_A_LINE(access("lines", R_OK));
    AFTER_A_LINE(faccessat(AT_FDCWD, "lines", R_OK, AT_EACCESS));
    AFTER_A_LINE(eaccess("lines", R_OK));
    AFTER_A_LINE(readlink("lines", text, sizeof text));
    AFTER_A_LINE(readlinkat(AT_FDCWD, "lines", text, sizeof text));
    AFTER_A_LINE(realpath("lines", text));
    AFTER_A_LINE(getcwd(text, sizeof text));
    AFTER_A_LINE(pathconf("lines", _PC_LINK_MAX));
    AFTER_A_LINE(fpathconf(fd, _PC_LINK_MAX));
    AFTER_A_LINE(getxattr("lines", "user.any", text, sizeof text));
    AFTER_A_LINE(fgetxattr(fd, "user.any", text, sizeof text));
    AFTER_A_LINE(readdir_r(dir, &entry, &found));
    AFTER_A_LINE(getdents64(dirfd(dir), text, sizeof text));
    AFTER_A_LINE(tempnam(".", "none"));
    AFTER_A_LINE(isatty(other));
    AFTER_A_LINE(tcgetattr(other, &terminal));
    AFTER_A_LINE(tcgetpgrp(other));
    AFTER_A_LINE(ttyname(other));
    AFTER_A_LINE(getsockopt(other, SOL_SOCKET, SO_ERROR, &value, &size));
    AFTER_A_LINE(getpgid(0));
    AFTER_A_LINE(getppid());
    AFTER_A_LINE(getpriority(PRIO_PROCESS, 0));
    AFTER_A_LINE(sched_getparam(0, &parameters));
    AFTER_A_LINE(getrusage(RUSAGE_SELF, &usage));
    AFTER_A_LINE(adjtimex(&clock));
    AFTER_A_LINE(uname(&names));
    AFTER_A_LINE(sigpending(&signals));
    AFTER_A_LINE(setmntent("/etc/mtab", "r"));
    AFTER_A_LINE((mounts = setmntent("/dev/null", "r")));
    AFTER_A_LINE(endmntent(mounts));
    AFTER_A_LINE(getspnam("root"));
    AFTER_A_LINE(getpwent_r(&(struct passwd){0}, text, sizeof text, &(struct passwd *){NULL}));
    AFTER_A_LINE(getprotobyname("tcp"));
    AFTER_A_LINE(getservbyname("ssh", "tcp"));
    AFTER_A_LINE(getnetbyname("loopback"));
    AFTER_A_LINE(getaliasbyname("root"));
    AFTER_A_LINE(ether_hostton("none", &(struct ether_addr){{0}}));
    AFTER_A_LINE(getifaddrs(&interfaces));
    AFTER_A_LINE(getutxent());
    AFTER_A_LINE(getlogin());
    AFTER_A_LINE(catopen("./none", 0));
    AFTER_A_LINE(getusershell());
    AFTER_A_LINE((herror("herror"), 0));
    AFTER_A_LINE((psiginfo(&(siginfo_t){.si_signo = SIGINT}, "psiginfo"), 0));
    AFTER_A_LINE(fmtmsg(MM_PRINT, "label:label", MM_INFO, "fmtmsg", "none", "label:000"));
    printf("%d\n", calls);
    return 0;
}
