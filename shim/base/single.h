/*
 * Is there only one thread, as far as libc knows? libc says so since glibc 2.32 (__libc_single_threaded). Before, the
 * process counts as having one while nobody could have made another: threads are in a library of their own there, and
 * as long as that isn't loaded there are none.
 */
#ifndef URINGSHIM_BASE_SINGLE_H
#define URINGSHIM_BASE_SINGLE_H

#include <stdbool.h>

extern const char *single_word; /* libc's, or ours */

static inline bool single_threaded(void) {
    return *single_word;
}

/* Once, by the constructor. Until then nothing is claimed. */
void single_start(void);

/* Threads may come that libc doesn't tell of: for what can load a library, or makes a thread by itself. */
void single_no_longer(void);

#endif
