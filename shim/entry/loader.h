/* What the loader brings into the process, and who asks it for functions of libc's. */
#ifndef URINGSHIM_ENTRY_LOADER_H
#define URINGSHIM_ENTRY_LOADER_H

/*
 * Objects were loaded, with dlopen's flags: nothing is deferred from now on if they may call what we don't know. With
 * RTLD_DEEPBIND their own libraries come first, and so libc's functions before ours.
 */
void loader_loaded(const char *call, int flags);

#endif
