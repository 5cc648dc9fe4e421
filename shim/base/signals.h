/*
 * The program's signal handlers. Until anything may be deferred or read ahead they are the kernel's business and the
 * program's alone. From then on the kernel is told of one handler of ours instead of each, which
 *
 *   - puts a handler off that interrupts a critical section: queues the signal again, with its siginfo, to this thread,
 *     and blocks signals in the interrupted context until the section is left (critical.h). The kernel then delivers it
 *     as it would have: mask, stack, context and restarting are its own;
 *   - else calls the program's handler.
 *
 * It stands before the default action of being killed, too: it
 *
 *   - recovers from a fault in copy_in (copy.h);
 *   - lets everything pending be performed first, and then dies the same death.
 *
 * The program sees its own dispositions throughout: what it sets and asks for goes through signals_action.
 */
#ifndef URINGSHIM_BASE_SIGNALS_H
#define URINGSHIM_BASE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stats.h"

/* What the layers above do at such moments; set once at start. All are called in the thread that gets the signal. */
struct signals_events {
    /* a handler of the program is about to run, for a fault of its own; or it blocks those: then one kills at once */
    void (*handler_begins)(bool fault, bool blocks_faults);
    void (*handler_ended)(void); /* it returned */
    void (*dying)(bool fault);   /* the process is about to be killed by the signal */
};
/* To be called once, by the constructor: until then nothing is changed. */
void signals_start(const struct signals_events *events);

/* The process forks: before, and after in both. (Without a before, the child calls put_off_forked.) */
void signals_fork_prepare(void);
void signals_fork_done(bool child);

/* The signals in a set, as a mask (signal_bit): the kernel's 64 come first in libc's type. */
static inline uint64_t *signals_in(sigset_t *set) {
    return (uint64_t *)set;
}

/* Faults whose handler is ours for copy_in: they can be neither ignored nor blocked while anything is deferred. */
static inline bool signals_fault_of_copy(int signal) {
    return signal == SIGSEGV || signal == SIGBUS;
}

/*
 * Ignored, a fault of the program's own kills without any handler (force_sig_fault in kernel/signal.c). SIGFPE isn't
 * among them: perl ignores it, all the time.
 */
static inline bool signals_fault_matters(int signal) {
    return signals_fault_of_copy(signal) || signal == SIGILL || signal == SIGTRAP || signal == SIGSYS;
}

/*
 * Puts our handler before all, and before death: children of fork have it as well, exec resets it. REASON_NONE, or what
 * stands in the way: the program ignores one of the two faults, which must stay so across exec; or a disposition is
 * being changed at this very moment. Handlers that run already go on as they began (earlier.h).
 */
enum reason signals_guard(void);

/*
 * Gives the program's handlers back to the kernel: nothing is deferred or read ahead any more. To be called by a
 * process of one thread.
 */
void signals_give_back(void);

/*
 * Puts everything back, for good: the program is about to forbid itself calls that putting off and dying take. Nothing
 * may be deferred any more.
 */
void signals_release(void);

/*
 * sigaction(2) as the program means it. `real` is the next sigaction: called once with what the kernel is to know; its
 * result is returned. In a vfork child it changes the child only.
 */
typedef int signals_real(int signal, const struct sigaction *action, struct sigaction *old);
int signals_action(int signal, const struct sigaction *action, struct sigaction *old, signals_real *real);

/* Would the signal kill the process, if it came and nobody blocked it? */
bool signals_kills(int signal);
/* Raises it in the calling thread, as a call of the thread's would have; where that blocks it, in the process. */
void signals_raise(int signal);

/* The same for rt_sigaction(2) by number: the structures are the kernel's. 0 or -errno. */
long signals_rt_sigaction(int signal, const void *action, void *old, size_t mask_size);

#endif
