#include "base/critical.h"

#include <signal.h>

__thread union critical critical BESIDE;
__thread uint64_t critical_blocked BESIDE;

static __thread uint32_t held BESIDE;
static __thread bool blocked_before BESIDE;

_Atomic uint32_t critical_blocks = CRITICAL_BARE;
__thread uint8_t critical_cancelable BESIDE;
static __thread bool all_blocked BESIDE; /* by critical_block: no handler can have come since */

static bool may_be_cancelled(uint32_t why) {
    return critical_cancelable && (why & CRITICAL_CANCELLING || critical_cancelable == CANCELABLE_HIDDEN);
}

/* Where handlers are ours, faults stay unblocked for copy_in's, and one that is sent is put off. */
void critical_block(void) {
    uint32_t why = atomic_load_explicit(&critical_blocks, memory_order_relaxed);
    bool bare = why & CRITICAL_BARE;
    uint64_t set = bare ? ~0ull : ~FAULT_SIGNALS, before = 0;
    if (critical.depth > 0 || !(bare || may_be_cancelled(why)))
        return;
    sys(SYS_rt_sigprocmask, SIG_BLOCK, &set, &before, sizeof set);
    __atomic_fetch_or(&critical_blocked, ~before, __ATOMIC_RELAXED);
    all_blocked = bare;
}

/* Out of the section, and in again: whoever waits for its end sees that. */
void critical_block_amid(void) {
    if (likely(!critical_cancelable) || critical.depth > 1 || critical_blocked)
        return;
    critical.depth--;
    atomic_signal_fence(memory_order_seq_cst);
    critical_block();
    atomic_signal_fence(memory_order_seq_cst);
    critical.depth++;
    atomic_signal_fence(memory_order_seq_cst);
}

/*
 * libc cancels by a signal of its own, the first one that it keeps for itself (nptl(7)). pthread_setcancelstate would
 * not do: the signal may have been sent already.
 */
enum { SIGCANCEL = 32 };
static const uint64_t cancellation = 1ull << (SIGCANCEL - 1);

void critical_hold_cancellation(void) {
    uint64_t before = 0;
    if (held++ > 0)
        return;
    sys(SYS_rt_sigprocmask, SIG_BLOCK, &cancellation, &before, sizeof before);
    blocked_before = before & cancellation;
}

void critical_release_cancellation(void) {
    if (--held == 0 && !blocked_before)
        sys(SYS_rt_sigprocmask, SIG_UNBLOCK, &cancellation, NULL, sizeof cancellation);
}

/* While any is blocked that the program doesn't block, a sent SIGSEGV must wait too: it would show to its handler. */
void critical_left(void) {
    if (critical.depth > 0)
        return;
    uint64_t all = ~0ull;
    if (!all_blocked)
        sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    uint64_t set = critical_blocked;
    critical_blocked = 0;
    all_blocked = false;
    sys(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, sizeof set);
}
