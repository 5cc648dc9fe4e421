/*
 * SIGSEGV and SIGBUS belong to the library while it defers (base/faults.h): the program goes on seeing and setting its
 * own dispositions. Everything else about signals is libc's.
 */
#include <signal.h>

#include "base/faults.h"
#include "entry/activate.h"
#include "entry/entry.h"

extern int __sigaction(int number, const struct sigaction *action, struct sigaction *old);
extern sighandler_t bsd_signal(int number, sighandler_t handler);
extern sighandler_t __sysv_signal(int number, sighandler_t handler);

static bool ours(int number) {
    return faults_concern(number) && faults_installed();
}

/* Ignoring a fault survives exec, so the kernel must know of it, and then we can't catch any. */
static void ignoring(const char *call) {
    wb_hinder(REASON_signal_blocked);
    deactivate(call);
}

static void disposition_changes(const char *call, int number, const struct sigaction *action) {
    if (faults_concern(number) && action && !(action->sa_flags & SA_SIGINFO)) {
        if (action->sa_handler == SIG_IGN)
            ignoring(call);
        else
            wb_unhinder(REASON_signal_blocked);
    }
}

#define SIGACTION(name)                                                                                                \
    EXPORT int name(int number, const struct sigaction *action, struct sigaction *old) {                               \
        disposition_changes(#name, number, action);                                                                    \
        if (!ours(number))                                                                                             \
            return REAL(name)(number, action, old);                                                                    \
        if (thread_self()->vfork_child) { /* its own dispositions, in our memory */                                    \
            faults_sigaction(number, NULL, old);                                                                       \
            return REAL(name)(number, action, NULL);                                                                   \
        }                                                                                                              \
        faults_sigaction(number, action, old);                                                                         \
        return 0;                                                                                                      \
    }

SIGACTION(sigaction)
SIGACTION(__sigaction)

static sighandler_t set_handler(const char *call, int number, sighandler_t handler, int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;
    if (!(flags & SA_NODEFER))
        sigaddset(&action.sa_mask, number);
    disposition_changes(call, number, &action);
    return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

#define SIGNAL(name, flags)                                                                                            \
    EXPORT sighandler_t name(int number, sighandler_t handler) {                                                       \
        return faults_concern(number) ? set_handler(#name, number, handler, flags) : REAL(name)(number, handler);      \
    }

/* signal(2): BSD semantics, System V semantics */
SIGNAL(signal, SA_RESTART)
SIGNAL(bsd_signal, SA_RESTART)
SIGNAL(ssignal, SA_RESTART)
SIGNAL(sysv_signal, (int)(SA_RESETHAND | SA_NODEFER))
SIGNAL(__sysv_signal, (int)(SA_RESETHAND | SA_NODEFER))

/* These know only libc's view: where they concern our signals, that has to be the kernel's again. */
#define OLD_FASHIONED(type, name, parameters, arguments, concerned)                                                    \
    EXPORT type name parameters {                                                                                      \
        if (concerned)                                                                                                 \
            ignoring(#name);                                                                                           \
        return REAL(name) arguments;                                                                                   \
    }

OLD_FASHIONED(sighandler_t, sigset, (int number, sighandler_t handler), (number, handler), faults_concern(number))
OLD_FASHIONED(int, sigignore, (int number), (number), faults_concern(number))
OLD_FASHIONED(int, siginterrupt, (int number, int on), (number, on), faults_concern(number))

/* The mask may keep faults from us now, or no more: asked for anew before the next write is deferred. */
static void mask_changed(const char *call) {
    struct thread *self = thread_self();
    if (self->mask_known && thread_free(self)) {
        self->mask_known = false;
        announce(call);
    }
}

static bool mask_concerns(const sigset_t *set) {
    return set && (thread_self()->faults_masked || sigismember(set, SIGSEGV) == 1 || sigismember(set, SIGBUS) == 1);
}

#define MASK(type, name, parameters, arguments)                                                                        \
    EXPORT type name parameters {                                                                                      \
        mask_changed(#name);                                                                                           \
        return REAL(name) arguments;                                                                                   \
    }

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
    if (mask_concerns(set))
        mask_changed("sigprocmask");
    return REAL(sigprocmask)(how, set, old);
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
    if (mask_concerns(set))
        mask_changed("pthread_sigmask");
    return REAL(pthread_sigmask)(how, set, old);
}

MASK(int, sighold, (int number), (number))
MASK(int, sigrelse, (int number), (number))
MASK(int, sigblock, (int mask), (mask))
MASK(int, sigsetmask, (int mask), (mask))
