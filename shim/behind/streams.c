#include "behind/streams.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "base/log.h"
#include "base/passing.h"
#include "base/signals.h"
#include "base/ticks.h"
#include "base/trace.h"
#include "behind/straight.h"
#include "common/late_errors.h"
#include "ring/direct.h"
#include "ring/ring.h"

enum { RING_WORTH = 3 }; /* pieces, from which on a submission costs less than a call each */

/* What is left of the last page, if the write begins another. */
static uint32_t left_over(const struct ofd *ofd, uint32_t total) {
    uint32_t page = stream_page(ofd->stream);
    return ofd->inode->end.filled && ofd->inode->end.filled + total > page ? page - ofd->inode->end.filled : 0;
}

bool streams_piece_ends(const struct ofd *ofd, uint32_t length, uint32_t total) {
    return ofd->stream &&
           (length + total > stream_piece(ofd->stream) || ofd->inode->end.filled + total > stream_page(ofd->stream));
}

bool streams_after_input(struct ofd *ofd) {
    if (input_epoch_lasts(ofd->epoch))
        return false;
    streams_begin_anew(ofd);
    return true;
}

enum reason streams_admit(const struct ofd *ofd, uint32_t total) {
    if (!input_epoch_lasts(ofd->epoch))
        return REASON_input;
    return left_over(ofd, total) + total > ofd->room ? REASON_no_room : REASON_NONE;
}

void streams_filled(struct ofd *ofd, uint32_t total) {
    ofd->straight = false;
    ofd->room -= left_over(ofd, total) + total;
    ofd->turn_room = 0;
    if (ofd->inode->end.filled != STREAM_UNKNOWN) /* another thread has just written past this */
        ofd->inode->end.filled = stream_filled(ofd->inode->end.filled, total, stream_page(ofd->stream));
}

uint32_t streams_left(const struct ofd *ofd, uint32_t length) {
    uint32_t page = stream_page(ofd->stream) - ofd->inode->end.filled, piece = stream_piece(ofd->stream) - length;
    uint32_t left = page < piece ? page : piece;
    return left < ofd->room ? left : ofd->room;
}

/* Each attempt to perform a piece has a number: threads and streams that have to wait in it are marked by that. */
static _Atomic uint64_t attempts;

static void drop(struct piece *piece, uint32_t first, const struct ofd *of) {
    for (uint32_t i = first; i < piece->extents; i++)
        if (!of || piece->extent[i].ofd == of)
            piece->extent[i].performed = true;
}

/*
 * The other end has gone, and what was accepted is lost, as it is natively if the other end goes without having read
 * it. The kernel gives the stream's next write the same answer. But where the signal kills, nothing that came after
 * this write may be seen: as natively, the process is killed here.
 */
static _Atomic bool doomed;

bool streams_doomed(void) {
    return atomic_load_explicit(&doomed, memory_order_relaxed);
}

static void broken(struct piece *piece, uint32_t index) {
    struct extent *extent = &piece->extent[index];
    bool kills = !extent->quiet && signals_kills(SIGPIPE);
    drop(piece, index, kills ? NULL : extent->ofd);
    if (!kills)
        return;
    atomic_store(&doomed, true);
    signals_raise(SIGPIPE);
}

/* A socket's error, which the kernel gives once: the answer to the next call that sends or receives. */
static void failed(struct thread *self, struct piece *piece, uint32_t index, int error) {
    struct ofd *ofd = piece->extent[index].ofd;
    late_error_keep(ofd->inode, error);
    self->stats->count[COUNT_LATE_ERRORS]++;
    log_info("a deferred write to a stream failed; errno", error);
    drop(piece, index, ofd);
}

/* In one go through a piece: its number, and the FIFO that is open once more, or -1. */
struct attempt {
    uint64_t number;
    const struct ofd *fifo;
    long again;
};

static void fifo_close(struct attempt *attempt) {
    if (attempt->fifo) {
        if (attempt->again >= 0)
            sys(SYS_close, attempt->again);
        passing_ends();
    }
    attempt->fifo = NULL;
}

/* Where it can't be opened, for rights were given up, it is asked whether it takes one: hardly anybody will be faster.
 */
static long fifo_write(struct attempt *attempt, const struct extent *extent, const struct iovec *rest) {
    if (attempt->fifo != extent->ofd) {
        fifo_close(attempt);
        passing_begins();
        attempt->again = stream_open_again(extent->fd);
        attempt->fifo = extent->ofd;
    }
    struct pollfd one = {.fd = extent->fd, .events = POLLOUT};
    struct timespec none = {0, 0};
    if (attempt->again >= 0)
        return direct_pipe((int)attempt->again, rest, 1, false);
    if (attempt->again == -ENXIO)
        return -EPIPE;
    return sys(SYS_ppoll, &one, 1, &none, NULL, sizeof(uint64_t)) == 1 ? direct_pipe(extent->fd, rest, 1, false)
                                                                       : -EAGAIN;
}

static long write_part(struct attempt *attempt, const struct extent *extent, const struct iovec *rest) {
    switch (extent->ofd->stream) {
    case STREAM_PIPE:
        return direct_pipe(extent->fd, rest, 1, true);
    case STREAM_FIFO:
        return fifo_write(attempt, extent, rest);
    default:
        return direct_send(extent->fd, rest, 1);
    }
}

/* False: it doesn't go in whole now. */
static bool perform(struct thread *self, struct piece *piece, struct attempt *attempt, uint32_t index) {
    struct extent *extent = &piece->extent[index];
    long done = 0;
    while (extent->done < extent->length && done >= 0) {
        struct iovec rest = {piece->data + extent->start + extent->done, extent->length - extent->done};
        done = write_part(attempt, extent, &rest);
        self->stats->count[COUNT_DIRECT_CALLS]++;
        self->stats->count[COUNT_STREAM_PIECES]++;
        extent->done += done > 0 ? (uint32_t)done : 0;
        extent->ofd->inode->end.unread += done > 0 ? (uint32_t)done : 0;
    }
    if (done == -EOPNOTSUPP && extent->ofd->stream == STREAM_PIPE) { /* splice(2) and its like forbid it from then on */
        extent->ofd->stream = STREAM_FIFO;
        return perform(self, piece, attempt, index);
    }
    if (done == -EAGAIN)
        return false;
    extent->performed = true;
    if (done >= 0)
        return true;
    extent->ofd->epoch = 0;
    if (done == -EPIPE)
        broken(piece, index);
    else
        failed(self, piece, index, (int)-done);
    return true;
}

/*
 * There was room when it was accepted, so natively it would be in the stream, and the process would go on. But others
 * have filled that meanwhile, and who reads it may wait for what this process does next, or be this process. So the
 * stream takes more than it did, and nothing is deferred to it any more.
 */
static bool perform_wider(struct thread *self, struct piece *piece, struct attempt *attempt, uint32_t index) {
    struct extent *extent = &piece->extent[index];
    return stream_widen(extent->fd, extent->ofd->stream) && perform(self, piece, attempt, index);
}

/* Pipes that follow each other from there on, and don't have to wait. */
static uint32_t run_of_pipes(const struct piece *piece, uint32_t first, uint64_t attempt) {
    uint32_t end = first;
    for (; end < piece->extents; end++) {
        const struct extent *extent = &piece->extent[end];
        if (extent->performed || extent->ofd->stream != STREAM_PIPE || extent->writer->waits_in == attempt ||
            extent->ofd->waits_in == attempt)
            break;
    }
    return end - first;
}

/*
 * As many as go in, each linked to the one before, in one submission. What was not, for whatever reason, is tried again
 * one by one.
 */
static void perform_by_ring(struct thread *self, struct piece *piece, struct ring *ring, uint32_t first,
                            uint32_t count) {
    int32_t result;
    uint64_t tag;
    ring_drain(ring);
    for (uint32_t i = first; i < first + count; i++)
        ring_prepare_stream(ring, piece->extent[i].fd, piece->data + piece->extent[i].start, piece->extent[i].length,
                            direct_signals(), i + 1 < first + count, i);
    self->pipe_swallowed = direct_signals();
    atomic_signal_fence(memory_order_seq_cst);
    ring_complete(ring);
    atomic_signal_fence(memory_order_seq_cst);
    self->pipe_swallowed = false;
    self->stats->count[COUNT_RING_ENTERS]++;
    while (ring_take(ring, &tag, &result)) {
        struct extent *extent = &piece->extent[tag];
        extent->done = result > 0 ? (uint32_t)result : 0;
        extent->performed = extent->done == extent->length;
        extent->ofd->inode->end.unread += extent->done;
        self->stats->count[COUNT_RING_WRITES] += extent->performed;
        self->stats->count[COUNT_STREAM_PIECES] += extent->performed;
    }
}

bool streams_overtaken(const struct piece *piece) {
    enum { PATIENCE_US = 50000 };
    return piece->stuck && ticks_now() - piece->stuck_at > ticks_of_us(PATIENCE_US);
}

bool streams_perform(struct thread *self, struct piece *piece, struct ring *ring,
                     void (*file)(struct thread *self, struct piece *piece, struct extent *extent, uint32_t done)) {
    struct attempt attempt = {.number = atomic_fetch_add_explicit(&attempts, 1, memory_order_relaxed) + 1};
    bool all = true, overtaken = streams_overtaken(piece);
    for (uint32_t i = 0; i < piece->extents; i++) {
        struct extent *extent = &piece->extent[i];
        uint32_t pipes = ring ? run_of_pipes(piece, i, attempt.number) : 0;
        if (pipes >= RING_WORTH && ring_room(ring, pipes))
            perform_by_ring(self, piece, ring, i, pipes);
        if (extent->performed)
            continue;
        bool waits = extent->writer->waits_in == attempt.number || extent->ofd->waits_in == attempt.number;
        if (!waits && extent->ofd->stream) {
            waits = !perform(self, piece, &attempt, i);
            if (waits && overtaken) {
                extent->ofd->reason = REASON_no_room;
                waits = !perform_wider(self, piece, &attempt, i);
            }
        } else if (!waits) {
            file(self, piece, extent, 0);
            extent->performed = true;
        }
        if (!waits)
            continue;
        all = false;
        if (!overtaken)
            break;
        extent->writer->waits_in = extent->ofd->waits_in = attempt.number;
    }
    fifo_close(&attempt);
    if (!all && !piece->stuck)
        piece->stuck_at = ticks_now();
    piece->stuck = !all;
    return all;
}

/*
 * Signals are blocked but for the wait itself: one that comes after the look would be waited out (ppoll(2)). A pipe
 * says exactly when it takes a piece. A socket wants more room for that than a send would (sk_stream_is_writeable,
 * unix_writable in net/): so it is tried again from time to time.
 */
bool streams_wait(struct thread *self, int fd, uint32_t interrupted, bool interruptibly) {
    enum { AGAIN_NS = 20000000 };
    struct pollfd one = {.fd = fd, .events = POLLOUT};
    struct timespec limit = {0, AGAIN_NS};
    uint64_t all = ~0ull, before, outer_mask = self->wait_mask;
    bool outer_masked = self->wait_masked; /* of the wait in which the handler came that waits now */
    self->stats->count[COUNT_STREAM_WAITS]++;
    trace_stream_wait(fd);
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    self->wait_mask = before;
    self->wait_masked = true;
    bool on = !interruptibly || self->interrupted == interrupted;
    if (on)
        sys(SYS_ppoll, &one, 1, &limit, &before, sizeof before);
    if (self->wait_masked)
        sys(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    self->wait_mask = outer_mask;
    self->wait_masked = outer_masked;
    return on && (!interruptibly || self->interrupted == interrupted);
}
