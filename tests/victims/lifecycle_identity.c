// lifecycle_identity HOW: calls that only a process of one thread may make, or that change who it is, while writes are
// pending and afterwards.

#include "transcript.h"

#include <grp.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int fd;

static void scribble(const char *text) {
    for (int i = 0; i < 200; i++)
        require(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void note_identity(void) {
    note("%d %d %d %d\n", (int)getuid(), (int)geteuid(), (int)getgid(), (int)getegid());
    scribble("after\n");
    int other = TRY(open("owned", O_WRONLY | O_CREAT, 0666));
    if (other >= 0)
        for (int i = 0; i < 200; i++)
            require(write(other, "whose is it?\n", 13) == 13);
    struct stat status;
    if (other >= 0 && fstat(other, &status) == 0)
        note("owned by %d %d\n", (int)status.st_uid, (int)status.st_gid);
}

int main(int argc, char **argv) {
    require(argc == 2);
    const char *how = argv[1];
    fd = open_busy("log", O_WRONLY);
    int namespace = open("/proc/self/ns/uts", O_RDONLY), mounts = open("/proc/self/ns/mnt", O_RDONLY);
    scribble("before\n");
    if (!strcmp(how, "unshare_user"))
        TRY(unshare(CLONE_NEWUSER));
    if (!strcmp(how, "unshare_mount"))
        TRY(unshare(CLONE_NEWNS));
    if (!strcmp(how, "unshare_vm"))
        TRY(unshare(CLONE_VM | CLONE_SIGHAND | CLONE_THREAD));
    if (!strcmp(how, "unshare_syscall"))
        TRY(syscall(SYS_unshare, CLONE_NEWUSER));
    if (!strcmp(how, "unshare_pid")) {
        TRY(unshare(CLONE_NEWPID));
    }
    if (!strcmp(how, "setns")) {
        TRY(setns(namespace, CLONE_NEWUTS));
        TRY(setns(mounts, CLONE_NEWNS));
    }
    if (!strcmp(how, "setuid"))
        TRY(setuid(65534));
    if (!strcmp(how, "seteuid"))
        TRY(seteuid(65534));
    if (!strcmp(how, "setresuid"))
        TRY(setresuid(65534, 65534, 0));
    if (!strcmp(how, "setreuid"))
        TRY(setreuid(0, 65534));
    if (!strcmp(how, "setgid")) {
        TRY(setgroups(0, NULL));
        TRY(setgid(65534));
        TRY(setresgid(65534, 65534, 65534));
    }
    if (!strcmp(how, "setfsuid"))
        TRY(setfsuid(65534));
    if (!strcmp(how, "chroot")) {
        TRY(chroot("."));
        TRY(chdir("/"));
    }
    note_identity();
    if (!strcmp(how, "seteuid") || !strcmp(how, "setresuid")) {
        TRY(seteuid(0));
        note_identity();
    }
    TRY(close(fd));
    print_transcript();
    return 0;
}
