/* What the loader brings into the process, and who asks it for functions of libc's. */
#ifndef URINGSHIM_ENTRY_LOADER_H
#define URINGSHIM_ENTRY_LOADER_H

/* Objects were loaded: nothing is deferred from now on if they may call what we don't know. */
void loader_loaded(const char *call);

#endif
