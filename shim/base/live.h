/*
 * Counters for others to watch while the process runs (URINGSHIM_LIVE): a file in shared memory,
 * /dev/shm/uringshim.PID, for the user alone, gone at exit. A text of LIVE_HEADER bytes, padded with zeros, says what
 * it is:
 *
 *   uringshim-live 1
 *   counters N places M program NAME
 *   the counters' names, a line each
 *
 * and M arrays of N 64-bit numbers follow. A counter's value is the sum over the arrays: one for what was collected,
 * one for each thread (the 63rd and any more aren't shown before they end).
 */
#ifndef URINGSHIM_BASE_LIVE_H
#define URINGSHIM_BASE_LIVE_H

#include "base/stats.h"

enum { LIVE_HEADER = 8192, LIVE_PLACES = 64 };

/*
 * Makes the file if one is asked for; where it can't be made a line in the log says so. The name must stay where it is.
 * In the child of a fork it is made anew.
 */
void live_start(const char *program);
void live_restart(void);
/* A place for a thread's counters, zeroed, that is its own as long as the process runs. NULL: none. */
struct stats *live_place(void);
/* Where the mapping begins, or NULL. */
const void *live_mapping(void);
/* In the child of a fork: the mapping is the parent's. Nothing may point into it any more. */
void live_forked(void);
/* The process ends, or becomes another program. */
void live_end(void);

#endif
