/* The ring's twin: the same jobs by plain system calls, where a ring is refused or gains nothing. */
#ifndef URINGSHIM_RING_DIRECT_H
#define URINGSHIM_RING_DIRECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * Writes all of it, at `offset` or, if that is -1, at the file position. 0 or -errno; *written tells how much was, in
 * either case, and *calls counts the system calls.
 */
int direct_write(int fd, const void *buffer, uint32_t length, int64_t offset, uint32_t *written, uint64_t *calls);
/*
 * The same as far as the kernel does it inline: how much that is, or -EOPNOTSUPP where the file system never does;
 * 0: not now, or refused.
 */
long direct_write_inline(int fd, const void *buffer, uint32_t length, int64_t offset);
/*
 * To a pipe or a socket, without waiting (or, to a pipe, as its flags say) and without SIGPIPE: how many bytes went in,
 * or -errno. Where the kernel can't keep the signal back (before Linux 6.18, for pipes) it is taken away again.
 */
bool direct_signals(void); /* does it have to? */
long direct_pipe(int fd, const struct iovec *vector, int count, bool nowait);
long direct_send(int fd, const struct iovec *vector, int count);
int direct_sync(int fd, bool data_only);

#endif
