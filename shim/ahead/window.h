/*
 * Reading ahead: small reads one after another are served from a window, bytes of a file that one call has fetched.
 *
 * Bytes fetched may be shown only while the process has learned nothing from outside since before they were: then no
 * message can be known that would make them stale. Hence the process has one window and no more, for to fetch another
 * is to learn something (but where it is sure that the file hasn't changed: flight.h); and whatever call enters the
 * kernel for the program ends it, before (window_close: the kernel's file position is put right) and after
 * (input_came: another thread may have fetched one during the call). An epoch counts what was learned.
 *
 * A window at the position keeps the file position here while it is open: of a description only for reading, that this
 * process, while it had only one thread, opened itself and has passed to nobody.
 *
 * Lock order: the window's lock, then a log's, then files_lock. `self` is always the calling thread.
 */
#ifndef URINGSHIM_AHEAD_WINDOW_H
#define URINGSHIM_AHEAD_WINDOW_H

#include <sys/types.h>

#include "ahead/flight.h"
#include "base/copy.h"
#include "base/thread.h"
#include "base/ticks.h"
#include "common/attention.h"
#include "files/files.h"

enum {
    WINDOW_MIN = 16 << 10,
    WINDOW_MAX = 128 << 10,
    WINDOW_CALL_MIN = 4 << 10,   /* reads of no more gain wherever a call into the kernel costs what it must */
    WINDOW_CALL_MAX = 16 << 10,  /* and larger ones nowhere */
    WINDOW_CALL_A_US = 20 << 10, /* so much the second copy takes in a microsecond, and twice that where it is slow */
    WINDOW_AGE_US = 50000,       /* older bytes are not shown: a clock, too, may be a message */
    WINDOW_TIMED = 8, /* their age is looked at by each so many reads, and whenever the program asks for the time */
    WINDOW_PAID = 4,  /* calls served, from which on a window has saved something */
};

/*
 * Larger reads than this gain nothing: copying twice costs what the calls did. What these cost is the machine's to say;
 * until it has been asked, WINDOW_CALL_MAX.
 */
extern _Atomic uint32_t window_call_max HIDDEN;
static inline size_t window_call(void) {
    return atomic_load_explicit(&window_call_max, memory_order_relaxed);
}
/* Asks it: three system calls, the first time. The process isn't hindered. */
void window_measure_calls(void);

/* Answers that are no result of a read or a seek. */
enum { WINDOW_MISS = -1 };

enum window_offset { WINDOW_AT_POSITION = -1 };

struct window {
    struct biased_lock lock;
    _Atomic int fd; /* the number it is read by; -1: it is closed */
    bool at_position;
    bool fetching;            /* a thread is at it, without the lock: until it is done nobody else fetches */
    bool moved;               /* the kernel's position isn't `position` */
    int64_t position;         /* at_position: where the next read begins */
    int64_t start, end;       /* offsets in the file of the bytes that are here */
    _Atomic int64_t last;     /* where the last read began: each must get on */
    int direction;            /* 1 or -1 */
    uint32_t direct;          /* the OFD's: bits that must be 0, for the kernel refuses what is odd */
    uint64_t epoch;           /* when they were fetched */
    uint64_t writes;          /* and that many writes had been noticed */
    _Atomic uint64_t expires; /* ticks */
    char *memory;             /* FLIGHT_BUFFERS buffers, and one to compare with */
    char *_Atomic data;
    uint32_t run;    /* windows that went on where the one before ended, with nothing learned since the first */
    uint32_t served; /* calls, since the fill */
    uint64_t served_bytes, seeks;
    struct ofd *ofd; /* with a reference */
};

extern struct window window;

static inline bool window_expired(const struct window *w) {
    return ticks_now() >= atomic_load_explicit(&w->expires, memory_order_relaxed);
}

/* The program was told the time: what was fetched too long ago isn't shown from now on. */
static inline void window_timed(void) {
    if (unlikely(window_exists()) && window_expired(&window))
        input_came();
}

/* Is it a direct read that the kernel may refuse? */
static inline bool window_odd(const struct window *w, const void *bytes, size_t n, int64_t at) {
    return (((uintptr_t)bytes | n | (uint64_t)at) & w->direct) != 0;
}

/* With the lock held: has the window this read, whole? Copies it. */
static inline __attribute__((always_inline)) bool window_take(struct window *w, void *bytes, size_t n, int64_t at) {
    if (at < w->start || (int64_t)n > w->end - at || window_odd(w, bytes, n, at) ||
        (at - atomic_load_explicit(&w->last, memory_order_relaxed)) * w->direction <= 0 ||
        w->epoch != atomic_load_explicit(&window_epoch, memory_order_acquire) ||
        (w->served % WINDOW_TIMED == 0 && window_expired(w)) || !copy_in(bytes, w->data + (at - w->start), n))
        return false;
    atomic_store_explicit(&w->last, at, memory_order_relaxed);
    w->served++;
    w->served_bytes += n;
    return true;
}

/* The same for whoever holds the lock, wherever he reads. */
static inline __attribute__((always_inline)) bool window_serve(struct window *w, int fd, void *bytes, size_t n,
                                                               int64_t offset) {
    if (atomic_load_explicit(&w->fd, memory_order_relaxed) != fd || fd < 0 ||
        w->at_position != (offset == WINDOW_AT_POSITION))
        return false;
    if (!window_take(w, bytes, n, w->at_position ? w->position : offset))
        return false;
    if (w->at_position) {
        w->position += (int64_t)n;
        w->moved = true;
    }
    return true;
}

/* Is it the window's owner's turn, who goes in without a locked instruction? */
static inline __attribute__((always_inline)) bool window_enter(struct thread *self, int fd) {
    return unlikely(atomic_load_explicit(&window.fd, memory_order_relaxed) == fd) && self->faults_caught &&
           thread_free(self) && bias_enter(&window.lock, &self->holder);
}

/*
 * The common case: the next read of the window's owner. True: all n bytes are there, 0 < n <= WINDOW_CALL_MAX. The
 * offset is WINDOW_AT_POSITION or not negative.
 */
static inline __attribute__((always_inline)) bool window_read(struct thread *self, int fd, void *bytes, size_t n,
                                                              int64_t offset) {
    if (likely(!window_enter(self, fd)))
        return false;
    bool done = window_serve(&window, fd, bytes, n, offset);
    bias_leave(&self->holder);
    return done;
}

/* Is it this number that the window is read by? As far as a thread can know that doesn't hold the lock. */
static inline bool window_is_on(int fd) {
    return atomic_load_explicit(&window.fd, memory_order_relaxed) == fd && fd >= 0;
}

/* Where the last read of this number began if it was served, else `otherwise`: a hint. */
static inline int64_t window_last(int fd, int64_t otherwise) {
    return window_is_on(fd) ? atomic_load_explicit(&window.last, memory_order_relaxed) : otherwise;
}

/* lseek to a place inside the window: the new position, or WINDOW_MISS. */
int64_t window_seek(struct thread *self, int fd, int64_t offset, int whence);

/*
 * A read that the window may not have: served from it all the same, or from one that is fetched now. 0 < n <=
 * WINDOW_CALL_MAX. WINDOW_MISS: the caller makes the real call, and closes the window before. Nothing of the file is
 * pending.
 */
ssize_t window_fill(struct thread *self, int fd, struct fd_slot *slot, void *bytes, size_t n, int64_t offset,
                    int direction);

/* Before the program's next call into the kernel: `call` names it. Puts the kernel's position right. */
void window_close(struct thread *self, const char *call);
/* The same, and no thread that came before a hindrance was put up is still at it. */
void window_drain(struct thread *self, const char *call);

/*
 * The description is about to be closed, and the window on it is: returns when nothing that was being read ahead of it
 * holds it any more. NULL: of any; and nobody is fetching, who began before a hindrance was put up.
 */
void window_settle(struct thread *self, struct ofd *ofd);

/* Is there anything in the process that speaks against reading ahead? */
bool window_hindered(void);
/* Never again: from now on the process may learn something without a call. */
void window_forbid(void);

/* To be called once before the first fill, and again in the child of a fork. */
void window_start(void);

/* The thread ends. */
void window_thread_ends(struct thread *self);
/* Nobody needs the owner's fence from now on: a filter may forbid it. */
void window_stop(struct thread *self);
void window_fork_prepare(struct thread *self);
void window_fork_done(bool child);

#endif
