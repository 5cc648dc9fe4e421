/*
 * A program that is about to be started: can it load the library, and gain by it? What can't is started without it
 * (child_environment.h): some loaders refuse to go on, or complain, and a program that lives for a millisecond would
 * take longer.
 */
#ifndef URINGSHIM_ENTRY_PROCESSES_CHILD_PROGRAM_H
#define URINGSHIM_ENTRY_PROCESSES_CHILD_PROGRAM_H

#include <stdbool.h>

/* What the child's environment says of programs that can't gain (base/one_shots.def). */
struct child_choice {
    bool all;         /* they get the library, too */
    const char *only; /* those that match one of these globs do; or NULL */
};

/*
 * By its file, as execveat(2) takes it: a program that can't gain, where it lies in a directory called bin or sbin,
 * doesn't take us, and is counted; else the dynamic loader says it that the program names, or that the one does which a
 * script names. True where that can't be known. A few system calls, and a descriptor for a moment: in the parent, or in
 * a vfork child.
 */
bool child_program_takes_us(const struct child_choice *choice, int dir, const char *path, int flags);

/* The same for execvp(3) and posix_spawnp(3): looked for in PATH, and started by the shell if it is in no format. */
bool child_program_in_path_takes_us(const struct child_choice *choice, const char *file);

#endif
