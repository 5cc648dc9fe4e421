/*
 * What the library does, for those who look: static probe points (sys/sdt.h of SystemTap, which bpftrace and perf know,
 * too; provider "uringshim") and, with URINGSHIM_LOG=debug, a line each. A probe point that nobody is attached to is a
 * nop. Built without sys/sdt.h there are none.
 *
 *   defer(descriptor, bytes)                  a write was answered and is not yet performed
 *   flush(cause, extents, bytes)              what was pending has been performed; an extent of a stream is a piece
 *   barrier(call)                             because of that libc function
 *   stream_wait(descriptor)                   a call waits for a pipe or socket to take what is pending
 *   window_fill(descriptor, offset, bytes)    so much was read ahead
 *   window_end(cause, reads)                  the window's bytes are of no use any more, after so many reads
 *   peek_fill(descriptor, bytes)              so much of a stream was looked at, and is still in it
 *   peek_settle(descriptor, reads, bytes)     so much of it was read, and has been taken from the kernel
 *   turn(sockets)                             so many that are readable were looked at together
 *   fallback(what, errno)                     the kernel refused something, which is done without
 *
 * Causes, calls and what was refused are strings, as in the statistics.
 */
#ifndef URINGSHIM_BASE_TRACE_H
#define URINGSHIM_BASE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define PROBE2(name, a, b) DTRACE_PROBE2(uringshim, name, a, b)
#else
#define PROBE2(name, a, b) ((void)(a), (void)(b))
#endif

/* The only one without a line: the log has one for each extent. */
static inline __attribute__((always_inline)) void trace_defer(int fd, uint64_t bytes) {
    PROBE2(defer, fd, bytes);
}

void trace_start(const char *program);
void trace_extent(int fd, int64_t offset); /* a new one; a negative offset: at the position */
void trace_flush(const char *cause, uint32_t extents, uint64_t bytes);
void trace_barrier(const char *call);
void trace_stream_wait(int fd);
void trace_window_fill(int fd, int64_t offset, int64_t bytes);
void trace_window_end(const char *cause, uint64_t reads);
void trace_peek_fill(int fd, int64_t bytes);
void trace_peek_settle(int fd, uint64_t reads, uint64_t bytes);
void trace_turn(uint32_t sockets);
void trace_fallback(const char *what, int error);
void trace_hindrance(const char *reason, bool up);

#endif
