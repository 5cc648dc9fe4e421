/*
 * A seccomp filter may kill a process for a system call that it doesn't like. Where one is in force, everything that
 * the library would call is called in a throw-away child first.
 */
#ifndef URINGSHIM_ENTRY_LIFE_TRIAL_H
#define URINGSHIM_ENTRY_LIFE_TRIAL_H

#include <stdbool.h>

bool trial_needed(void);
/* False: don't defer. Where only io_uring is fatal, no rings are made from now on. */
bool trial_passed(void);
/* Once, before the first stream is looked at: where that may be fatal, streams are left alone. In a critical section.
 */
void trial_of_streams(void);

#endif
