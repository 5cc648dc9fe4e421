/*
 * The cheapest clock there is: the processor's own counter. Good for "was that soon after?" and for ratios of two
 * durations on one machine, never for a time that anybody sees. x86 does not say how fast its counter runs without a
 * system call; current parts run between 1 and 5 GHz, so a threshold given in microseconds is right to a factor of two.
 */
#ifndef URINGSHIM_BASE_TICKS_H
#define URINGSHIM_BASE_TICKS_H

#include <stdint.h>

#if defined(__x86_64__)
#define TICKS_PER_US 2500u
static inline uint64_t ticks_now(void) {
    return __builtin_ia32_rdtsc();
}
#elif defined(__aarch64__)
/* Generic timers count at 1 GHz from Armv8.6 on, at 24–100 MHz before. */
#define TICKS_PER_US 100u
static inline uint64_t ticks_now(void) {
    uint64_t value;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
}
#endif

#endif
