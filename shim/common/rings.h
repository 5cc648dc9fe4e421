/*
 * Each thread's rings, one to write by, one to read and one for turns: made at the first need, given up when the helper
 * thread that was its guest has gone, done without where the kernel refuses. A log's lock is held, unless something
 * else is said.
 *
 * Kernel-side polling (URINGSHIM_SQPOLL, URINGSHIM_IOPOLL) is had as far as the kernel grants it. Only the main
 * thread's rings have polling threads: to end one takes the kernel tens of milliseconds. Device polling is for direct
 * I/O alone, so only a ring whose first need is that has it.
 */
#ifndef URINGSHIM_COMMON_RINGS_H
#define URINGSHIM_COMMON_RINGS_H

#include <sys/uio.h>

#include "base/thread.h"
#include "ring/ring.h"

/*
 * The calling thread's ring, for direct I/O or buffered, from these buffers, which are the same each time. NULL: this
 * thread does without, or it isn't for that kind.
 * Where the kernel has no use for registered files (ring_create), rings are for direct I/O only: a worker that does a
 * buffered write holds the file for a moment after it has completed, and nobody could wait until it lets go.
 */
struct ring *rings_get(struct thread *self, const struct iovec *buffers, unsigned count, bool direct);

/* The one to read into that memory, which is the same each time. NULL: it does without. By who is fetching. */
struct ring *rings_get_reader(struct thread *self, void *memory, size_t bytes);
void rings_reader_ends(struct thread *self);

/* The one for turns, in the same way, without memory. By who has the turn's lock. */
struct ring *rings_get_turner(struct thread *self);
void rings_turner_ends(struct thread *self);

/* No rings from now on: making one might be fatal. Without a lock. */
void rings_forbid(void);
/* No polling threads from now on: one would go on with credentials that the process gave up. Without a lock. */
void rings_forbid_queue_polling(void);
/* A device refused to be polled (a positive errno). Its ring isn't used again. False: this one doesn't poll any. */
bool rings_refused_device_polling(struct ring *ring, int error);

/* The calling thread's ring ends, if it has a polling thread, and that with it: returns when it is gone. */
void rings_end_polling(struct thread *self);
/* Gives up the ring of a thread that ends. */
void rings_thread_ends(struct thread *self);
/*
 * Counts what a thread's polling thread used of the processor since the last time: that of its ring to write, and of
 * the one for turns, each by who has its lock.
 */
void rings_count_polling(struct thread *thread);
void rings_count_turner(struct thread *thread);

#endif
