/*
 * Which general registers hold constants at a place in a function, whichever way the code came there: constants are
 * propagated along its jumps (Kildall, "A unified approach to global program optimization", POPL 1973). x86-64. Pure:
 * any thread.
 */
#ifndef URINGSHIM_CODE_REGISTERS_H
#define URINGSHIM_CODE_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAX = 0, RCX = 1, RDX = 2, RSI = 6, RDI = 7, R8 = 8, R9 = 9, R10 = 10, R11 = 11, REGISTERS = 16 };

enum register_state {
    ANYTHING,
    CONSTANT,
    NOTHING, /* what a function that was called has left there: compilers don't read it, so no way that does comes here
              */
};

struct registers {
    uint8_t state[REGISTERS];
    int64_t value[REGISTERS]; /* of a constant */
};

/*
 * Before the instruction at `at`, in the n bytes of a whole function. False: it is too large, or jumps by a table, so
 * that nobody knows where from the code comes.
 */
bool registers_at(const uint8_t *code, size_t n, size_t at, struct registers *out);

#endif
