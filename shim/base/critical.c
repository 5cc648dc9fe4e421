#include "base/critical.h"

#include <signal.h>

__thread union critical critical BESIDE;
__thread uint64_t critical_blocked BESIDE;

static __thread uint32_t held BESIDE;
static __thread bool blocked_before BESIDE;

_Atomic bool critical_bare = true;
static __thread bool all_blocked BESIDE; /* by critical_block: no handler can have come since */

void critical_block(void) {
    uint64_t all = ~0ull, before = 0;
    if (critical.depth > 0)
        return;
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    critical_blocked |= ~before;
    all_blocked = true;
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
