/*
 * Code that makes system calls of its own sees, and does, what the library isn't told of: in a process that has some
 * nothing is deferred and nothing read ahead (URINGSHIM_OWN_CALLS=strict). Looked for by a helper thread, while calls
 * go straight through. With activate.c's lock held, where nothing else is said.
 */
#ifndef URINGSHIM_ENTRY_LIFE_OWN_CALLS_H
#define URINGSHIM_ENTRY_LIFE_OWN_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/stats.h"

/*
 * REASON_NONE: there is none. REASON_own_calls: there is, or it can't be told. REASON_looking: soon known; a hindrance
 * until then.
 */
enum reason own_calls_look(void);
/*
 * A call went straight through because of REASON_looking. Who makes many waits for the look now and then, some
 * milliseconds at the most: there will be more to gain. Without the lock; not in a critical section.
 */
void own_calls_passed(void);
/* Ends a look that is under way; the next one begins anew. */
void own_calls_stop(void);
bool own_calls_looking(void);

/*
 * Memory came to be executable. Is it to be looked at before anything is deferred again? Code of no file is what a
 * compiler makes as the program runs, and makes no system calls: only the first times. Without the lock.
 */
bool own_calls_matters(const void *start, size_t length, bool of_file);
/* What is there hasn't been looked at, nor what was loaded; nothing is looked at now. */
void own_calls_again(void *start, size_t length);

/* The same at once, by the calling thread. */
enum reason own_calls_now(void);

/* In the child of a fork: the helper thread didn't come along. */
void own_calls_forked(void);

#endif
