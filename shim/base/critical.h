/*
 * Critical sections: while a thread is in one, the library's state is half changed or a lock is taken, and a signal
 * handler of the program must not run. One that comes then is put off until the thread is out again (signals.h).
 * Sections nest. A section entered by a lock's bias (lock.h) counts too.
 *
 * As long as nothing was deferred or read ahead no handler of ours stands before the program's. Then the outermost
 * section blocks signals instead, which takes system calls: so in that state none is entered on the way of an ordinary
 * call.
 */
#ifndef URINGSHIM_BASE_CRITICAL_H
#define URINGSHIM_BASE_CRITICAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/sys.h"

/*
 * How many sections the calling thread is in, and what else keeps it out of the library's state, bits of the enum
 * below; `any` is both, to be asked for at once.
 */
extern __thread union critical {
    struct {
        uint32_t depth, barred;
    };
    uint64_t any;
} critical;

/*
 * Cancelable: the thread may be cancelled between any two instructions (PTHREAD_CANCEL_ASYNCHRONOUS). While it has a
 * mutex all the same, it can't be. Lent: a vfork child runs as the thread, in its parent's memory.
 */
enum { CRITICAL_CANCELABLE = 1, CRITICAL_LENT = 2 };

/* Signals, as a mask, that were blocked so that the handlers put off can wait; 0: none were. */
extern __thread uint64_t critical_blocked;

/* Are the program's handlers called by the kernel, and not by ours? */
extern _Atomic bool critical_bare;

static inline bool critical_is_bare(void) {
    return atomic_load_explicit(&critical_bare, memory_order_relaxed);
}

/* Blocks signals before the outermost section; they are let through as those that were put off. */
void critical_block(void);

/* Nests. */
void critical_hold_cancellation(void);
void critical_release_cancellation(void);

/* A section was left after a handler had been put off: if it was the outermost, lets the handlers run. */
void critical_left(void);

static inline void critical_enter(void) {
    if (unlikely(critical_is_bare()))
        critical_block();
    critical.depth++;
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void critical_leave(void) {
    atomic_signal_fence(memory_order_seq_cst);
    critical.depth--;
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(critical_blocked))
        critical_left();
}

#endif
