/* What a libc before glibc 2.36, or the headers of an old kernel, hasn't got, as the victims use it. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <features.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

#define NEW_USERFAULTFD 0xaa00 /* USERFAULTFD_IOC_NEW: Linux 6.1 */

#if !__GLIBC_PREREQ(2, 30)
static inline pid_t gettid(void) {
    return (pid_t)syscall(SYS_gettid);
}

static inline int tgkill(pid_t process, pid_t thread, int signal) {
    return (int)syscall(SYS_tgkill, process, thread, signal);
}

static inline ssize_t getdents64(int fd, void *bytes, size_t n) {
    return syscall(SYS_getdents64, fd, bytes, n);
}
#endif

#if !__GLIBC_PREREQ(2, 32)
static inline const char *strerrorname_np(int error) {
    return strerror(error);
}

static inline const char *sigabbrev_np(int signal) {
    static const char *const names[] = {
        "",     "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
        "SEGV", "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
        "TTOU", "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "POLL", "PWR",  "SYS",
    };
    return signal > 0 && signal < 32 ? names[signal] : NULL;
}
#endif

#if !__GLIBC_PREREQ(2, 34)
static inline int close_range(unsigned first, unsigned last, int flags) {
    return (int)syscall(SYS_close_range, first, last, flags);
}

static inline void closefrom(int first) {
    close_range((unsigned)first, ~0u, 0);
}

static inline int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags) {
    return (int)syscall(SYS_execveat, dir, path, argv, envp, flags);
}

static inline pid_t _Fork(void) {
    return fork();
}

static inline int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int first) {
    for (int fd = first; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && posix_spawn_file_actions_addclose(actions, fd) != 0)
            return ENOMEM;
    return 0;
}
#endif

#if !__GLIBC_PREREQ(2, 35)
static inline int epoll_pwait2(int epoll, struct epoll_event *events, int most, const struct timespec *limit,
                               const sigset_t *mask) {
    return (int)syscall(SYS_epoll_pwait2, epoll, events, most, limit, mask, (size_t)8);
}
#endif

#if __GLIBC_PREREQ(2, 36)
#include <sys/pidfd.h>
#else
static inline int pidfd_open(pid_t pid, unsigned flags) {
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

static inline int pidfd_getfd(int pidfd, int fd, unsigned flags) {
    return (int)syscall(SYS_pidfd_getfd, pidfd, fd, flags);
}
#endif
