/*
 * The cheapest clock there is: the processor's own counter. Good for "was that soon after?" and for ratios of two
 * durations on one machine, never for a time that anybody sees.
 *
 * Neither reading waits for the instructions before it: it may be early by what a processor has under way at a time,
 * well below a microsecond, but never from before a system call, which does wait.
 */
#ifndef URINGSHIM_BASE_TICKS_H
#define URINGSHIM_BASE_TICKS_H

#include <stdint.h>

#if defined(__x86_64__)
/* It does not say how fast its counter runs without a system call: parts run at 1 to 5 GHz, so this is right to a
 * factor of two. */
static inline uint64_t ticks_of_us(uint64_t us) {
    return us * 2500;
}

static inline uint64_t ticks_now(void) {
    return __builtin_ia32_rdtsc();
}
#elif defined(__aarch64__)
/* At 1 GHz from Armv8.6 on, at 19 to 100 MHz before. Firmware may have left 0 there: then all is long ago. */
static inline uint64_t ticks_of_us(uint64_t us) {
    uint64_t per_second;
    __asm__("mrs %0, cntfrq_el0" : "=r"(per_second));
    return us * per_second / 1000000;
}

static inline uint64_t ticks_now(void) {
    uint64_t value;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
}
#endif

/*
 * What a call into the kernel takes here, in ticks: found out by three of them the first time. By that call, whose
 * arguments are wrong, so that it does nothing: one that the program makes itself is forbidden by nobody. Any thread.
 */
uint64_t ticks_a_call(long call);

#endif
