/*
 * What the library knows of each thread of the program. Found through one initial-exec thread-local offset; the
 * structures themselves are pooled and never unmapped, since locks may name them after the thread has gone.
 */
#ifndef URINGSHIM_BASE_THREAD_H
#define URINGSHIM_BASE_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "base/stats.h"

struct wb_log;
struct ring;

/* One of a thread's rings, which are of common/rings.h. */
struct thread_ring {
    struct ring *ring;   /* NULL until there is something to gain */
    uint32_t generation; /* of the helper thread that is its guest */
    uint8_t abandoned;   /* rings before it */
    bool refused;        /* not asked for again */
};

struct thread {
    struct lock_holder holder;
    struct wb_log *log; /* where this thread defers; NULL until it first does */
    struct thread_ring writing, reading, turning;
    bool vfork_child;     /* this is a vfork child's use of its parent's memory: touch nothing */
    int vfork_parent;     /* then: the parent's process id, which goes on with the flag still up */
    bool vfork_exclusive; /* and: what exclusive_begins said */
    bool vfork_confined;  /* and: the child has put itself under a filter of system calls */
    bool mask_known;      /* the kernel has been asked whether SIGSEGV or SIGBUS is blocked here */
    bool faults_caught;   /* and it isn't: a bad buffer is noticed */
    bool pipe_blocked;    /* and SIGPIPE is, as far as mask_known says */
    bool pipe_swallowed;  /* a SIGPIPE that comes now is of the library's own doing */
    bool mask_kept;       /* and what `mask` says is all of it */
    uint64_t mask;
    uint8_t waiting;      /* it may wait for room in a stream, and a handler be running, which may wait, too: so many */
    bool wait_unsure;     /* a jump was made since, perhaps out of that, */
    uintptr_t wait_frame; /* and it is left if the caller's frame isn't below this one */
    bool wait_masked;     /* then: signals are blocked for that, where the program has the mask beside it */
    uint64_t wait_mask;
    uint32_t interrupted;  /* counts handlers that would have ended a call that waits (no SA_RESTART) */
    uint64_t epoch_before; /* the epoch in which its write to a stream went into the kernel; 0: nobody asks */
    uint8_t page_after;    /* and what will be known of its last page, if it is a pipe (behind/straight.c) */
    uint64_t waits_in;     /* the last attempt to perform a piece in which what it wrote had to wait */
    bool handlers_ours;    /* no handler runs here that the kernel called itself (earlier.h) */
    void *called_by_us[4]; /* until then: contexts of handlers that ours has called lately */
    uint8_t calls_by_us;
    uint16_t look_in;    /* until that is known: looked again after so many times asked, */
    uint16_t looked_in;  /* and that many were it last */
    struct stats *stats; /* this thread's counters: own_stats, or a place where others can watch them */
    struct stats own_stats;
    _Atomic uint32_t waits;         /* for descriptors, so many so far (files/users.h) */
    const union critical *sections; /* of a thread that may be cancelled at any moment: how many it is in; */
    int number;                     /* and the kernel's name of it, to see whether it is there */
    struct thread *next;            /* all threads */
    void *pool_link;
};

/* Whoever has no structure of its own: all such threads share it, and it owns nothing. */
extern struct thread thread_nobody;

/*
 * How far the calling thread's structure is from thread_nobody: not a pointer, because a thread that the program made
 * by itself may begin with thread-local memory full of zeros, whatever the initial values are. That must mean nobody,
 * as it must be a right beginning for every other thread-local variable of the library.
 */
extern __thread uintptr_t thread_self_offset;

/* The calling thread; before thread_attach it is nobody. */
static inline struct thread *thread_self(void) {
    return (struct thread *)((uintptr_t)&thread_nobody + thread_self_offset);
}

static inline void thread_become(struct thread *self) {
    thread_self_offset = (uintptr_t)self - (uintptr_t)&thread_nobody;
}

static inline bool thread_attached(const struct thread *self) {
    return self != &thread_nobody;
}

/*
 * Around a wait for a stream, in which handlers run. What begins says, how many waits the caller is in the midst of, is
 * given to what ends.
 */
uint8_t thread_waits_at(struct thread *self, uintptr_t frame);
static inline __attribute__((always_inline)) uint8_t thread_waits(struct thread *self) {
    return likely(!self->waiting) ? 0 : thread_waits_at(self, (uintptr_t)__builtin_frame_address(0));
}
static inline __attribute__((always_inline)) uint8_t thread_wait_begins(struct thread *self) {
    uint8_t outer = thread_waits(self);
    if (outer == 0) {
        self->wait_frame = (uintptr_t)__builtin_frame_address(0);
        self->wait_unsure = false;
    }
    self->waiting = outer + 1;
    return outer;
}
static inline void thread_wait_ends(struct thread *self, uint8_t outer) {
    self->waiting = outer;
}
/* Jumps, perhaps out of a handler in the midst of it. */
static inline void thread_jumps(struct thread *self) {
    if (unlikely(self->waiting))
        self->wait_unsure = true;
}
/* The program ends, or becomes another, in such a handler: the wait doesn't go on. How many there were. */
static inline uint8_t thread_waits_no_more(struct thread *self) {
    uint8_t outer = self->waiting;
    if (unlikely(outer))
        self->waiting = 0;
    return outer;
}

/* Is this thread in the middle of a critical section? */
static inline bool thread_amid(const struct thread *self) {
    return critical.depth | atomic_load_explicit(&self->holder.inside, memory_order_relaxed);
}

/* May this thread touch the library's state now? Not then, nor as a vfork child, nor if it may be gone at any moment.
 */
static inline bool thread_free(const struct thread *self) {
    return !(critical.any | atomic_load_explicit(&self->holder.inside, memory_order_relaxed) | self->vfork_child);
}

/* A vfork child begins to run as the thread, or has ended to. */
static inline void thread_lend(struct thread *self, bool lent) {
    self->vfork_child = lent;
    critical.barred = lent ? critical.barred | CRITICAL_LENT : critical.barred & ~(uint32_t)CRITICAL_LENT;
}

/* The thread's signal mask may have changed. */
static inline void thread_mask_changed(struct thread *self) {
    self->mask_known = self->faults_caught = self->mask_kept = false;
}

/* Our handler has called one of the program's. */
static inline void thread_handler_called(struct thread *self, void *context) {
    enum { PLACES = sizeof self->called_by_us / sizeof *self->called_by_us };
    if (unlikely(!self->handlers_ours))
        self->called_by_us[self->calls_by_us++ % PLACES] = context;
}

/* Gives the calling thread a structure of its own. NULL without memory. `thread_at_exit` runs when the thread ends. */
struct thread *thread_attach(void);

/*
 * There may be threads that libc doesn't know (clone(2)), whose ends it doesn't notice: from now on nobody else gets a
 * structure of its own. Nothing may be deferred or read ahead any more.
 */
void thread_strangers_come(void);

/*
 * The library does nothing in this process, from the constructor on. It isn't told of forks, so that no lock may be
 * taken: all threads go by one structure, which says that nothing is to be touched.
 */
extern bool thread_off;
void thread_stay_off(void);

/* The program has forbidden itself system calls, for good and for its children: or a vfork child has for itself alone.
 */
void thread_confined(void);
bool thread_is_confined(void);

/* Called in the ending thread, before its structure is reused; set once at start. */
extern void (*thread_at_exit)(struct thread *self);

/* To be called once, by the constructor. False if threads' ends can't be noticed. */
bool thread_start(void);
/* A library was loaded, which may be the one that makes threads. */
void thread_library_loaded(void);

/* All threads' structures, the unused ones too; the list only grows. */
struct thread *thread_list(void);

/*
 * The calling thread may be cancelled between any two instructions from now on, or no longer. It goes on as others do,
 * until somebody is cancelled.
 */
void thread_set_cancelable(bool cancelable);
/* It is about to end, or has begun to: its thread-local memory goes. */
void thread_hide(void);
/*
 * Before pthread_cancel, with nothing to be deferred or fetched any more: from now on a thread that may be cancelled at
 * any moment can't be in a critical section; those who are in one are waited for.
 */
void thread_cancelling(void);

/* The process forks: before, and after in both. In the child only the caller is left; its ring is gone. */
void thread_fork_prepare(void);
void thread_fork_done(bool child);

/* In the child of a fork, when the live counters have been made anew: the caller's go there. */
void thread_count_in_sight(void);

/* Adds every thread's counters to the report's. */
void thread_collect_stats(void);

#endif
