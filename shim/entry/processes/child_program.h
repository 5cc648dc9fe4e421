/*
 * A program that is about to be started: can it load the library? What can't is started without it
 * (child_environment.h), for some loaders refuse to go on, or complain.
 */
#ifndef URINGSHIM_ENTRY_PROCESSES_CHILD_PROGRAM_H
#define URINGSHIM_ENTRY_PROCESSES_CHILD_PROGRAM_H

#include <stdbool.h>

/*
 * By its file, as execveat(2) takes it: the dynamic loader that it names, or that the program does which a script
 * names. True where that can't be known. A few system calls, and a descriptor for a moment: in the parent, or in a
 * vfork child.
 */
bool child_program_takes_us(int dir, const char *path, int flags);

/* The same for execvp(3) and posix_spawnp(3): looked for in PATH, and started by the shell if it is in no format. */
bool child_program_in_path_takes_us(const char *file);

#endif
