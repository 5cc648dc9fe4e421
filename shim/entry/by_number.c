/* syscall(2) used by the program: the numbers that matter are treated like their libc functions. */
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/kernel.h"
#include "base/live.h"
#include "base/signals.h"
#include "entry/data/descriptors.h"
#include "entry/data/read.h"
#include "entry/data/sharing.h"
#include "entry/data/write.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/lifecycle.h"
#include "entry/processes/child_environment.h"
#include "entry/processes/child_program.h"
#include "entry/processes/fork.h"
#include "entry/processes/rights.h"
#include "files/readers.h"

static long forward(long number, const long a[6]) {
    return CALL(syscall, (number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

static long raw_close(long number, const long a[6], unsigned first, unsigned last) {
    bool begun = number_closing();
    long result = forward(number, a);
    number_closed(begun);
    given_up_range(first, last);
    return result;
}

static long raw_lseek(long number, const long a[6]) {
    long position = forward(number, a);
    files_moved((int)a[0], position);
    return position;
}

/* As close. */
static long raw_close_one(long number, const long a[6]) {
    int late = give_up_number_telling("syscall", (int)a[0]);
    long result = raw_close(number, a, (unsigned)a[0], (unsigned)a[0]);
    return unlikely(late && result == 0) ? answer(-late) : result;
}

static long raw_dup(long number, const long a[6]) {
    announce("syscall");
    long to = forward(number, a);
    number_taken((int)to);
    number_duplicated((int)a[0], (int)to);
    return to;
}

static long raw_dup2(long number, const long a[6]) {
    number_replacing("syscall", (int)a[0], (int)a[1], number == SYS_dup3 ? (int)a[2] : 0);
    bool begun = number_closing();
    long result = forward(number, a);
    number_closed(begun);
    number_duplicated((int)a[0], (int)result);
    files_detached((int)a[1]);
    return result;
}

static long raw_getfd(long number, const long a[6]) {
    announce_reads("syscall");
    long result = forward(number, a);
    number_fetched((int)a[1], (int)result);
    return result;
}

/* A fork by number. The child has memory of its own, or else nothing of ours may be used any more. */
static long raw_fork(long number, const long a[6], unsigned long flags) {
    if (flags & (CLONE_VM | CLONE_FILES))
        keep_out("syscall");
    if (flags & CLONE_NEWIPC)
        sharing_names_changed();
    if (flags & CLONE_VM) {
        thread_strangers_come();
        return forward(number, a);
    }
    fork_prepare();
    long pid = forward(number, a);
    if (pid == 0)
        fork_child();
    else
        fork_parent();
    return pid;
}

/* The same as by their names. */
static long raw_write(long number, const long a[6], int verdict, size_t total) {
    return verdict == PASS ? write_passed((int)a[0], REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]), total)
                           : answer_offer(verdict, total);
}

static long raw_read(long number, const long a[6], bool served, size_t n) {
    int error = served ? 0 : socket_error_due((int)a[0], n);
    if (unlikely(error))
        return answer(-error);
    return served ? (long)n : read_passed((int)a[0], forward(number, a), WINDOW_AT_POSITION);
}

/* After it was announced. */
static long raw_receive(long number, const long a[6], int flags) {
    int error = flags & ASKS_NO_ERROR ? 0 : socket_error_due((int)a[0], 1);
    return unlikely(error) ? answer(-error) : forward(number, a);
}

/* What it may write to a stream isn't followed. */
static long forward_unsure(long number, const long a[6]) {
    long result = forward(number, a);
    input_now_unsure();
    return result;
}

static long raw_send(long number, const long a[6]) {
    int error = unlikely(wb_attention()) ? error_due((int)a[0]) : 0;
    return unlikely(error) ? answer(-error) : forward_unsure(number, a);
}

static long raw_feed(long number, const long a[6], int from, int to) {
    int error = feed_error_due(from, to);
    return unlikely(error) ? answer(-error) : forward_unsure(number, a);
}

static long raw_connect(long number, const long a[6]) {
    connect_begins();
    long result = forward_unsure(number, a);
    connect_ends((int)a[0]);
    return result;
}

static long raw_getsockopt(long number, const long a[6]) {
    long result = forward(number, a);
    if (result == 0)
        option_got((int)a[0], (int)a[1], (int)a[2], (void *)a[3], (const socklen_t *)a[4]);
    return result;
}

static long raw_writev(long number, const long a[6]) {
    size_t total;
    int verdict =
        offer_vector("syscall", (int)a[0], (const struct iovec *)a[1], (int)a[2], WB_AT_POSITION, false, &total);
    return raw_write(number, a, verdict, total);
}

static long raw_sendmsg(long number, const long a[6]) {
    size_t total = 0;
    enum carrying carries = CARRYING_NOTHING;
    const struct msghdr *message = (const struct msghdr *)a[1];
    int verdict = offer_message("syscall", (int)a[0], message, (int)a[2], &total, &carries);
    sending_begins((int)a[2]);
    long sent = raw_write(number, a, verdict, total);
    sending_ends((int)a[0], (int)a[2]);
    message_sent(message, sent, carries);
    return sent;
}

static long raw_fcntl(long number, const long a[6]) {
    bool exclusive = fcntl_begins("syscall", (int)a[0], (int)a[1]);
    long result = forward(number, a);
    fcntl_ends((int)a[0], (int)a[1], (int)result, exclusive);
    return result;
}

static long raw_ioctl(long number, const long a[6]) {
    bool exclusive = ioctl_begins("syscall", (unsigned long)a[1]);
    long result = forward(number, a);
    ioctl_ends((int)a[0], (unsigned long)a[1], exclusive);
    return result;
}

static long raw_limit(long number, const long a[6]) {
    bool exclusive = limit_begins("syscall");
    long result = forward(number, a);
    limit_ends(exclusive);
    return result;
}

/* The environment is the argument after the list of arguments. */
static long raw_exec(long number, const long a[6]) {
    struct thread *self = thread_self();
    uint8_t waits = self->vfork_child ? 0 : thread_waits_no_more(self);
    bool exclusive = exclusive_begins("syscall"), at = number == SYS_execveat;
    CHILD_ENVIRONMENT(
        child, (char *const *)a[2 + at],
        child_program_takes_us(&child.choice, at ? (int)a[0] : AT_FDCWD, (const char *)a[at], at ? (int)a[4] : 0));
    finish("syscall", FLUSH_BARRIER);
    if (child.words)
        live_end();
    long changed[6] = {a[0], a[1], a[2], a[3], a[4], a[5]};
    changed[2 + at] = (long)child_environment(&child, child_memory);
    long result = forward(number, changed);
    child_environment_end(&child);
    exclusive_ends(exclusive);
    if (unlikely(waits))
        self->waiting = waits;
    return result;
}

static long raw_mprotect(long number, const long a[6]) {
    if (files_forbid_direct())
        drain("syscall");
    announce("syscall");
    long result = forward(number, a);
    if (a[2] & PROT_EXEC && result == 0)
        code_changed("syscall", (void *)a[0], (size_t)a[1], false);
    return result;
}

static long raw_mmap(long number, const long a[6]) {
    files_forbid_direct(); /* it may be for writing only; nobody looks */
    sharing_hidden();
    drain("syscall");
    long result = forward(number, a);
    if (a[2] & PROT_EXEC && result != -1)
        code_changed("syscall", (void *)result, (size_t)a[1], !(a[3] & MAP_ANONYMOUS));
    return result;
}

static unsigned long clone3_flags(const long a[6]) {
    struct clone3_arguments arguments;
    size_t size = (size_t)a[1] < sizeof arguments ? (size_t)a[1] : sizeof arguments;
    bool known = size >= sizeof arguments.flags && copy_in_asked(&arguments, (const void *)a[0], size);
    return known ? arguments.flags : CLONE_VM; /* which the kernel is going to refuse */
}

EXPORT long syscall(long number, ...) {
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    switch (number) {
    case SYS_gettid:
    case SYS_getpid:
    case SYS_getuid:
    case SYS_getrandom:
    case SYS_membarrier:
    case SYS_sched_getaffinity:
    case SYS_sched_yield:
    case SYS_clock_gettime:
    case SYS_madvise:
        break;
    case SYS_futex: /* memory shared with another process, if any, is watched elsewhere */
        if (streams_pending())
            announce("syscall");
        break;
    case SYS_write:
        return raw_write(number, a, offer_write("syscall", (int)a[0], (const void *)a[1], (size_t)a[2]), (size_t)a[2]);
    case SYS_writev:
        return raw_writev(number, a);
    case SYS_sendto:
        if (!a[4] && !a[5])
            return raw_write(number, a, offer_send("syscall", (int)a[0], (const void *)a[1], (size_t)a[2], (int)a[3]),
                             (size_t)a[2]);
        announce("syscall");
        if (unlikely(wb_attention()) && ofd_in_error((int)a[0]))
            return raw_send(number, a);
        return raw_connect(number, a); /* MSG_FASTOPEN */
    case SYS_connect:
        announce_reads("syscall");
        return raw_connect(number, a);
    case SYS_splice:
    case SYS_tee:
    case SYS_vmsplice:
    case SYS_sendfile:
        atomic_fetch_or(&readers_forbidden, READERS_PAGES);
        announce_reads("syscall");
        if (number == SYS_vmsplice) {
            sharing_hidden();
            drain("syscall");
        }
        return number == SYS_splice     ? raw_feed(number, a, (int)a[0], (int)a[2])
               : number == SYS_sendfile ? raw_feed(number, a, (int)a[1], (int)a[0])
                                        : forward_unsure(number, a);
    case SYS_close:
        return raw_close_one(number, a);
    case SYS_close_range:
        if (a[2] & CLOSE_RANGE_UNSHARE)
            keep_out("syscall");
        if (a[2] & CLOSE_RANGE_CLOEXEC) {
            announce("syscall");
            return forward(number, a);
        }
        give_up_range("syscall", (unsigned)a[0], (unsigned)a[1]);
        return raw_close(number, a, (unsigned)a[0], (unsigned)a[1]);
    case SYS_dup3:
#ifdef SYS_dup2
    case SYS_dup2:
#endif
        return raw_dup2(number, a);
    case SYS_dup:
        return raw_dup(number, a);
    case SYS_pidfd_getfd:
        return raw_getfd(number, a);
#ifdef SYS_fork
    case SYS_fork:
        return raw_fork(number, a, 0);
    case SYS_vfork: /* its child would return through this frame before the parent does */
        return raw_fork(SYS_fork, a, 0);
#endif
    case SYS_clone:
        return raw_fork(number, a, (unsigned long)a[0]);
    case SYS_clone3:
        return raw_fork(number, a, clone3_flags(a));
    case SYS_fcntl:
        return raw_fcntl(number, a);
    case SYS_userfaultfd:
        wb_hinder(REASON_page_faults);
        drain("syscall");
        break;
    case SYS_sched_setscheduler:
    case SYS_sched_setparam:
    case SYS_sched_setattr:
        wb_hinder(REASON_real_time);
        drain_reads_too("syscall");
        break;
    case SYS_setfsuid: /* by number these change the calling thread only */
    case SYS_setfsgid:
    case SYS_setgroups:
    case SYS_capset:
    case SYS_setuid:
    case SYS_setgid:
    case SYS_setreuid:
    case SYS_setregid:
    case SYS_setresuid:
    case SYS_setresgid:
        wb_hinder(REASON_credentials);
        wb_forbid_queue_polling();
        deactivate("syscall");
        break;
    case SYS_rt_sigprocmask:
        announce("syscall");
        thread_mask_changed(thread_self());
        break;
    case SYS_setsockopt:
        announce_reads("syscall");
        if (wb_started())
            atomic_fetch_add(&files_generation, 1);
        break;
    case SYS_shutdown:
        announce_reads("syscall");
        socket_shut((int)a[0]);
        break;
    case SYS_sendmsg:
        return raw_sendmsg(number, a);
    case SYS_sendmmsg:
        sharing_sent();
        announce("syscall");
        return a[3] & MSG_FASTOPEN ? raw_connect(number, a) : raw_send(number, a);
    case SYS_recvmsg:
    case SYS_recvmmsg:
        announce_reads("syscall");
        return raw_receive(number, a, (int)(number == SYS_recvmsg ? a[2] : a[3]));
    case SYS_pwritev2:
        announce_reads("syscall");
        return raw_send(number, a);
    case SYS_readv:
    case SYS_preadv2:
        announce_reads("syscall");
        return raw_receive(number, a, 0);
    case SYS_getsockopt:
        announce_reads("syscall");
        return raw_getsockopt(number, a);
    case SYS_ioctl:
        return raw_ioctl(number, a);
    case SYS_exit:
        end_thread("syscall", (int)a[0]);
        break;
    case SYS_exit_group:
        finish_for_good("syscall");
        break;
    case SYS_execve:
    case SYS_execveat:
        return raw_exec(number, a);
    case SYS_seccomp:
        confined("syscall");
        break;
    case SYS_io_setup:
    case SYS_io_uring_setup:
        wb_hinder(REASON_own_io_uring);
        deactivate("syscall");
        break;
    case SYS_setrlimit:
    case SYS_prlimit64:
        return raw_limit(number, a);
    case SYS_mprotect:
    case SYS_pkey_mprotect:
        return raw_mprotect(number, a);
    case SYS_mmap:
        return raw_mmap(number, a);
    case SYS_shmat:
        sharing_hidden();
        drain("syscall");
        break;
    case SYS_unshare:
        if (a[0] & CLONE_FILES)
            keep_out("syscall");
        if (a[0] & CLONE_NEWIPC)
            sharing_names_changed();
        deactivate("syscall");
        break;
    case SYS_rt_sigaction:
        return answer(raw_sigaction((int)a[0], (const void *)a[1], (void *)a[2], (size_t)a[3]));
    case SYS_setns:
        sharing_names_changed();
        deactivate("syscall");
        break;
    case SYS_prctl:
        announce_prctl("syscall", (int)a[0], (unsigned long)a[1]);
        break;
    case SYS_read:
        return raw_read(number, a, stream_read("syscall", (int)a[0], (void *)a[1], (size_t)a[2], false), (size_t)a[2]);
    case SYS_recvfrom:
        if (!a[3] && !a[4])
            return raw_read(number, a, stream_read("syscall", (int)a[0], (void *)a[1], (size_t)a[2], true),
                            (size_t)a[2]);
        announce_reads("syscall");
        return raw_receive(number, a, (int)a[3]);
    case SYS_lseek:
        announce_reads("syscall");
        return raw_lseek(number, a);
    case SYS_truncate:
    case SYS_ftruncate:
        announce("syscall");
        files_go_to(a[1]);
        break;
    default:
        announce_reads("syscall");
    }
    return forward(number, a);
}
