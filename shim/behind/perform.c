#include "behind/perform.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/ticks.h"
#include "base/trace.h"
#include "behind/streams.h"
#include "common/flusher.h"
#include "common/late_errors.h"
#include "common/rings.h"
#include "files/alone.h"
#include "ring/direct.h"
#include "ring/engine.h"

enum {
    SYNC_INDEX = 255,
    INLINE_AFTER_LATE = 64,  /* fillings performed inline after a background one that wasn't done in time */
    FOREIGN_WAIT_NS = 20000, /* how often to look at another thread's ring */
};

static struct piece *other_piece(struct wb_log *log) {
    return log->filling == &log->piece[0] ? &log->piece[1] : &log->piece[0];
}

bool perform_in_flight(const struct wb_log *log) {
    return log->piece[0].ring || log->piece[1].ring;
}

static uint64_t tag(uint64_t batch, uint32_t index) {
    return batch << 8 | index;
}

static uint32_t tag_index(uint64_t of) {
    return of & 0xff;
}

/* Storage refused a write that the program was told is done: it will be told at its next call on the file. */
static void late_error(struct thread *self, struct extent *extent, int error) {
    late_error_keep(extent->ofd->inode, error);
    self->stats->count[COUNT_LATE_ERRORS]++;
    log_info("a deferred write failed; errno", error);
}

/* Writes an extent's next `length` bytes. False: that failed. */
static bool write_part(struct thread *self, struct piece *piece, struct extent *extent, uint32_t done,
                       uint32_t length) {
    uint32_t written;
    int64_t offset = extent->offset == WB_AT_POSITION ? WB_AT_POSITION : extent->offset + done;
    int error = direct_write(extent->fd, piece->data + extent->start + done, length, offset, &written,
                             &self->stats->count[COUNT_DIRECT_CALLS]);
    if (error)
        late_error(self, extent, -error);
    return error == 0;
}

/*
 * The device does the parts of a direct write in any order: who has the file open might see a later call's bytes
 * without an earlier one's. So we must be alone with it; or else they are performed one by one, as the program made
 * them.
 */
static void write_direct_extent(struct thread *self, struct piece *piece, struct extent *extent) {
    uint32_t step = extent->length;
    int error = extent->calls > 1 ? alone_with(extent->ofd, extent->fd, ALONE_TO_WRITE, flusher_id()) : 0;
    if (error) {
        stats_fallback("alone", -error);
        extent->refused = true;
        step = extent->step;
    }
    for (uint32_t done = 0; done < extent->length; done += step)
        if (!write_part(self, piece, extent, done, step))
            break;
}

/* Writes what is missing of an extent. Nothing more is written to a file after an error that isn't reported yet. */
static void finish_directly(struct thread *self, struct piece *piece, struct extent *extent, uint32_t done) {
    if (atomic_load_explicit(&extent->ofd->inode->error, memory_order_relaxed))
        return;
    if (extent->direct)
        write_direct_extent(self, piece, extent);
    else
        write_part(self, piece, extent, done, extent->length - done);
}

/*
 * Did deferring this file's writes pay in this batch? The work that deferring costs is worth about two system calls.
 * Where the flusher had to come, the fence that disturbs the writer and all that a second thread makes dearer are worth
 * about a hundred; but a direct write that was saved is worth a trip to the device.
 */
static void judge(struct piece *piece, enum flush_cause cause) {
    for (uint32_t i = 0; i < piece->extents; i++) {
        struct habit *habit = &piece->extent[i].ofd->habit;
        if (habit->judged == piece->batch)
            continue;
        habit->judged = piece->batch;
        uint32_t needed = cause == FLUSH_DELAY && !piece->extent[i].direct ? 100 : 3;
        uint32_t calls = 0, performed = 0;
        for (uint32_t j = i; j < piece->extents; j++)
            if (piece->extent[j].ofd == piece->extent[i].ofd) {
                calls += piece->extent[j].calls;
                performed += piece->extent[j].refused ? piece->extent[j].calls : !piece->extent[j].together;
            }
        habit->paid_last = calls >= performed + needed;
        if (habit->paid_last)
            habit->paid++;
        else
            habit->wasted++;
    }
}

/* The piece's bytes are in the files. */
static void retire(struct thread *self, struct wb_log *log, struct piece *piece, enum flush_cause cause) {
    judge(piece, cause);
    trace_flush(stats_cause(cause), piece->extents, piece->used);
    for (uint32_t i = 0; i < piece->extents; i++) {
        struct extent *extent = &piece->extent[i];
        self->stats->count[COUNT_DEFERRED] += extent->calls;
        if (extent->ofd->stream) {
            self->stats->count[COUNT_STREAM_DEFERRED] += extent->calls;
            self->stats->count[COUNT_STREAM_BYTES] += extent->length;
        }
        self->stats->count[COUNT_DEFERRED_BYTES] += extent->length;
        atomic_fetch_sub_explicit(&extent->ofd->inode->pending, 1, memory_order_release);
        files_release(extent->ofd);
    }
    self->stats->count[COUNT_EXTENTS] += piece->extents;
    self->stats->flushes[cause]++;
    piece->extents = 0;
    if (piece->streams)
        atomic_fetch_sub(&wb_stream_pieces, 1);
    piece->streams = 0;
    piece->used = 0;
    piece->ring = NULL;
    if (piece == log->filling)
        atomic_store_explicit(&log->open_batch, 0, memory_order_relaxed);
}

/*
 * A write at the file position that the kernel resumed in a worker, and that then fell short, has moved bytes but not
 * the position (io_uring/rw.c, kiocb_done: only a request that ends without an error stores it). Put that right.
 */
static void repair_position(const struct extent *extent, uint32_t done) {
    long position = sys(SYS_lseek, extent->fd, 0, SEEK_CUR);
    if (position >= 0 && position < extent->position + (int64_t)done)
        sys(SYS_lseek, extent->fd, extent->position + (int64_t)done, SEEK_SET);
}

/* Where the file position will be when an extent's turn comes. */
static int64_t expected_position(const struct wb_log *log, const struct piece *piece, const struct extent *extent) {
    for (const struct extent *before = extent; before-- > piece->extent;)
        if (before->ofd == extent->ofd && before->offset == WB_AT_POSITION)
            return before->position + (int64_t)before->length;
    return log->position_of == extent->ofd->serial ? log->position : sys(SYS_lseek, extent->fd, 0, SEEK_CUR);
}

/* Waits until all of the piece's requests have completed, and finishes what the ring left undone. */
static void collect(struct thread *self, struct piece *piece) {
    struct ring *ring = piece->ring;
    for (uint32_t i = 0; i < piece->extents; i++) {
        struct extent *extent = &piece->extent[i];
        int32_t result;
        while (!ring_completed(ring, tag(piece->batch, i), &result)) {
            if (piece->ring_owner == self) {
                self->stats->count[COUNT_RING_ENTERS] += ring_wait(ring, i + 1);
            } else {
                struct timespec pause = {0, FOREIGN_WAIT_NS};
                sys(SYS_nanosleep, &pause, NULL);
            }
        }
        uint32_t done = result > 0 ? (uint32_t)result : 0;
        if (done && done < extent->length && extent->offset == WB_AT_POSITION)
            repair_position(extent, done);
        if (done < extent->length)
            finish_directly(self, piece, extent, done);
    }
}

void perform_wait(struct thread *self, struct wb_log *log) {
    struct piece *piece = other_piece(log);
    if (piece->ring) {
        collect(self, piece);
        retire(self, log, piece, piece->cause);
    }
}

struct sync {
    struct ofd *ofd;
    int fd;
    bool data_only;
};

static bool in_batch(const struct piece *piece, const struct sync *sync, uint64_t serial) {
    for (uint32_t i = 0; i < piece->extents; i++)
        if (piece->extent[i].ofd->serial == serial)
            return true;
    return sync && sync->ofd->serial == serial;
}

/* The ring's slot for a file, or -errno: also when that would take the slot of another file of this batch. */
static int pin(struct ring *ring, const struct piece *piece, const struct sync *sync, struct ofd *ofd, int fd) {
    uint64_t evicted;
    int slot = ring_file(ring, ofd->serial, fd, &evicted);
    ofd->pinned |= ring_has_table(ring);
    return slot >= 0 && evicted && in_batch(piece, sync, evicted) ? -EBUSY : slot;
}

static struct ring *ring_of(struct thread *self, const struct wb_log *log, bool direct) {
    struct iovec buffers[2] = {{log->piece[0].data, WB_PIECE_MAX}, {log->piece[1].data, WB_PIECE_MAX}};
    return rings_get(self, buffers, 2, direct);
}

/* Prepares the current piece's writes, each linked to what follows, and the sync, if any. */
static bool prepare(struct thread *self, struct wb_log *log, struct piece *piece, const struct sync *sync) {
    int files[WB_EXTENTS], sync_file = -1;
    if (piece->streams)
        return false;
    if (self->log != log) /* its completions would mix with those of this thread's own log */
        return false;
    for (uint32_t i = 0; i < piece->extents; i++)
        if (piece->extent[i].direct)
            return false;
    struct ring *ring = ring_of(self, log, false);
    if (!ring)
        return false;
    ring_drain(ring);
    if (!ring_room(ring, piece->extents + 1))
        return false;
    for (uint32_t i = 0; i < piece->extents; i++)
        if (piece->extent[i].offset == WB_AT_POSITION && !files_position_is_ours(piece->extent[i].ofd))
            return false; /* io_uring doesn't hold the position's lock while it writes, as write(2) does */
    for (uint32_t i = 0; i < piece->extents; i++)
        if ((files[i] = pin(ring, piece, sync, piece->extent[i].ofd, piece->extent[i].fd)) < 0)
            return false;
    if (sync && (sync_file = pin(ring, piece, sync, sync->ofd, sync->fd)) < 0)
        return false;
    for (uint32_t i = 0; i < piece->extents; i++) {
        struct extent *extent = &piece->extent[i];
        if (extent->offset == WB_AT_POSITION)
            extent->position = expected_position(log, piece, extent);
        ring_prepare_write(ring, files[i], piece->data + extent->start, extent->length, extent->offset,
                           sync || i + 1 < piece->extents ? RING_LINKED : RING_PLAIN, tag(piece->batch, i));
    }
    self->stats->count[COUNT_RING_WRITES] += piece->extents;
    if (sync) {
        ring_prepare_sync(ring, sync_file, sync->data_only, tag(piece->batch, SYNC_INDEX));
        self->stats->count[COUNT_RING_FSYNCS]++;
    }
    return true;
}

/* What was prepared is published here, and submitted by the polling thread or the helper thread. */
static void launch(struct thread *self, struct wb_log *log, struct piece *piece, enum flush_cause cause) {
    const struct extent *last = &piece->extent[piece->extents - 1];
    bool at_position = last->offset == WB_AT_POSITION;
    log->position_of = at_position ? last->ofd->serial : 0;
    log->position = at_position ? last->position + (int64_t)last->length : 0;
    piece->ring = self->writing.ring;
    piece->ring_owner = self;
    piece->cause = cause;
    log->filling = other_piece(log);
    atomic_store_explicit(&log->open_batch, 0, memory_order_relaxed);
    if (ring_polling(self->writing.ring) & RING_POLL_QUEUE) {
        self->stats->count[COUNT_RING_ENTERS] += ring_submit(self->writing.ring);
    } else {
        self->stats->count[COUNT_RING_ENTERS]++;
        flusher_submit(self->writing.ring);
    }
}

/* Are these direct writes to places of one file that don't overlap, so that it doesn't matter which is done first? */
static bool independent(const struct piece *piece) {
    for (uint32_t i = 0; i < piece->extents; i++) {
        const struct extent *a = &piece->extent[i];
        if (!a->direct || a->offset == WB_AT_POSITION || a->ofd != piece->extent[0].ofd)
            return false;
        for (const struct extent *b = piece->extent; b < a; b++)
            if (a->offset < b->offset + b->length && b->offset < a->offset + a->length)
                return false;
    }
    return true;
}

/*
 * Has many extents, from the one numbered `first` on, under way at the same time: a device does them faster so than one
 * by one. They are submitted in order, and none after one that could not be started: so if the process is killed, what
 * was started is a prefix, and the kernel completes it before anybody is told of the death. When they have landed, what
 * fell short or failed is written, or fails, as ever. Returns the first extent that wasn't started.
 */
static uint32_t some_together(struct thread *self, struct ring *ring, struct piece *piece, int file, uint32_t first) {
    ring_drain(ring);
    for (uint32_t i = first; i < piece->extents; i++)
        ring_prepare_write(ring, file, piece->data + piece->extent[i].start, piece->extent[i].length,
                           piece->extent[i].offset, RING_NOWAIT, tag(piece->batch, i));
    bool polled = ring_polling(ring) & RING_POLL_QUEUE;
    uint32_t started = polled ? ring_submit_each(ring) : flusher_submit_each(ring), end = first + started;
    ring_drop(ring);
    self->stats->count[COUNT_RING_WRITES] += started;
    self->stats->count[COUNT_RING_ENTERS] += polled ? 0 : started;
    int32_t results[WB_EXTENTS], result;
    uint64_t landed;
    for (uint32_t left = started; left > 0;) {
        if (ring_take(ring, &landed, &result)) {
            results[tag_index(landed)] = result;
            left--;
        } else {
            self->stats->count[COUNT_RING_ENTERS] += ring_wait(ring, left);
        }
    }
    if (!ring_has_table(ring)) {
        ring_let_go(ring);
        piece->extent[first].ofd->flown = true; /* its last close waits for the helper thread to let go */
    }
    for (uint32_t i = first; i < end; i++) {
        struct extent *extent = &piece->extent[i];
        result = results[i];
        if (result == -EOPNOTSUPP && !rings_refused_device_polling(ring, EOPNOTSUPP))
            atomic_store_explicit(&extent->ofd->inode->file_system->direct, INLINE_NO, memory_order_relaxed);
        if ((result == -EAGAIN || result == -EOPNOTSUPP) && i + 1 == end)
            return i;
        uint32_t done = result > 0 ? (uint32_t)result : 0;
        extent->together = true;
        if (done < extent->length)
            write_part(self, piece, extent, done, extent->length - done);
    }
    return end;
}

/*
 * The whole piece, alone with the file: or else somebody could see a later write without an earlier one. Now and then
 * one is written by itself: it has to be where a write would wait, if only to change the file's time. False: not
 * possible, or not worth it, and nothing happened.
 */
static bool perform_together(struct thread *self, struct wb_log *log, struct piece *piece) {
    uint32_t few = config.engine == ENGINE_RING ? 1 : 4;
    struct ofd *ofd = piece->extent[0].ofd;
    int fd = piece->extent[0].fd;
    if (config.engine == ENGINE_DIRECT || piece->streams || piece->extents < few || self->log != log ||
        !independent(piece) || atomic_load_explicit(&ofd->inode->error, memory_order_relaxed) ||
        atomic_load_explicit(&ofd->inode->file_system->direct, memory_order_relaxed) == INLINE_NO)
        return false;
    struct ring *ring = ring_of(self, log, true);
    int file = ring && ring_room(ring, piece->extents) ? pin(ring, piece, NULL, ofd, fd) : -1;
    if (file < 0 || alone_with(ofd, fd, ALONE_TO_WRITE, flusher_id()) != 0)
        return false;
    for (uint32_t i = 0; i < piece->extents && !atomic_load_explicit(&ofd->inode->error, memory_order_relaxed);) {
        write_part(self, piece, &piece->extent[i], 0, piece->extent[i].length);
        if (++i < piece->extents)
            i = some_together(self, ring, piece, file, i);
    }
    ring_drain(ring);
    return true;
}

static struct file_system *file_system_of(const struct piece *piece) {
    return piece->extent[0].ofd->inode->file_system;
}

/*
 * A program that goes on writing may gain by having its writes done in the background: the first extent, which is to
 * be written anyway, tells what that would cost on its file system. Returns how much of it has been written so.
 */
static uint32_t learn_capability(struct thread *self, const struct wb_log *log, const struct piece *piece) {
    const struct extent *extent = &piece->extent[0];
    struct file_system *fs = file_system_of(piece);
    if (log->filled != ENGINE_STEADY - 1 || config.engine != ENGINE_AUTO || extent->direct ||
        atomic_load_explicit(&fs->buffered, memory_order_relaxed) != INLINE_UNKNOWN ||
        atomic_load_explicit(&extent->ofd->inode->error, memory_order_relaxed))
        return 0;
    long done = direct_write_inline(extent->fd, piece->data + extent->start, extent->length, extent->offset);
    self->stats->count[COUNT_DIRECT_CALLS]++;
    if (done)
        atomic_store_explicit(&fs->buffered, done > 0 ? INLINE_YES : INLINE_NO, memory_order_relaxed);
    log_debug("a write without waiting, to learn whether the file system does such; bytes, or errno", done);
    return done > 0 ? (uint32_t)done : 0;
}

static void perform_one_by_one(struct thread *self, struct wb_log *log, struct piece *piece) {
    uint32_t done = learn_capability(self, log, piece);
    if (done < piece->extent[0].length)
        finish_directly(self, piece, &piece->extent[0], done);
    for (uint32_t i = 1; i < piece->extents; i++)
        finish_directly(self, piece, &piece->extent[i], 0);
}

/* Only a program that goes on writing makes a ring; and who submits must be the one who is told of its end. */
static struct ring *ring_for_streams(struct thread *self, struct wb_log *log, const struct piece *piece) {
    enum { STEADY = 4 };
    bool wanted = config.engine == ENGINE_RING ||
                  (config.engine == ENGINE_AUTO && piece->streams > 2 && ++log->stream_pieces > STEADY);
    struct ring *ring = wanted && self->log == log ? ring_of(self, log, false) : NULL;
    return ring && !(ring_polling(ring) & RING_POLL_QUEUE) ? ring : NULL;
}

bool perform_piece(struct thread *self, struct wb_log *log, enum flush_cause cause) {
    perform_wait(self, log);
    struct piece *piece = log->filling;
    uint64_t began = ticks_now();
    if (piece->streams) {
        log->position_of = 0;
        if (!streams_perform(self, piece, ring_for_streams(self, log, piece), finish_directly))
            return false;
        retire(self, log, piece, cause);
    } else if (config.engine == ENGINE_RING && prepare(self, log, piece, NULL)) {
        launch(self, log, piece, cause);
        perform_wait(self, log);
    } else {
        log->position_of = 0;
        if (!perform_together(self, log, piece))
            perform_one_by_one(self, log, piece);
        retire(self, log, piece, cause);
    }
    log->flush_ticks = ticks_now() - began;
    return true;
}

bool perform_in_background(struct thread *self, struct wb_log *log) {
    if (log->filling->streams)
        return false;
    struct engine_facts facts = {
        .engine = (enum config_engine)config.engine,
        .fill_ticks = log->fill_ticks,
        .flush_ticks = log->flush_ticks,
        .inline_for = log->inline_for,
        .punted = atomic_load_explicit(&file_system_of(log->filling)->buffered, memory_order_relaxed) != INLINE_YES,
        .polled = config.sqpoll,
        .filled = ++log->filled,
    };
    if (log->inline_for)
        log->inline_for--;
    if (!engine_background(&facts))
        return false;
    struct piece *flying = other_piece(log);
    int32_t result;
    if (flying->ring && !ring_completed(flying->ring, tag(flying->batch, flying->extents - 1), &result)) {
        log->inline_for = INLINE_AFTER_LATE;
        log_debug("background flush not done in time; batch", (long)flying->batch);
    }
    perform_wait(self, log);
    struct piece *piece = log->filling;
    if (!prepare(self, log, piece, NULL))
        return false;
    launch(self, log, piece, FLUSH_FULL);
    return true;
}

bool perform_with_sync(struct thread *self, struct wb_log *log, struct ofd *ofd, int fd, bool data_only, int *result) {
    struct piece *piece = log->filling;
    if (!piece->extents || !engine_chains_sync((enum config_engine)config.engine))
        return false;
    perform_wait(self, log);
    struct sync sync = {ofd, fd, data_only};
    uint64_t batch = piece->batch;
    uint32_t writes = piece->extents;
    if (!prepare(self, log, piece, &sync))
        return false;
    struct ring *ring = self->writing.ring;
    launch(self, log, piece, FLUSH_FSYNC);
    /* A sync may take long: meanwhile others may write, and wait for our writes by looking at our completions. */
    biased_unlock(&log->lock);
    int32_t synced;
    while (!ring_completed(ring, tag(batch, SYNC_INDEX), &synced)) {
        self->stats->count[COUNT_RING_ENTERS] += ring_wait(ring, writes + 1);
    }
    biased_lock(&log->lock, &self->holder);
    if (piece->ring == ring && piece->batch == batch)
        perform_wait(self, log);
    ring_drain(ring);
    /* A write fell short and cut the chain, or the file was taken out of the table before the sync's turn came. */
    if (synced == -ECANCELED || synced == -EBADF) {
        biased_unlock(&log->lock);
        synced = direct_sync(fd, data_only);
        biased_lock(&log->lock, &self->holder);
    }
    *result = synced;
    return true;
}
