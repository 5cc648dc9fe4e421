/*
 * Shall this write be deferred, this file be read ahead? Decided from facts only, without a system call or a lock;
 * every answer but REASON_NONE says why it goes straight through. What it learns it keeps in the habit and in the slot,
 * nowhere else.
 */
#ifndef URINGSHIM_POLICY_POLICY_H
#define URINGSHIM_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ahead/window.h"
#include "base/ticks.h"
#include "behind/write_behind.h"

enum {
    POLICY_QUICK_US = 250,    /* calls further apart than this are a slow writer's */
    POLICY_FRESH = 8,         /* the first writes through a number, not even timed before the process has started */
    POLICY_WORTH = 3,         /* so many writes must go away at a time, or deferring costs more than it saves */
    POLICY_INTERRUPTED = 96,  /* that many interruptions, and it is still not clear: it isn't worth it */
    POLICY_REHEARSALS = 8,    /* so often the time after a rehearsal that went wrong is doubled */
    POLICY_WARM_PROCESS = 64, /* quick writes before the process gets buffers and a flusher: what these cost */
    POLICY_SLOW = 7,          /* after one to a socket that came slowly so many aren't looked at */
    POLICY_PAUSE = 8,         /* by so many one slow write among them sets the count back */
    POLICY_WARM_FILE = 3,     /* quick writes to one more file after that */
    POLICY_PIPE_MAX = 768,    /* larger writes to a pipe cost more in its pages, and in copying, than the calls do */
    POLICY_WASTED = 2,        /* batches that saved nothing, after which a file is left alone */
    POLICY_SKIP_MIN = 64,     /* writes for which it is left alone the first time; doubled each time */
    POLICY_LEVEL_MAX = 12,
    POLICY_LEVEL_REST = 3,      /* so often in a row it didn't pay: the process does without the means to defer */
    POLICY_READS_PROCESS = 128, /* small reads of one file before the process looks around for reading ahead */
    POLICY_READS_FILE = 8,      /* and of one more file after that */
    POLICY_READS_AGAIN = 512,   /* reads until it is asked again whether a file can be read ahead, which couldn't */
    POLICY_READS_APART = 6,     /* or whether small reads are near each other, which weren't */
    POLICY_STRIDE = 4,          /* a step between reads of more than this many times their size is a jump */
    POLICY_TURN_LEAST = 3,      /* readable at a time, or a turn costs what it saves */
    POLICY_TURN_CALL_NS = 400,  /* what a call takes where turns are tried unasked */
    POLICY_TURN_WAITS = 64,     /* such waits are a period of a trial; */
    POLICY_SYNCS = 32,          /* and so many syncs, each made while another is */
    POLICY_TRIAL = 17,          /* periods, with and without in turns, show which is better, */
    POLICY_TRIAL_WINS = 6,      /* of so many pairs of them at least so many */
    POLICY_TRIAL_QUITS = 3,     /* or it ends early, when it was so much worse in so many that none was better */
    POLICY_KEPT = 128,          /* for so many it stays so; twice as long when it is the same again, */
    POLICY_KEPT_MAX = 4096,
};

struct write_facts {
    uint64_t hindrances; /* bit 1 << reason */
    uint64_t now;        /* ticks */
    uint64_t size;       /* bytes in all */
    uint64_t end;        /* where it ends in the file; 0 for a write at the position */
    bool interrupted;    /* had the number's last write been deferred, something would have performed it since */
    enum stream stream;  /* the first write to one after a pause is awaited by somebody */
    bool running;        /* writes of this file are pending: it goes on as it was */
    bool started;        /* the process has its buffers and flusher */
    bool eager;          /* URINGSHIM_TEST_EAGER */
};

/* Is a write of so many bytes too large for that? */
static inline bool policy_large(enum stream stream, uint64_t size, bool eager) {
    uint64_t most = !stream                            ? WB_LARGE - 1
                    : stream_is_pipe(stream) && !eager ? (uint64_t)POLICY_PIPE_MAX
                                                       : (uint64_t)STREAM_CALL_MAX;
    return size > most;
}

/*
 * Is this file still being left alone because deferring its writes didn't pay? Counts one write of that time. Two
 * threads may do so at once: never below nothing.
 */
static inline bool policy_left_alone(struct habit *habit) {
    uint32_t left = *(volatile uint32_t *)&habit->skip;
    if (left == 0)
        return false;
    *(volatile uint32_t *)&habit->skip = left - 1;
    return true;
}

/* Is the number being left alone, for it is new or a rehearsal went wrong? Counts one write of that time. */
static inline bool policy_left(struct fd_slot *slot) {
    uint16_t left = *(volatile uint16_t *)&slot->skip;
    if (left == 0)
        return false;
    *(volatile uint16_t *)&slot->skip = (uint16_t)(left - 1);
    return true;
}

/* The same, and the first writes through a number, before the process has started, aren't worth a look at the clock. */
static inline bool policy_skips(struct fd_slot *slot, bool started) {
    if (policy_left(slot))
        return true;
    if (slot->rehearsals || started)
        return false;
    slot->rehearsals = 1;
    slot->skip = POLICY_FRESH - 1;
    return true;
}

/*
 * Nothing is known of the number's file: is this small write one of those that come before it is looked at? Counts it.
 * The same as asking policy_write for that reason, in less code than that goes through.
 */
bool policy_warming(struct fd_slot *slot, uint64_t now, bool started, bool interrupted);

/* After the answer that it is: is the next one to be told whether this one would still be pending? */
static inline bool policy_rehearses(const struct fd_slot *slot) {
    return slot->quick > 1;
}

/* Have rehearsals gone wrong so often that the means may go? */
static inline bool policy_gave_up(const struct fd_slot *slot) {
    return slot->rehearsals > POLICY_LEVEL_REST;
}

/* Did deferring this file's writes fail to pay for so long that its means may go? */
static inline bool policy_rests(const struct habit *habit) {
    return habit->level >= POLICY_LEVEL_REST;
}

/* Have enough small reads come by this number, one after another? */
static inline bool policy_reads_on(const struct fd_slot *slot, bool started, bool eager) {
    return slot->reads >= (started ? POLICY_READS_FILE : POLICY_READS_PROCESS) || unlikely(eager);
}

/* Is the number being left alone? Counts one read of that time, but for the last one: the next may be near that. */
static inline bool policy_reads_left(struct fd_slot *slot) {
    int16_t reads = *(volatile int16_t *)&slot->reads;
    if (reads >= -1)
        return false;
    *(volatile int16_t *)&slot->reads = (int16_t)(reads + 1);
    return true;
}

/* Is this read, of n bytes, near the one that began at `last`, and not the same again? Has no branch to mispredict. */
static inline bool policy_near(int64_t last, size_t n, int64_t offset) {
    uint64_t step = (uint64_t)(offset - last), far = POLICY_STRIDE * n;
    return (step + far <= 2 * far) & (step != 0);
}

/* Which way a file is read whose next read is this one, after the one at `last`: 1, -1, or 0, neither. */
static inline int policy_direction(int64_t last, size_t n, int64_t offset) {
    return offset < 0 ? 1 : !policy_near(last, n, offset) ? 0 : offset > last ? 1 : -1;
}

/*
 * A read went into the kernel and gave `got`; the offset is -1 for one at the position. Again: the read before it was
 * by the same number, for files that are read in turns gain nothing.
 */
static inline void policy_read_passed(struct fd_slot *slot, ssize_t got, int64_t offset, bool again) {
    bool at_position = offset < 0, small = (size_t)got - 1 < window_call();
    bool next = small & (at_position | policy_near(slot->read_at, (size_t)got, offset));
    int before = slot->reads, reads = again ? before + (before < INT16_MAX) : before / 2;
    int apart = small && !before ? -POLICY_READS_APART : 0;
    slot->reads = (int16_t)(before < 0 ? before + 1 : next ? reads : apart);
    slot->read_at = at_position ? slot->read_at + (got > 0 ? got : 0) : offset;
}

/* The same for one that a window answered. */
static inline void policy_read_served(struct fd_slot *slot, ssize_t got, int64_t offset) {
    slot->read_at = offset < 0 ? slot->read_at + got : offset;
}

/* Is this file worth a window, as far as those went that it had? Counts one read while it isn't. */
bool policy_read(struct ofd *ofd, bool eager);

/*
 * Two ways, of which the machine says which is better: it is tried from time to time, in periods, and what was the way
 * before is given up for what is clearly better. At first it is without; the first trial is at once. By one thread at a
 * time.
 */
struct trial {
    bool on, was_on;             /* now, and before the trial */
    uint32_t left, patience;     /* periods before the next trial, and after it */
    uint32_t period;             /* of the trial; 0: there is none */
    uint32_t wins, losses;       /* pairs of them in which it was better with, and without */
    uint64_t cost[2], of[2];     /* in the trial, without and with */
    uint64_t cost_last, of_last; /* in the period before */
};
/* A period is over, which took so much for so much. */
void trial_goes_on(struct trial *trial, uint64_t cost, uint64_t of);

/* Threads that sync one file at once share a sync, or each makes its own. */
struct sync_habit {
    struct trial sharing;
};
/* POLICY_SYNCS took so many ticks. Returns whether the next ones are to be shared. */
bool policy_shares_syncs(struct sync_habit *habit, uint64_t ticks);

/*
 * Turns save system calls, and cost requests on a ring. Compared is the processor time of the thread for each
 * descriptor that was readable.
 */
struct turn_habit {
    struct trial turning;
    uint32_t waits, events;  /* in this period */
    uint64_t began;          /* this period; nanoseconds of processor time */
    uint32_t answered, made; /* in this period: calls that turns answered, and that were made for them */
};
/* So many descriptors are readable: is there to be a turn? */
bool policy_turn(struct turn_habit *habit, unsigned ready, bool eager);
/* Is the period over? Then policy wants to be told the thread's processor time. */
bool policy_turns_due(const struct turn_habit *habit);
void policy_turns_took(struct turn_habit *habit, uint64_t now);
/* Turns have ended: so many calls were answered, and that many made for them. */
void policy_turned(struct turn_habit *habit, uint32_t answered, uint32_t made);

/* Slot and its OFD as the caller found them; ofd may be NULL: nothing is known of the number yet. */
enum reason policy_write(const struct write_facts *facts, struct fd_slot *slot, struct ofd *ofd);

#endif
