/*
 * Runtimes that must be the first library of a process: AddressSanitizer ends one in which another library stands
 * before it, and the others would not see the calls that go through us. A program that links such a runtime needs it
 * behind itself only, which a preloaded library takes away.
 */
#ifndef URINGSHIM_ENTRY_LIFE_FIRST_LIBRARY_H
#define URINGSHIM_ENTRY_LIFE_FIRST_LIBRARY_H

#include <stdbool.h>

/* Have we come before one? */
bool first_library_is_behind_us(void);

/*
 * Before anything of the program has run: starts it once more, without us in LD_PRELOAD. Whoever puts the runtime there
 * too, before us, has both. Returns if that isn't possible.
 */
void first_library_start_again(char *const *argv, char *const *envp);

#endif
