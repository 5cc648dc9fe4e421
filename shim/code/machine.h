/*
 * System call instructions in machine code: where their bytes stand, whether they are an instruction there, and with
 * which number. One file for each processor. Pure: any thread.
 */
#ifndef URINGSHIM_CODE_MACHINE_H
#define URINGSHIM_CODE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MACHINE_CALL_MAX = 4 }; /* no such instruction has more bytes */

/* The first place at or behind `from` at which such an instruction's bytes stand, all within n; else n. */
size_t machine_find(const uint8_t *code, size_t n, size_t from);

struct machine_call {
    int64_t number;  /* what is asked for, if it is put into the register in the lines before; else -1 */
    bool own_memory; /* it is mmap, of no file, not shared and not executable */
};

enum { MACHINE_JUMP_MAX = 6 };

/*
 * The first place at or behind `from` where what stands looks like a jump or a call that leads between two addresses,
 * both excluded; else n. `address` is that of the first byte.
 */
size_t machine_find_jump(const uint8_t *code, size_t n, size_t from, uint64_t address, uint64_t low, uint64_t high);
/* Is that an instruction of the function that begins with the n bytes? */
bool machine_is_instruction(const uint8_t *code, size_t n, size_t at);

/* Is what machine_find found at `at` an instruction of the whole function that begins with the n bytes? */
bool machine_judge(const uint8_t *code, size_t n, size_t at, struct machine_call *out);
/* Does it look like one, in n bytes of which nobody knows where functions begin? `address` is that of the first. */
bool machine_guess(const uint8_t *code, size_t n, size_t at, uint64_t address);

#endif
