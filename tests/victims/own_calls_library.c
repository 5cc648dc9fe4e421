/* Built as a library: a system call of its own, one by libc, and one by the next function of that name. */
#include <dlfcn.h>
#include <unistd.h>

long raw_call_of_library(long number, long a, long b, long c);

#ifdef BY_LIBC
long raw_call_of_library(long number, long a, long b, long c) {
    return syscall(number, a, b, c);
}
#elif defined(BY_NEXT)
long raw_call_of_library(long number, long a, long b, long c) {
    long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return next(number, a, b, c);
}
#elif defined(__x86_64__)
long raw_call_of_library(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
#else
long raw_call_of_library(long number, long a, long b, long c) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#endif

/* It is built as a program with all the other victims, too. */
#ifndef LIBRARY
int main(void) {
    return 0;
}
#endif
