/*
 * Streams: pipes and connected stream sockets, as far as their writes may be deferred. Which kind one is, and how much
 * goes in without waiting. No locks; asks the kernel.
 */
#ifndef URINGSHIM_FILES_STREAM_H
#define URINGSHIM_FILES_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/stats.h"

/*
 * The kernel writes to a pipe without waiting (RWF_NOWAIT) if it was made by pipe(2), and from Linux 6.4 on. A FIFO, or
 * a pipe before that, has to be opened once more to be written to so.
 */
enum stream { STREAM_NONE, STREAM_PIPE, STREAM_FIFO, STREAM_UNIX, STREAM_TCP };
static inline bool stream_is_pipe(enum stream kind) {
    return kind == STREAM_PIPE || kind == STREAM_FIFO;
}

enum {
    /* Larger writes are never deferred. Of a page it takes only a few to make copying cost what the calls did. */
    STREAM_CALL_MAX = 2048,
    /*
     * What is performed goes in pieces of at most so many bytes, cut between calls. To a pipe, others may write, too:
     * what is not more than PIPE_BUF goes in whole or not at all (pipe(7)). The same holds on AF_UNIX for what fits
     * into one buffer of the kernel's, which is far more (unix_stream_sendmsg in net/unix/af_unix.c).
     */
    STREAM_PIPE_PIECE = 4096,
    STREAM_UNIX_PIECE = 16 << 10,
    STREAM_TCP_PIECE = 64 << 10,
};

static inline uint32_t stream_piece(enum stream kind) {
    return stream_is_pipe(kind) ? STREAM_PIPE_PIECE : kind == STREAM_UNIX ? STREAM_UNIX_PIECE : STREAM_TCP_PIECE;
}

/*
 * What the number is, which `st` has been asked about; *reason: why its writes are never deferred as long as it is
 * open, or REASON_NONE. STREAM_NONE: no pipe and no socket.
 */
enum stream stream_look(int fd, const struct stat *st, enum reason *reason);
/* From the descriptor's flags (F_GETFL): why its writes can't be deferred now. */
enum reason stream_flags(enum stream kind, long flags);
/*
 * The pipe behind the number, opened once more for writing without waiting: a number that must be closed soon, or
 * -errno. -ENXIO: nobody reads it. Between passing_begins and passing_ends.
 */
long stream_open_again(int fd);
#define STREAM_UNKNOWN UINT32_MAX
/*
 * The last page of a pipe. As soon as somebody has read from it, it isn't sure any more where that ends: the pipe may
 * have been empty for a moment, so that the next write has begun a page.
 */
struct stream_end {
    uint32_t filled; /* so much of it, or of a socket's piece; STREAM_UNKNOWN: others may have written to it */
    uint32_t unread; /* so many bytes are in the pipe, if nobody has read from it since */
    bool sure;       /* then: `filled` is what it is, and not just where ours would begin another */
};

/*
 * How many bytes go in now without waiting, by all that can be known: others may be faster. `largest` is the largest of
 * the writes lately. *end is what was known after the last write, and is what is known now.
 */
uint32_t stream_room(int fd, enum stream kind, uint32_t largest, struct stream_end *end);
/* Makes it take twice as much as it does, if the kernel grants that (fcntl(2), F_SETPIPE_SZ; socket(7), SO_SNDBUF). */
bool stream_widen(int fd, enum stream kind);
/* How many bytes are in a pipe, or -1. */
int stream_used(int fd);

/*
 * A pipe holds pages, and a write goes behind the one before if it fits into that page as a whole, or else begins
 * another (pipe_write in fs/pipe.c). What is deferred must take no more of them than natively: a program may fill a
 * pipe up, and read it itself.
 */
uint32_t stream_page(enum stream kind);
/* How much of the last page is filled after a write of so many bytes, up to a page. */
static inline uint32_t stream_filled(uint32_t filled, uint32_t bytes, uint32_t page) {
    return filled && filled + bytes <= page ? filled + bytes : bytes;
}

#endif
