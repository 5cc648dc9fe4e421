/*
 * Raw system calls: nothing here can be interposed, touches errno, or is a cancellation point.
 * Every function returns the kernel's answer: a value >= 0, or -errno (syscall(2), "Architecture calling conventions").
 */
#ifndef URINGSHIM_BASE_SYS_H
#define URINGSHIM_BASE_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__clang_analyzer__)
long sys_call(long number, long a, long b, long c, long d, long e, long f); /* assembly is nothing to it */
#elif defined(__x86_64__)
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}
#else
#error "uringshim knows the system call convention of x86-64 and aarch64 only"
#endif

/* sys(SYS_name, args…): up to six arguments, each converted as a C cast to long would. */
#define SYS_ARGS_(n, a, b, c, d, e, f, ...)                                                                            \
    sys_call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define sys(...) SYS_ARGS_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* Where the calling thread's own memory begins, or ends (ELF, "Thread-Local Storage"): no builtin before GCC 11. */
static inline void *thread_pointer(void) {
    void *pointer;
#if defined(__x86_64__)
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
#else
    __asm__("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
    return pointer;
}

#define SYS_IS_ERROR(result) ((unsigned long)(result) > -4096UL)

/* Said of what quick ways look at, where it is declared: or else it is looked for in a table first. */
#define HIDDEN __attribute__((visibility("hidden")))

/*
 * A large object that a short process doesn't touch. It lies apart from the small ones, which then share few pages:
 * each page that is touched costs a fault at start. (AddressSanitizer doesn't guard what has a section of its own.)
 */
#ifdef __SANITIZE_ADDRESS__
#define APART
#define LATER
#define FORKED
#else
#define APART __attribute__((section(".bss.apart")))
/* A small one that is first touched when something is deferred or read ahead: these lie together, behind the others. */
#define LATER __attribute__((section(".bss.later")))
/* One of these that the child of a fork writes to: together they take a page, which is copied for it. */
#define FORKED __attribute__((section(".bss.later.forked")))
#endif

/*
 * The address of a function elsewhere, found when it is first called. They lie together, between the small objects and
 * the large ones: a program uses some here and there, and each page of them costs two faults.
 */
#define ADDRESS_OF_ANOTHER __attribute__((section(".bss.addresses")))

/*
 * A thread's own small variable, beside the thread pointer, where libc writes as well in the child of a fork: or else
 * it would cost each fork two more pages.
 */
#define BESIDE __attribute__((tls_model("initial-exec"), section(".tbss.near")))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
