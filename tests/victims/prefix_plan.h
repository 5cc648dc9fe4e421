/*
 * The endless sequence of file operations that prefix_writer performs until it is killed, and that prefix_check
 * replays to find out whether what it left is a state that the program went through. It follows from the seed.
 */
#pragma once

#include "common.h"
#include <stdbool.h>
#include <sys/types.h>

enum { FILES = 4, ROTATE_AT = 300000, LONGEST = 70144, THREADS_MAX = 16, UNIT = 512 };

/* How each file is written. APPENDED_TWICE has two descriptors that append in turn. */
enum file { APPENDED, SEQUENTIAL, POSITIONED, APPENDED_TWICE };

struct step {
    enum { RECORD, TRUNCATE, ROTATE, SYNC, LOOK, REPORT } kind;
    enum file file;
    off_t offset; /* of the record, or the size to truncate to */
    size_t size;
    _Alignas(4096) char data[LONGEST];
};

struct plan {
    uint64_t rng, number;
    bool rewrites, direct; /* direct: everything in whole units, as O_DIRECT wants it */
    unsigned report_every;
    enum file file;
    off_t sizes[FILES];
};

/* What a victim tells through its stdout, and so must have done. */
struct report {
    uint64_t lane, number;
};

static inline void plan_start(struct plan *plan, uint64_t seed, unsigned lane, bool rewrites, bool direct) {
    *plan = (struct plan){.rng = seed * THREADS_MAX + lane,
                          .rewrites = rewrites,
                          .direct = direct,
                          .report_every = seed % 2 ? 100 : 3000};
}

static inline off_t plan_units(const struct plan *plan, off_t bytes) {
    return plan->direct ? bytes / UNIT * UNIT : bytes;
}

static inline size_t plan_size(struct plan *plan) {
    static const size_t limits[] = {64, 200, 200, 200, 200, 200, 1000, 5000};
    if (rng_below(&plan->rng, 1000) == 0)
        return LONGEST; /* never deferred, so it must not overtake */
    size_t size = 1 + rng_below(&plan->rng, limits[rng_below(&plan->rng, COUNT_OF(limits))]);
    return plan->direct ? (size / 100 + 1) * UNIT : size;
}

static inline void plan_next(struct plan *plan, struct step *step) {
    plan->number++;
    if (rng_below(&plan->rng, 20) == 0)
        plan->file = (enum file)rng_below(&plan->rng, FILES);
    off_t *size = &plan->sizes[plan->file];
    uint64_t choice = rng_below(&plan->rng, 6000);
    step->file = plan->file;
    step->size = 0;
    step->offset = *size;
    if (plan->number == 1 || rng_below(&plan->rng, plan->report_every) == 0) {
        step->kind = REPORT;
    } else if (*size > ROTATE_AT) {
        step->kind = ROTATE;
        *size = 0;
    } else if (choice < 1) {
        step->kind = SYNC;
    } else if (choice < 10) {
        step->kind = LOOK;
    } else if (choice < 20 && *size > 10000) {
        step->kind = TRUNCATE;
        *size = plan_units(plan, *size - (off_t)rng_below(&plan->rng, 9000));
        step->offset = *size;
    } else {
        step->kind = RECORD;
        step->size = plan_size(plan);
        rng_fill(&plan->rng, step->data, step->size);
        if (plan->rewrites && plan->file == POSITIONED && rng_below(&plan->rng, 2)) {
            off_t back = (off_t)rng_below(&plan->rng, rng_below(&plan->rng, 2) ? 2000 : ROTATE_AT);
            step->offset = plan_units(plan, *size > back ? *size - back : 0);
        }
        if (step->offset + (off_t)step->size > *size)
            *size = step->offset + (off_t)step->size;
    }
}

static inline const char *file_name(unsigned lane, int file, const char *suffix) {
    static _Thread_local char name[32];
    snprintf(name, sizeof(name), "%u.%d%s", lane, file, suffix);
    return name;
}
