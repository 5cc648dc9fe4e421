#include "base/put_off.h"

#include <string.h>

#include "base/sys.h"

long signal_again(int signal, siginfo_t *info) {
    return sys(SYS_rt_tgsigqueueinfo, sys(SYS_getpid), sys(SYS_gettid), signal, info);
}

uint64_t signal_mask_of(const ucontext_t *context) {
    uint64_t mask;
    memcpy(&mask, &context->uc_sigmask, sizeof mask);
    return mask;
}

void signal_mask_to(ucontext_t *context, uint64_t mask) {
    memcpy(&context->uc_sigmask, &mask, sizeof mask);
}

/*
 * Real-time signals come in the order in which they were sent (signal(7)): one that is put off must not get behind
 * those that are queued already. So it is kept here, and a token is queued in its place. While any is kept, what the
 * kernel delivers goes to the end of the line, and the first in it is taken.
 */
enum { KEPT_MAX = 8 };
static __thread struct {
    siginfo_t info[KEPT_MAX];
    uint32_t count;
} kept __attribute__((tls_model("initial-exec")));

static const char token_mark; /* its address marks a token */

static bool is_token(const siginfo_t *info) {
    return info->si_code == SI_QUEUE && info->si_value.sival_ptr == &token_mark;
}

/* All signals blocked: another number's handler would change the line too. */
static uint64_t block_all(void) {
    uint64_t all = ~0ull, before = 0;
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    return before;
}

static void unblock(uint64_t before) {
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

static bool keep(int signal, const siginfo_t *info) {
    siginfo_t token = {.si_signo = signal, .si_code = SI_QUEUE};
    token.si_value.sival_ptr = (void *)&token_mark;
    bool done = kept.count < KEPT_MAX && signal_again(signal, &token) == 0;
    if (done && !is_token(info))
        kept.info[kept.count++] = *info;
    return done;
}

/* The first kept one with this number; `info` takes its place at the end, unless it is a token. */
void put_off_turn(int signal, siginfo_t *info) {
    if (likely(kept.count == 0))
        return;
    uint64_t before = block_all();
    for (uint32_t i = 0; i < kept.count; i++) {
        if (kept.info[i].si_signo != signal)
            continue;
        siginfo_t first = kept.info[i];
        kept.count--;
        memmove(&kept.info[i], &kept.info[i + 1], (kept.count - i) * sizeof first);
        if (!is_token(info))
            kept.info[kept.count++] = *info;
        *info = first;
        break;
    }
    unblock(before);
}

bool put_off_any(void) {
    return kept.count > 0 || critical_blocked;
}

void put_off_forked(void) {
    kept.count = 0; /* the tokens are the parent's */
}

/*
 * Faults stay unblocked, for copy_in's. Another handler may interrupt this one anywhere, and finds more blocked than
 * there was: so what is to be unblocked is gathered from all of them.
 */
bool put_off(int signal, siginfo_t *info, ucontext_t *context) {
    uint64_t now = block_all(); /* with SA_NODEFER it would come again at once */
    if (!(signal >= SIGRTMIN && keep(signal, info)) && signal_again(signal, info) != 0) {
        unblock(now);
        return false; /* too many are queued */
    }
    uint64_t mask = signal_mask_of(context);
    __atomic_fetch_or(&critical_blocked, ~mask, __ATOMIC_RELAXED);
    signal_mask_to(context, mask | ~FAULT_SIGNALS | signal_bit(signal));
    return true;
}
