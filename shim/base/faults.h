/*
 * SIGSEGV and SIGBUS while anything may be deferred: a fault in copy_in is ours and is recovered from; any other is
 * the program's, and is dealt with as the program said. The program sees its own dispositions throughout.
 */
#ifndef URINGSHIM_BASE_FAULTS_H
#define URINGSHIM_BASE_FAULTS_H

#include <signal.h>
#include <stdbool.h>

static inline bool faults_concern(int signal) {
    return signal == SIGSEGV || signal == SIGBUS;
}

/*
 * Called in the faulting thread when the fault is the program's own: before its handler runs, and after that returned;
 * or before it dies (dying). Set once at start.
 */
extern void (*faults_before)(bool dying);
extern void (*faults_after)(void);

/* Installs the handlers. False: the program ignores one of the two signals, which must stay so across exec. */
bool faults_install(void);
/* Puts the program's own dispositions back. */
void faults_remove(void);
bool faults_installed(void);

/* sigaction(2) for the two signals while the handlers are installed. */
void faults_sigaction(int signal, const struct sigaction *action, struct sigaction *old);

#endif
