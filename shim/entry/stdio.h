#ifndef URINGSHIM_ENTRY_STDIO_H
#define URINGSHIM_ENTRY_STDIO_H

#include <stdbool.h>

/* libc's stdio announces its system calls (stdio.c). False: its table isn't the one we know. */
bool stdio_hook(void);

#endif
