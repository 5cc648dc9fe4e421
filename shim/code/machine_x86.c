#include "code/machine.h"

#if defined(__x86_64__)

#include <emmintrin.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "code/instruction.h"
#include "code/registers.h"

static bool is_syscall(uint8_t first, uint8_t second) {
    return first == 0x0f && second == 0x05;
}

/* SYSCALL; SYSENTER; INT 0x80: what these two ask for has other numbers, those of 32-bit programs. */
static bool is_call(uint8_t first, uint8_t second) {
    return is_syscall(first, second) || (first == 0x0f && second == 0x34) || (first == 0xcd && second == 0x80);
}

/* Sixteen places at a time. */
size_t machine_find(const uint8_t *code, size_t n, size_t from) {
    const __m128i escape = _mm_set1_epi8(0x0f), syscall = _mm_set1_epi8(0x05), sysenter = _mm_set1_epi8(0x34);
    const __m128i interrupt = _mm_set1_epi8((char)0xcd), linux_gate = _mm_set1_epi8((char)0x80);
    size_t at = from;
    for (; at + 17 <= n; at += 16) {
        __m128i first = _mm_loadu_si128((const __m128i *)(code + at));
        __m128i second = _mm_loadu_si128((const __m128i *)(code + at + 1));
        __m128i after = _mm_or_si128(_mm_cmpeq_epi8(second, syscall), _mm_cmpeq_epi8(second, sysenter));
        __m128i found =
            _mm_or_si128(_mm_and_si128(_mm_cmpeq_epi8(first, escape), after),
                         _mm_and_si128(_mm_cmpeq_epi8(first, interrupt), _mm_cmpeq_epi8(second, linux_gate)));
        unsigned where = (unsigned)_mm_movemask_epi8(found);
        if (where)
            return at + (unsigned)__builtin_ctz(where);
    }
    for (; at + 2 <= n; at++)
        if (is_call(code[at], code[at + 1]))
            return at;
    return n;
}

/*
 * Data between functions can look like instructions. Before a call the number comes into its register, by a move or by
 * being zero, and nothing stands there that programs don't do.
 */
static bool sets_number(const struct instruction *instruction) {
    unsigned reg = instruction->reg, rm = instruction->rm;
    bool registers = instruction->mod == 3;
    if (instruction->map == MAP_0F)
        return (instruction->opcode == 0xb6 || instruction->opcode == 0xb7) && reg == RAX; /* MOVZX */
    switch (instruction->opcode) {
    case 0xb8: /* MOV immediate */
    case 0xc7:
        return rm == RAX && (instruction->opcode == 0xb8 || registers) && (uint64_t)instruction->immediate < 1024;
    case 0x31: /* XOR */
    case 0x33:
        return registers && reg == RAX && rm == RAX;
    case 0x89: /* MOV */
        return registers && rm == RAX;
    case 0x8b:
    case 0x8d: /* LEA */
    case 0x63: /* MOVSXD */
        return reg == RAX;
    case 0x58: /* POP, of what was pushed before */
        return rm == RAX;
    default:
        return false;
    }
}

/* Not for programs, or out of use. */
static bool is_odd(const struct instruction *instruction) {
    if (instruction->map == MAP_0F)
        return instruction->opcode < 0x05 || (instruction->opcode > 0x05 && instruction->opcode < 0x0b) ||
               (instruction->opcode & 0xf8) == 0x20 || instruction->opcode == 0x30 || instruction->opcode == 0x32;
    if (instruction->map != MAP_ONE_BYTE)
        return false;
    switch (instruction->opcode) {
    case 0x6c ... 0x6f: /* INS, OUTS */
    case 0xe4 ... 0xe7: /* IN, OUT */
    case 0xec ... 0xef:
    case 0xd8 ... 0xdf: /* the 8087's */
    case 0xa0 ... 0xa3: /* MOV at an absolute address */
    case 0x8c:          /* segment registers */
    case 0x8e:
    case 0x9b:
    case 0xc8:
    case 0xca:
    case 0xcb:
    case 0xcf:
    case 0xd7:
    case 0xf1:
    case 0xf4:
    case 0xfa:
    case 0xfb:
        return true;
    default:
        return false;
    }
}

/* Do the next few instructions look like a program's? */
static bool goes_on(const uint8_t *code, size_t n, size_t at) {
    enum { FEW = 3 };
    struct instruction instruction;
    for (int i = 0; i < FEW && at < n; i++, at += instruction.length)
        if (!instruction_decode(code + at, n - at, &instruction) || is_odd(&instruction))
            return n - at < 15; /* cut */
    return true;
}

/* JMP, CALL and conditional jumps by 32 bits. */
static bool is_jump(const uint8_t *code, size_t at, size_t distance_at) {
    return distance_at - at == 1 ? (code[at] & 0xfe) == 0xe8 : code[at] == 0x0f && (code[at + 1] & 0xf0) == 0x80;
}

size_t machine_find_jump(const uint8_t *code, size_t n, size_t from, uint64_t address, uint64_t low, uint64_t high) {
    for (size_t at = from; at + MACHINE_JUMP_MAX <= n; at++) {
        int32_t distance;
        memcpy(&distance, code + at + 2, sizeof distance);
        uint64_t target = address + at + MACHINE_JUMP_MAX + (uint64_t)(int64_t)distance;
        if (target - low - 1 >= high - low - 1)
            continue;
        if (is_jump(code, at, at + 2))
            return at;
        if (is_jump(code, at + 1, at + 2))
            return at + 1;
    }
    return n;
}

/* What is asked for, if the registers hold constants by then. */
static void tell(const uint8_t *code, size_t n, size_t at, struct machine_call *out) {
    struct registers registers;
    if (!registers_at(code, n, at, &registers) || registers.state[RAX] != CONSTANT)
        return;
    out->number = registers.value[RAX];
    out->own_memory = out->number == SYS_mmap && registers.state[R8] == CONSTANT &&
                      (int32_t)registers.value[R8] == -1 && registers.state[R10] == CONSTANT &&
                      (registers.value[R10] & (MAP_ANONYMOUS | MAP_SHARED)) == MAP_ANONYMOUS &&
                      registers.state[RDX] == CONSTANT && !(registers.value[RDX] & PROT_EXEC);
}

/* Where decoding comes to the call. */
struct arrival {
    bool call;      /* at an instruction, which it is */
    bool clean;     /* past nothing that can't be an instruction */
    unsigned steps; /* instructions since something was put where the number belongs; FAR: too many, or odd ones */
    size_t end;
};

enum { FAR = 16 };

static struct arrival arrive(const uint8_t *code, size_t n, size_t from, size_t at) {
    struct instruction instruction;
    struct arrival arrival = {.clean = true, .steps = FAR};
    for (size_t here = from; here <= at; here += instruction.length) {
        if (!instruction_decode(code + here, n - here, &instruction)) {
            instruction.length = 1;
            arrival.clean = false;
            arrival.steps = FAR;
        } else if (here + instruction.length > at) {
            arrival.call = here + instruction.opcode_at == at && instruction.map != MAP_VECTOR;
            arrival.end = here + instruction.length;
        } else if (sets_number(&instruction)) {
            arrival.steps = 0;
        } else if (arrival.steps < FAR) {
            arrival.steps = is_odd(&instruction) ? FAR : arrival.steps + 1;
        }
    }
    return arrival;
}

bool machine_is_instruction(const uint8_t *code, size_t n, size_t at) {
    return arrive(code, n, 0, at).call;
}

static bool looks_right(const uint8_t *code, size_t n, size_t from, size_t at) {
    struct arrival arrival = arrive(code, n, from, at);
    return arrival.call && arrival.steps < FAR && goes_on(code, n, arrival.end);
}

bool machine_judge(const uint8_t *code, size_t n, size_t at, struct machine_call *out) {
    struct arrival arrival = arrive(code, n, 0, at);
    *out = (struct machine_call){.number = -1};
    if (!arrival.clean) /* with data among it */
        return looks_right(code, n, 0, at);
    if (arrival.call && is_syscall(code[at], code[at + 1]))
        tell(code, n, at, out);
    return arrival.call;
}

/* Functions are aligned; from a few places before the call on, for what stands before may be data. */
bool machine_guess(const uint8_t *code, size_t n, size_t at, uint64_t address) {
    enum { ALIGNMENT = 16, PLACES = 5 };
    size_t aligned = at - (size_t)((address + at) % ALIGNMENT);
    for (unsigned i = 0; i < PLACES && aligned <= at; i++, aligned -= ALIGNMENT)
        if (looks_right(code, n, aligned, at))
            return true;
    return looks_right(code, n, 0, at);
}

#endif
