/* What the loader brings into the process, and who asks it for functions of libc's. */
#ifndef URINGSHIM_ENTRY_LOADER_H
#define URINGSHIM_ENTRY_LOADER_H

#include <stdbool.h>

/*
 * Objects were loaded, with dlopen's flags: nothing is deferred from now on if they may call what we don't know. With
 * RTLD_DEEPBIND their own libraries come first, and so libc's functions before ours.
 */
void loader_loaded(const char *call, int flags);
/* Were some unloaded since it was asked last? Others may be where they were, from files that have the same numbers. */
bool loader_unloaded(void);

#endif
