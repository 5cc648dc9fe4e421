/*
 * Write-behind: writes that were answered but not yet performed.
 *
 * They stand in a log, in program order, as extents: one contiguous range of one file each. A write that continues the
 * last extent extends it; any other opens a new one. The log is performed in order, whole, by whoever needs it to be:
 * a thread about to do something that could be seen, one whose write doesn't fit any more, or the flusher. So whatever
 * is found in the files at any instant is a prefix of what the program wrote.
 *
 * With URINGSHIM_ORDER=process there is one log; its lock is biased to the thread that writes most. With =thread each
 * thread has its own. A log has two pieces of memory, so that one can be in flight on its thread's ring while the other
 * is filled.
 *
 * Lock order: a log's lock, then files_lock. `self` is always the calling thread.
 */
#ifndef URINGSHIM_BEHIND_WRITE_BEHIND_H
#define URINGSHIM_BEHIND_WRITE_BEHIND_H

#include <sys/uio.h>

#include "base/copy.h"
#include "base/trace.h"
#include "behind/log.h"
#include "common/attention.h"

/*
 * The common case: one more write behind the last one, by the thread that owns the log. True: done. False: nothing
 * happened. 0 < n < WB_LARGE.
 */
static inline __attribute__((always_inline)) bool wb_extend(struct thread *self, int fd, int64_t offset,
                                                            const void *bytes, size_t n) {
    struct wb_log *log = self->log;
    if (!log || !self->faults_caught || !thread_free(self) || !bias_enter(&log->lock, &self->holder))
        return false;
    bool done = false;
    struct wb_open *open = &log->open;
    if (open->fd == fd && open->next == offset && n <= (size_t)(open->end - open->to) && log_takes(open, bytes, n) &&
        copy_in(open->to, bytes, n)) {
        trace_defer(fd, n);
        open->to += n;
        open->calls++;
        if (offset >= 0)
            open->next += (int64_t)n;
        done = true;
    }
    bias_leave(&self->holder);
    return done;
}

/*
 * Defers a write of `total` bytes (0 < total < WB_LARGE) through the number `fd`, whose slot names an OFD.
 * REASON_NONE, or why it can't be: then nothing happened.
 */
enum reason wb_defer(struct thread *self, int fd, struct fd_slot *slot, int64_t offset, const struct iovec *vector,
                     int count, size_t total);

/* Has anything ever been deferred? */
bool wb_started(void);

/* How many batches have begun in this process. */
uint64_t wb_batches(void);

/*
 * Performs everything that is pending, whoever deferred it. What a stream has no room for stays; if it is the caller's
 * own, the caller waits for that, as its write would have, outside of every critical section: handlers run, and what is
 * deadly kills. Nobody waits for what another thread wrote. Interruptibly: false, a handler has run that ends a call
 * (sigaction(2), SA_RESTART).
 */
enum wb_wait { WB_DONT_WAIT, WB_WAIT, WB_WAIT_INTERRUPTIBLY };
bool wb_flush_all(struct thread *self, enum flush_cause cause, enum wb_wait wait);
/* The same before a write to that number, a stream: interruptibly where it is that stream that is waited for. */
bool wb_flush_before_write(struct thread *self, int fd);
/* The number is going to be closed: returns when nothing is pending that is to be written by it. */
void wb_flush_number(struct thread *self, int fd);

/*
 * Everything pending and then a sync of the file, as one submission where that is worth it. WB_SYNC_YOURSELF: all is
 * flushed and the caller is to sync; else 0 or -errno as the sync would have answered.
 */
enum { WB_SYNC_YOURSELF = 1 };
int wb_sync(struct thread *self, int fd, bool data_only);

/* The last descriptor of an OFD is going: take it out of the rings' file tables. */
void wb_unpin(struct thread *self, struct ofd *ofd);
/* No rings from now on: making one might be fatal. */
void wb_forbid_rings(void);
/* The process changes its credentials: no kernel thread with the old ones polls for it. */
void wb_forbid_queue_polling(void);
/* Counts, for the report, what polling threads used of the processor. */
void wb_count_polling(struct thread *self);
/*
 * Performs what is pending and ends the flusher; no ring is used again. A hindrance must keep others from deferring.
 * False: something is left that has to wait for a stream, and nothing was ended.
 */
bool wb_stop(struct thread *self);
/* The process ends, or becomes another one: the kernel frees rings some time later, and the files in them with them. */
void wb_forget_files(struct thread *self);

/* The thread ends: what it deferred is performed, its ring is freed. */
void wb_thread_ends(struct thread *self);

/* Memory for pieces, and the flusher: 0 or -errno. Again after wb_stop, and in the child of a fork. */
int wb_start(void);
void wb_fork_prepare(struct thread *self);
void wb_fork_done(struct thread *self, bool child);

#endif
