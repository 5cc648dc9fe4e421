/*
 * One x86-64 instruction taken apart as far as it takes to find the next one, where it jumps, and which register it
 * sets to which number ("Intel 64 and IA-32 Architectures Software Developer's Manual", volume 2, chapter 2 and
 * appendix A; "AMD64 Architecture Programmer's Manual", volume 3, appendix A). Pure: any thread.
 */
#ifndef URINGSHIM_CODE_INSTRUCTION_H
#define URINGSHIM_CODE_INSTRUCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum instruction_map {
    MAP_ONE_BYTE,
    MAP_0F,
    MAP_0F38,
    MAP_0F3A,
    MAP_VECTOR /* VEX, EVEX or XOP: no general register */
};

struct instruction {
    unsigned length, opcode_at; /* bytes; of the instruction, and before its opcode (0F counts as opcode) */
    enum instruction_map map;
    uint8_t opcode;
    bool has_modrm;
    uint8_t mod, reg, rm; /* of ModRM, with REX: a register's number is 0 to 15, where mod is 3 for rm */
    bool wide, narrow;    /* REX.W; the prefix 66 without it */
    bool repeats;         /* F2 or F3 */
    bool rex;
    int64_t immediate; /* sign-extended; what a jump adds to its end */
};

/* False: no instruction begins with these n bytes, or it has more. */
bool instruction_decode(const uint8_t *bytes, size_t n, struct instruction *out);

#endif
