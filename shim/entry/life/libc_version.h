/*
 * The newest libc will always be unknown to us. A function that came after LIBC_NEWEST may do anything, so nothing is
 * deferred or read ahead in a process that may call one: an object that is loaded wants it, or dlsym(3) was asked for
 * it. So it is with a function that late.c exports under its version alone, where it is wanted without its version.
 */
#ifndef URINGSHIM_ENTRY_LIFE_LIBC_VERSION_H
#define URINGSHIM_ENTRY_LIFE_LIBC_VERSION_H

#include <stdbool.h>

/* May any object that was loaded with the program call a function of libc's that we don't know? */
bool libc_calls_unknown(void);
/* Or any that is loaded now? Waits for the loader's lock. */
bool libc_loaded_unknown(void);

/* Is it the name of such a function, if nobody says which version? With this version, is any function such a one? */
bool libc_name_unknown(const char *name);
bool libc_version_unknown(const char *version);

#endif
