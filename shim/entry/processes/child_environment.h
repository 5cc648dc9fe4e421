/*
 * The environment of a program that is to run without the library, because it can't load that or can't gain
 * (child_program.h): LD_PRELOAD without our entry, everything else as it was given. A copy, for the given one isn't
 * ours to change: in memory of the caller's stack, because a vfork child has no other that goes away with it, or in a
 * mapping where it is large.
 *
 *     CHILD_ENVIRONMENT(child, envp, may it be with us, by child.choice?);
 *     … = child_environment(&child, child_memory);
 *     child_environment_end(&child);
 */
#ifndef URINGSHIM_ENTRY_PROCESSES_CHILD_ENVIRONMENT_H
#define URINGSHIM_ENTRY_PROCESSES_CHILD_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "entry/processes/child_program.h"

struct child_environment {
    char *const *given;
    size_t words; /* that the copy takes; 0: it is passed on as it is, for we aren't in it, or it can't be looked at */
    void *mapping;
    struct child_choice choice;
};

/* Looks for us in it, unless that is forbidden (thread_is_confined). What can't be read is left for the kernel to
 * refuse. */
struct child_environment child_environment_of(char *const *envp);

/* How many words of it must be on the caller's stack. */
size_t child_environment_on_stack(const struct child_environment *child);

#define CHILD_ENVIRONMENT(child, envp, with_us)                                                                        \
    struct child_environment child = child_environment_of(envp);                                                       \
    if (child.words && (with_us))                                                                                      \
        child.words = 0;                                                                                               \
    char *child##_memory[child_environment_on_stack(&child) + 1]

/* The copy. The given one where nothing is to be left out, or there is no memory. */
char *const *child_environment(struct child_environment *child, char **memory);

/* After the call, if it returns. */
void child_environment_end(struct child_environment *child);

#endif
