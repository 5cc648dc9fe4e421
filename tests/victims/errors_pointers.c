/*
 * errors_pointers: what each call says of an argument that can't be read or written: none, memory that is forbidden,
 * memory that ends amid the structure, memory for reading only, and an address of the kernel's. Each is tried in a
 * process of its own, first before anything was written, and then after much was.
 */
#include "common.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wnonnull" /* this is what it is about */

enum { AMID = 4, LINES = 300 };

static int file, queue, ends[2];
static struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
} raw_action;

static sigset_t waited_for;

static void pend(void) {
    sigprocmask(SIG_BLOCK, &waited_for, NULL);
    raise(SIGUSR2);
}

/* The number and the old action in one structure: what was there is set, and what was set before comes there. */
static long set_and_ask_in_one(void) {
    struct kernel_action action = {.handler = SIG_IGN};
    long result = syscall(SYS_rt_sigaction, SIGUSR1, &action, &action, 8);
    struct kernel_action now = {0};
    require(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &now, 8) == 0);
    return result == 0 && action.handler == SIG_DFL && now.handler == SIG_IGN;
}

/* Nothing of it is refused because one end of the answer is. */
static long set_whatever_the_old(void *bad) {
    raw_action.handler = SIG_IGN;
    long result = syscall(SYS_rt_sigaction, SIGUSR1, &raw_action, bad, 8);
    int saved = errno;
    struct kernel_action now = {0};
    require(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &now, 8) == 0);
    printf("%s ", now.handler == SIG_IGN ? "set" : "unset");
    errno = saved;
    return result;
}

static long vector_at(void *bad, ssize_t (*call)(int, const struct iovec *, int)) {
    struct iovec vector[2] = {{"ab", 2}, {bad, 8}};
    return call(file, vector, 2);
}

#define CASES(X)                                                                                                       \
    X(clone3, syscall(SYS_clone3, bad, 64))                                                                            \
    X(clone3_88, syscall(SYS_clone3, bad, sizeof(struct clone_args)))                                                  \
    X(clone3_small, syscall(SYS_clone3, bad, 8))                                                                       \
    X(clone3_huge, syscall(SYS_clone3, bad, 1L << 40))                                                                 \
    X(rt_sigaction, syscall(SYS_rt_sigaction, SIGUSR1, bad, NULL, 8))                                                  \
    X(rt_sigaction_segv, syscall(SYS_rt_sigaction, SIGSEGV, bad, NULL, 8))                                             \
    X(rt_sigaction_kill, syscall(SYS_rt_sigaction, SIGKILL, bad, NULL, 8))                                             \
    X(rt_sigaction_999, syscall(SYS_rt_sigaction, 999, bad, NULL, 8))                                                  \
    X(rt_sigaction_size, syscall(SYS_rt_sigaction, SIGUSR1, bad, bad, 4))                                              \
    X(rt_sigaction_old, set_whatever_the_old(bad))                                                                     \
    X(rt_sigaction_same, set_and_ask_in_one())                                                                         \
    X(rt_sigprocmask, syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad, NULL, 8))                                            \
    X(rt_sigprocmask_old, syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, bad, 8))                                        \
    X(rt_sigtimedwait, (pend(), syscall(SYS_rt_sigtimedwait, &waited_for, bad, NULL, 8)))                              \
    X(sigaltstack, sigaltstack(bad, NULL))                                                                             \
    X(sigaction_999, sigaction(999, bad, NULL))                                                                        \
    X(sigaction_0, sigaction(0, bad, NULL))                                                                            \
    X(sigaction_32, sigaction(32, bad, NULL))                                                                          \
    X(sigaction_kill, sigaction(SIGKILL, bad, NULL))                                                                   \
    X(sigaction_usr1, sigaction(SIGUSR1, bad, NULL))                                                                   \
    X(sigaction_segv, sigaction(SIGSEGV, bad, NULL))                                                                   \
    X(sigaction_old, sigaction(SIGUSR1, NULL, bad))                                                                    \
    X(sigwaitinfo, (pend(), sigwaitinfo(&waited_for, bad)))                                                            \
    X(sigtimedwait_set, (pend(), sigtimedwait(bad, NULL, &(struct timespec){0})))                                      \
    X(sigtimedwait, (pend(), sigtimedwait(&waited_for, bad, &(struct timespec){0})))                                   \
    X(sigtimedwait_limit, sigtimedwait(&waited_for, NULL, bad ? bad : (void *)8))                                      \
    X(sigwait, (pend(), sigwait(&waited_for, bad)))                                                                    \
    X(sigprocmask, sigprocmask(SIG_BLOCK, bad, NULL))                                                                  \
    X(sigprocmask_old, sigprocmask(SIG_BLOCK, NULL, bad))                                                              \
    X(sigpending, sigpending(bad))                                                                                     \
    X(read, read(file, bad, 8))                                                                                        \
    X(write, write(file, bad, 8))                                                                                      \
    X(pread, pread(file, bad, 8, 0))                                                                                   \
    X(pwrite, pwrite(file, bad, 8, 0))                                                                                 \
    X(raw_write, syscall(SYS_write, file, bad, 8))                                                                     \
    X(readv, readv(file, bad, 2))                                                                                      \
    X(writev, writev(file, bad, 2))                                                                                    \
    X(preadv, preadv(file, bad, 2, 0))                                                                                 \
    X(pwritev, pwritev(file, bad, 2, 0))                                                                               \
    X(pwritev2, pwritev2(file, bad, 2, -1, 0))                                                                         \
    X(writev_inside, vector_at(bad, writev))                                                                           \
    X(readv_inside, vector_at(bad, readv))                                                                             \
    X(writev_pipe, writev(ends[1], bad, 1))                                                                            \
    X(sendmsg, sendmsg(queue, bad, 0))                                                                                 \
    X(sendmmsg, sendmmsg(queue, bad, 2, 0))                                                                            \
    X(recvmsg, recvmsg(queue, bad, MSG_DONTWAIT))                                                                      \
    X(send, send(queue, bad, 8, 0))                                                                                    \
    X(raw_sendmsg, syscall(SYS_sendmsg, queue, bad, 0))                                                                \
    X(lock_ask, fcntl(file, F_GETLK, bad))                                                                             \
    X(lock_set, fcntl(file, F_SETLK, bad))                                                                             \
    X(owner, fcntl(file, F_SETOWN_EX, bad))                                                                            \
    X(raw_lock, syscall(SYS_fcntl, file, F_SETLK, bad))                                                                \
    X(ioctl, ioctl(ends[0], FIONREAD, bad))                                                                            \
    X(raw_ioctl, syscall(SYS_ioctl, ends[0], FIONREAD, bad))                                                           \
    X(fstat, fstat(file, bad))                                                                                         \
    X(fstatfs, fstatfs(file, bad))                                                                                     \
    X(stat, stat(bad, &(struct stat){0}))                                                                              \
    X(open, open(bad, O_RDONLY))                                                                                       \
    X(openat, openat(AT_FDCWD, bad, O_RDONLY))                                                                         \
    X(rename, rename(bad, "there"))                                                                                    \
    X(unlink, unlink(bad))                                                                                             \
    X(truncate, truncate(bad, 0))                                                                                      \
    X(memfd, memfd_create(bad, 0))                                                                                     \
    X(execve, execve(bad, (char *[]){"x", NULL}, NULL))                                                                \
    X(execv, execv(bad, (char *[]){"x", NULL}))                                                                        \
    X(execve_arguments, bad ? execve("/bin/true", bad, NULL) : 0)                                                      \
    X(execve_environment, bad ? execve("/bin/true", (char *[]){"x", NULL}, bad) : 0)                                   \
    X(raw_execve, syscall(SYS_execve, bad, NULL, NULL))                                                                \
    X(pipe, pipe(bad))                                                                                                 \
    X(socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, bad))                                                            \
    X(accept, accept(file, bad, bad))                                                                                  \
    X(epoll_ctl, epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, ends[0], bad))                                             \
    X(poll, poll(bad, 2, 0))                                                                                           \
    X(ppoll, ppoll(bad, 2, &(struct timespec){0}, NULL))                                                               \
    X(select, select(8, bad, NULL, NULL, &(struct timeval){0}))                                                        \
    X(nanosleep, nanosleep(bad, NULL))                                                                                 \
    X(getrlimit, getrlimit(RLIMIT_NOFILE, bad))                                                                        \
    X(setrlimit, setrlimit(RLIMIT_NOFILE, bad))                                                                        \
    X(prlimit, prlimit(0, RLIMIT_NOFILE, bad, NULL))                                                                   \
    X(prlimit_old, prlimit(0, RLIMIT_NOFILE, NULL, bad))                                                               \
    X(raw_prlimit, syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, bad, NULL))                                                \
    X(sched_setparam, sched_setparam(0, bad))                                                                          \
    X(sched_setscheduler, sched_setscheduler(0, SCHED_OTHER, bad))                                                     \
    X(sched_setattr, syscall(SYS_sched_setattr, 0, bad, 0))                                                            \
    X(prctl_name, prctl(PR_SET_NAME, bad))                                                                             \
    X(prctl_filter, prctl(PR_SET_SECCOMP, 2, bad))                                                                     \
    X(seccomp, syscall(SYS_seccomp, 1, 0, bad))                                                                        \
    X(capset, syscall(SYS_capset, bad, bad))                                                                           \
    X(setgroups, syscall(SYS_setgroups, 2, bad))                                                                       \
    X(io_setup, syscall(SYS_io_setup, 1, bad))                                                                         \
    X(io_uring_setup, syscall(SYS_io_uring_setup, 1, bad))                                                             \
    X(futex, syscall(SYS_futex, bad ? bad : (void *)8, 0, 1, NULL))                                                    \
    X(clock_gettime, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad))                                                 \
    X(mq_open, mq_open(bad ? bad : (void *)8, O_RDONLY))                                                               \
    X(fdopen, fdopen(file, bad) != NULL)                                                                               \
    X(fopen, fopen("there", bad) != NULL)                                                                              \
    X(fopen_path, fopen(bad, "r") != NULL)                                                                             \
    X(spawn, posix_spawn(&(pid_t){0}, bad, NULL, NULL, (char *[]){"x", NULL}, NULL))

#define DEFINE(name, call)                                                                                             \
    static long try_##name(void *bad) {                                                                                \
        (void)bad;                                                                                                     \
        return (long)(call);                                                                                           \
    }
CASES(DEFINE)

#define NAME(name, call) {#name, try_##name},
static const struct {
    const char *name;
    long (*attempt)(void *bad);
} cases[] = {CASES(NAME)};

/* Which of 3 and more the numbers are is not looked at. */
static void attempt(long (*call)(void *), void *bad) {
    errno = 0;
    long result = call(bad);
    if (result < 0)
        printf("%ld, errno %d\n", result, errno);
    else
        printf("%s\n", result == 0 ? "0" : result == 1 ? "1" : "more");
    fflush(stdout);
    _exit(0);
}

static void try_all(const char *kind, void *bad) {
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int status;
        printf("%s %s: ", cases[i].name, kind);
        fflush(stdout);
        pid_t pid = fork();
        require(pid >= 0);
        if (pid == 0)
            attempt(cases[i].attempt, bad);
        require(waitpid(pid, &status, 0) == pid);
        if (WIFSIGNALED(status))
            printf("signal %d\n", WTERMSIG(status));
    }
}

/* libc looks at no more of a mode than it needs: here it ends with the readable memory. */
static void try_modes(char *end) {
    static const char *const modes[] = {"r", "r+", "rb", "rb+", "rbbb", "rbbbb", "rmbbb", "r+bm"};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        int status;
        printf("%s without an end: ", modes[i]);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            char *mode = end - strlen(modes[i]);
            memcpy(mode, modes[i], strlen(modes[i]));
            printf("%d\n", fdopen(file, mode) != NULL);
            fflush(stdout);
            _exit(0);
        }
        require(waitpid(pid, &status, 0) == pid);
        if (WIFSIGNALED(status))
            printf("signal %d\n", WTERMSIG(status));
    }
}

int main(void) {
    sigemptyset(&waited_for);
    sigaddset(&waited_for, SIGUSR2);
    struct rlimit no_core = {0, 0};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *constant = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(pages != MAP_FAILED && constant != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    memset(constant, 0xff, page);
    require(mprotect(constant, page, PROT_READ) == 0);
    require(setrlimit(RLIMIT_CORE, &no_core) == 0);
    require((file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0);
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && pipe(ends) == 0);
    queue = pair[0];
    for (int round = 0; round < 2; round++) {
        try_all("nowhere", NULL);
        try_all("forbidden", pages + page);
        try_all("amid", pages + page - AMID);
        try_all("constant", constant);
        try_all("the kernel's", (void *)0xffffffff80000000);
        try_modes(pages + page);
        for (int i = 0; i < LINES; i++)
            require(write(file, "a line\n", 7) == 7);
    }
    return 0;
}
