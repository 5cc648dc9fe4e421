// refuse_all_but_exec: children that put themselves under a seccomp filter which lets nothing through but what starts
// another program, and then start one that isn't there; each says how the call failed.

#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOW(number)                                                                                                  \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter allowed[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    ALLOW(execve),
    ALLOW(execveat),
    ALLOW(exit_group),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};
static struct sock_fprog rules = {.len = COUNT_OF(allowed), .filter = allowed};

static char none[] = "/nonexistent/program";
static char *arguments[] = {none, NULL};

static void by_execve(void) {
    execve(none, arguments, environ);
}

static void by_execv(void) {
    execv(none, arguments);
}

static void by_execvp(void) {
    execvp("nonexistent-program", arguments);
}

static void by_number(void) {
    syscall(SYS_execve, none, arguments, environ);
}

static void by_execveat(void) {
    execveat(AT_FDCWD, none, arguments, environ, 0);
}

static void (*const starts[])(void) = {by_execve, by_execv, by_execvp, by_number, by_execveat};

static void start_confined(void (*start)(void), bool by_prctl) {
    if (by_prctl)
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &rules);
    else
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &rules);
    start();
    _exit(errno == ENOENT ? 0 : 1);
}

static void report(pid_t child, size_t how, const char *kind) {
    int status;
    require(child > 0 && waitpid(child, &status, 0) == child);
    printf("%s %zu: status %#x\n", kind, how, (unsigned)status);
}

int main(void) {
    require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    for (size_t i = 0; i < 2 * COUNT_OF(starts); i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            start_confined(starts[i / 2], i % 2);
        report(child, i, "fork");
        child = vfork();
        if (child == 0)
            start_confined(starts[i / 2], i % 2);
        report(child, i, "vfork");
    }
}
