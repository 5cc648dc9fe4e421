/*
 * Peeks: bytes of a pipe or a stream socket that were looked at and are not yet taken from the kernel.
 *
 * Small reads one after another are served from a peek, which a tee(2) or a recv(2) with MSG_PEEK has filled. What was
 * served is taken from the kernel later (it is settled): before any call that something outside may see, before what
 * was written since is performed, by the helper thread within the delay, and when the peek is used up. So nothing is
 * ever taken that the program hasn't read, and who reads the stream next, a child or the next program, goes on where
 * the program ended.
 *
 * Only of streams that nobody else can read (files/readers.h), in a process with one thread. A read that a peek answers
 * whole has told the program nothing that wasn't there before: it is no input, and no barrier. That there is no more is
 * never said: such a read goes into the kernel, and so does whatever else may read the stream, after the peek was
 * dropped.
 *
 * Who settles performs what is pending right after it: killed between the two, the program has read what it hasn't
 * answered.
 *
 * Lock order: a log's lock, then the peeks', then files_lock. `self` is always the calling thread.
 */
#ifndef URINGSHIM_AHEAD_PEEK_H
#define URINGSHIM_AHEAD_PEEK_H

#include <sys/uio.h>

#include "base/copy.h"
#include "base/thread.h"
#include "common/attention.h"
#include "files/files.h"

enum {
    PEEKS = 4, /* streams that are read in turns */
    PEEK_MAX = 64 << 10,
    PEEK_CALL_MAX = 512, /* larger reads gain too little: what is peeked is copied three times */
    PEEK_WORTH = 64,     /* reads that must be there for a peek to be tried */
    PEEK_COSTS = 16,     /* reads that one costs, by its calls, */
    PEEK_SETTLE = 3,     /* and each time that it is settled */
    PEEK_POOR = 8,       /* so many times without a gain, and it isn't waited for that */
};

struct peek {
    int fd;          /* the number it is read by */
    struct ofd *ofd; /* with a reference; NULL: there is none */
    char *data;
    uint32_t settled, at, end; /* taken from the kernel up to there; served; there is */
    uint32_t calls, settles;   /* served, and how often it was settled, since it was filled */
    uint32_t settled_calls;    /* of the served ones */
    short ready;               /* what poll(2) says of it, as it was in that epoch; 0: not known */
    uint64_t asked_in;
    bool seen;        /* by the helper thread, */
    uint32_t seen_at; /* as far as it was served then */
};

struct peeks {
    struct biased_lock lock;
    _Atomic int fd; /* the number of the current one, or -1: a hint */
    struct peek *current;
    struct peek one[PEEKS];
};
extern struct peeks peeks HIDDEN;

/* Is there any? */
static inline bool peeks_exist(void) {
    return unlikely((atomic_load_explicit(&wb_pending, memory_order_relaxed) & WB_PEEK) != 0);
}

/* Is the number that of a peek? As far as a thread can know that doesn't hold the lock. */
static inline bool peek_is_on(int fd) {
    return unlikely(atomic_load_explicit(&peeks.fd, memory_order_relaxed) == fd) && fd >= 0;
}

/* The common case: the next read of the stream that was read last. True: all n bytes are there. 0 < n. */
static inline __attribute__((always_inline)) bool peek_read(struct thread *self, int fd, void *bytes, size_t n) {
    if (likely(!peek_is_on(fd)) || !self->faults_caught || !thread_free(self) ||
        !bias_enter(&peeks.lock, &self->holder))
        return false;
    bool done = false;
    struct peek *peek = peeks.current;
    if (peek && peek->fd == fd && n <= peek->end - peek->at && copy_in(bytes, peek->data + peek->at, n)) {
        peek->at += (uint32_t)n;
        peek->calls++;
        done = true;
    }
    bias_leave(&self->holder);
    return done;
}

/*
 * A read that the current one may not have: from another one, or from one that is made now, of what is there. True: all
 * n bytes are, in the parts that they are wanted in. PEEK_NONE: the caller makes the real call; the stream has no peek
 * any more. PEEK_FLUSH: something would be settled, so what is pending must be performed before; then again. 0 < n <=
 * PEEK_CALL_MAX.
 */
enum peek_answer { PEEK_NONE, PEEK_SERVED, PEEK_FLUSH };
enum peek_answer peek_more(struct thread *self, int fd, struct fd_slot *slot, const struct iovec *parts, int count,
                           size_t n);
/*
 * Is there a peek, or could there be one of that stream, for nobody else reads it? Counts so many small reads, this one
 * among them; a look at that may take some milliseconds.
 */
bool peek_promises(int fd, struct ofd *ofd, size_t n, uint32_t reads, bool eager);

/* What poll(2) says of a stream of which there is more, asked for input; or 0. */
short peek_polled(struct thread *self, int fd);

/* Takes from the kernel what was served of all. */
void peeks_settle(struct thread *self);
/* The same before what is pending is performed, with the log's lock held. */
void peeks_settle_amid(struct thread *self);
/* The same as the first, and they are served no more: the next call may read a stream, or let others read it. */
void peeks_drop(struct thread *self);
/* Only if the next call, by this number, may read one. True: so it was. */
bool peeks_drop_number(struct thread *self, int fd);
/* The helper thread, at each tick. True: something was settled, so that what is pending must be performed now. */
bool peeks_tick(struct thread *self);

/* To be called once before the first one, and again in the child of a fork. */
void peeks_start(void);
void peeks_thread_ends(struct thread *self);
void peeks_stop(struct thread *self);
void peeks_fork_prepare(struct thread *self);
void peeks_fork_done(bool child);

#endif
