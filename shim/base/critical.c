#include "base/critical.h"

#include <signal.h>

__thread uint32_t critical_depth __attribute__((tls_model("initial-exec")));
__thread uint64_t critical_blocked __attribute__((tls_model("initial-exec")));

/* While any is blocked that the program doesn't block, a sent SIGSEGV must wait too: it would show to its handler. */
void critical_left(void) {
    if (critical_depth > 0)
        return;
    uint64_t all = ~0ull;
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    uint64_t set = critical_blocked;
    critical_blocked = 0;
    sys(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, sizeof set);
}
