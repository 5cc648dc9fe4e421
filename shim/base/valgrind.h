/*
 * Said to valgrind, if it runs the program: the library's own memory is none of the program's business. Its tools for
 * data races, helgrind and drd, can't see what makes sharing it right: they take an atomic load for any load.
 */
#ifndef URINGSHIM_BASE_VALGRIND_H
#define URINGSHIM_BASE_VALGRIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A request to valgrind: instructions that do nothing, in an order that nobody else uses ("The Client Request
 * mechanism" in its manual; valgrind.h). `answer` is what it is where there is no valgrind.
 */
static inline uintptr_t valgrind_request(uintptr_t number, const void *start, size_t size, uintptr_t answer) {
    volatile uintptr_t request[6] = {number, (uintptr_t)start, size};
#if defined(__clang_analyzer__)
    (void)request;
#elif defined(__x86_64__)
    __asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi; xchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(request)
                     : "cc", "memory");
#elif defined(__aarch64__)
    register uintptr_t x3 __asm__("x3") = answer;
    register volatile uintptr_t *x4 __asm__("x4") = request;
    __asm__ volatile("ror x12, x12, #3; ror x12, x12, #13; ror x12, x12, #51; ror x12, x12, #61; orr x10, x10, x10"
                     : "+r"(x3)
                     : "r"(x4)
                     : "cc", "memory");
    answer = x3;
#endif
    return answer;
}

static inline bool valgrind_runs(void) {
    enum { RUNNING_ON_VALGRIND = 0x1001 };
    return valgrind_request(RUNNING_ON_VALGRIND, NULL, 0, 0) != 0;
}

/* This memory is ours. A tool that doesn't know a request passes it over. */
static inline void valgrind_ours(const void *start, size_t size) {
    enum { HELGRIND_UNTRACKED = 0x48470127, DRD_SUPPRESSED = 0x44520002 };
    if (!valgrind_runs())
        return;
    valgrind_request(HELGRIND_UNTRACKED, start, size, 0);
    valgrind_request(DRD_SUPPRESSED, start, size, 0);
}

#endif
