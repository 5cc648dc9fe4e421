#include "base/signals.h"

#include <errno.h>
#include <string.h>
#include <ucontext.h>

#include "base/copy.h"
#include "base/critical.h"
#include "base/earlier.h"
#include "base/put_off.h"
#include "base/thread.h"

enum {
    SIGNALS = 65,
    LIBC_FIRST = 32, /* libc keeps two for itself: cancelling threads, and changing credentials in all of them */
    LIBC_LAST = 33,
};

enum { RESTORER = 0x04000000 }; /* SA_RESTORER: the action says where a handler returns to */

#if defined(__x86_64__)
enum { RESTORER_BY_LIBC = RESTORER }; /* libc gives one always, and shows the flag */
/* These very bytes are how unwinders recognize a signal frame. */
extern void signals_restorer(void) __attribute__((visibility("hidden")));
__asm__(".text\n"
        ".p2align 4\n"
        "nop\n" /* unwinders look up the address before the return address */
        ".globl signals_restorer\n"
        ".hidden signals_restorer\n"
        ".type signals_restorer, @function\n"
        "signals_restorer:\n"
        "    mov $15, %rax\n" /* SYS_rt_sigreturn */
        "    syscall\n"
        ".size signals_restorer, . - signals_restorer\n");
#else
enum { RESTORER_BY_LIBC = 0 }; /* nobody does: the kernel has one (sigreturn in vdso(7)) */
#define signals_restorer NULL
#endif

/* The kernel's struct sigaction (rt_sigaction(2)). */
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

static struct sigaction from_kernel(const struct kernel_sigaction *raw) {
    struct sigaction action = {.sa_handler = raw->handler, .sa_flags = (int)raw->flags, .sa_restorer = raw->restorer};
    memcpy(&action.sa_mask, &raw->mask, sizeof raw->mask);
    return action;
}

static struct kernel_sigaction for_kernel(const struct sigaction *action) {
    struct kernel_sigaction raw = {action->sa_handler, (unsigned)action->sa_flags, action->sa_restorer, 0};
    memcpy(&raw.mask, &action->sa_mask, sizeof raw.mask);
    return raw;
}

/* sigaction(2) by the raw call; 0 or -errno. */
static int kernel_action(int signal, const struct sigaction *action, struct sigaction *old) {
    struct kernel_sigaction set, got;
    if (action)
        set = for_kernel(action);
    long result = sys(SYS_rt_sigaction, signal, action ? &set : NULL, &got, sizeof set.mask);
    if (result == 0 && old)
        *old = from_kernel(&got);
    return (int)result;
}

static const struct signals_events *events; /* NULL until the start */

/* While the handlers are the kernel's: how many threads are changing a disposition at this moment. */
static _Atomic uint32_t changing;
static __thread uint32_t own_changing __attribute__((tls_model("initial-exec")));

/* What the program wants where the kernel knows our handler. The handler is looked at without the lock. */
static struct {
    void (*_Atomic handler)(int);
    _Atomic int flags;
    sigset_t mask; /* as it was given: ours differs where the action is the default */
} program[SIGNALS] APART;

/* These flags are ours in the kernel, and come from the program's action when it asks. */
enum { OUR_FLAGS = SA_SIGINFO | SA_ONSTACK | RESTORER | (int)SA_RESETHAND };

static _Atomic bool guarded, released;
static bool first_process; /* of its namespace */
static struct mutex lock;

static bool managed(int signal) {
    return signal > 0 && signal < SIGNALS && signal != SIGKILL && signal != SIGSTOP &&
           (signal < LIBC_FIRST || signal > LIBC_LAST);
}

/* signal(7): the default action is to be killed. Stopping and ignoring stay the kernel's. */
static bool deadly(int signal) {
    switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return false;
    default:
        return true;
    }
}

/* Raised by an instruction of the thread that gets it, which can't go on without the handler. */
static bool is_fault(int signal, const siginfo_t *info) {
    return (FAULT_SIGNALS & signal_bit(signal)) && info->si_code > 0;
}

static uintptr_t *instruction_pointer(ucontext_t *context) {
#if defined(__x86_64__)
    return (uintptr_t *)&context->uc_mcontext.gregs[REG_RIP];
#else
    return (uintptr_t *)&context->uc_mcontext.pc;
#endif
}

/*
 * The default action, taken by the kernel: it finds the signal pending when the handler returns. (Where that was called
 * from sigsuspend or its like, the mask that returns with it might keep it blocked.)
 */
static void die(int signal, siginfo_t *info, ucontext_t *context) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    uint64_t set = signal_bit(signal);
    if (!thread_self()->vfork_child)
        events->dying(is_fault(signal, info));
    sys(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, sizeof set); /* SA_NODEFER: not here, but where it came */
    kernel_action(signal, &standard, NULL);
    if (signal_again(signal, info) != 0)
        sys(SYS_tgkill, sys(SYS_getpid), sys(SYS_gettid), signal);
    signal_mask_to(context, signal_mask_of(context) & ~signal_bit(signal));
}

/* What the kernel makes of a mask with all signals. */
static const uint64_t ALL_BLOCKED = ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1));

/* SA_RESETHAND, which the kernel isn't told of: the signal might be put off. */
static void reset(int signal, void (*handler)(int)) {
    struct sigaction action;
    if (!atomic_compare_exchange_strong(&program[signal].handler, &handler, SIG_DFL) || deadly(signal))
        return;
    kernel_action(signal, NULL, &action);
    action.sa_handler = SIG_DFL;
    action.sa_flags = atomic_load(&program[signal].flags);
    kernel_action(signal, &action, NULL);
}

static void arrive(int signal, siginfo_t *info, void *context) {
    struct thread *self = thread_self();
    if (self->vfork_child && sys(SYS_getpid) == self->vfork_parent)
        thread_lend(self, false); /* vfork is about to return in the parent */
    if (unlikely(signal == SIGPIPE && self->pipe_swallowed))
        return;
    bool fault = is_fault(signal, info);
    if (fault) {
        uintptr_t *instruction = instruction_pointer(context);
        uintptr_t recovery = signals_fault_of_copy(signal) ? copy_recovery(*instruction) : 0;
        if (recovery) {
            *instruction = recovery;
            return;
        }
    } else if (!self->vfork_child && (critical_blocked || thread_amid(self)) && put_off(signal, info, context)) {
        return;
    }
    put_off_turn(signal, info);
    void (*handler)(int) = atomic_load(&program[signal].handler);
    if (handler == SIG_IGN) /* since a moment ago */
        return;
    if (handler == SIG_DFL) {
        if (fault || !first_process)
            die(signal, info, context);
        return;
    }
    if (atomic_load(&program[signal].flags) & (int)SA_RESETHAND)
        reset(signal, handler);
    /* The mask that comes back with the handler is the program's. Of two that came at once the first one has ours. */
    if (unlikely(self->waiting && self->wait_masked) && signal_mask_of(context) == ALL_BLOCKED) {
        signal_mask_to(context, self->wait_mask);
        self->wait_masked = false;
    }
    thread_handler_called(self, context);
    uint64_t blocked = *signals_in(&program[signal].mask);
    events->handler_begins(fault, blocked & FAULT_SIGNALS);
    /* one that takes a number only doesn't mind */
    ((void (*)(int, siginfo_t *, void *))(uintptr_t)handler)(signal, info, context);
    self->interrupted += !(atomic_load(&program[signal].flags) & SA_RESTART);
    events->handler_ended();
}

/* A first process of a namespace is killed by its own faults only, as long as it has no handler (kill(2), "NOTES"). */
static bool needs_us(int signal, const struct sigaction *action) {
    if (action->sa_handler == SIG_DFL)
        return atomic_load(&guarded) && deadly(signal) && ((FAULT_SIGNALS & signal_bit(signal)) || !first_process);
    return action->sa_handler != SIG_IGN;
}

/* What the kernel is to know of an action of the program's. While it dies no other handler runs. */
static struct sigaction wrapped(int signal, const struct sigaction *action) {
    struct sigaction ours = *action;
    if (!needs_us(signal, action))
        return ours;
    if (action->sa_handler == SIG_DFL) {
        ours.sa_flags |= SA_ONSTACK;
        memset(&ours.sa_mask, 0xff, sizeof ours.sa_mask);
    }
    ours.sa_flags = (ours.sa_flags & (int)~SA_RESETHAND) | SA_SIGINFO;
    ours.sa_sigaction = arrive;
    if (RESTORER_BY_LIBC & ~ours.sa_flags) { /* libc's sigaction will put its own there */
        ours.sa_flags |= RESTORER;
        ours.sa_restorer = signals_restorer;
    }
    return ours;
}

static void remember(int signal, const struct sigaction *action) {
    program[signal].mask = action->sa_mask;
    *signals_in(&program[signal].mask) &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP)); /* as the kernel does */
    atomic_store(&program[signal].flags, action->sa_flags);
    atomic_store(&program[signal].handler, action->sa_handler);
}

/* What the kernel told, as the program is to see it; it may have been changed by libc itself meanwhile. */
static void unwrap(struct sigaction *old, const struct sigaction *wanted) {
    if (old->sa_sigaction != arrive)
        return;
    old->sa_flags = (old->sa_flags & ~OUR_FLAGS) | (wanted->sa_flags & OUR_FLAGS);
    if (RESTORER_BY_LIBC & ~wanted->sa_flags)
        old->sa_restorer = NULL;
    old->sa_handler = wanted->sa_handler;
    if (wanted->sa_handler == SIG_DFL)
        old->sa_mask = wanted->sa_mask;
}

static struct sigaction remembered(int signal) {
    return (struct sigaction){
        .sa_handler = atomic_load(&program[signal].handler),
        .sa_flags = atomic_load(&program[signal].flags),
        .sa_mask = program[signal].mask,
    };
}

static int change(int signal, const struct sigaction *action, struct sigaction *old, signals_real *real) {
    struct sigaction before = remembered(signal), ours, theirs;
    if (action) {
        theirs = *action;
        if (real != kernel_action)
            theirs.sa_flags |= RESTORER_BY_LIBC;
        ours = wrapped(signal, action);
        remember(signal, &theirs); /* first: the signal may come at once */
    }
    struct sigaction told = {0};
    int result = real(signal, action ? &ours : NULL, &told);
    if (result != 0) {
        if (action)
            remember(signal, &before);
        return result;
    }
    unwrap(&told, &before);
    if (old)
        *old = told;
    return 0;
}

static bool is_handler(const struct sigaction *action) {
    return action && action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* libc gives all of its own the same return address: to know it, the kernel is asked once. */
static void handler_set(int signal, bool by_libc) {
    struct sigaction action = {0};
    if (!by_libc || !earlier_return_known())
        kernel_action(signal, NULL, &action);
    earlier_handler(signal, (uintptr_t)action.sa_restorer);
}

/* Counted first and looked at then; signals_guard does both the other way round. False: the handlers are ours by now.
 */
static bool change_bare(int signal, const struct sigaction *action, struct sigaction *old, signals_real *real,
                        int *result) {
    own_changing++;
    atomic_fetch_add(&changing, 1);
    bool bare = !atomic_load(&guarded);
    if (bare)
        *result = real(signal, action, old);
    if (bare && *result == 0 && is_handler(action))
        handler_set(signal, real != kernel_action);
    atomic_fetch_sub(&changing, 1);
    own_changing--;
    return bare;
}

static int change_ours(int signal, const struct sigaction *action, struct sigaction *old, signals_real *real) {
    mutex_lock(&lock);
    int result = atomic_load(&guarded) ? change(signal, action, old, real) : real(signal, action, old);
    mutex_unlock(&lock);
    return result;
}

/* In a vfork child: its own dispositions, in our memory. */
static int change_childs(int signal, const struct sigaction *action, struct sigaction *old, signals_real *real) {
    struct sigaction wanted = remembered(signal);
    int result = real(signal, action, old);
    if (result == 0)
        unwrap(old, &wanted);
    return result;
}

/* A bad pointer is as deadly as in libc, and not in the middle of anything of ours. */
int signals_action(int signal, const struct sigaction *action, struct sigaction *old, signals_real *real) {
    if (!events || !managed(signal) || atomic_load(&released))
        return real(signal, action, old);
    struct sigaction told = {0}, copy;
    int result = 0;
    if (action)
        copy = *action;
    const struct sigaction *set = action ? &copy : NULL;
    if (thread_self()->vfork_child)
        result = change_childs(signal, set, &told, real);
    else if (!change_bare(signal, set, &told, real, &result))
        result = change_ours(signal, set, &told, real);
    if (result == 0 && old)
        *old = told;
    return result;
}

/* As the kernel does it: the structure is read first, and the old one written when all is done. */
long signals_rt_sigaction(int signal, const void *action, void *old, size_t mask_size) {
    struct kernel_sigaction raw;
    if (!events || !managed(signal) || atomic_load(&released) || mask_size != sizeof raw.mask)
        return sys(SYS_rt_sigaction, signal, action, old, mask_size);
    struct sigaction set, got;
    if (action && !copy_in_asked(&raw, action, sizeof raw))
        return -EFAULT;
    if (action)
        set = from_kernel(&raw);
    int result = signals_action(signal, action ? &set : NULL, &got, kernel_action);
    if (result != 0 || !old)
        return result;
    if (!writable_asked(old, sizeof raw))
        return -EFAULT;
    raw = for_kernel(&got);
    memcpy(old, &raw, sizeof raw);
    return 0;
}

bool signals_kills(int signal) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    if (atomic_load(&guarded))
        action.sa_handler = atomic_load(&program[signal].handler);
    else
        kernel_action(signal, NULL, &action);
    return action.sa_handler == SIG_DFL && deadly(signal) && !first_process;
}

void signals_raise(int signal) {
    uint64_t mask = 0;
    long process = sys(SYS_getpid);
    sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    if (mask & signal_bit(signal))
        sys(SYS_kill, process, signal);
    else
        sys(SYS_tgkill, process, sys(SYS_gettid), signal);
}

void signals_fork_prepare(void) {
    mutex_lock(&lock);
}

void signals_fork_done(bool child) {
    mutex_unlock(&lock);
    if (!child)
        return;
    put_off_forked();
    atomic_store(&changing, own_changing); /* of a call that a handler interrupted, which forked */
}

void signals_start(const struct signals_events *called) {
    events = called;
}

/* With the lock held. */
static void take_over(void) {
    first_process = sys(SYS_getpid) == 1;
    for (int signal = 1; signal < SIGNALS; signal++) {
        struct sigaction action = {0}, ours;
        if (!managed(signal))
            continue;
        kernel_action(signal, NULL, &action);
        if (is_handler(&action))
            earlier_handler(signal, (uintptr_t)action.sa_restorer);
        remember(signal, &action);
        ours = wrapped(signal, &action);
        if (ours.sa_sigaction == arrive)
            kernel_action(signal, &ours, NULL);
    }
}

/* With the lock held. */
static void hand_back(void) {
    for (int signal = 1; signal < SIGNALS; signal++) {
        struct sigaction action = {0}, wanted = remembered(signal);
        if (!managed(signal))
            continue;
        kernel_action(signal, NULL, &action);
        if (action.sa_sigaction != arrive)
            continue;
        unwrap(&action, &wanted);
        kernel_action(signal, &action, NULL);
    }
}

/* No section blocks signals from now on, which may be among what is forbidden. */
void signals_release(void) {
    mutex_lock(&lock);
    if (atomic_load(&guarded))
        hand_back();
    atomic_store(&released, true);
    atomic_store(&critical_blocks, 0);
    mutex_unlock(&lock);
}

/* What was put off would come as its token, which only our handler knows. */
void signals_give_back(void) {
    uint64_t all = ~0ull, before = 0;
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    mutex_lock(&lock);
    if (atomic_load(&guarded) && !atomic_load(&released) && !put_off_any()) {
        hand_back();
        atomic_store(&guarded, false);
        atomic_fetch_or(&critical_blocks, CRITICAL_BARE);
    }
    mutex_unlock(&lock);
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

static bool is_ignored(int signal) {
    struct sigaction action = {0};
    kernel_action(signal, NULL, &action);
    return action.sa_handler == SIG_IGN;
}

/* What changes a disposition meanwhile either sees `guarded`, and waits for the lock, or is seen here. */
enum reason signals_guard(void) {
    if (atomic_load(&guarded)) /* inherited by a fork, or left from an earlier time */
        return REASON_NONE;
    mutex_lock(&lock);
    atomic_store(&guarded, true);
    bool ignored =
        is_ignored(SIGSEGV) || is_ignored(SIGBUS) || is_ignored(SIGILL) || is_ignored(SIGTRAP) || is_ignored(SIGSYS);
    enum reason reason = atomic_load(&changing) ? REASON_visiting : ignored ? REASON_signal_blocked : REASON_NONE;
    if (reason == REASON_NONE) {
        take_over();
        atomic_fetch_and(&critical_blocks, ~(uint32_t)CRITICAL_BARE);
    } else {
        atomic_store(&guarded, false);
    }
    mutex_unlock(&lock);
    return reason;
}
