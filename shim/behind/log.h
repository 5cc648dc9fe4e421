/* The write-behind log's own shape: pieces of memory, and the extents in them. Guarded by the log's lock. */
#ifndef URINGSHIM_BEHIND_LOG_H
#define URINGSHIM_BEHIND_LOG_H

#include "base/thread.h"
#include "common/attention.h"
#include "files/files.h"

enum {
    WB_AT_POSITION = -1,      /* an offset: at the description's file position, or into a stream */
    WB_SENT = -2,             /* the same by send(2), which is for sockets only */
    WB_SENT_QUIETLY = -3,     /* and with MSG_NOSIGNAL */
    WB_LARGE = 64 << 10,      /* writes of this size and more are never deferred: copying costs what it saves */
    WB_PIECE_LEAST = 8 << 10, /* what a piece holds if a larger one isn't full in time */
    WB_PIECE_MIN = 64 << 10,  /* at first */
    WB_PIECE_MAX = 256 << 10, /* and when it was filled often */
    WB_EXTENTS = 48,          /* fits into one submission with a sync behind */
    WB_DIRECT_ALIGN = 4096,   /* where direct extents begin in a piece */
};

struct extent {
    struct ofd *ofd;
    int64_t next;     /* the offset that a write must have to extend it; WB_AT_POSITION for writes at the position */
    int64_t offset;   /* where it begins, or WB_AT_POSITION */
    int64_t position; /* in flight at the position: where that was expected to be */
    uint32_t start;   /* in the piece */
    uint32_t length;
    uint32_t calls;
    int fd;
    uint32_t direct; /* the OFD's: the bits that must be 0 */
    uint32_t step;   /* direct: the length of each call */
    uint32_t done;   /* stream: so many bytes are in */
    /* Who opened it; in a batch with streams nobody else extends it, for one thread may wait where others go on. */
    struct thread *writer;
    bool performed; /* in a piece that couldn't be performed whole */
    bool quiet;     /* stream: SIGPIPE would not be raised by it, or is blocked in its thread */
    bool refused;   /* direct: somebody else had the file open, so each call was performed for itself */
    bool together;  /* direct: performed at the same time as others */
};

/*
 * The last extent of the piece that is being filled, while it may be extended: what the next write of its owner needs
 * to know. The extent and the piece are told of it when it is closed.
 */
struct wb_open {
    int fd; /* -1: none is open */
    uint32_t direct, step;
    uint64_t epoch; /* WB_STREAM: that in which it may be extended */
    int64_t next;
    char *to, *end; /* where the next byte goes, and where there is no more room */
    uint32_t calls;
    struct extent *extent;
};

/*
 * May a write with this buffer and size extend the extent as far as direct I/O goes? The kernel refuses what is odd,
 * and where each call has to be performed by itself all must have the same length.
 */
#define WB_STREAM UINT32_MAX /* in place of `direct` */
static inline bool log_takes(const struct wb_open *open, const void *bytes, size_t n) {
    if (likely(!open->direct))
        return true;
    if (open->direct == WB_STREAM)
        return input_epoch_lasts(open->epoch);
    return ((uintptr_t)bytes & open->direct) == 0 && n == open->step;
}

struct piece {
    char *data;
    uint64_t batch;     /* a number of its own for each filling */
    uint64_t opened_at; /* ticks */
    uint32_t used;
    uint32_t extents;
    uint32_t streams;  /* extents of streams among them */
    uint64_t stuck_at; /* ticks */
    bool stuck;        /* a stream was full when it was performed last: nothing more is deferred before it is empty */
    struct ring *ring; /* in flight on it, or NULL */
    struct thread *ring_owner;
    enum flush_cause cause; /* why it is in flight */
    struct extent extent[WB_EXTENTS];
};

struct wb_log {
    struct biased_lock lock;
    struct wb_open open;
    struct piece *filling; /* one of the two; the other one may be in flight */
    uint32_t limit;        /* bytes that a piece takes now */
    /* how long filling a piece took lately, and performing one, in ticks: who is to perform the next */
    uint64_t fill_ticks, flush_ticks;
    /* where the file position of the OFD with this serial number is after what is in flight; 0: not known */
    uint64_t position_of;
    int64_t position;
    uint32_t stream_pieces;      /* performed so far, of more than a few extents */
    uint32_t filled;             /* pieces filled so far */
    uint32_t inline_for;         /* fillings still to be performed by the writer itself */
    _Atomic uint64_t open_batch; /* the batch being filled if it has anything, else 0; for the flusher */
    bool counted;                /* among wb_pending */
    _Atomic bool stuck;          /* its piece is: the flusher comes less often */
    bool used;
    struct wb_log *next;
    struct piece piece[2]; /* last: the child of a fork writes to few pages */
};

#endif
