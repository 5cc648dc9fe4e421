#include "entry/life/trial.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "base/config.h"
#include "base/kernel.h"
#include "base/passing.h"
#include "base/stats.h"
#include "base/sys.h"
#include "base/text.h"
#include "behind/write_behind.h"

bool trial_needed(void) {
    return sys(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
}

/* In the child: the calls themselves, with arguments that do nothing. Only dying of one counts. */
static void try_essentials(void) {
    uint32_t word = 0;
    uint64_t mask = 0;
    sys(SYS_gettid);
    sys(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    sys(SYS_madvise, 0, 0, MADV_DONTFORK);
    sys(SYS_mprotect, 0, 0, PROT_READ);
    sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    sys(SYS_rt_sigaction, SIGSEGV, NULL, NULL, sizeof mask);
    sys(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, NULL);
    sys(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL);
    sys(SYS_fstat, -1, NULL);
    sys(SYS_fstatfs, -1, NULL);
    sys(SYS_newfstatat, -1, "", NULL, 0);
    sys(SYS_fcntl, -1, 0, 0);
    sys(SYS_fcntl, -1, F_GETSIG, 0);
    sys(SYS_fcntl, -1, F_GETOWN_EX, 0);
    sys(SYS_fcntl, -1, F_SETOWN_EX, 0);
    sys(SYS_fcntl, -1, F_GETLEASE, 0);
    sys(SYS_fcntl, -1, F_SETLEASE, 0);
    sys(SYS_statx, -1, NULL, 0, 0, NULL);
    sys(SYS_sync_file_range, -1, 0, 0, 0);
    sys(SYS_fdatasync, -1);
    sys(SYS_clock_gettime, -1, NULL);
    sys(SYS_lseek, -1, 0, 0);
    sys(SYS_openat, -1, "", 0, 0);
    sys(SYS_write, -1, NULL, 0);
    sys(SYS_pwrite64, -1, NULL, 0, 0);
    sys(SYS_pwritev2, -1, NULL, 0, 0, 0, 0);
    sys(SYS_prlimit64, 0, 0, NULL, NULL);
    sys(SYS_close_range, ~0u, 0, 0); /* a range that is none */
    sys(SYS_unshare, 0);
    sys(SYS_process_vm_readv, 0, NULL, 0, NULL, 0, 0);
    sys(SYS_clone, CLONE_THREAD, 0, 0, 0, 0); /* invalid without CLONE_SIGHAND: filters see the flags alone */
}

static void try_streams(void) {
    struct timespec none = {0, 0};
    uint64_t nothing = 0;
    sys(SYS_ioctl, -1, 0, NULL);
    sys(SYS_getsockopt, -1, 0, 0, NULL, NULL);
    sys(SYS_setsockopt, -1, 0, 0, NULL, 0);
    sys(SYS_getpeername, -1, NULL, NULL);
    sys(SYS_sendto, -1, NULL, 0, 0, NULL, 0);
    sys(SYS_sendmsg, -1, NULL, 0);
    sys(SYS_recvfrom, -1, NULL, 0, 0, NULL, NULL);
    sys(SYS_writev, -1, NULL, 0);
    sys(SYS_ppoll, NULL, 0, &none, NULL, sizeof(uint64_t));
    sys(SYS_rt_sigtimedwait, &nothing, NULL, &none, sizeof(uint64_t));
    sys(SYS_pipe2, NULL, 0);
    sys(SYS_tee, -1, -1, 0, 0);
    sys(SYS_read, -1, NULL, 0);
    sys(SYS_getdents64, -1, NULL, 0);
    sys(SYS_readlinkat, -1, "", NULL, 0);
    sys(SYS_faccessat, -1, "", 0);
    sys(SYS_getsid, 0);
}

static void try_ring(void) {
    sys(SYS_io_uring_setup, 0, NULL);
    sys(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0);
    sys(SYS_io_uring_register, -1, 0, NULL, 0);
    sys(SYS_pipe2, NULL, 0);          /* trying a table of files */
    sys(SYS_read, -1, NULL, 0);       /* and that */
    sys(SYS_getdents64, -1, NULL, 0); /* finding a polling thread */
}

/* A number in /proc/PID/status, by what stands before it; or -1. */
static long status_of(long pid, const char *field) {
    char bytes[4096];
    TEXT(path, 64);
    text_add(&path, "/proc/");
    text_number(&path, pid);
    text_add(&path, "/status");
    path_bytes[path.length] = '\0';
    passing_begins();
    long got = text_read(path_bytes, bytes, sizeof bytes);
    passing_ends();
    if (got < 0)
        return -1;
    const char *end, *found = strstr(bytes, field);
    return found ? text_parse(found + strlen(field), &end) : -1;
}

/*
 * Even making the child might be fatal. It isn't if our parent, which made us, is under the same filters: a process has
 * its parent's, and then its own.
 */
static bool may_make_processes(void) {
    static const char filters[] = "\nSeccomp_filters:\t"; /* Linux 5.9 */
    long ours = status_of(sys(SYS_getpid), filters), theirs = status_of(sys(SYS_getppid), filters);
    return ours >= 0 && theirs >= ours;
}

/* The child has no exit signal, so that the program's own waiting never meets it (clone(2), __WALL). */
static bool survived(void (*attempt)(void)) {
    int status = 0;
    long pid = sys(SYS_clone, 0, 0, 0, 0, 0);
    if (pid == 0) {
        sys(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0); /* its death leaves no core */
        attempt();
        sys(SYS_exit_group, 0);
    }
    if (pid < 0)
        return false;
    while (sys(SYS_wait4, pid, &status, __WALL, NULL) == -4 /* EINTR */)
        ;
    return WIFEXITED(status);
}

/* A kernel without filters, or an emulator, refuses the question by which that is found out without a file. */
static bool is_under_none(void) {
    return status_of(sys(SYS_getpid), "\nSeccomp:\t") == 0;
}

void trial_of_streams(void) {
    static bool tried;
    if (tried)
        return;
    tried = true;
    if (trial_needed() && !is_under_none() && (!may_make_processes() || !survived(try_streams))) {
        stats_fallback("streams.killed_by_seccomp", 0);
        config.no_streams = true;
    }
}

bool trial_passed(void) {
    if (is_under_none())
        return true;
    if (!may_make_processes() || !survived(try_essentials))
        return false;
    if (!survived(try_ring)) {
        stats_fallback("ring.killed_by_seccomp", 0);
        wb_forbid_rings();
    }
    return true;
}
