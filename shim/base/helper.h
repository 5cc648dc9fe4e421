/*
 * Threads of the library's own. libc doesn't know them: they are made with clone, run with all signals blocked and call
 * nothing of libc, so that a program with one thread goes on being one as far as libc is concerned.
 */
#ifndef URINGSHIM_BASE_HELPER_H
#define URINGSHIM_BASE_HELPER_H

#include "base/thread.h"

struct helper {
    struct thread thread;   /* its identity for locks; not in the list of threads */
    _Atomic uint32_t alive; /* its thread id; the kernel clears it when it is gone (CLONE_CHILD_CLEARTID) */
    uint32_t id;            /* the same, until somebody has seen that it is gone */
    char *stack;            /* kept for the next time */
};

/* Runs it, once the one before has gone. 0 or -errno. Not by two callers at once. */
int helper_start(struct helper *helper, int (*run)(void *));
/* Returns when a helper that is about to end is gone altogether, for it counts as a thread until then. */
void helper_await(struct helper *helper);
/* Or after so many microseconds at the latest; any thread. */
void helper_await_briefly(struct helper *helper, uint32_t most_us);

/* In the child of a fork: there is none. */
void helper_forked(struct helper *helper);

#endif
