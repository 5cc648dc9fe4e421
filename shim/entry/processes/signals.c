/* Dispositions and masks of signals: the program sees and sets its own (base/signals.h). */
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include "base/earlier.h"
#include "base/put_off.h"
#include "base/signals.h"
#include "entry/entry.h"
#include "entry/life/activate.h"

extern int __sigaction(int number, const struct sigaction *action, struct sigaction *old);
extern sighandler_t bsd_signal(int number, sighandler_t handler);
extern sighandler_t __sysv_signal(int number, sighandler_t handler);
extern void __longjmp_chk(jmp_buf environment, int value) __attribute__((noreturn));

/* The faults that the program ignores, as far as it was seen to: bits of signals. */
static _Atomic uint64_t ignored_faults;

static void fault_may_be_ignored(const char *call, int number) {
    if (!signals_fault_matters(number) || thread_self()->vfork_child)
        return;
    atomic_fetch_or(&ignored_faults, 1ull << number);
    wb_hinder(REASON_signal_blocked);
    deactivate(call);
}

static void fault_not_ignored(int number) {
    if (!signals_fault_matters(number) || thread_self()->vfork_child)
        return;
    uint64_t bit = 1ull << number;
    if (atomic_fetch_and(&ignored_faults, ~bit) & ~bit)
        return;
    wb_unhinder(REASON_signal_blocked);
    if (atomic_load(&ignored_faults)) { /* another thread's, meanwhile */
        wb_hinder(REASON_signal_blocked);
        drain("sigaction");
    }
}

/* Looked at only where it matters: what isn't a signal's number libc refuses before it looks. */
static sighandler_t handler_of_fault(int number, const struct sigaction *action) {
    return action && signals_fault_matters(number) ? action->sa_handler : SIG_ERR;
}

/* A write that was deferred under the old disposition of SIGPIPE, or its mask, must not meet the new one. */
static void pipe_signal_changes(const char *call) {
    if (unlikely(streams_pending()))
        announce(call);
}

#define SIGACTION(name)                                                                                                \
    EXPORT int name(int number, const struct sigaction *action, struct sigaction *old) {                               \
        if (unlikely(number == SIGPIPE && action))                                                                     \
            pipe_signal_changes(#name);                                                                                \
        sighandler_t handler = handler_of_fault(number, action);                                                       \
        if (handler == SIG_IGN)                                                                                        \
            fault_may_be_ignored(#name, number);                                                                       \
        int result = signals_action(number, action, old, REAL(name));                                                  \
        if (result == 0 && action && handler != SIG_IGN)                                                               \
            fault_not_ignored(number);                                                                                 \
        return result;                                                                                                 \
    }

SIGACTION(sigaction)
SIGACTION(__sigaction)

long raw_sigaction(int number, const void *action, void *old, size_t mask_size) {
    sighandler_t handler = SIG_ERR;
    announce("syscall");
    bool sets = action && signals_fault_matters(number) && copy_in_asked(&handler, action, sizeof handler);
    if (sets && handler == SIG_IGN)
        fault_may_be_ignored("syscall", number);
    long result = signals_rt_sigaction(number, action, old, mask_size);
    if (result == 0 && sets && handler != SIG_IGN)
        fault_not_ignored(number);
    return result;
}

/* sigaction(2) for functions that libc builds on its own, which isn't this one. */
static sighandler_t set_handler(int number, sighandler_t handler, int flags, bool mask_itself) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;
    if (handler == SIG_ERR || number < 1 || number >= NSIG) {
        errno = EINVAL;
        return SIG_ERR;
    }
    if (mask_itself)
        *signals_in(&action.sa_mask) |= signal_bit(number);
    return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

/* What siginterrupt(3) has said of each signal. */
static _Atomic uint64_t interrupting;

static bool interrupts(int number) {
    return number > 0 && number < NSIG && atomic_load(&interrupting) & 1ull << (number - 1);
}

/* libc's changes the flag in what the kernel knows, which is what the program sees of that flag. */
EXPORT int siginterrupt(int number, int on) {
    int result = CALL(siginterrupt, (number, on));
    if (result == 0 && on)
        atomic_fetch_or(&interrupting, 1ull << (number - 1));
    else if (result == 0)
        atomic_fetch_and(&interrupting, ~(1ull << (number - 1)));
    return result;
}

/* signal(2): BSD semantics, System V semantics */
#define BSD_SIGNAL(name)                                                                                               \
    EXPORT sighandler_t name(int number, sighandler_t handler) {                                                       \
        return set_handler(number, handler, interrupts(number) ? 0 : SA_RESTART, true);                                \
    }
#define SYSV_SIGNAL(name)                                                                                              \
    EXPORT sighandler_t name(int number, sighandler_t handler) {                                                       \
        return set_handler(number, handler, (int)(SA_RESETHAND | SA_NODEFER | SA_INTERRUPT), false);                   \
    }

BSD_SIGNAL(signal)
BSD_SIGNAL(bsd_signal)
BSD_SIGNAL(ssignal)
SYSV_SIGNAL(sysv_signal)
SYSV_SIGNAL(__sysv_signal)

EXPORT int sigignore(int number) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    return sigaction(number, &action, NULL);
}

/* sigset(3): holding is blocking, and any other disposition unblocks; the old one is "held" if it was blocked. */
EXPORT sighandler_t sigset(int number, sighandler_t handler) {
    struct sigaction action = {.sa_handler = handler}, old;
    bool hold = handler == SIG_HOLD;
    sigset_t set = {0}, before;
    if (number < 1 || number >= NSIG) {
        errno = EINVAL;
        return SIG_ERR;
    }
    *signals_in(&set) = signal_bit(number);
    if (hold && sigprocmask(SIG_BLOCK, &set, &before) != 0)
        return SIG_ERR;
    if (sigaction(number, hold ? NULL : &action, &old) != 0)
        return SIG_ERR;
    if (!hold && sigprocmask(SIG_UNBLOCK, &set, &before) != 0)
        return SIG_ERR;
    return *signals_in(&before) & signal_bit(number) ? SIG_HOLD : old.sa_handler;
}

/*
 * Who takes a signal from the queue takes the one whose turn it is. That the caller's structure can't be written is
 * found out when the signal is taken already (rt_sigtimedwait in kernel/signal.c).
 */
static int waited(int number, siginfo_t *info, siginfo_t *out) {
    if (number > 0) {
        put_off_turn(number, info);
        if (out && !writable_asked(out, sizeof *out))
            return (int)answer(-EFAULT);
        if (out)
            *out = *info;
    }
    return number;
}

EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *info) {
    siginfo_t got;
    announce("sigwaitinfo");
    return waited(CALL(sigwaitinfo, (set, &got)), &got, info);
}

EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *limit) {
    siginfo_t got;
    announce("sigtimedwait");
    return waited(CALL(sigtimedwait, (set, &got, limit)), &got, info);
}

/* sigwait(3) is sigwaitinfo that goes on after handlers, and returns its error. */
EXPORT int sigwait(const sigset_t *set, int *number) {
    int saved = errno, result;
    do
        result = sigwaitinfo(set, NULL);
    while (result < 0 && errno == EINTR);
    int error = result < 0 ? errno : 0;
    errno = saved;
    if (!error)
        *number = result;
    return error;
}

/*
 * The mask may keep faults from us now, or no more: asked for anew before the next write is deferred. It is the
 * thread's own affair, from which nothing is learned; handlers that run because of it count by themselves.
 */
static void mask_changed(void) {
    struct thread *self = thread_self();
    if (thread_free(self))
        thread_mask_changed(self);
}

static bool mask_concerns(const sigset_t *set) {
    uint64_t looked_for = signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGPIPE);
    struct thread *self = thread_self();
    return set && (!self->faults_caught || self->pipe_blocked || *signals_in((sigset_t *)set) & looked_for);
}

/* A fault that is blocked kills at once: what is pending comes before that. */
static void mask_changes(const char *call, bool blocks_faults) {
    if (blocks_faults && wb_attention())
        announce(call);
    pipe_signal_changes(call);
    mask_changed();
}

static bool has_faults(const sigset_t *set) {
    return set && *signals_in((sigset_t *)set) & FAULT_SIGNALS;
}

static bool contexts; /* there are some (makecontext(3)): libc changes the mask at the end of one, too */

/*
 * What is blocked? bash asks for each line that it reads. Answered from what the kernel said the last time, if nothing
 * can have changed it: while ours is the handler of every signal that has one.
 */
static bool mask_answered(const sigset_t *set, sigset_t *old) {
    struct thread *self = thread_self();
    if (set)
        self->mask_kept = false;
    uint64_t confined = 1ull << REASON_seccomp | 1ull << REASON_disabled;
    if (set || contexts || critical_is_bare() || !self->faults_caught || !thread_free(self) ||
        atomic_load(&wb_hindrances) & confined)
        return false;
    if (!self->mask_kept && handlers_are_ours(self)) {
        sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &self->mask, sizeof self->mask);
        self->mask_kept = true;
    }
    return self->mask_kept && (!old || copy_in(old, &self->mask, sizeof self->mask));
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
    if (mask_answered(set, old))
        return 0;
    if (mask_concerns(set) || has_faults(set))
        mask_changes("sigprocmask", has_faults(set));
    return REAL(sigprocmask)(how, set, old);
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
    if (mask_answered(set, old))
        return 0;
    if (mask_concerns(set) || has_faults(set))
        mask_changes("pthread_sigmask", has_faults(set));
    return REAL(pthread_sigmask)(how, set, old);
}

#define MASK(type, name, parameters, arguments)                                                                        \
    EXPORT type name parameters {                                                                                      \
        mask_changes(#name, true);                                                                                     \
        return REAL(name) arguments;                                                                                   \
    }

MASK(int, sighold, (int number), (number))
MASK(int, sigrelse, (int number), (number))
MASK(int, sigblock, (int mask), (mask))
MASK(int, sigsetmask, (int mask), (mask))

#define CONTEXT(name, parameters, arguments)                                                                           \
    EXPORT int name parameters {                                                                                       \
        contexts = true;                                                                                               \
        thread_jumps(thread_self());                                                                                   \
        mask_changes(#name, true);                                                                                     \
        return REAL(name) arguments;                                                                                   \
    }

CONTEXT(setcontext, (const ucontext_t *context), (context))
CONTEXT(swapcontext, (ucontext_t * from, const ucontext_t *to), (from, to))

/* A jump out of a handler sets the mask inside libc. */
#define JUMP(name, type)                                                                                               \
    static void *name##_real;                                                                                          \
    EXPORT void name(type environment, int value) {                                                                    \
        mask_changed();                                                                                                \
        thread_jumps(thread_self());                                                                                   \
        void *real = __atomic_load_n(&name##_real, __ATOMIC_RELAXED);                                                  \
        ((__typeof__(&name))(real ? real : real_resolve(&name##_real, #name)))(environment, value);                    \
        __builtin_unreachable();                                                                                       \
    }

#undef longjmp
#undef siglongjmp
JUMP(longjmp, jmp_buf)
JUMP(_longjmp, jmp_buf)
JUMP(siglongjmp, sigjmp_buf)
JUMP(__longjmp_chk, jmp_buf)

void jumps_find(void) {
    real_resolve(&siglongjmp_real, "siglongjmp");
    real_resolve(&__longjmp_chk_real, "__longjmp_chk");
}

/* BSD's: the headers give its name to X/Open's, which is another function. */
extern int __sigpause(int signal_or_mask, int is_signal);
extern int sigpause_with_mask(int mask) __asm__("sigpause");
EXPORT int sigpause_with_mask(int mask) {
    announce("sigpause");
    return CALL(__sigpause, (mask, 0));
}
