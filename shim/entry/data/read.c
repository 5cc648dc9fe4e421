/* The read family: served from the window if policy says so; what goes straight through closes it first. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/earlier.h"
#include "entry/data/read.h"
#include "entry/life/own_calls.h"

struct fd_slot *_Atomic read_last;

/* Could the file be read ahead now? What is answered by no stays so for a while. */
static bool readable(int fd, struct fd_slot *slot, bool at_position) {
    if (slot->other)
        return false;
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_acquire);
    if (!ofd) {
        critical_enter();
        ofd = files_ofd(fd, slot);
        critical_leave();
    }
    return ofd && ofd->ahead >= (at_position ? AHEAD_AT_POSITION : AHEAD_AT_OFFSET) && !ofd->inode->mapped &&
           (!at_position || files_position_is_ours(ofd)) &&
           (ofd->direct ? activate(ofd->inode) : prepare_to_read(ofd->inode)) == REASON_NONE;
}

/* Served from the window, or a new one. What costs a call comes last. */
static ssize_t by_window(const char *call, int fd, struct fd_slot *slot, void *bytes, size_t n, int64_t offset) {
    if (unlikely(atomic_load_explicit(&wb_hindrances, memory_order_relaxed) & 1ull << REASON_looking)) {
        own_calls_passed();
        return WINDOW_MISS; /* what was learnt of the file stays */
    }
    if (window_hindered()) { /* who may be cancelled at any moment takes no lock of ours */
        slot->reads = 0;
        return WINDOW_MISS;
    }
    int direction = policy_direction(window_last(fd, slot->read_at), n, offset);
    struct thread *self = attached_self();
    if (!direction || !thread_free(self) || !thread_attached(self))
        return WINDOW_MISS;
    if (!readable(fd, slot, offset == WINDOW_AT_POSITION)) {
        slot->reads = 0;
        return WINDOW_MISS;
    }
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_acquire);
    if (!ofd || !policy_read(ofd, config.eager) || !handlers_are_ours(self) || !faults_reach_us(self))
        return WINDOW_MISS;
    if (atomic_load(&ofd->inode->pending)) {
        wb_flush_all(self, FLUSH_BARRIER, WB_WAIT);
        stats_barrier(call);
    }
    return window_fill(self, fd, slot, bytes, n, offset, direction);
}

ssize_t __attribute__((noinline))
read_ahead(const char *call, int fd, struct fd_slot *slot, void *bytes, size_t n, int64_t offset) {
    int saved = errno;
    ssize_t got = by_window(call, fd, slot, bytes, n, offset);
    errno = saved;
    if (got == WINDOW_MISS)
        announce_touch(call, fd);
    else
        policy_read_served(slot, got, offset);
    return got;
}

typedef ssize_t rest_of_read(int fd, void *bytes, size_t n, int64_t offset);

/* A read while there is a window, or something pending: with few registers to save, as long as the window has it. */
static __attribute__((noinline)) ssize_t attended(int fd, void *bytes, size_t n, int64_t offset,
                                                  rest_of_read *otherwise) {
    if (likely(n - 1 < WINDOW_CALL_MAX) && window_read(thread_self(), fd, bytes, n, offset))
        return (ssize_t)n;
    return otherwise(fd, bytes, n, offset);
}

/* NAME_otherwise is all of it but for the open window. */
#define READ(name)                                                                                                     \
    static ssize_t name##_otherwise(int fd, void *bytes, size_t n, int64_t at_position) {                              \
        ssize_t got = offer_unserved(#name, fd, bytes, n, at_position);                                                \
        int error = unlikely(wb_attention()) ? socket_error_due(fd) : 0;                                               \
        if (unlikely(error))                                                                                           \
            return answer(-error);                                                                                     \
        return got != WINDOW_MISS ? got : read_passed(fd, REAL(name)(fd, bytes, n), at_position);                      \
    }                                                                                                                  \
    EXPORT ssize_t name(int fd, void *bytes, size_t n) {                                                               \
        if (wb_attention() || read_promises(files_slot(fd)))                                                           \
            return attended(fd, bytes, n, WINDOW_AT_POSITION, name##_otherwise);                                       \
        return read_passed(fd, REAL(name)(fd, bytes, n), WINDOW_AT_POSITION);                                          \
    }

/* A negative offset is the kernel's to refuse. */
#define PREAD(name)                                                                                                    \
    static ssize_t name##_otherwise(int fd, void *bytes, size_t n, int64_t offset) {                                   \
        ssize_t got = offer_unserved(#name, fd, bytes, likely(offset >= 0) ? n : 0, offset);                           \
        return got != WINDOW_MISS ? got : read_passed(fd, REAL(name)(fd, bytes, n, offset), offset);                   \
    }                                                                                                                  \
    EXPORT ssize_t name(int fd, void *bytes, size_t n, off_t offset) {                                                 \
        if (unlikely(offset < 0))                                                                                      \
            return name##_otherwise(fd, bytes, n, offset);                                                             \
        if (wb_attention() || read_promises(files_slot(fd)))                                                           \
            return attended(fd, bytes, n, offset, name##_otherwise);                                                   \
        return read_passed(fd, REAL(name)(fd, bytes, n, offset), offset);                                              \
    }

extern ssize_t __read(int fd, void *bytes, size_t n);
extern ssize_t __read_chk(int fd, void *bytes, size_t n, size_t room);
extern ssize_t __pread64(int fd, void *bytes, size_t n, off_t offset);
extern ssize_t __pread_chk(int fd, void *bytes, size_t n, off_t offset, size_t room);
extern ssize_t __pread64_chk(int fd, void *bytes, size_t n, off_t offset, size_t room);

READ(read)
READ(__read)
PREAD(pread)
PREAD(pread64)
PREAD(__pread64)

/* The fortified ones: libc ends the program if the buffer is too small. */
EXPORT ssize_t __read_chk(int fd, void *bytes, size_t n, size_t room) {
    ssize_t got = offer_read("__read_chk", fd, bytes, n <= room ? n : 0, WINDOW_AT_POSITION);
    return likely(got != WINDOW_MISS) ? got : read_passed(fd, REAL(__read_chk)(fd, bytes, n, room), WINDOW_AT_POSITION);
}

#define PREAD_CHK(name)                                                                                                \
    EXPORT ssize_t name(int fd, void *bytes, size_t n, off_t offset, size_t room) {                                    \
        ssize_t got = offer_read(#name, fd, bytes, n <= room && offset >= 0 ? n : 0, offset);                          \
        return likely(got != WINDOW_MISS) ? got : read_passed(fd, REAL(name)(fd, bytes, n, offset, room), offset);     \
    }

PREAD_CHK(__pread_chk)
PREAD_CHK(__pread64_chk)

/* Asked by shells before each line that they read. What there is a window on is a regular file. */
EXPORT int isatty(int fd) {
    if (window_is_on(fd)) {
        errno = ENOTTY;
        return 0;
    }
    announce_touch("isatty", fd);
    return CALL(isatty, (fd));
}

/* A negative clock is another process's, a thread's, or a device's (clock_getcpuclockid(3)): it may be a message. */
EXPORT int clock_gettime(clockid_t clock, struct timespec *t) {
    if (unlikely(clock < 0)) {
        announce("clock_gettime");
        return CALL(clock_gettime, (clock, t));
    }
    int result = REAL(clock_gettime)(clock, t);
    window_timed();
    return result;
}
