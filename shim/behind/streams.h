/*
 * Performing what was written to pipes and stream sockets: without waiting, in pieces that are cut between calls. A
 * log's lock is held.
 */
#ifndef URINGSHIM_BEHIND_STREAMS_H
#define URINGSHIM_BEHIND_STREAMS_H

#include "behind/log.h"

/* The process is about to be killed by SIGPIPE: nothing is deferred any more. */
bool streams_doomed(void);
/*
 * The first write after a pause goes straight through, for somebody may wait for it; and so does the first one after an
 * input, which shows whether the other end is still there. If there is never a second one, as in a dialogue, deferring
 * doesn't pay.
 */
static inline void streams_begin_anew(struct ofd *ofd) {
    if (ofd->straight) {
        ofd->habit.paid_last = false;
        ofd->habit.wasted++;
    }
    ofd->straight = true;
}
bool streams_after_input(struct ofd *ofd);
/* May a write of `total` bytes be deferred to it now? What the stream has no room for is the kernel's to wait with. */
enum reason streams_admit(const struct ofd *ofd, uint32_t total);
/* Does a write of so many bytes begin another piece after one of `length`, because that, or its page, is full? */
bool streams_piece_ends(const struct ofd *ofd, uint32_t length, uint32_t total);
/* So many bytes were put behind what was deferred. */
void streams_filled(struct ofd *ofd, uint32_t total);
/* How many bytes an extent may still grow by, which has so many. */
uint32_t streams_left(const struct ofd *ofd, uint32_t length);

/*
 * By a thread that holds no lock: waits until the stream takes more, or it is time to try again. False: since
 * thread->interrupted was that, a handler ran that ends a call; only if that is asked for.
 */
bool streams_wait(struct thread *self, int fd, uint32_t interrupted, bool interruptibly);

/*
 * Performs a piece in which there are streams, in order. False: some of it is left, because a stream is full. Natively
 * its writer would wait, and others not; but they may know of what it wrote since. So at first all wait that comes
 * after it. If the reader doesn't come for some time, the stream is made to take it; or else what others wrote
 * overtakes it (who reads may be one of them). Nothing is deferred to that stream any more. `file` performs an extent
 * of a file. With a ring of the caller's, or NULL.
 */
bool streams_perform(struct thread *self, struct piece *piece, struct ring *ring,
                     void (*file)(struct thread *self, struct piece *piece, struct extent *extent, uint32_t done));
/* Is it time for that? */
bool streams_overtaken(const struct piece *piece);

#endif
