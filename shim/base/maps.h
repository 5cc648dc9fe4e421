/* What this process has mapped, as the kernel tells it (/proc/thread-self/maps, proc(5)): also if its first thread has
 * ended. */
#ifndef URINGSHIM_BASE_MAPS_H
#define URINGSHIM_BASE_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapping {
    uint64_t start, end, offset;
    bool readable, writable, executable, shared;
    uint64_t device, inode; /* inode 0: no file */
    const char *name;       /* a path, "[vdso]" and its like, or ""; valid during the call */
};

/*
 * Calls `see` for each mapping, from the lowest on. False: they can't be read; not all may have been seen then. A
 * descriptor is open meanwhile: between passing_begins and passing_ends, unless the thread has numbers of its own.
 */
bool maps_read(void (*see)(const struct mapping *mapping, void *argument), void *argument);

/*
 * The kernel's pages: 4 KiB, on aarch64 also 16 or 64. For what the kernel does by whole pages; who only asks whether
 * memory is there goes by 4 KiB, which divide all of them.
 */
size_t maps_page_size(void);

#endif
