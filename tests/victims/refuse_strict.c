// refuse_strict prctl|prctl_number|seccomp|tsync|strict|counter|counter_number [SIGNAL]: writes, then forbids itself,
// on pain of death, everything but writing and leaving, or to read the processor's counter, then writes on. Who makes
// any other call from then on kills it. With SIGNAL, its child sends it that in the end.

#include "common.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void scribble(int fd, const char *text) {
    for (int i = 0; i < 1000; i++)
        if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
            syscall(SYS_exit, 1);
}

static void confine(const char *how) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwrite64, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT_OF(filter), .filter = filter};
    if (!strcmp(how, "counter")) {
        require(prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0);
        return;
    }
    if (!strcmp(how, "counter_number")) {
        require(syscall(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0);
        return;
    }
    require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (!strcmp(how, "prctl_number"))
        require(syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
    else if (!strcmp(how, "strict"))
        require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    else if (!strcmp(how, "prctl"))
        require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    else
        require(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, !strcmp(how, "tsync") ? SECCOMP_FILTER_FLAG_TSYNC : 0,
                        &program) == 0);
}

// When all is written: by another process, which nothing is forbidden.
static void kill_later(pid_t parent, int number, off_t size) {
    struct stat st;
    while (stat("appended", &st) != 0 || st.st_size < size)
        usleep(1000);
    kill(parent, number);
    _exit(0);
}

int main(int argc, char **argv) {
    require(argc == 2 || argc == 3);
    pid_t self = getpid();
    if (argc == 3 && fork() == 0)
        kill_later(self, atoi(argv[2]), 1000 * (off_t)(strlen("free\n") + strlen("confined\n")));
    int fd = open("written", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int other = open("appended", O_WRONLY | O_CREAT | O_APPEND, 0600);
    int late = open("late", O_WRONLY | O_CREAT | O_TRUNC, 0600); // nothing is known of it before
    require(fd >= 0 && other >= 0 && late >= 0);
    scribble(fd, "free\n");
    scribble(other, "free\n");
    confine(argv[1]);
    scribble(late, "late\n");
    scribble(fd, "confined\n");
    scribble(other, "confined\n");
    while (argc == 3)
        ;
    if (!strcmp(argv[1], "strict"))
        syscall(SYS_exit, 0);
    _exit(0);
}
