/*
 * What every call looks at before it is passed through, and what it leaves behind after that: is anything pending, is
 * there a window, may anything be deferred or read ahead, and how often did the process learn something from outside.
 */
#ifndef URINGSHIM_COMMON_ATTENTION_H
#define URINGSHIM_COMMON_ATTENTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/single.h"
#include "base/stats.h"
#include "base/sys.h"

struct inode;
struct fd_slot;

/*
 * How many logs have anything that is not yet performed; a bit that says that calls are to be counted, one that there
 * is a window (window.h), one that there is a rehearsal, one that an error of a socket's is still to be told, and one
 * that there is a peek (peek.h) or a turn (turn.h): so a call that is only passed through looks at one word.
 * The last two say that inputs are to be counted, and that it is followed what the program writes to streams; they are
 * no reason to look further before a call, but after it.
 */
enum {
    WB_WATCHED = 1 << 30,
    WB_WINDOW = 1 << 29,
    WB_REHEARSAL = 1 << 28,
    WB_INPUTS = 1 << 27,
    WB_ERROR = 1 << 26,
    WB_PEEK = 1 << 25,
    WB_FOLLOWED = 1 << 24,
    WB_TURN = 1 << 23,
    WB_USERS = 1 << 22,
    WB_FLAGS =
        WB_WATCHED | WB_WINDOW | WB_REHEARSAL | WB_INPUTS | WB_ERROR | WB_PEEK | WB_FOLLOWED | WB_TURN | WB_USERS,
    WB_AFTERWARDS = WB_INPUTS | WB_FOLLOWED
};
extern _Atomic uint32_t wb_pending HIDDEN;

/*
 * Bit 1 << reason for each reason why nothing may be deferred in this process now. The last of them, visiting, has all
 * the bits from its own on, and counts there how many calls are under way: so it takes no lock.
 */
extern _Atomic uint64_t wb_hindrances HIDDEN; /* REASON_unready from the beginning */
#define WB_VISITING (~0ull << REASON_visiting)
void wb_hinder(enum reason reason);
void wb_unhinder(enum reason reason);
/*
 * May the kernel be asked something, or the clock, that the program hasn't asked? Both may be forbidden (seccomp(2),
 * PR_SET_TSC in prctl(2)).
 */
static inline bool wb_may_ask(void) {
    uint64_t against = 1ull << REASON_disabled | 1ull << REASON_unready | 1ull << REASON_seccomp;
    return !(atomic_load(&wb_hindrances) & against);
}
void wb_visit_begins(void);
void wb_visit_ends(void);
/* In the child of a fork, which has only its own thread's. */
void wb_visits_forked(unsigned own);

/* Of some that there are. */
static inline enum reason wb_first_hindrance(uint64_t hindrances) {
    int first = __builtin_ctzll(hindrances);
    return first < REASON_visiting ? (enum reason)first : REASON_visiting;
}

/*
 * Is anything pending? What happened before in the program's order is seen: also in another thread, if the program has
 * made the two know of each other. Who doesn't, and looks at a plain variable, has no such order on a weakly ordered
 * processor natively either.
 */
static inline bool wb_any_pending(void) {
    return unlikely((atomic_load_explicit(&wb_pending, memory_order_acquire) & ~(uint32_t)WB_FLAGS) != 0);
}

/* So many pieces for streams are pending: whoever may wait for another thread looks at that. */
extern _Atomic uint32_t wb_stream_pieces;
static inline bool streams_pending(void) {
    return unlikely(atomic_load_explicit(&wb_stream_pieces, memory_order_relaxed) != 0);
}

/* Anything to do before a call is passed through? */
static inline bool wb_attention(void) {
    return unlikely((atomic_load_explicit(&wb_pending, memory_order_acquire) & ~(uint32_t)(WB_AFTERWARDS | WB_USERS)) !=
                    0);
}

/* Nor afterwards, nor is it noted who uses which number, as it is where there are several threads? */
static inline bool wb_quiet(void) {
    uint32_t pending = atomic_load_explicit(&wb_pending, memory_order_acquire);
    return likely(pending == 0) || (pending == WB_USERS && single_threaded());
}

/* Are calls to be counted? */
static inline bool wb_watched(void) {
    return (atomic_load_explicit(&wb_pending, memory_order_relaxed) & WB_WATCHED) != 0;
}

/*
 * A rehearsal: the last write went straight through by this number, and would be pending if writes were deferred. It
 * ends by what would have performed it. So policy learns beforehand whether deferring would pay, and nothing has to be
 * started for a program that it wouldn't.
 */
extern struct fd_slot *_Atomic wb_rehearsed;

static inline bool wb_rehearses(const struct fd_slot *slot) {
    return atomic_load_explicit(&wb_rehearsed, memory_order_relaxed) == slot;
}

void wb_rehearse(struct fd_slot *slot);
void wb_rehearsal_end(void);

static inline void wb_rehearsal_ends(void) {
    if (unlikely(atomic_load_explicit(&wb_pending, memory_order_relaxed) & WB_REHEARSAL))
        wb_rehearsal_end();
}

/* Counts what the process learned from outside, or wrote to its file, while there was a window (window.h). */
extern _Atomic uint64_t window_epoch;
extern _Atomic uint64_t window_writes; /* only the latter; for the statistics */
/* The file of which there is one; NULL: there is none. */
extern struct inode *_Atomic window_inode;
/* The mark of the file systems on which there was room when it was opened. */
extern _Atomic uint64_t window_opening;

/* Is there a window, or is one being fetched? */
static inline bool window_exists(void) {
    return (atomic_load_explicit(&wb_pending, memory_order_seq_cst) & WB_WINDOW) != 0;
}

/*
 * Inputs: calls through which the process may have learned something. Counted for streams, too, while any is written
 * to: who has been told that its other end has gone must meet that at the next write. An epoch is what lies between
 * two.
 */
extern _Atomic uint64_t input_epoch;
void input_counted(uint32_t flags);
/*
 * What the program writes to streams is followed while inputs are counted, and with WB_FOLLOWED beyond the next input.
 * Counted are the times after which it isn't known any more what was written meanwhile, because nobody looked, or by a
 * call that isn't a write.
 */
extern _Atomic uint64_t input_unsure;
void input_now_unsure(void);
void writes_follow(void); /* from now on; what was written while they weren't isn't known */

static inline uint32_t inputs_counted(void) {
    return atomic_load_explicit(&wb_pending, memory_order_seq_cst) & (WB_WINDOW | WB_INPUTS);
}

/* Is there more to be done after a write than to count it as an input? */
static inline bool writes_are_followed(void) {
    return unlikely(atomic_load_explicit(&wb_pending, memory_order_seq_cst) & (WB_WINDOW | WB_AFTERWARDS));
}

/* A call of the program's has come back from the kernel, or a handler runs. */
static inline void input_came(void) {
    uint32_t flags = inputs_counted();
    if (unlikely(flags))
        input_counted(flags);
}

/* The epoch that begins, or goes on, before the call that comes next: inputs are counted from here on. */
uint64_t input_epoch_now(void);
/* Has there been no input since that was answered? */
static inline bool input_epoch_lasts(uint64_t epoch) {
    return (atomic_load_explicit(&wb_pending, memory_order_seq_cst) & WB_INPUTS) && atomic_load(&input_epoch) == epoch;
}
/*
 * An input came, and was the only one since that was answered: the epoch that begins with it. 0: there were others, or
 * inputs aren't counted any more. What the same call has shown of its own stream holds then.
 */
uint64_t input_epoch_next(uint64_t epoch);
/* Nobody writes to a stream any more, for some time: inputs needn't be counted. */
void input_epoch_rests(void);

/* A write of this file was deferred, which a window from before doesn't show. */
static inline void window_written(const struct inode *inode) {
    if (unlikely(window_exists()) && atomic_load(&window_inode) == inode) {
        atomic_fetch_add(&window_epoch, 1);
        atomic_fetch_add(&window_writes, 1);
    }
}

#endif
