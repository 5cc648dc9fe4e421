/*
 * Copying from memory that may not be readable. A fault in it is caught by the library's SIGSEGV and SIGBUS handler
 * (faults.h), as the kernel catches its own in copy_from_user.
 */
#ifndef URINGSHIM_BASE_COPY_H
#define URINGSHIM_BASE_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when all `n` bytes were copied; false when `from` isn't readable throughout (part of `to` may be changed). */
bool copy_in(void *to, const void *from, size_t n);

/*
 * The same where that handler may not be there yet: the kernel is asked before, by a call that does nothing else. For
 * arguments of rare calls, of 8 bytes or more. writable_asked: may all `n` bytes be written? What is there may be
 * changed by it.
 */
bool copy_in_asked(void *to, const void *from, size_t n);
bool writable_asked(void *to, size_t n);

/* Where to go on after a fault at this instruction, or 0 if the fault isn't in copy_in. */
uintptr_t copy_recovery(uintptr_t instruction);

#endif
