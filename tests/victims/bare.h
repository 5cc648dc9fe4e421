// System calls that no library sees, which might take them for a reason to do something.
#pragma once

#include <sys/syscall.h>

// The kernel's own answer: -errno if it failed.
static inline long bare_call_of(long number, long a, long b, long c, long d) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
                     x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#endif
}

// Numbers and pointers alike.
#define bare_call(number, a, b, c, d) bare_call_of(number, (long)(a), (long)(b), (long)(c), (long)(d))
