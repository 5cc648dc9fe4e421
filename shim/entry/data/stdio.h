#ifndef URINGSHIM_ENTRY_DATA_STDIO_H
#define URINGSHIM_ENTRY_DATA_STDIO_H

#include <stdbool.h>

/* From now on the library sees the system calls of libc's stdio (stdio.c). False: its table isn't the one we know. */
bool stdio_hook(void);

#endif
