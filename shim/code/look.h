/*
 * Has this process code that makes system calls of its own (calls.h)? Looked for in all that it has mapped as
 * executable, but for what is known: libc, its loader, the vdso and this library. A second libc, as dlmopen and
 * auditing libraries bring it, isn't known.
 */
#ifndef URINGSHIM_CODE_LOOK_H
#define URINGSHIM_CODE_LOOK_H

#include "code/calls.h"

struct look {
    enum calls_verdict verdict;
    uint64_t address, from; /* where a call was found, in which mapping */
    int64_t number;         /* as in calls.h */
    char name[64];          /* the end of the mapping's path */
};

/*
 * Looks at what hasn't been looked at before. Some hundred microseconds for each megabyte of code: by a thread that
 * nobody waits for. It opens /proc/thread-self/maps. Returns early when *stop is set: CALLS_UNKNOWN then. One at a
 * time.
 */
void look_at_code(struct look *look, const _Atomic bool *stop);

/* Is code of a file's there that has been looked at? */
bool look_knows(uintptr_t start, size_t length);
/* What is executable there has been made so, or changed: it hasn't been looked at. Not while look_at_code runs. */
void look_forget(uintptr_t start, size_t length);

#endif
