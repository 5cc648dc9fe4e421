/*
 * Turns: what an event loop does between two waits.
 *
 * A wait has said that several sockets are readable. One submission looks at what is in all of them; the program's
 * reads are answered from that; what it writes to them is kept; and one submission takes from the kernel what was read,
 * and sends what was written, in program order: before any other call by which somebody may learn of that, above all
 * the next wait, when the oldest is TURN_OLD_US old at a call, and by the helper thread within the delay. So a turn
 * lasts as long as the program makes no other calls, and what it can learn during it is what was in these sockets.
 *
 * An answer with fewer bytes than the program has room for says that there are no more: only while there was no other
 * input, and as long as nothing was answered that was looked at later, for that may tell of more. That there is nothing
 * is never said: such a read goes into the kernel.
 *
 * A write is kept only if the socket would take it: after everything was looked at, a send of no bytes has shown that
 * the other end is there, and there is room for it by the kernel's own count (SK_MEMINFO in sock_diag(7)). So nothing
 * waits for a peer that doesn't read. What is refused all the same, for the kernel is short of memory, is waited for.
 *
 * Only sockets of this process's own, the other ends of which aren't (ends.h), that no thread but the one whose turn it
 * is has ever used (users.h). What another thread calls ends the turn as any call of its own does: so who has learned
 * of an answer, through memory, can't tell of it before it is sent. While a turn has steps nothing is pending in any
 * log, and the other way round: so both are performed in program order. Lock order: the turn's lock is the innermost
 * but for files_lock. `self` is always the calling thread.
 */
#ifndef URINGSHIM_BEHIND_TURN_H
#define URINGSHIM_BEHIND_TURN_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/thread.h"
#include "common/attention.h"
#include "files/files.h"

enum {
    TURN_SOCKETS = 64,        /* looked at together */
    TURN_PEEK = 4 << 10,      /* bytes of each */
    TURN_STEPS = 128,         /* reads and writes in one submission */
    TURN_BYTES = 128 << 10,   /* of all that is written */
    TURN_CALL_MAX = 16 << 10, /* larger writes go straight */
    TURN_OLD_US = 200,
};

/* Is there one? */
static inline bool turn_exists(void) {
    return unlikely((atomic_load_explicit(&wb_pending, memory_order_relaxed) & WB_TURN) != 0);
}

/* What keeps a process from having turns, of wb_hindrances: a file's size limit is nothing to a socket. */
static inline bool turn_hindered(void) {
    return (atomic_load(&wb_hindrances) & ~(1ull << REASON_size_limit)) != 0;
}

/* How a turn went: calls that were answered, and those that the library made for it. */
struct turn_gain {
    uint32_t answered, made;
};

/*
 * These numbers are readable, in the order in which the program is told of them. Looks at those that it may: they are
 * known (files_ofd), and this process's and this thread's own. False: too few of them, at least `least` are wanted. In
 * a process that is ready to defer.
 */
bool turn_begin(struct thread *self, const int *numbers, unsigned count, unsigned least);
/*
 * May the kernel refuse a buffer because of where it lies, or how large it is, whatever is read into it? Then it is
 * asked (access_ok in the kernel).
 */
static inline bool turn_buffer_odd(const void *bytes, size_t n) {
#if defined(__aarch64__)
    enum { ADDRESS_BITS = 48 };
#else
    enum { ADDRESS_BITS = 47 };
#endif
    enum { SIZE_MAX_ASKED = 1 << 20 };
    return n > SIZE_MAX_ASKED || (uintptr_t)bytes >> ADDRESS_BITS;
}
/* How many bytes of the number were read; or -1: the caller makes the real call, before which the turn ends. */
ssize_t turn_read(struct thread *self, int fd, const struct iovec *parts, int count, size_t n);
/* Is the write kept? It raises no SIGPIPE: there is room, and the other end was there. */
bool turn_write(struct thread *self, int fd, const struct iovec *parts, int count, size_t total);
/* Performs what the program did, and ends it. What is refused is waited for. */
void turn_end(struct thread *self);
/* The same before a write to a stream, which may have to wait itself. False: a handler has run that ends it. */
bool turn_end_interruptibly(struct thread *self);
/*
 * Before a write to a regular file, which shows nothing but itself: performs what the program did, and the turn goes on
 * if it is this thread's.
 */
void turn_perform(struct thread *self);
/* The same without waiting. The number of the socket that takes no more now, and the turn goes on; or -1. */
int turn_try(struct thread *self);
/*
 * Ends the turn, if there is one, and keeps others from beginning until it is released: around what would change a
 * socket of one at a moment that its thread doesn't see. Nests. In a process of one thread it only ends the turn.
 */
bool turn_hold(struct thread *self);
void turn_release(bool held);
/* In the child of a fork, which has only what the fork itself held. */
void turn_forked(bool held);
/* How the last ones went that have ended since this was asked. */
struct turn_gain turn_gained(void);
/* Counts, for the report, what polling threads used of the processor. */
void turn_count_polling(struct thread *self);
/* The helper thread, at each tick: one that was there at the last one ends. */
void turn_tick(struct thread *self);

/* To be called once before the first one. */
void turn_start(void);
void turn_stop(struct thread *self);
void turn_thread_ends(struct thread *self);
void turn_fork_prepare(struct thread *self);
void turn_fork_done(bool child);

#endif
