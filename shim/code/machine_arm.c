#include "code/machine.h"

#if defined(__aarch64__)

#include <string.h>
#include <sys/syscall.h>

/* "Arm Architecture Reference Manual", C6.2: all instructions have four bytes, at addresses that four divides. */
static uint32_t word_at(const uint8_t *code, size_t at) {
    uint32_t word;
    memcpy(&word, code + at, sizeof word);
    return word;
}

size_t machine_find(const uint8_t *code, size_t n, size_t from) {
    for (size_t at = (from + 3) & ~(size_t)3; at + 4 <= n; at += 4)
        if ((word_at(code, at) & 0xffe0001f) == 0xd4000001) /* SVC */
            return at;
    return n;
}

/* May it be somewhere else that the code goes on from here, or comes from? */
static bool branches(uint32_t word) {
    return (word & 0x1c000000) == 0x14000000; /* branches, exceptions, system: the encoding's group */
}

static unsigned field(uint32_t word, unsigned at) {
    return word >> at & 31;
}

/* May it change x8? Loads and stores also change the register of their address, or a second one, or a status. */
static bool may_change_x8(uint32_t word) {
    bool load_or_store = (word & 0x0a000000) == 0x08000000;
    return field(word, 0) == 8 ||
           (load_or_store && (field(word, 5) == 8 || field(word, 10) == 8 || field(word, 16) == 8));
}

/*
 * The number, put into x8 or w8 by MOVZ not long before. A branch that comes in from elsewhere would have to do so
 * between the two; compilers put the two side by side.
 */
bool machine_judge(const uint8_t *code, size_t n, size_t at, struct machine_call *out) {
    enum { NEAR = 32 };
    (void)n;
    *out = (struct machine_call){.number = -1};
    for (size_t back = 4; back <= NEAR && back <= at; back += 4) {
        uint32_t word = word_at(code, at - back);
        if ((word & 0x7fe0001f) == 0x52800008) {
            out->number = word >> 5 & 0xffff;
            break;
        }
        if (branches(word) || may_change_x8(word))
            break;
    }
    return true;
}

/* B, BL, and those of a condition, or of a register's, or its bit's, being zero. */
size_t machine_find_jump(const uint8_t *code, size_t n, size_t from, uint64_t address, uint64_t low, uint64_t high) {
    for (size_t at = (from + 3) & ~(size_t)3; at + 4 <= n; at += 4) {
        uint32_t word = word_at(code, at);
        int64_t distance = 0;
        if ((word & 0x7c000000) == 0x14000000)
            distance = (int32_t)(word << 6) >> 6;
        else if ((word & 0xff000000) == 0x54000000 || (word & 0x7e000000) == 0x34000000)
            distance = (int32_t)(word << 8) >> 13;
        else if ((word & 0x7e000000) == 0x36000000)
            distance = (int32_t)(word << 13) >> 18;
        if (distance && address + at + (uint64_t)(4 * distance) - low - 1 < high - low - 1)
            return at;
    }
    return n;
}

bool machine_is_instruction(const uint8_t *code, size_t n, size_t at) {
    (void)code, (void)n, (void)at;
    return true;
}

bool machine_guess(const uint8_t *code, size_t n, size_t at, uint64_t address) {
    (void)code, (void)n, (void)at, (void)address;
    return true;
}

#endif
