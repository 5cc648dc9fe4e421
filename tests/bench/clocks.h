/* What a loop of a benchmark took, of the wall's time and of the processor's. */
#pragma once

#include <sys/resource.h>
#include <time.h>

static inline double wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline double usage_ns(const struct rusage *usage) {
    return ((double)usage->ru_utime.tv_sec + (double)usage->ru_stime.tv_sec) * 1e9 +
           ((double)usage->ru_utime.tv_usec + (double)usage->ru_stime.tv_usec) * 1e3;
}

/* The whole process: the library's threads and the kernel's workers are part of the price. */
static inline double cpu_ns(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage_ns(&usage);
}

/* Those that have been waited for. */
static inline double children_cpu_ns(void) {
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return usage_ns(&usage);
}
