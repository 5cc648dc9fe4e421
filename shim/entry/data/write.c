/* The write family: deferred if policy says so; what goes straight through goes after what is pending. */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/config.h"
#include "base/earlier.h"
#include "base/single.h"
#include "base/ticks.h"
#include "behind/group_sync.h"
#include "behind/straight.h"
#include "entry/data/turns.h"
#include "entry/data/write.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/own_calls.h"
#include "entry/life/survey.h"
#include "policy/policy.h"

/* Is there room on the file system? Looked at now and then; policy knows of nothing that needs a system call. */
static bool roomy(int fd, size_t size, struct file_system *fs) {
    if (likely(fs->headroom))
        return true;
    mutex_lock(&files_lock);
    files_check_headroom(fd, fs, size);
    mutex_unlock(&files_lock);
    return fs->headroom;
}

/* Would something have performed the number's last write? With a log for each thread the others' files don't count. */
static bool interrupted(const struct fd_slot *slot) {
    return config.order == ORDER_PROCESS && !wb_rehearses(slot);
}

/* The write is too early, or deferring it wouldn't pay: what comes next shows whether that is to change. */
static void look_on(struct fd_slot *slot) {
    if (policy_rehearses(slot))
        wb_rehearse(slot);
    else if (policy_gave_up(slot))
        rest();
}

/* May a write of this size, ending there, be deferred? Everything is ready for it then. */
static enum reason admit(int fd, size_t size, uint64_t end, struct fd_slot **out) {
    struct thread *self = thread_self();
    uint64_t hindrances = atomic_load_explicit(&wb_hindrances, memory_order_relaxed);
    if (!thread_free(self))
        return self->vfork_child ? REASON_vfork : REASON_reentrant;
    if (hindrances)
        return wb_first_hindrance(hindrances);
    struct fd_slot *slot = *out = files_slot_make(fd);
    if (!slot)
        return REASON_bad_fd;
    if (slot->other)
        return (enum reason)slot->other;
    struct write_facts facts = {
        .size = size,
        .end = end,
        .now = size < WB_LARGE ? ticks_now() : 0,
        .interrupted = interrupted(slot),
        .started = activated(),
        .eager = config.eager == EAGER_ALL,
    };
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_acquire);
    facts.stream = ofd ? ofd->stream : STREAM_NONE;
    facts.running = ofd && atomic_load_explicit(&ofd->inode->pending, memory_order_relaxed);
    enum reason reason = policy_write(&facts, slot, ofd);
    if (reason == REASON_warming || reason == REASON_unprofitable)
        look_on(slot);
    if (reason == REASON_unprofitable && ofd && policy_rests(&ofd->habit))
        rest();
    if (reason != REASON_NONE)
        return reason;
    self = attached_self();
    if (!thread_attached(self))
        return REASON_no_memory;
    if (!ofd) {
        ofd = looked_up(fd, slot);
        reason = ofd ? policy_write(&facts, slot, ofd) : slot->other ? (enum reason)slot->other : REASON_bad_fd;
    }
    if (reason == REASON_NONE)
        reason = roomy(fd, size, ofd->inode->file_system) ? activate(ofd->inode) : REASON_headroom;
    if (reason == REASON_NONE && !handlers_are_ours(self))
        reason = REASON_reentrant;
    if (reason == REASON_NONE && !faults_reach_us(self))
        reason = REASON_signal_blocked;
    return reason;
}

struct offer {
    const char *call;
    int fd;
    int count;
    const struct iovec *vector;
    int64_t offset;
    size_t total; /* set for vectors too when the answer is DEFERRED */
    bool own;     /* the vector is ours; else the caller's, which may not be readable */
    bool odd;     /* arguments that only the kernel should judge */
};

enum { VECTOR_MAX = 16 }; /* longer ones are left to the kernel: they aren't small writes */

static enum reason defer(struct fd_slot *slot, struct offer *offer, const struct iovec *vector) {
    struct thread *self = thread_self();
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_acquire);
    if (ofd && ofd->stream && turn_try(self) >= 0)
        return REASON_no_room; /* announce_write waits for it, and a handler may end that */
    turn_before_write(self, ofd);
    return wb_defer(self, offer->fd, slot, offer->offset, vector, offer->count, offer->total);
}

static enum reason defer_own(struct offer *offer) {
    struct fd_slot *slot = NULL;
    uint64_t end = offer->offset < 0 ? 0 : (uint64_t)offer->offset + offer->total;
    enum reason reason = admit(offer->fd, offer->total, end, &slot);
    return reason != REASON_NONE ? reason : defer(slot, offer, offer->vector);
}

/* The caller's vector: it can be read only once faults are caught, so everything else comes first. */
static enum reason defer_callers(struct offer *offer) {
    struct fd_slot *slot = NULL;
    struct iovec copy[VECTOR_MAX];
    if (offer->count < 1 || offer->count > VECTOR_MAX)
        return REASON_flags;
    enum reason reason = admit(offer->fd, 1, offer->offset < 0 ? 0 : (uint64_t)offer->offset, &slot);
    if (reason != REASON_NONE)
        return reason;
    if (!copy_in(copy, offer->vector, (size_t)offer->count * sizeof *copy))
        return REASON_bad_buffer;
    for (int i = 0; i < offer->count; i++) {
        if (copy[i].iov_len >= WB_LARGE)
            return REASON_large;
        offer->total += copy[i].iov_len;
    }
    if (offer->total == 0 || offer->total >= WB_LARGE)
        return offer->total ? REASON_large : REASON_flags;
    return defer(slot, offer, copy);
}

/* A write to a stream that isn't deferred may show that the next ones can be. */
static int offer_straight(struct offer *offer, enum reason reason) {
    struct ofd *ofd = known_ofd(offer->fd);
    struct thread *self = thread_self();
    if (!ofd || !ofd->stream || !thread_free(self) || !thread_attached(self) || offer->offset >= 0)
        return PASS;
    long done = 0;
    if (reason == REASON_input || reason == REASON_warming || reason == REASON_no_room) {
        done = straight_write(self, offer->fd, ofd, offer->vector, offer->count, offer->total,
                              offer->offset != WB_AT_POSITION);
    } else if (reason == REASON_large) {
        wb_rehearsal_ends(); /* it would have performed what was deferred before */
        straight_begins(self, offer->fd, ofd);
    }
    return done == 0 ? PASS : done == (long)offer->total ? DEFERRED : PARTIAL + (int)done;
}

static _Atomic bool any_failed;

/* Not what is wrong with the call itself, which nobody else can mend. */
void write_failed(void) {
    if (errno != EAGAIN && errno != EINTR && errno != EPIPE && errno != EBADF && errno != EFAULT && errno != EINVAL)
        atomic_store_explicit(&any_failed, true, memory_order_relaxed);
}

/* What was accepted has failed: the answer to another call, and as much an input as any answer. */
static int late_error(int error) {
    atomic_store_explicit(&any_failed, true, memory_order_relaxed);
    input_came();
    return -error;
}

/* What an earlier write met, if this one is told: the kernel refuses some calls before it looks at that. */
static int offer_late(const struct offer *offer) {
    struct ofd *ofd = ofd_in_error(offer->fd);
    if (likely(!ofd))
        return 0;
    if (ofd->stream &&
        (offer->offset >= 0 || (offer->odd && offer->offset != WB_SENT && offer->offset != WB_SENT_QUIETLY) ||
         (!offer->own && !vector_asks(offer->vector, offer->count))))
        return 0;
    if (!ofd->stream && (sys(SYS_fcntl, offer->fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return 0;
    return error_due(offer->fd);
}

static __attribute__((noinline)) int make_offer(struct offer *offer) {
    int saved = errno;
    int late = offer_late(offer);
    if (unlikely(late))
        return late_error(late);
    enum reason reason = offer->odd ? REASON_flags : offer->own ? defer_own(offer) : defer_callers(offer);
    errno = saved;
    struct thread *self = stats_wanted ? attached_self() : thread_self();
    if (reason == REASON_NONE)
        return DEFERRED;
    if (unlikely(reason == REASON_looking))
        own_calls_passed();
    self->stats->passed[reason]++;
    if (unlikely(survey_wanted))
        survey_write(offer->call, offer->fd, offer->total, offer->offset < 0 ? -1 : offer->offset);
    if (!announce_write(offer->call, offer->fd))
        return -EINTR;
    if (unlikely((late = offer_late(offer)) != 0))
        return late_error(late);
    return offer_straight(offer, reason);
}

ssize_t answer_offer(int verdict, size_t total) {
    return verdict == DEFERRED ? (ssize_t)total : verdict > PARTIAL ? verdict - PARTIAL : answer(verdict);
}

/* Hindered it needs no clock, which may be among what is forbidden (PR_SET_TSC). */
static bool warms_up(struct fd_slot *slot) {
    bool started = activated();
    if (policy_skips(slot, started))
        return true;
    if (!policy_warming(slot, ticks_now(), started, interrupted(slot)))
        return false;
    look_on(slot);
    return true;
}

static inline bool hindered(void) {
    uint64_t hindrances = atomic_load_explicit(&wb_hindrances, memory_order_relaxed);
    if (unlikely(hindrances & 1ull << REASON_looking))
        own_calls_passed();
    return hindrances != 0;
}

/*
 * The quick way out for calls that nothing can be done for: a descriptor that is no file of ours, a large write, a file
 * that is being left alone, a process in which nothing may be deferred. Nothing is pending, nobody counts, no error
 * waits to be reported.
 */
static bool passes_at_once(int fd, size_t n) {
    struct fd_slot *slot = files_slot(fd);
    number_used(fd);
    if (wb_attention() || !slot)
        return false;
    if (slot->other)
        return true;
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_acquire);
    if (policy_left(slot) || policy_large(ofd ? ofd->stream : STREAM_NONE, n, config.eager == EAGER_ALL) || hindered())
        return true;
    if (!ofd)
        return config.eager != EAGER_ALL && warms_up(slot);
    bool unchanged = ofd->generation == atomic_load_explicit(&files_generation, memory_order_relaxed);
    return policy_left_alone(&ofd->habit) || (ofd->reason == REASON_nonblocking && unchanged);
}

ssize_t __attribute__((noinline)) written_unseen(ssize_t written) {
    if (written < 0)
        write_failed();
    if (writes_are_followed()) {
        input_now_unsure();
        input_came();
    }
    return written;
}

/* A single buffer. A negative offset other than "at the position" is the kernel's to refuse. */
static inline __attribute__((always_inline)) bool extends(int fd, const void *bytes, size_t n, int64_t offset) {
    return likely(n - 1 < WB_LARGE - 1 && wb_extend(thread_self(), fd, offset, bytes, n));
}

static inline int offer_unextended(const char *call, int fd, const void *bytes, size_t n, int64_t offset, bool odd) {
    struct iovec one = {(void *)bytes, n};
    struct offer offer = {call, fd, 1, &one, offset, n, true, odd};
    return make_offer(&offer);
}

static inline __attribute__((always_inline)) int offer_one(const char *call, int fd, const void *bytes, size_t n,
                                                           int64_t offset, bool odd) {
    return wb_attention() && extends(fd, bytes, n, offset) ? DEFERRED
                                                           : offer_unextended(call, fd, bytes, n, offset, odd);
}

int offer_write(const char *call, int fd, const void *bytes, size_t n) {
    return passes_at_once(fd, n) ? PASS : offer_one(call, fd, bytes, n, WB_AT_POSITION, false);
}

int offer_send(const char *call, int fd, const void *bytes, size_t n, int flags) {
    int64_t how = flags & MSG_NOSIGNAL ? WB_SENT_QUIETLY : WB_SENT;
    if (!(flags & ~(MSG_NOSIGNAL | MSG_DONTWAIT)) && turn_keeps(fd, bytes, n))
        return DEFERRED;
    return passes_at_once(fd, n) ? PASS : offer_one(call, fd, bytes, n, how, flags & ~MSG_NOSIGNAL);
}

bool write_prepared(int fd) {
    struct fd_slot *slot;
    int saved = errno;
    bool prepared = !passes_at_once(fd, 1) && admit(fd, 1, 0, &slot) == REASON_NONE;
    errno = saved;
    return prepared;
}

int offer_vector(const char *call, int fd, const struct iovec *vector, int count, int64_t offset, bool odd,
                 size_t *total) {
    struct offer offer = {call, fd, count, vector, offset, 0, false, odd};
    *total = offset >= 0 || odd ? 0 : turn_keeps_vector(fd, vector, count);
    if (unlikely(*total))
        return DEFERRED;
    int verdict = make_offer(&offer);
    *total = offer.total;
    return verdict;
}

/*
 * Does it tell nothing that all of a write went in? If there is a window, there must have been room when that was
 * opened, or somebody may have made some since, and changed the window's file before. It is measured for the next one.
 */
static bool tells_nothing(int fd, struct file_system *fs, size_t n) {
    if (atomic_load_explicit(&any_failed, memory_order_relaxed))
        return false;
    if (likely(!window_exists()) || atomic_load(&fs->mark) == atomic_load(&window_opening))
        return true;
    mutex_lock(&files_lock);
    files_check_headroom(fd, fs, n);
    mutex_unlock(&files_lock);
    return false;
}

void stream_passed(int fd, ssize_t written, size_t n) {
    struct ofd *ofd = known_ofd(fd);
    bool whole = written == (ssize_t)n;
    if (ofd && !ofd->stream && !whole)
        atomic_store_explicit(&any_failed, true, memory_order_relaxed);
    if (ofd && ofd->stream)
        straight_ends(thread_self(), ofd, written, n);
    else if (ofd && whole && tells_nothing(fd, ofd->inode->file_system, n))
        window_written(ofd->inode);
    else
        input_came();
}

/*
 * The quick ways have few registers to save: NAME_extends for a write that goes on where the last one ended, and NAME
 * itself for one that nothing can be done for. NAME_offered is all the rest.
 */
#define SINGLE(name, parameters, arguments, at, is_odd)                                                                \
    REAL_SLOT(ssize_t, name, parameters, arguments)                                                                    \
    static __attribute__((noinline)) ssize_t name##_offered parameters {                                               \
        int verdict = passes_at_once(fd, n) ? PASS : offer_unextended(#name, fd, bytes, n, at, is_odd);                \
        return verdict == PASS ? write_passed(fd, REAL_OF(name) arguments, n) : answer_offer(verdict, n);              \
    }                                                                                                                  \
    static __attribute__((noinline)) ssize_t name##_extends parameters {                                               \
        if (extends(fd, bytes, n, at) || ((at) == WB_AT_POSITION && turn_keeps(fd, bytes, n)))                         \
            return (ssize_t)n;                                                                                         \
        return name##_offered arguments;                                                                               \
    }                                                                                                                  \
    EXPORT ssize_t name parameters {                                                                                   \
        if (!passes_plainly(fd, n))                                                                                    \
            return wb_attention() ? name##_extends arguments : name##_offered arguments;                               \
        return written_plainly(REAL_OF(name) arguments);                                                               \
    }

#define WRITE(name) SINGLE(name, (int fd, const void *bytes, size_t n), (fd, bytes, n), WB_AT_POSITION, false)

#define PWRITE(name)                                                                                                   \
    SINGLE(name, (int fd, const void *bytes, size_t n, off_t offset), (fd, bytes, n, offset),                          \
           offset < 0 ? INT64_MIN : offset, offset < 0)

#define VECTOR(name, parameters, arguments, at, is_odd)                                                                \
    EXPORT ssize_t name parameters {                                                                                   \
        if (passes_plainly(fd, 0))                                                                                     \
            return written_plainly(REAL(name) arguments);                                                              \
        size_t total;                                                                                                  \
        int verdict = offer_vector(#name, fd, vector, count, at, is_odd, &total);                                      \
        return verdict == PASS ? write_passed(fd, REAL(name) arguments, total) : answer_offer(verdict, total);         \
    }

extern ssize_t __write(int fd, const void *bytes, size_t n);
extern ssize_t __pwrite64(int fd, const void *bytes, size_t n, off_t offset);

WRITE(write)
WRITE(__write)
PWRITE(pwrite)
PWRITE(pwrite64)
PWRITE(__pwrite64)
VECTOR(writev, (int fd, const struct iovec *vector, int count), (fd, vector, count), WB_AT_POSITION, false)
VECTOR(pwritev, (int fd, const struct iovec *vector, int count, off_t offset), (fd, vector, count, offset), offset,
       offset < 0)
VECTOR(pwritev64, (int fd, const struct iovec *vector, int count, off64_t offset), (fd, vector, count, offset), offset,
       offset < 0)
/* pwritev2(2): with offset -1 the position is used and moved */
VECTOR(pwritev2, (int fd, const struct iovec *vector, int count, off_t offset, int flags),
       (fd, vector, count, offset, flags), offset, offset < -1 || flags != 0)
VECTOR(pwritev64v2, (int fd, const struct iovec *vector, int count, off64_t offset, int flags),
       (fd, vector, count, offset, flags), offset, offset < -1 || flags != 0)

/*
 * Several threads that sync at the same time may do it together. The library's critical sections must hold: or else a
 * handler could jump out of a sync that others wait for.
 */
static bool sync_is_shared(int fd) {
    struct fd_slot *slot = files_slot_make(fd);
    if (!slot)
        return false;
    struct ofd *ofd = looked_up(fd, slot);
    return ofd && prepare_to_read(ofd->inode) == REASON_NONE;
}

/* The faster way at present: policy is told the time once in so many syncs. */
static bool shares_syncs(void) {
    static struct mutex lock;
    static struct sync_habit habit;
    static uint64_t began;
    static _Atomic uint32_t count;
    static _Atomic bool together;
    if (config.engine != ENGINE_AUTO || config.eager == EAGER_ALL)
        return true;
    if (atomic_fetch_add(&count, 1) % POLICY_SYNCS == 0 && mutex_trylock(&lock)) {
        uint64_t now = ticks_now();
        if (began)
            atomic_store(&together, policy_shares_syncs(&habit, now - began));
        began = now;
        mutex_unlock(&lock);
    }
    return atomic_load(&together);
}

static int sync_passed(struct thread *self, int fd, bool data_only, int (*real)(int)) {
    static _Atomic uint32_t syncing;
    if (single_threaded() || !thread_free(self))
        return real(fd);
    int result = GROUP_YOURSELF;
    if (atomic_fetch_add(&syncing, 1) > 0 && wb_may_ask() && shares_syncs() && sync_is_shared(fd))
        result = group_sync(attached_self(), fd, data_only);
    result = result == GROUP_YOURSELF ? real(fd) : (int)answer(result);
    atomic_fetch_sub(&syncing, 1);
    return result;
}

/* A sync of one file: after everything pending, in one submission with it where that is worth it. */
static int sync_file(int fd, bool data_only, int (*real)(int)) {
    struct thread *self = stats_wanted ? attached_self() : thread_self();
    self->stats->count[COUNT_CALLS]++;
    wb_rehearsal_ends();
    turn_end(self);
    int result = wb_sync(self, fd, data_only);
    if (result != WB_SYNC_YOURSELF)
        result = (int)answer(result);
    else
        result = sync_passed(self, fd, data_only, real);
    input_came();
    int late = file_error_due(fd);
    return unlikely(late) ? (int)answer(-late) : result;
}

EXPORT int fsync(int fd) {
    return sync_file(fd, false, REAL(fsync));
}

EXPORT int fdatasync(int fd) {
    return sync_file(fd, true, REAL(fdatasync));
}

/* What libc writes by itself, and none of its functions that a program can call. */
#define SHOWS(name, parameters, arguments)                                                                             \
    EXPORT void name parameters {                                                                                      \
        announce(#name);                                                                                               \
        CALL(name, arguments);                                                                                         \
        input_now_unsure();                                                                                            \
    }

extern void herror(const char *text);
extern void backtrace_symbols_fd(void *const *frames, int n, int fd);
extern void __backtrace_symbols_fd(void *const *frames, int n, int fd);

SHOWS(herror, (const char *text), (text))
SHOWS(psiginfo, (const siginfo_t *info, const char *text), (info, text))
SHOWS(backtrace_symbols_fd, (void *const *frames, int n, int fd), (frames, n, fd))
SHOWS(__backtrace_symbols_fd, (void *const *frames, int n, int fd), (frames, n, fd))
