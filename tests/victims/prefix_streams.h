/*
 * The sequence of writes to streams and files that prefix_streams_writer performs, and that prefix_streams_check knows
 * from the same seed. Nothing is ever written over, so what each of them holds is how far it came.
 */
#pragma once

#include "common.h"
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* The streams' writing ends are inherited, under these numbers. */
enum { FIRST_FD = 100, LONGEST = 70144 };
enum target { PIPE, FIFO, UNIX_SOCKET, TCP_SOCKET, STREAMS, APPENDED = STREAMS, POSITIONED, TARGETS };

static const char *const target_names[TARGETS] = {"pipe", "fifo", "unix", "tcp", "appended", "positioned"};

struct step {
    enum { RECORD, LOOK, REPORT } kind;
    enum target target;
    off_t offset; /* of the record in its target */
    size_t size;
};

struct plan {
    uint64_t seed, rng, number;
    unsigned stay, report_every; /* one in so many steps goes elsewhere, or reports */
    enum target target;
    off_t sizes[TARGETS];
};

static inline void plan_start(struct plan *plan, uint64_t seed) {
    *plan =
        (struct plan){.seed = seed, .rng = seed, .stay = seed % 3 ? 3 : 20, .report_every = seed / 3 % 2 ? 100 : 3000};
}

static inline size_t plan_size(struct plan *plan) {
    static const size_t limits[] = {64, 200, 200, 200, 200, 200, 1000, PIPE_BUF, 5000};
    if (rng_below(&plan->rng, 2000) == 0)
        return LONGEST; /* never deferred, so it must not overtake */
    return 1 + rng_below(&plan->rng, limits[rng_below(&plan->rng, COUNT_OF(limits))]);
}

static inline struct step plan_next(struct plan *plan) {
    plan->number++;
    if (rng_below(&plan->rng, plan->stay) == 0)
        plan->target = (enum target)rng_below(&plan->rng, TARGETS);
    struct step step = {.target = plan->target, .offset = plan->sizes[plan->target]};
    if (plan->number == 1 || rng_below(&plan->rng, plan->report_every) == 0) {
        step.kind = REPORT;
    } else if (rng_below(&plan->rng, 1000) == 0) {
        step.kind = LOOK;
    } else {
        step.kind = RECORD;
        step.size = plan_size(plan);
        plan->sizes[plan->target] += (off_t)step.size;
    }
    return step;
}

/* The record of the step that was made last. */
static inline const char *plan_data(const struct plan *plan, size_t size) {
    static _Thread_local char data[LONGEST + sizeof(uint64_t)];
    uint64_t rng = plan->seed << 32 ^ plan->number;
    rng_fill(&rng, data, size);
    return data;
}
