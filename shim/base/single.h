/*
 * Is there only one thread, as far as libc knows? libc says so since glibc 2.32 (__libc_single_threaded). Before, we
 * do, until somebody makes another (entry/processes/threads.c), or may do so past us. Threads that libc doesn't know
 * count neither there nor here (thread.h).
 */
#ifndef URINGSHIM_BASE_SINGLE_H
#define URINGSHIM_BASE_SINGLE_H

#include <stdbool.h>

#include "base/sys.h"

extern const char *single_word HIDDEN; /* libc's, or ours */

static inline bool single_threaded(void) {
    return __atomic_load_n(single_word, __ATOMIC_RELAXED);
}

/* Once, by the constructor. Until then nothing is claimed. */
void single_start(void);

/* A library was loaded: it, or the one of threads, may make some past us. */
void single_library_loaded(void);

/* A thread comes, or may come unseen. */
void single_no_longer(void);

#endif
