/* The records that the threads_* victims write, each of them one write call, and that threads_check looks for. */
#pragma once

#include "common.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS_MAX = 16, BURST = 300 };

struct record {
    uint32_t writer, number;
    int64_t stamp; /* when it was written, of CLOCK_MONOTONIC, in microseconds */
    uint64_t check;
};

static inline uint64_t record_check(const struct record *record) {
    uint64_t state = (uint64_t)record->writer << 32 ^ record->number ^ (uint64_t)record->stamp << 8;
    return rng_next(&state);
}

static inline struct record record_make(unsigned writer, unsigned number) {
    struct record record = {.writer = writer, .number = number, .stamp = now_us()};
    record.check = record_check(&record);
    return record;
}

static inline void record_write(int fd, unsigned writer, unsigned number) {
    struct record record = record_make(writer, number);
    require(write(fd, &record, sizeof(record)) == sizeof(record));
}

/* Time passes, and nothing is called through which the library could notice. */
static inline void compute_ms(int64_t milliseconds) {
    for (int64_t end = now_us() + milliseconds * 1000; now_us() < end;)
        ;
}
