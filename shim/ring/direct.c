#include "ring/direct.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "base/kernel.h"
#include "base/sys.h"
#include "base/thread.h"

int direct_write(int fd, const void *buffer, uint32_t length, int64_t offset, uint32_t *written, uint64_t *calls) {
    const char *bytes = buffer;
    *written = 0;
    while (*written < length) {
        long done = offset < 0 ? sys(SYS_write, fd, bytes + *written, length - *written)
                               : sys(SYS_pwrite64, fd, bytes + *written, length - *written, offset + *written);
        ++*calls;
        if (done == -EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? (int)done : -EIO; /* a write of something that writes nothing: would never end */
        *written += (uint32_t)done;
    }
    return 0;
}

long direct_write_inline(int fd, const void *buffer, uint32_t length, int64_t offset) {
    struct iovec vector = {(void *)(uintptr_t)buffer, length};
    long done = sys(SYS_pwritev2, fd, &vector, 1, offset, 0, RWF_NOWAIT);
    return done > 0 || done == -EOPNOTSUPP ? done : 0;
}

/* The kernel doesn't know RWF_NOSIGNAL. */
static _Atomic bool signals;

bool direct_signals(void) {
    return atomic_load_explicit(&signals, memory_order_relaxed);
}

/* As plainly as the program does it, if there are no flags. */
static long write_flagged(int fd, const struct iovec *vector, int count, int flags) {
    if (flags)
        return sys(SYS_pwritev2, fd, vector, count, -1L, -1L, flags);
    return count == 1 ? sys(SYS_write, fd, vector->iov_base, vector->iov_len) : sys(SYS_writev, fd, vector, count);
}

/* What the signal would do to this thread is none of the program's business. */
static long pipe_with_signal(int fd, const struct iovec *vector, int count, int flags) {
    struct thread *self = thread_self();
    self->pipe_swallowed = true;
    atomic_signal_fence(memory_order_seq_cst);
    long done = write_flagged(fd, vector, count, flags);
    if (done == -EPIPE) { /* blocked, it is pending */
        uint64_t set = 1ull << (SIGPIPE - 1);
        struct timespec none = {0, 0};
        sys(SYS_rt_sigtimedwait, &set, NULL, &none, sizeof set);
    }
    atomic_signal_fence(memory_order_seq_cst);
    self->pipe_swallowed = false;
    return done;
}

/* A flag that the kernel doesn't know, or the call: emulators and filters of system calls refuse it in many ways. */
static bool is_refused(long done) {
    return done < 0 && done != -EPIPE && done != -EAGAIN;
}

long direct_pipe(int fd, const struct iovec *vector, int count, bool nowait) {
    int flags = nowait ? RWF_NOWAIT : 0;
    if (direct_signals())
        return pipe_with_signal(fd, vector, count, flags);
    long done = write_flagged(fd, vector, count, flags | RWF_NOSIGNAL);
    if (!is_refused(done))
        return done;
    done = pipe_with_signal(fd, vector, count, flags);
    if (!is_refused(done)) /* or else it is the other flag */
        atomic_store_explicit(&signals, true, memory_order_relaxed);
    return done;
}

long direct_send(int fd, const struct iovec *vector, int count) {
    if (count == 1)
        return sys(SYS_sendto, fd, vector->iov_base, vector->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)vector, .msg_iovlen = (size_t)count};
    return sys(SYS_sendmsg, fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int direct_sync(int fd, bool data_only) {
    long result;
    do
        result = sys(data_only ? SYS_fdatasync : SYS_fsync, fd);
    while (result == -EINTR);
    return (int)result;
}
