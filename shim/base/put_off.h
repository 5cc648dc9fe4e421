/*
 * Putting a signal off: its handler came while the thread is in a critical section (critical.h). The signal is queued
 * again, with its siginfo, to this thread, and signals are blocked in the interrupted context until the section is
 * left. The kernel then delivers it as it would have. Everything here is called in a signal handler.
 */
#ifndef URINGSHIM_BASE_PUT_OFF_H
#define URINGSHIM_BASE_PUT_OFF_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "base/critical.h"

/* The mask, in the kernel's form, that comes back with the context. */
uint64_t signal_mask_of(const ucontext_t *context);
void signal_mask_to(ucontext_t *context, uint64_t mask);

/* Queues it to this thread once more, as it is. 0 or -errno. */
long signal_again(int signal, siginfo_t *info);

/* False: it can't be queued. */
bool put_off(int signal, siginfo_t *info, ucontext_t *context);
/* A signal is about to be handled: `*info` becomes that of the one whose turn it is. */
void put_off_turn(int signal, siginfo_t *info);
/* Has this thread any that was put off, and not yet handled? */
bool put_off_any(void);
/* In the child of a fork: what was put off is the parent's. */
void put_off_forked(void);

#endif
