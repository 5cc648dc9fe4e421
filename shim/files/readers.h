/*
 * Who else may read a stream? What is read ahead of one would be read twice if another process could read it, too: so
 * it must be shown that none can. A socket that this process made, and passed to nobody, is its own. A pipe may be held
 * by anybody: all processes' descriptors are looked through (/proc/PID/fd, proc(5)), and again when this one has passed
 * any on. Whose descriptors can't be read must be shown to have nothing to do with this process.
 */
#ifndef URINGSHIM_FILES_READERS_H
#define URINGSHIM_FILES_READERS_H

#include "files/files.h"

enum {
    READERS_SCRATCH = 64 << 10, /* bytes of memory that a look needs */
    READERS_LOOK_AFTER = 512,   /* so many small reads are worth a look at all processes, */
    READERS_LOOK_TASKS = 4,     /* and so many for each process and thread there is; */
    READERS_EAGER = 16,         /* with URINGSHIM_TEST_EAGER whatever it took */
    READERS_IN_US = 48,         /* later, so many for each microsecond that the last one took */
};

/*
 * What this process, or one that it was forked from, has done, after which streams aren't peeked at any more: it has
 * sent a descriptor away, which may lie in a message, so that a pipe's readers can't be known; or it has put pages of a
 * file or of memory into a stream, which aren't fixed before they are read.
 */
enum { READERS_SENT = 1, READERS_PAGES = 2 };
extern _Atomic int readers_forbidden HIDDEN;

/* May reads of it be served ahead, as far as its kind goes? Asks the kernel. */
bool readers_peekable(const struct ofd *ofd, int fd);
/*
 * Is this process the only one that can read it, as far as is known? If not, so many small reads are counted; *due: it
 * is time to look. In a process with one thread.
 */
static inline bool readers_alone(struct ofd *ofd, uint32_t reads, bool *due) {
    int forbidden = atomic_load_explicit(&readers_forbidden, memory_order_relaxed);
    *due = false;
    if (!stream_is_pipe(ofd->stream))
        return !(forbidden & READERS_PAGES) && files_is_private(ofd);
    if (forbidden)
        return false;
    if (ofd->alone_in == atomic_load_explicit(&files_passings, memory_order_relaxed))
        return true;
    ofd->small_reads += reads;
    *due = ofd->small_reads >= ofd->look_after;
    return false;
}

/* Looks; in a critical section. False: no, or it isn't known, or the time for it has still to come. */
bool readers_look(struct ofd *ofd, char *scratch, bool eager);

#endif
