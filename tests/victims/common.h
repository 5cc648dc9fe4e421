/*
 * What several victims share. A victim is an ordinary program that knows nothing of the library: it is run
 * natively and under it, and must not be able to tell.
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "old_libc.h"

// For what never takes long unless it hangs, and so no measure of anything: tests/lib/common.bash says why.
enum { HANG_SECONDS = 300 };

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* For what the test takes for granted. 99 is no status a victim returns for any other reason. */
#define die(...) (fprintf(stderr, __VA_ARGS__), fprintf(stderr, " (errno %d)\n", errno), exit(99))
#define require(condition) ((condition) ? (void)0 : die("%s:%d: %s", __FILE__, __LINE__, #condition))

// By the oldest call that there is here.
static inline pid_t fork_by_number(void) {
#ifdef SYS_fork
    return (pid_t)syscall(SYS_fork);
#else
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
}

/* splitmix64: the same numbers from the same seed everywhere. */
static inline uint64_t rng_next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t rng_below(uint64_t *state, uint64_t limit) {
    return rng_next(state) % limit;
}

static inline void rng_fill(uint64_t *state, void *buffer, size_t size) {
    for (size_t done = 0; done < size; done += sizeof(uint64_t)) {
        uint64_t word = rng_next(state);
        memcpy((char *)buffer + done, &word, size - done < sizeof(word) ? size - done : sizeof(word));
    }
}

/* FNV-1a. */
static inline uint32_t checksum(const void *data, size_t size) {
    const unsigned char *at = data;
    uint32_t sum = 2166136261u;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ at[i]) * 16777619u;
    return sum;
}

static inline int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
