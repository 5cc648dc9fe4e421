/*
 * Critical sections: while a thread is in one, the library's state is half changed or a lock is taken, and a signal
 * handler of the program must not run. One that comes then is put off until the thread is out again (signals.h).
 * Sections nest. A section entered by a lock's bias (lock.h) counts too.
 *
 * As long as nothing was deferred or read ahead no handler of ours stands before the program's. Then the outermost
 * section blocks signals instead, which takes system calls: so in that state none is entered on the way of an ordinary
 * call. A thread that may be cancelled between any two instructions, which libc does by a signal, blocks it, too, once
 * anybody is cancelled at all.
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

static inline uint64_t signal_bit(int signal) {
    return 1ull << (signal - 1);
}

/* What instructions raise. They are never put off, nor blocked meanwhile: copy_in's must arrive. */
#define FAULT_SIGNALS                                                                                                  \
    (signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGFPE) | signal_bit(SIGILL) | signal_bit(SIGTRAP) |        \
     signal_bit(SIGSYS))

/* Lent: a vfork child runs as the thread, in its parent's memory. */
enum { CRITICAL_LENT = 1 };

/* Signals, as a mask, that were blocked so that the handlers put off can wait; 0: none were. */
extern __thread uint64_t critical_blocked;

/*
 * Why sections may have to block signals: the program's handlers are called by the kernel, and not by ours; or somebody
 * has called pthread_cancel, or is about to; or there has been a thread that can't be waited for then.
 */
enum { CRITICAL_BARE = 1, CRITICAL_CANCELLING = 2, CRITICAL_HIDDEN = 4 };
extern _Atomic uint32_t critical_blocks;

static inline bool critical_may_block(void) {
    return unlikely(atomic_load_explicit(&critical_blocks, memory_order_relaxed) != 0);
}

static inline bool critical_is_bare(void) {
    return atomic_load_explicit(&critical_blocks, memory_order_relaxed) & CRITICAL_BARE;
}

/*
 * May the calling thread be cancelled between any two instructions (PTHREAD_CANCEL_ASYNCHRONOUS)? Who cancels waits for
 * the sections of one that is shown (thread_cancelling); those of one that is hidden block in any case.
 */
enum { CANCELABLE_NOT, CANCELABLE_SHOWN, CANCELABLE_HIDDEN };
extern __thread uint8_t critical_cancelable;

/* Blocks signals before the outermost section, if it must; they are let through as those that were put off. */
void critical_block(void);
/* The same just after it has begun: who cancels says so first, and then waits for those who are in one. */
void critical_block_amid(void);

/* Nests. */
void critical_hold_cancellation(void);
void critical_release_cancellation(void);

/* A section was left after a handler had been put off: if it was the outermost, lets the handlers run. */
void critical_left(void);

static inline void critical_enter(void) {
    if (critical_may_block())
        critical_block();
    critical.depth++;
    atomic_signal_fence(memory_order_seq_cst);
    if (critical_may_block())
        critical_block_amid();
}

static inline void critical_leave(void) {
    atomic_signal_fence(memory_order_seq_cst);
    critical.depth--;
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(critical_blocked))
        critical_left();
}

#endif
