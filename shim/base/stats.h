/*
 * Counters, kept per thread, added up for the report. Always counted where it costs nothing (once per flush, once per
 * pass); calls that nothing is done about are counted only while a report was asked for.
 */
#ifndef URINGSHIM_BASE_STATS_H
#define URINGSHIM_BASE_STATS_H

#include <stdbool.h>
#include <stdint.h>

enum reason {
    REASON_NONE, /* nothing speaks against deferring */
#define REASON(name) REASON_##name,
#include "base/reasons.def"
    REASONS
};

enum flush_cause { FLUSH_FULL, FLUSH_BARRIER, FLUSH_DELAY, FLUSH_FSYNC, FLUSH_EXIT, FLUSH_CAUSES };

/* Why a window's bytes went: used up (half of them at least), or what came before that. */
enum window_end { WINDOW_USED, WINDOW_INPUT, WINDOW_WRITE, WINDOW_ELSEWHERE, WINDOW_OLD, WINDOW_ENDS };

enum counter {
    COUNT_CALLS,
    COUNT_DEFERRED,
    COUNT_DEFERRED_BYTES,
    COUNT_EXTENTS,
    COUNT_STREAM_DEFERRED,
    COUNT_STREAM_BYTES,
    COUNT_STREAM_PIECES,
    COUNT_STREAM_WAITS,
    COUNT_RINGS,
    COUNT_RING_ENTERS,
    COUNT_RING_WRITES,
    COUNT_RING_FSYNCS,
    COUNT_RING_READS,
    COUNT_SYNCS_SHARED,
    COUNT_POLLING_US,
    COUNT_DIRECT_CALLS,
    COUNT_LATE_ERRORS,
    COUNT_WINDOWS,
    COUNT_WINDOW_BYTES,
    COUNT_WINDOWS_WASTED,
    COUNT_READS,
    COUNT_READ_BYTES,
    COUNT_SEEKS,
    COUNT_PEEKS,
    COUNT_PEEKS_SETTLED,
    COUNT_PEEK_READS,
    COUNT_PEEK_BYTES,
    COUNT_TURNS,
    COUNT_TURN_SOCKETS,
    COUNT_TURN_READS,
    COUNT_TURN_BYTES_READ,
    COUNT_TURN_WRITES,
    COUNT_TURN_BYTES_WRITTEN,
    COUNTERS
};

struct stats {
    uint64_t count[COUNTERS];
    uint64_t passed[REASONS];
    uint64_t flushes[FLUSH_CAUSES];
    uint64_t ended[WINDOW_ENDS];
};

/* Is a report wanted? Set at start; cleared when nothing may be written any more. */
extern bool stats_wanted;

void stats_start(void);

/* A flush that the libc function `call` (a string constant) caused; counted for the report only. */
void stats_barrier(const char *call);

/* A window that the libc function `call` (a string constant) closed; counted for the report only. */
void stats_window_closed(const char *call);

/* Something was refused and done without: `what` a string constant, `error` a positive errno. Any thread. */
void stats_fallback(const char *what, int error);

/*
 * A program was started without the library, for it couldn't gain: by its line in one_shots.def, from 0 on. For the
 * report only; any thread, and a vfork child. And how often since the last report.
 */
enum {
#define ONE_SHOT(name) +1
    ONE_SHOTS = 0
#include "base/one_shots.def"
};
extern const char *const stats_one_shots[ONE_SHOTS]; /* their names */
void stats_left_out(int one_shot);
uint32_t stats_times_left_out(int one_shot);

/* A struct stats as an array of 64-bit numbers: how many, and the name of each, in two parts. */
enum { STATS_KEYS = sizeof(struct stats) / sizeof(uint64_t) };
const char *stats_key_family(int index); /* "passed." or "" */
const char *stats_key(int index);

/* Their names in the report. */
const char *stats_cause(enum flush_cause cause);
const char *stats_end(enum window_end end);
const char *stats_reason(enum reason reason);

/* What was collected is kept there from now on, or, with NULL, in the library's own memory; it begins anew. */
void stats_move(struct stats *to);

/*
 * Adds a thread's counters to what the report shows: when a thread ends, and for all of them before a report. The
 * source is zeroed.
 */
void stats_collect(struct stats *thread);

/*
 * Writes what was collected since the last report, in the form that the target's name asks for; nothing if no report
 * is wanted. `mode` is how the library ended up: on, observe, disabled.
 */
void stats_report(const char *program, const char *mode);

/* The process forks: before, and after in both; the child starts from zero. */
void stats_fork_prepare(void);
void stats_fork_done(bool child);

#endif
