/* The write family's logic, for those whose writes don't come by the names in write.c. */
#ifndef URINGSHIM_ENTRY_WRITE_H
#define URINGSHIM_ENTRY_WRITE_H

#include <stddef.h>

/* What becomes of a write: it was accepted; the caller makes the real call; or -errno, an earlier write failed late. */
enum { DEFERRED, PASS };

/* A write at the file position. */
int offer_write(const char *call, int fd, const void *bytes, size_t n);

#endif
