/* The read family: served from the window if policy says so; what goes straight through closes it first. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/earlier.h"
#include "base/single.h"
#include "entry/data/read.h"
#include "entry/data/turns.h"
#include "entry/life/own_calls.h"

struct fd_slot *_Atomic read_last;

/* Can the file be read ahead? What is answered by no stays so for a while. */
static bool readable(int fd, struct fd_slot *slot, bool at_position) {
    if (slot->other)
        return false;
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_acquire);
    if (!ofd)
        ofd = looked_up(fd, slot);
    return ofd && ofd->ahead >= (at_position ? AHEAD_AT_POSITION : AHEAD_AT_OFFSET) && !ofd->inode->mapped &&
           (!at_position || files_position_is_ours(ofd));
}

static bool is_stream(int fd) {
    const struct ofd *ofd = known_ofd(fd);
    return ofd && ofd->stream;
}

/* So many small reads haven't been counted yet: the others while there was no peek didn't come here (missed). */
static uint32_t uncounted(const struct fd_slot *slot) {
    return peeks_exist() || slot->reads <= 0 ? 1 : (uint32_t)slot->reads;
}

/* It is asked again after as many small reads as the first time: in a dialogue each one is waited for. */
static void missed(struct fd_slot *slot) {
    if (!peeks_exist())
        slot->reads = 0;
}

/* The same for a stream, by a peek. recv(2) is for sockets. */
static bool peeked(int fd, struct fd_slot *slot, const struct iovec *parts, int count, size_t n, bool received) {
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_acquire);
    struct thread *self = attached_self();
    if (n > PEEK_CALL_MAX || slot->other || !thread_free(self) || !thread_attached(self))
        return false;
    if (!ofd && single_threaded()) {
        ofd = looked_up(fd, slot);
    }
    if (!ofd || !ofd->stream || (received && stream_is_pipe(ofd->stream)) ||
        (!peeks_exist() && !policy_read(ofd, config.eager == EAGER_ALL)))
        return false;
    if (!peek_promises(fd, ofd, n, uncounted(slot), config.eager == EAGER_ALL) || activate(ofd->inode) != REASON_NONE ||
        !handlers_are_ours(self) || !faults_reach_us(self))
        return false;
    enum peek_answer got = peek_more(self, fd, slot, parts, count, n);
    if (got == PEEK_FLUSH) {
        wb_flush_all(self, FLUSH_BARRIER, WB_WAIT);
        stats_barrier("peek");
        got = peek_more(self, fd, slot, parts, count, n);
    }
    return got == PEEK_SERVED;
}

static bool stream_served(const char *call, int fd, const struct iovec *parts, int count, size_t n, bool received) {
    struct fd_slot *slot = likely(n - 1 < PEEK_CALL_MAX) ? files_slot(fd) : NULL;
    bool served = false;
    if (unlikely(survey_wanted) && n)
        survey_read(call, fd, n, WINDOW_AT_POSITION);
    if (slot && read_promises(slot)) {
        int saved = errno;
        turn_end(thread_self()); /* as above */
        served = peeked(fd, slot, parts, count, n, received);
        errno = saved;
        if (!served && is_stream(fd))
            missed(slot);
    }
    if (!served) {
        announce_move(call, fd);
        announce_read(call, fd);
    }
    return served;
}

bool stream_read(const char *call, int fd, void *bytes, size_t n, bool received) {
    const struct ofd *ofd = known_ofd(fd);
    if (wb_attention() && n - 1 < PEEK_CALL_MAX && !(received && ofd && stream_is_pipe(ofd->stream)) &&
        peek_read(thread_self(), fd, bytes, n))
        return true;
    struct iovec one = {bytes, n};
    return stream_served(call, fd, &one, 1, n, received);
}

/* The caller's vector may not be readable: it is looked at only where faults are caught. */
static ssize_t stream_readv(const char *call, int fd, const struct iovec *vector, int count) {
    enum { PARTS = 16 };
    struct iovec parts[PARTS];
    size_t n = 0;
    if (count > 0 && count <= PARTS && is_stream(fd) && thread_self()->faults_caught && thread_free(thread_self()) &&
        copy_in(parts, vector, (size_t)count * sizeof *parts))
        for (int i = 0; i < count; i++)
            n += parts[i].iov_len <= PEEK_CALL_MAX ? parts[i].iov_len : PEEK_CALL_MAX + 1;
    return stream_served(call, fd, parts, count, n, false) ? (ssize_t)n : WINDOW_MISS;
}

/* Served from the window, or a new one. What costs a call comes last. */
static ssize_t by_window(const char *call, int fd, struct fd_slot *slot, void *bytes, size_t n, int64_t offset) {
    if (unlikely(atomic_load_explicit(&wb_hindrances, memory_order_relaxed) & 1ull << REASON_looking)) {
        own_calls_passed();
        return WINDOW_MISS; /* what was learnt of the file stays */
    }
    if (window_hindered()) {
        slot->reads = 0;
        return WINDOW_MISS;
    }
    if (n > WINDOW_CALL_MIN && config.eager != EAGER_ALL)
        window_measure_calls();
    if (n > window_call()) {
        slot->reads = 0;
        return WINDOW_MISS;
    }
    struct iovec one = {bytes, n};
    if (offset == WINDOW_AT_POSITION && peeked(fd, slot, &one, 1, n, false))
        return (ssize_t)n;
    if (is_stream(fd)) {
        missed(slot);
        return WINDOW_MISS;
    }
    int direction = policy_direction(window_last(fd, slot->read_at), n, offset);
    struct thread *self = attached_self();
    if (!direction || !thread_free(self) || !thread_attached(self))
        return WINDOW_MISS;
    if (!readable(fd, slot, offset == WINDOW_AT_POSITION)) {
        slot->reads = is_stream(fd) ? 0 : -POLICY_READS_AGAIN;
        return WINDOW_MISS;
    }
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_acquire);
    if (!ofd || (ofd->direct ? activate(ofd->inode) : prepare_to_read(ofd->inode)) != REASON_NONE) {
        slot->reads = 0;
        return WINDOW_MISS;
    }
    if (!policy_read(ofd, config.eager == EAGER_ALL) || !handlers_are_ours(self) || !faults_reach_us(self))
        return WINDOW_MISS;
    if (atomic_load(&ofd->inode->pending)) {
        wb_flush_all(self, FLUSH_BARRIER, WB_WAIT);
        stats_barrier(call);
    }
    return window_fill(self, fd, slot, bytes, n, offset, direction);
}

void read_midsize(void) {
    enum { ENOUGH = 64 };
    static _Atomic uint32_t noted;
    if (atomic_load_explicit(&noted, memory_order_relaxed) < ENOUGH)
        atomic_fetch_add_explicit(&noted, 1, memory_order_relaxed);
    else if (config.eager != EAGER_ALL && !window_hindered())
        window_measure_calls();
}

ssize_t __attribute__((noinline))
read_ahead(const char *call, int fd, struct fd_slot *slot, void *bytes, size_t n, int64_t offset) {
    int saved = errno;
    turn_end(thread_self()); /* a peek would find what was read in it */
    ssize_t got = by_window(call, fd, slot, bytes, n, offset);
    errno = saved;
    if (got == WINDOW_MISS && offset == WINDOW_AT_POSITION)
        announce_move(call, fd);
    if (got == WINDOW_MISS)
        announce_read(call, fd);
    else
        policy_read_served(slot, got, offset);
    return got;
}

/*
 * The quick way of a read that nothing is done about: it is too large for a window, and the number hasn't been read in
 * small pieces; or too large for a peek, and by a socket; or the number is left alone. There is nothing to do but to
 * count an input, if these are counted when it comes back.
 */
static inline __attribute__((always_inline)) bool reads_at_once(int fd, size_t n) {
    struct fd_slot *slot = files_slot_near(fd);
    if (!slot || !number_unattended(fd))
        return false;
    return n > WINDOW_CALL_MAX
               ? slot->reads <= 0
               : (n > PEEK_CALL_MAX && slot->socket) || (policy_reads_left(slot) && config.eager != EAGER_ALL);
}

/*
 * The quick ways have few registers to save: NAME_served while there is a window, a peek, or something pending, as long
 * as the window or the peek has it; and NAME itself for a read that nothing is done about. NAME_unserved is all but the
 * window, NAME_otherwise all the rest.
 */
#define READS(name, parameters, arguments, at, valid, unserved)                                                        \
    REAL_SLOT(ssize_t, name, parameters, arguments)                                                                    \
    static __attribute__((noinline)) ssize_t name##_unserved parameters {                                              \
        unserved;                                                                                                      \
        return read_passed(fd, REAL_OF(name) arguments, at);                                                           \
    }                                                                                                                  \
    static __attribute__((noinline)) ssize_t name##_served parameters {                                                \
        ssize_t turned = (at) == WINDOW_AT_POSITION ? turn_serves(fd, bytes, n) : -1;                                  \
        if (turned > 0)                                                                                                \
            return turned;                                                                                             \
        if ((valid) && likely(n - 1 < WINDOW_CALL_MAX) && read_quickly(fd, bytes, n, at))                              \
            return (ssize_t)n;                                                                                         \
        return name##_unserved arguments;                                                                              \
    }                                                                                                                  \
    static __attribute__((noinline)) ssize_t name##_otherwise parameters {                                             \
        if (read_promises(files_slot(fd)))                                                                             \
            return name##_served arguments;                                                                            \
        number_used(fd);                                                                                               \
        return read_passed(fd, REAL_OF(name) arguments, at);                                                           \
    }                                                                                                                  \
    EXPORT ssize_t name parameters {                                                                                   \
        if (!reads_at_once(fd, n))                                                                                     \
            return wb_attention() ? name##_served arguments : name##_otherwise arguments;                              \
        ssize_t got = REAL_OF(name) arguments;                                                                         \
        input_came();                                                                                                  \
        return got;                                                                                                    \
    }

/* True: this is what the caller is told, by a window, or because an earlier write to it met an error. */
static inline __attribute__((always_inline)) bool read_answered(const char *call, int fd, void *bytes, size_t n,
                                                                ssize_t *answered) {
    if ((*answered = offer_unserved(call, fd, bytes, n, WINDOW_AT_POSITION)) != WINDOW_MISS)
        return true;
    int error = socket_error_due(fd, n);
    if (unlikely(error))
        *answered = answer(-error);
    return error != 0;
}

#define READ(name)                                                                                                     \
    READS(name, (int fd, void *bytes, size_t n), (fd, bytes, n), WINDOW_AT_POSITION, true, ssize_t got;                \
          if (read_answered(#name, fd, bytes, n, &got)) return got)

/* A negative offset is the kernel's to refuse. */
#define PREAD(name)                                                                                                    \
    READS(name, (int fd, void *bytes, size_t n, off_t offset), (fd, bytes, n, offset), offset, offset >= 0,            \
          ssize_t got = offer_unserved(#name, fd, bytes, likely(offset >= 0) ? n : 0, offset);                         \
          if (got != WINDOW_MISS) return got)

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
    ssize_t turned = n <= room ? turn_serves(fd, bytes, n) : -1;
    if (turned > 0)
        return turned;
    ssize_t got = offer_read("__read_chk", fd, bytes, n <= room ? n : 0, WINDOW_AT_POSITION);
    if (likely(got != WINDOW_MISS))
        return got;
    int error = n <= room ? socket_error_due(fd, n) : 0;
    return unlikely(error) ? answer(-error) : read_passed(fd, REAL(__read_chk)(fd, bytes, n, room), WINDOW_AT_POSITION);
}

#define PREAD_CHK(name)                                                                                                \
    EXPORT ssize_t name(int fd, void *bytes, size_t n, off_t offset, size_t room) {                                    \
        ssize_t got = offer_read(#name, fd, bytes, n <= room && offset >= 0 ? n : 0, offset);                          \
        return likely(got != WINDOW_MISS) ? got : read_passed(fd, REAL(name)(fd, bytes, n, offset, room), offset);     \
    }

PREAD_CHK(__pread_chk)
PREAD_CHK(__pread64_chk)

/* Asked by shells before each line that they read. What there is a window on is a regular file, and a peek, a stream.
 */
EXPORT int isatty(int fd) {
    if (window_is_on(fd) || peek_is_on(fd)) {
        errno = ENOTTY;
        return 0;
    }
    announce_touch("isatty", fd);
    return CALL(isatty, (fd));
}

/* What files have pending is seen; and windows are for single buffers. */
EXPORT ssize_t readv(int fd, const struct iovec *vector, int count) {
    ssize_t turned = turn_serves_vector(fd, vector, count);
    if (turned > 0)
        return turned;
    ssize_t got = stream_readv("readv", fd, vector, count);
    if (got != WINDOW_MISS)
        return got;
    bool failed = unlikely(wb_attention()) && ofd_in_error(fd);
    int error = unlikely(failed) ? socket_error_due(fd, vector_asks(vector, count)) : 0;
    return unlikely(error) ? answer(-error) : read_passed(fd, REAL(readv)(fd, vector, count), WINDOW_AT_POSITION);
}

extern ssize_t __recv_chk(int fd, void *bytes, size_t n, size_t room, int flags);
extern ssize_t __recvfrom_chk(int fd, void *bytes, size_t n, size_t room, int flags, __SOCKADDR_ARG from,
                              socklen_t *size);

/*
 * Without flags it is a read of a socket (recv(2)); in a turn it doesn't matter whether it would wait. True: this is
 * what the caller is told.
 */
static bool received(const char *call, int fd, void *bytes, size_t n, int flags, bool plain, ssize_t *answered) {
    *answered = plain && !(flags & ~MSG_DONTWAIT) ? turn_serves(fd, bytes, n) : -1;
    if (*answered > 0)
        return true;
    plain &= !flags;
    if (plain && stream_read(call, fd, bytes, n, true)) {
        *answered = (ssize_t)n;
        return true;
    }
    if (!plain)
        announce_reads_of(call, fd);
    if (unlikely(flags & MSG_OOB)) /* where the urgent byte was isn't seen any more */
        socket_shut(fd);
    int error = flags & ASKS_NO_ERROR ? 0 : socket_error_due(fd, 1); /* recv(2) tells it also if n is 0 */
    if (unlikely(error))
        *answered = answer(-error);
    return error != 0;
}

#define RECV(name, parameters, arguments, plain)                                                                       \
    EXPORT ssize_t name parameters {                                                                                   \
        ssize_t answered;                                                                                              \
        if (n > PEEK_CALL_MAX && !(flags & MSG_OOB) && number_unattended(fd))                                          \
            return CALL(name, arguments);                                                                              \
        if (received(#name, fd, bytes, n, flags, plain, &answered))                                                    \
            return answered;                                                                                           \
        return read_passed(fd, REAL(name) arguments, WINDOW_AT_POSITION);                                              \
    }

RECV(recv, (int fd, void *bytes, size_t n, int flags), (fd, bytes, n, flags), true)
RECV(recvfrom, (int fd, void *bytes, size_t n, int flags, __SOCKADDR_ARG from, socklen_t *size),
     (fd, bytes, n, flags, from, size), !from.__sockaddr__)
/* The fortified ones: libc ends the program if the buffer is too small. */
RECV(__recv_chk, (int fd, void *bytes, size_t n, size_t room, int flags), (fd, bytes, n, room, flags), n <= room)
RECV(__recvfrom_chk, (int fd, void *bytes, size_t n, size_t room, int flags, __SOCKADDR_ARG from, socklen_t *size),
     (fd, bytes, n, room, flags, from, size), !from.__sockaddr__ && n <= room)

/* Asked by busybox's shell before each byte. */
static bool poll_answered(struct pollfd *fds, nfds_t n) {
    struct pollfd one;
    if (n != 1 || !thread_self()->faults_caught || !thread_free(thread_self()) || !copy_in(&one, fds, sizeof one) ||
        one.events != POLLIN || (one.revents = peek_polled(thread_self(), one.fd)) == 0)
        return false;
    return copy_in(&fds->revents, &one.revents, sizeof one.revents);
}

/* What libc's poll calls (there is no poll on aarch64). */
#ifdef SYS_poll
enum { POLLS = SYS_poll };
#else
enum { POLLS = SYS_ppoll };
#endif

#define POLL(name)                                                                                                     \
    EXPORT int name(struct pollfd *fds, nfds_t n, int limit) {                                                         \
        if (peeks_exist() && poll_answered(fds, n))                                                                    \
            return 1;                                                                                                  \
        users_wait(thread_self());                                                                                     \
        announce(#name);                                                                                               \
        return polled_turn(POLLS, fds, n, CALL(name, (fds, n, limit)));                                                \
    }

extern int __poll(struct pollfd *fds, nfds_t n, int limit);

POLL(poll)
POLL(__poll)

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
