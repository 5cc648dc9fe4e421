/*
 * Fetching for a window of a direct file. A device reads in any order, and takes long; so nobody may be able to write
 * to the file meanwhile, and where a program reads on and on, the next windows are under way on the ring while it is
 * still at this one.
 *
 * There is one such flight in the process, as there is one window. Its state is for whoever is fetching
 * (window.fetching), or holds the window's lock while nobody is. The ring is the fetching thread's own; the helper
 * thread submits, so that no thread of the program is interrupted when something lands.
 */
#ifndef URINGSHIM_AHEAD_FLIGHT_H
#define URINGSHIM_AHEAD_FLIGHT_H

#include <sys/types.h>
#include <time.h>

#include "base/thread.h"
#include "files/files.h"

enum {
    FLIGHT_PART = 128 << 10, /* bytes of a window at most */
    FLIGHT_PARTS = 3,        /* windows under way beyond the one that is being used */
    FLIGHT_BUFFERS = 1 + FLIGHT_PARTS,
    FLIGHT_RUN = 4, /* so many windows that went on where the last one ended are worth one under way */
};

/* Of the file that a number is: which, how long, and when it was changed last. */
struct version {
    dev_t device;
    ino_t number;
    int64_t size;
    struct timespec changed;
};

/* What is to be fetched for a read. */
struct fetch {
    struct ofd *ofd;
    int fd;
    int64_t at; /* where the read begins */
    size_t n;
    int direction; /* 1 or -1 */
    int64_t from, size;
    uint64_t epoch, writes, expires; /* from before it was fetched: window.h */
    uint32_t run; /* windows so far that went on where the one before ended, with nothing learned meanwhile */
    /* by flight_fetch: what flight_goes_on needs */
    bool whole; /* all of it came */
    bool alone; /* by a plain call, while nobody could write; and the file is this since before */
    struct version version;
};

/*
 * Bytes for a window, that were in the file during this call: how many, or -errno; -EAGAIN: somebody may be writing.
 * `data` is one of the FLIGHT_BUFFERS buffers of FLIGHT_PART bytes, and may be another one of them after this. By who
 * is fetching, without a lock.
 */
int64_t flight_fetch(struct thread *self, char **data, struct fetch *fetch);

/*
 * After that, if it is worth it: what comes next is under way. With the window's lock, and while the number still is
 * what it was: who closes it takes the lock after that, and then waits (flight_settle). It is held while a ring is
 * made, too, so that nobody forks or takes the number that the ring has for a moment. `memory`: all the buffers.
 */
void flight_goes_on(struct thread *self, char *memory, const struct fetch *fetch);

/* Returns when nothing of this description is under way any more, or holds it. NULL: of any. */
void flight_settle(struct ofd *ofd);
/* The calling thread ends, and its ring. */
void flight_thread_ends(struct thread *self);
/* In the child of a fork. */
void flight_forked(void);

#endif
