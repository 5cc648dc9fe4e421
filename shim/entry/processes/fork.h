/* What every way to fork does before and after it. */
#ifndef URINGSHIM_ENTRY_PROCESSES_FORK_H
#define URINGSHIM_ENTRY_PROCESSES_FORK_H

#include <stdbool.h>

/* In three steps, for every way that doesn't run libc's handlers. */
void fork_prepare(void);
void fork_parent(void);
void fork_child(void);

/* By the constructor: libc tells us of its forks from now on. False: it doesn't. */
bool forks_are_told(void);

#endif
