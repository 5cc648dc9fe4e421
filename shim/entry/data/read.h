/* The read family's logic, for those whose reads don't come by the names in read.c. */
#ifndef URINGSHIM_ENTRY_DATA_READ_H
#define URINGSHIM_ENTRY_DATA_READ_H

#include "base/config.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/survey.h"
#include "policy/policy.h"

/* From the window or the peek that is read now: are all n bytes there? */
static inline __attribute__((always_inline)) bool read_quickly(int fd, void *bytes, size_t n, int64_t offset) {
    struct thread *self = thread_self();
    return window_read(self, fd, bytes, n, offset) || (offset == WINDOW_AT_POSITION && peek_read(self, fd, bytes, n));
}

/* As offer_read, for a read that may be worth a window. */
ssize_t read_ahead(const char *call, int fd, struct fd_slot *slot, void *bytes, size_t n, int64_t offset);

/* Might a window be worth while for what is read by this number? */
static inline bool read_promises(const struct fd_slot *slot) {
    return unlikely(slot && (slot->reads >= POLICY_READS_FILE || config.eager == EAGER_ALL)) &&
           policy_reads_on(slot, prepared_to_read(), config.eager == EAGER_ALL);
}

/*
 * A read of a stream that doesn't come by the names in read.c: are all n bytes there? If not, it is announced. recv(2)
 * is for sockets.
 */
bool stream_read(const char *call, int fd, void *bytes, size_t n, bool received);

/* As offer_read, for a read that the open window hasn't. */
static inline __attribute__((always_inline)) ssize_t offer_unserved(const char *call, int fd, void *bytes, size_t n,
                                                                    int64_t offset) {
    struct fd_slot *slot = likely(n - 1 < window_call()) ? files_slot(fd) : NULL;
    if (unlikely(survey_wanted))
        survey_read(call, fd, n, offset);
    if (read_promises(slot))
        return read_ahead(call, fd, slot, bytes, n, offset);
    if (offset == WINDOW_AT_POSITION)
        announce_move(call, fd);
    announce_read(call, fd);
    return WINDOW_MISS;
}

/* The answer to a read of n bytes, or WINDOW_MISS: announced, and the caller makes the real call. */
static inline __attribute__((always_inline)) ssize_t offer_read(const char *call, int fd, void *bytes, size_t n,
                                                                int64_t offset) {
    if (wb_attention() && n - 1 < WINDOW_CALL_MAX && read_quickly(fd, bytes, n, offset))
        return (ssize_t)n;
    return offer_unserved(call, fd, bytes, n, offset);
}

/* The number that was read last by a call that went into the kernel, large ones in a row left out. */
extern struct fd_slot *_Atomic read_last HIDDEN;

/* Reads that may be too large for a window, or not: if there are many, it is found out. */
void read_midsize(void);

/* After the real call, whose answer is passed on: takes note of it. */
static inline ssize_t read_passed(int fd, ssize_t got, int64_t offset) {
    struct fd_slot *slot = files_slot(fd);
    input_came();
    if (slot && !slot->other) {
        bool again = atomic_load_explicit(&read_last, memory_order_relaxed) == slot;
        if (!again)
            atomic_store_explicit(&read_last, slot, memory_order_relaxed);
        policy_read_passed(slot, got, offset, again);
        if (unlikely((size_t)got - 1 < window_call()) && (size_t)got > WINDOW_CALL_MIN)
            read_midsize();
    }
    return got;
}

#endif
