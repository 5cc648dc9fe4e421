/* The write family's logic, for those whose writes don't come by the names in write.c. */
#ifndef URINGSHIM_ENTRY_DATA_WRITE_H
#define URINGSHIM_ENTRY_DATA_WRITE_H

#include <sys/types.h>

#include "entry/entry.h"

/* What becomes of a write: it was accepted; the caller makes the real call; or -errno, an earlier write failed late. */
enum { DEFERRED, PASS };

/* After a write that the kernel made: all of it, to a file of ours, is no news. */
static inline ssize_t write_passed(int fd, ssize_t written, size_t n) {
    if (unlikely(window_exists())) {
        struct ofd *ofd = known_ofd(fd);
        if (ofd && written == (ssize_t)n)
            window_written(ofd->inode);
        else
            window_learned();
    }
    return written;
}

/* A write at the file position. */
int offer_write(const char *call, int fd, const void *bytes, size_t n);

#endif
