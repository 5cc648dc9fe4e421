#include "behind/write_behind.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "ahead/peek.h"
#include "base/arena.h"
#include "base/config.h"
#include "base/real.h"
#include "base/ticks.h"
#include "behind/perform.h"
#include "behind/straight.h"
#include "behind/streams.h"
#include "behind/turn.h"
#include "common/flusher.h"
#include "common/rings.h"
#include "files/shared_memory.h"
#include "ring/ring.h"

/* With ORDER=thread this many threads may defer at once: 32 MiB of pieces. */
enum { LOGS_MAX = 64 };

static struct wb_log logs[LOGS_MAX] APART;
static _Atomic uint32_t log_count;
static struct mutex logs_lock; /* making, giving and taking back logs */
static bool biased;            /* membarrier works */
static _Atomic uint64_t batches;

static bool log_equip(struct wb_log *log) {
    if (!log->filling)
        log->filling = &log->piece[0];
    for (int i = 0; i < 2; i++) {
        if (!log->piece[i].data)
            log->piece[i].data = arena_map(WB_PIECE_MAX, ARENA_DONTFORK);
        if (!log->piece[i].data)
            return false;
    }
    if (!log->limit)
        log->limit = WB_PIECE_MIN;
    return true;
}

/* Gives a thread its log. NULL: there are no more. */
static struct wb_log *log_adopt(struct thread *self) {
    struct wb_log *log = NULL;
    mutex_lock(&logs_lock);
    if (config.order == ORDER_PROCESS) {
        log = &logs[0];
    } else {
        uint32_t count = atomic_load_explicit(&log_count, memory_order_relaxed);
        for (uint32_t i = 1; i < LOGS_MAX && !log; i++)
            if (!logs[i].used && log_equip(&logs[i])) {
                log = &logs[i];
                log->used = true;
                if (i >= count)
                    atomic_store_explicit(&log_count, i + 1, memory_order_release);
            }
    }
    mutex_unlock(&logs_lock);
    self->log = log;
    return log;
}

static uint32_t gathered(char *to, const struct iovec *vector, int count) {
    uint32_t done = 0;
    for (int i = 0; i < count; i++) {
        if (!copy_in(to + done, vector[i].iov_base, vector[i].iov_len))
            return UINT32_MAX;
        done += (uint32_t)vector[i].iov_len;
    }
    return done;
}

/*
 * How long a look at what a number really is holds good. With a polling thread it is the flusher that looks, each tick
 * anew, at the number that was verified last: the writer makes no system calls.
 */
enum { VERIFIED_US = 300, WATCHED_US = 3000 };

static _Atomic int watched = -1;

static bool stale(struct ofd *ofd) {
    uint64_t now = ticks_now();
    if (files_is_private(ofd) && ofd->direct != DIRECT_UNKNOWN &&
        now - ofd->verified_at < ticks_of_us(config.sqpoll ? WATCHED_US : VERIFIED_US) &&
        ofd->generation == atomic_load_explicit(&files_generation, memory_order_relaxed))
        return false;
    ofd->verified_at = now;
    return true;
}

/*
 * May this OFD's writes be deferred in this batch? Asked once a batch, with a look at what the number really is if the
 * last one is too old: the program may have closed and reused it by a way that we don't see. If so, the caller gets a
 * reference.
 */
static enum reason verified(struct wb_log *log, int fd, struct fd_slot *slot, struct ofd **out) {
    enum reason reason = REASON_NONE;
    mutex_lock(&files_lock);
    struct ofd *ofd = *out = atomic_load_explicit(&slot->ofd, memory_order_relaxed);
    uint64_t batch = log->filling->batch;
    bool far = atomic_load(&files_far);
    if (!ofd)
        reason = REASON_bad_fd;
    else if (ofd->batch != batch && (ofd->stream || stale(ofd) || far) && !files_verify(fd, slot))
        reason = REASON_bad_fd;
    else if (ofd->reason)
        reason = ofd->reason;
    else if (ofd->inode->mapped)
        reason = REASON_mapped;
    else if (ofd->batch != batch && shared_memory_joined())
        reason = REASON_shared_memory;
    if (reason == REASON_shared_memory)
        wb_hinder(reason);
    if (reason == REASON_NONE && ofd->batch != batch && !ofd->stream && (far || !files_is_private(ofd)))
        files_look_at_position(fd, ofd);
    if (reason == REASON_NONE && ofd->far)
        reason = REASON_far_offset;
    if (reason == REASON_NONE && ofd->batch != batch) {
        if (!ofd->stream)
            files_check_headroom(fd, ofd->inode->file_system, log->limit);
        ofd->batch = batch;
        atomic_store_explicit(&watched, fd, memory_order_relaxed);
    }
    if (reason == REASON_NONE && !ofd->inode->file_system->headroom)
        reason = REASON_headroom;
    if (reason == REASON_NONE)
        atomic_fetch_add_explicit(&ofd->references, 1, memory_order_relaxed);
    mutex_unlock(&files_lock);
    return reason;
}

/*
 * The piece takes no more: it goes into the background if that is thought to pay, or is performed here. False: some of
 * it has to wait.
 */
static bool make_room(struct thread *self, struct wb_log *log) {
    peeks_settle_amid(self);
    log->fill_ticks = ticks_now() - log->filling->opened_at;
    if (!perform_in_background(self, log) && !perform_piece(self, log, FLUSH_FULL))
        return false;
    bool late = config.sqpoll && log->fill_ticks > ticks_of_us((uint64_t)config.max_delay_us) / 10;
    if (log->limit < WB_PIECE_MAX && !late)
        log->limit *= 2;
    return true;
}

/*
 * With a polling thread a piece that isn't full in time costs the writer what handing it over doesn't: the next are
 * smaller.
 */
static void expect_less(struct wb_log *log) {
    if (config.sqpoll && log->filling && log->filling->extents && log->limit > WB_PIECE_LEAST)
        log->limit /= 2;
}

static void extent_opened(struct wb_log *log, struct piece *piece, struct ofd *ofd) {
    files_begin(ofd->inode); /* before looking for a window: who opens one looks for this */
    window_written(ofd->inode);
    if (piece->extents == 1) {
        piece->opened_at = ticks_now();
        atomic_store_explicit(&log->open_batch, piece->batch, memory_order_relaxed);
    }
    if (!log->counted) {
        log->counted = true;
        atomic_fetch_add(&wb_pending, 1);
        flusher_notice();
    }
}

/* All of a write's addresses and sizes, and its offset, as bits. */
static uint64_t bits_of(const struct iovec *vector, int count, int64_t offset) {
    uint64_t bits = offset == WB_AT_POSITION ? 0 : (uint64_t)offset;
    for (int i = 0; i < count; i++)
        bits |= (uintptr_t)vector[i].iov_base | vector[i].iov_len;
    return bits;
}

/*
 * May a direct write be deferred that doesn't go on where the last one ended? What isn't aligned is the kernel's to
 * refuse, or to do in another way. A position that somebody else may move could be odd when the write's turn comes.
 */
static enum reason direct_opens(const struct ofd *ofd, int fd, int64_t offset) {
    if (!files_is_private(ofd))
        return REASON_direct_flag;
    if (offset != WB_AT_POSITION)
        return REASON_NONE;
    if (!files_position_is_ours(ofd))
        return REASON_direct_flag;
    return sys(SYS_lseek, fd, 0, SEEK_CUR) & ofd->direct ? REASON_unaligned : REASON_NONE;
}

/*
 * The last extent can be extended without a look at it, until it is closed again. With streams that is for its writer
 * alone, who must be the log's owner, for nobody else extends without the lock.
 */
static void open_last(struct thread *self, struct wb_log *log, struct extent *last) {
    struct piece *piece = log->filling;
    if (piece->streams && atomic_load_explicit(&log->lock.owner, memory_order_relaxed) != &self->holder)
        return;
    const struct ofd *ofd = last->ofd;
    uint32_t left = log->limit > piece->used ? log->limit - piece->used : 0;
    if (ofd->stream && streams_left(ofd, last->length) < left)
        left = streams_left(ofd, last->length);
    log->open = (struct wb_open){
        .fd = last->fd,
        .direct = ofd->stream ? WB_STREAM : last->direct,
        .step = last->step,
        .epoch = ofd->epoch,
        .next = last->next,
        .to = piece->data + piece->used,
        .end = piece->data + piece->used + left,
        .extent = last,
    };
}

static void close_last(struct wb_log *log) {
    struct wb_open *open = &log->open;
    if (!open->extent)
        return;
    uint32_t used = (uint32_t)(open->to - log->filling->data);
    open->extent->length += used - log->filling->used;
    open->extent->calls += open->calls;
    open->extent->next = open->next;
    if (open->direct == WB_STREAM && used > log->filling->used)
        streams_filled(open->extent->ofd, used - log->filling->used);
    log->filling->used = used;
    *open = (struct wb_open){.fd = -1};
}

/* Where a write goes, and what is known of that. */
struct target {
    int fd;
    struct fd_slot *slot;
    int64_t offset;
    uint32_t total;
    struct ofd *ofd; /* with a reference */
};

/* send(2) is for sockets, a stream has no offsets, and a page of each has its measure. */
static enum reason stream_admits(const struct target *target) {
    const struct ofd *ofd = target->ofd;
    bool sent = target->offset == WB_SENT || target->offset == WB_SENT_QUIETLY;
    if (!ofd->stream)
        return sent ? REASON_flags : REASON_NONE;
    if (target->offset >= 0 || (sent && stream_is_pipe(ofd->stream)))
        return REASON_flags;
    return target->total > STREAM_CALL_MAX ? REASON_large : streams_admit(ofd, target->total);
}

/* Looks whether the target takes the write, in this batch. If so, it has a reference. */
static enum reason aim(struct wb_log *log, struct target *target) {
    struct piece *piece = log->filling;
    if (!piece->extents)
        piece->batch = atomic_fetch_add_explicit(&batches, 1, memory_order_relaxed) + 1;
    struct ofd *known = atomic_load_explicit(&target->slot->ofd, memory_order_relaxed);
    straight_unsure(known);
    if (known && known->stream && streams_after_input(known))
        return REASON_input; /* asks the kernel nothing */
    enum reason reason = verified(log, target->fd, target->slot, &target->ofd);
    if (reason == REASON_NONE && (reason = stream_admits(target)) != REASON_NONE)
        files_release(target->ofd);
    return reason;
}

/* The same, with room in the piece and, if there will be any after a flush, in the stream. */
static enum reason aim_with_room(struct thread *self, struct wb_log *log, struct target *target) {
    struct piece *piece = log->filling;
    if (piece->stuck || streams_doomed())
        return REASON_no_room;
    bool full = piece->used + target->total + WB_DIRECT_ALIGN > log->limit || piece->extents == WB_EXTENTS;
    if (piece->extents && full && (!make_room(self, log) || streams_doomed()))
        return REASON_no_room;
    enum reason reason = aim(log, target);
    if (reason != REASON_no_room || !log->filling->extents)
        return reason;
    return make_room(self, log) && !streams_doomed() ? aim(log, target) : REASON_no_room;
}

/* Does a write begin another extent? In a batch with streams each thread has its own. */
static bool begins(const struct thread *self, const struct piece *piece, const struct target *target, uint32_t direct) {
    const struct extent *last = piece->extents ? &piece->extent[piece->extents - 1] : NULL;
    if (!last || last->ofd != target->ofd || last->next != target->offset || (direct && last->step != target->total))
        return true;
    return piece->streams && (last->writer != self || streams_piece_ends(target->ofd, last->length, target->total));
}

static struct extent *begin(struct thread *self, struct piece *piece, const struct target *target, uint32_t direct) {
    struct extent *extent = &piece->extent[piece->extents++];
    *extent = (struct extent){.ofd = target->ofd, .next = target->offset, .offset = target->offset, .fd = target->fd};
    extent->start = piece->used;
    extent->direct = direct;
    extent->step = target->total;
    extent->writer = self;
    extent->quiet = target->offset == WB_SENT_QUIETLY || self->pipe_blocked;
    if (target->ofd->stream && piece->streams++ == 0)
        atomic_fetch_add(&wb_stream_pieces, 1);
    return extent;
}

static enum reason defer(struct thread *self, struct wb_log *log, struct target *target, const struct iovec *vector,
                         int count) {
    uint64_t hindrances = atomic_load_explicit(&wb_hindrances, memory_order_relaxed);
    if (hindrances) /* looked at again under the lock: who puts one up drains the logs after it */
        return wb_first_hindrance(hindrances);
    enum reason reason = aim_with_room(self, log, target);
    if (reason != REASON_NONE)
        return reason;
    struct piece *piece = log->filling;
    struct ofd *ofd = target->ofd;
    int64_t offset = target->offset;
    uint32_t direct = ofd->direct; /* once: another thread may be looking at the flags anew */
    bool opens = begins(self, piece, target, direct);
    uint32_t start = piece->used;
    if (direct) {
        if (bits_of(vector, count, offset) & direct)
            reason = REASON_unaligned;
        else if (opens)
            reason = direct_opens(ofd, target->fd, offset);
        if (opens)
            start = (start + WB_DIRECT_ALIGN - 1) & ~(uint32_t)(WB_DIRECT_ALIGN - 1);
    }
    if (reason == REASON_NONE && gathered(piece->data + start, vector, count) != target->total)
        reason = REASON_bad_buffer;
    if (reason != REASON_NONE) {
        files_release(ofd);
        return reason;
    }
    piece->used = start;
    struct extent *last = opens ? begin(self, piece, target, direct) : &piece->extent[piece->extents - 1];
    last->calls++;
    last->length += target->total;
    if (offset >= 0)
        last->next += (int64_t)target->total;
    piece->used += target->total;
    if (ofd->stream)
        streams_filled(ofd, target->total);
    if (ofd->stream && ofd->inode->largest < target->total)
        ofd->inode->largest = target->total;
    if (opens) {
        extent_opened(log, piece, ofd); /* and keeps the reference */
        trace_extent(target->fd, offset);
    } else {
        files_release(ofd);
    }
    trace_defer(target->fd, target->total);
    open_last(self, log, last);
    return REASON_NONE;
}

enum reason wb_defer(struct thread *self, int fd, struct fd_slot *slot, int64_t offset, const struct iovec *vector,
                     int count, size_t total) {
    uint64_t hindrances = atomic_load_explicit(&wb_hindrances, memory_order_relaxed);
    if (hindrances) /* put up since policy looked */
        return wb_first_hindrance(hindrances);
    critical_enter();
    struct wb_log *log = self->log ? self->log : log_adopt(self);
    enum reason reason = REASON_no_memory;
    if (log) {
        biased_lock(&log->lock, &self->holder);
        if (biased)
            bias_learn(&log->lock, &self->holder);
        close_last(log);
        struct target target = {fd, slot, offset, (uint32_t)total, NULL};
        reason = defer(self, log, &target, vector, count);
        biased_unlock(&log->lock);
    }
    critical_leave();
    return reason;
}

/* After anything was performed: is the log empty? */
static void settle(struct wb_log *log) {
    if (log->counted && !log->filling->extents && !perform_in_flight(log)) {
        log->counted = false;
        atomic_fetch_sub(&wb_pending, 1);
    }
}

static void flush(struct thread *self, struct wb_log *log, enum flush_cause cause) {
    if (!log->filling) /* another thread's, which isn't equipped yet */
        return;
    close_last(log);
    peeks_settle_amid(self);
    log->position_of = 0;
    perform_wait(self, log);
    if (log->filling->extents)
        perform_piece(self, log, cause);
    atomic_store_explicit(&log->stuck, log->filling->stuck, memory_order_relaxed);
    settle(log);
}

/*
 * A handler that came in the midst of a wait may have come to end it: it waits only as long as others do; and one in
 * the midst of that, not at all.
 */
static bool may_wait(uint8_t outer, bool overtaken) {
    return outer == 0 || (outer == 1 && !overtaken);
}

/*
 * A stream that has to take something before the thread may go on, or -1. What the thread wrote itself it waits for;
 * what another did, whom it may know to have written, only as long as that isn't out of patience with the reader.
 */
static int waits_for(const struct thread *self, const struct wb_log *log, uint8_t outer) {
    const struct piece *piece = log->filling;
    int others = -1;
    bool overtaken = piece && piece->stuck && streams_overtaken(piece);
    for (uint32_t i = 0; piece && piece->stuck && i < piece->extents; i++) {
        const struct extent *extent = &piece->extent[i];
        if (extent->performed || !extent->ofd->stream)
            continue;
        if (extent->writer == self && may_wait(outer, overtaken))
            return extent->fd;
        if (others < 0 && !overtaken && outer <= 1)
            others = extent->fd;
    }
    return others;
}

static uint32_t logs_made(void) {
    return atomic_load_explicit(&log_count, memory_order_acquire);
}

bool wb_started(void) {
    return logs_made() > 0;
}

uint64_t wb_batches(void) {
    return atomic_load_explicit(&batches, memory_order_relaxed);
}

/* All logs but one. As waits_for. */
static int flush_others(struct thread *self, const struct wb_log *spared, enum flush_cause cause, uint8_t outer) {
    int waits = -1;
    for (uint32_t i = 0; i < logs_made(); i++) {
        if (&logs[i] == spared)
            continue;
        biased_lock(&logs[i].lock, &self->holder);
        flush(self, &logs[i], cause);
        waits = waits >= 0 ? waits : waits_for(self, &logs[i], outer);
        biased_unlock(&logs[i].lock);
    }
    return waits;
}

/* Natively the thread would be cancelled in the write that waits. */
static void cancellation_point(void) {
    __typeof__(&pthread_testcancel) test = LIBC(pthread_testcancel);
    if (test)
        test();
}

static bool same_stream(int one, int other) {
    const struct fd_slot *a = files_slot(one), *b = files_slot(other);
    return one == other || (a && b && atomic_load(&a->ofd) == atomic_load(&b->ofd));
}

/* For a write to that number, or -1: only that would wait for the stream natively, be interrupted, or be cancelled. */
static bool flush_all(struct thread *self, enum flush_cause cause, enum wb_wait wait, int to) {
    uint32_t interrupted = self->interrupted;
    bool done = true;
    if (!thread_free(self))
        return true; /* a handler that interrupted the library, or a vfork child: it can't, and must not */
    uint8_t outer = thread_wait_begins(self); /* handlers come between two waits as well */
    while (done) {
        critical_enter();
        int fd = flush_others(self, NULL, cause, outer);
        critical_leave();
        if (fd < 0 || wait == WB_DONT_WAIT)
            break;
        bool ends = wait == WB_WAIT_INTERRUPTIBLY && same_stream(fd, to);
        done = streams_wait(self, fd, interrupted, ends);
        if (done && ends && atomic_load(&wb_hindrances) & 1ull << REASON_cancellation)
            cancellation_point();
    }
    thread_wait_ends(self, outer);
    return done;
}

bool wb_flush_all(struct thread *self, enum flush_cause cause, enum wb_wait wait) {
    return flush_all(self, cause, wait, -1);
}

bool wb_flush_before_write(struct thread *self, int fd) {
    return flush_all(self, FLUSH_BARRIER, WB_WAIT_INTERRUPTIBLY, fd);
}

/* Does anything wait that is to be written by this number? */
static bool number_waits(struct thread *self, int fd) {
    bool waits = false;
    critical_enter();
    for (uint32_t i = 0; i < logs_made(); i++) {
        biased_lock(&logs[i].lock, &self->holder);
        const struct piece *piece = logs[i].filling;
        for (uint32_t j = 0; piece && piece->stuck && j < piece->extents; j++)
            waits |= piece->extent[j].fd == fd && !piece->extent[j].performed;
        biased_unlock(&logs[i].lock);
    }
    critical_leave();
    return waits;
}

void wb_flush_number(struct thread *self, int fd) {
    if (!wb_any_pending() || !thread_free(self))
        return;
    uint8_t outer = thread_wait_begins(self);
    while (number_waits(self, fd)) {
        streams_wait(self, fd, 0, false);
        wb_flush_all(self, FLUSH_BARRIER, WB_DONT_WAIT);
    }
    thread_wait_ends(self, outer);
}

/*
 * The flusher's work: what it sees pending at one tick and still at the next is performed. At two fifths of the delay a
 * tick, nothing gets older than four fifths.
 */
static uint64_t seen_batch[LOGS_MAX] FORKED;

static bool perform_stale(struct thread *self) {
    enum { PATIENT_TICKS = 16 }; /* to look again at a stream that was full */
    static uint32_t ticks;
    bool settled = peeks_tick(self);
    turn_tick(self);
    if (stats_wanted) /* the flusher isn't in the list of threads */
        stats_collect(self->stats);
    bool all = true, patient = ++ticks % PATIENT_TICKS != 0;
    int fd = atomic_load_explicit(&watched, memory_order_relaxed);
    if (config.sqpoll && fd >= 0 && wb_any_pending())
        files_look_again(fd);
    for (uint32_t i = 0; i < logs_made(); i++) {
        struct wb_log *log = &logs[i];
        uint64_t batch = atomic_load_explicit(&log->open_batch, memory_order_relaxed);
        if (!batch && wb_any_pending())
            batch = UINT64_MAX; /* nothing open; something may be in flight, to be noticed when it has landed */
        bool stale = batch && (settled || batch == seen_batch[i]);
        seen_batch[i] = batch;
        if (!stale || (patient && atomic_load_explicit(&log->stuck, memory_order_relaxed)))
            continue;
        if (biased_trylock(&log->lock, &self->holder)) {
            expect_less(log);
            flusher_catch_up(); /* what is in flight may be waiting for the flusher itself to submit it */
            flush(self, log, FLUSH_DELAY);
            if (stats_wanted) /* the flusher isn't in the list of threads */
                stats_collect(self->stats);
            biased_unlock(&log->lock);
        } else {
            all = false;
        }
    }
    return all;
}

int wb_sync(struct thread *self, int fd, bool data_only) {
    if (!wb_any_pending() || !thread_free(self))
        return WB_SYNC_YOURSELF;
    struct wb_log *log = self->log;
    struct fd_slot *slot = files_slot(fd);
    struct ofd *ofd = slot ? atomic_load_explicit(&slot->ofd, memory_order_acquire) : NULL;
    if (!log || !ofd) {
        wb_flush_all(self, FLUSH_FSYNC, WB_WAIT);
        return WB_SYNC_YOURSELF;
    }
    int result = WB_SYNC_YOURSELF;
    critical_enter();
    bool waits = flush_others(self, log, FLUSH_FSYNC, thread_waits(self)) >= 0 || ofd->stream;
    peeks_settle_amid(self);
    biased_lock(&log->lock, &self->holder);
    close_last(log);
    if (ofd->stream || !perform_with_sync(self, log, ofd, fd, data_only, &result))
        flush(self, log, FLUSH_FSYNC);
    settle(log);
    waits |= waits_for(self, log, thread_waits(self)) >= 0;
    biased_unlock(&log->lock);
    critical_leave();
    if (waits)
        wb_flush_all(self, FLUSH_FSYNC, WB_WAIT);
    return result;
}

void wb_unpin(struct thread *self, struct ofd *ofd) {
    if (likely(!ofd->pinned) || atomic_load(&wb_hindrances) & 1ull << REASON_seccomp)
        return;
    critical_enter();
    for (struct thread *thread = thread_list(); thread; thread = thread->next) {
        struct wb_log *log = thread->log;
        if (!thread->writing.ring || !log)
            continue;
        biased_lock(&log->lock, &self->holder);
        if (thread->writing.ring && thread->writing.generation == flusher_generation() &&
            ring_has_file(thread->writing.ring, ofd->serial))
            flusher_forget_file(thread->writing.ring, ofd->serial); /* what it submitted lets go of the file by then */
        biased_unlock(&log->lock);
    }
    critical_leave();
}

static void idle(struct thread *self) {
    input_epoch_rests();
    for (struct thread *thread = thread_list(); thread; thread = thread->next) {
        struct wb_log *log = thread->log;
        if (!thread->writing.ring || !log || !biased_trylock(&log->lock, &self->holder))
            continue;
        if (thread->writing.ring && !log->counted)
            ring_forget_all(thread->writing.ring);
        biased_unlock(&log->lock);
    }
}

static bool pending(void) {
    return wb_any_pending() || peeks_exist() || turn_exists();
}

int wb_start(void) {
    static const struct flusher_work work = {pending, perform_stale, idle};
    biased = bias_available();
    mutex_lock(&logs_lock);
    bool ready = log_equip(&logs[0]);
    logs[0].used = true;
    if (atomic_load_explicit(&log_count, memory_order_relaxed) == 0)
        atomic_store_explicit(&log_count, 1, memory_order_release);
    mutex_unlock(&logs_lock);
    return ready ? flusher_start(&work, (uint64_t)config.max_delay_us * 2 / 5) : -ENOMEM;
}

void wb_forbid_rings(void) {
    rings_forbid();
}

void wb_forbid_queue_polling(void) {
    rings_forbid_queue_polling();
}

void wb_count_polling(struct thread *self) {
    for (struct thread *thread = thread_list(); config.sqpoll && thread; thread = thread->next) {
        struct wb_log *log = thread->log;
        if (!thread->writing.ring || !log)
            continue;
        critical_enter();
        biased_lock(&log->lock, &self->holder);
        rings_count_polling(thread);
        biased_unlock(&log->lock);
        critical_leave();
    }
}

/* The flusher, a guest on every ring, empties their file tables; and leaves them, if they won't be used again. */
static void empty_rings(struct thread *self, bool leave) {
    for (struct thread *thread = thread_list(); thread; thread = thread->next) {
        struct wb_log *log = thread->log;
        if (!thread->writing.ring || !log)
            continue;
        biased_lock(&log->lock, &self->holder);
        if (thread->writing.ring && thread->writing.generation == flusher_generation())
            flusher_forget_all(thread->writing.ring, leave);
        biased_unlock(&log->lock);
    }
}

bool wb_stop(struct thread *self) {
    flush_others(self, NULL, FLUSH_BARRIER, 0);
    if (wb_any_pending())
        return false;
    empty_rings(self, true);
    for (uint32_t i = 0; i < logs_made(); i++) { /* nobody needs the fence that a filter may forbid from now on */
        biased_lock(&logs[i].lock, &self->holder);
        atomic_store_explicit(&logs[i].lock.owner, NULL, memory_order_relaxed);
        biased_unlock(&logs[i].lock);
    }
    if (self->writing.ring) {
        biased_lock(&self->log->lock, &self->holder);
        rings_end_polling(self);
        biased_unlock(&self->log->lock);
    }
    flusher_stop();
    return true;
}

void wb_forget_files(struct thread *self) {
    if (!flusher_running())
        return;
    critical_enter();
    empty_rings(self, false);
    critical_leave();
}

void wb_thread_ends(struct thread *self) {
    struct wb_log *log = self->log;
    if (!log)
        return;
    if (wb_any_pending())
        wb_flush_all(self, FLUSH_BARRIER, WB_WAIT);
    critical_enter();
    biased_lock(&log->lock, &self->holder);
    if (config.order == ORDER_THREAD || self->writing.ring)
        flush(self, log, FLUSH_BARRIER);
    if (!(atomic_load(&wb_hindrances) & 1ull << REASON_seccomp))
        rings_thread_ends(self);
    self->writing.ring = NULL;
    bias_drop(&log->lock, &self->holder);
    biased_unlock(&log->lock);
    self->log = NULL;
    if (config.order == ORDER_THREAD) {
        mutex_lock(&logs_lock);
        log->used = false;
        mutex_unlock(&logs_lock);
    }
    critical_leave();
}

void wb_fork_prepare(struct thread *self) {
    mutex_lock(&logs_lock);
    for (uint32_t i = 0; i < logs_made(); i++) {
        biased_lock(&logs[i].lock, &self->holder);
        flush(self, &logs[i], FLUSH_BARRIER);
    }
}

/* What other threads wrote, and a stream had no room for, is the parent's. */
static void forget(const struct piece *piece) {
    for (uint32_t i = 0; piece && i < piece->extents; i++) {
        atomic_fetch_sub(&piece->extent[i].ofd->inode->pending, 1);
        files_release(piece->extent[i].ofd);
    }
}

/* Flushed; its pieces' bytes didn't come along. What their extents were nobody looks at. */
static void made_anew(struct wb_log *log) {
    memset(log, 0, offsetof(struct wb_log, piece));
    for (int i = 0; i < 2; i++)
        memset(&log->piece[i], 0, offsetof(struct piece, extent));
}

void wb_fork_done(struct thread *self, bool child) {
    for (uint32_t i = 0; i < logs_made(); i++) {
        biased_unlock(&logs[i].lock);
        if (!child)
            continue;
        forget(logs[i].filling);
        made_anew(&logs[i]);
    }
    if (child) {
        flusher_forked();
        self->log = NULL;
        atomic_fetch_and(&wb_pending, WB_WATCHED | WB_ERROR | WB_FOLLOWED | WB_USERS);
        atomic_store_explicit(&wb_stream_pieces, 0, memory_order_relaxed);
        atomic_store_explicit(&log_count, 0, memory_order_relaxed);
        memset(seen_batch, 0, sizeof seen_batch);
    }
    mutex_unlock(&logs_lock);
}
