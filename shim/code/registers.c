#include "code/registers.h"

#include "code/instruction.h"

static void set(struct registers *registers, unsigned number, int64_t value) {
    registers->state[number] = CONSTANT;
    registers->value[number] = value;
}

static void forget_all(struct registers *registers) {
    *registers = (struct registers){0};
}

/* Between registers; where one of the two is memory, nothing of it is known. */
static void copy(struct registers *registers, unsigned to, unsigned from) {
    registers->state[to] = registers->state[from];
    registers->value[to] = registers->value[from];
}

/* The operand that may be a register or memory is changed. */
static void forget_rm(struct registers *registers, const struct instruction *instruction) {
    if (instruction->mod == 3)
        registers->state[instruction->rm] = ANYTHING;
}

/* Of a byte. Without REX the numbers from 4 on are the second bytes of the first four registers. */
static void forget_byte(struct registers *registers, const struct instruction *instruction) {
    bool second = !instruction->rex && instruction->rm >= 4;
    if (instruction->mod == 3)
        registers->state[instruction->rm - 4 * second] = ANYTHING;
}

/* 32 bits put into a register clear the upper half of it. */
static int64_t extended(const struct instruction *instruction) {
    return instruction->wide ? instruction->immediate : (int64_t)(uint32_t)instruction->immediate;
}

/* Arithmetic with an immediate: ModRM's reg says which. */
static void follow_immediate(struct registers *registers, const struct instruction *instruction) {
    enum { OR = 1, COMPARE = 7 };
    unsigned operation = instruction->reg & 7;
    if (operation == COMPARE)
        return;
    forget_rm(registers, instruction);
    if (operation == OR && instruction->immediate == -1 && instruction->mod == 3)
        set(registers, instruction->rm, extended(instruction));
}

/* What a function that is called may change (System V ABI for x86-64, "Register Usage"); two of them bring its answer.
 */
static void follow_call(struct registers *registers) {
    static const uint8_t changed[] = {RCX, RSI, RDI, R8, R9, R10, R11};
    for (unsigned i = 0; i < sizeof changed; i++)
        registers->state[changed[i]] = NOTHING;
    registers->state[RAX] = registers->state[RDX] = ANYTHING;
}

/* Of the instructions with a one-byte opcode those that are common. Others forget all. */
static void follow_one_byte(struct registers *registers, const struct instruction *instruction) {
    bool both = instruction->mod == 3, itself = both && instruction->reg == instruction->rm;
    switch (instruction->opcode) {
    case 0xb8 ... 0xbf: /* MOV register, immediate */
        set(registers, instruction->rm, extended(instruction));
        break;
    case 0xc7: /* MOV, immediate */
        if (both)
            set(registers, instruction->rm, extended(instruction));
        break;
    case 0x31: /* XOR, SUB: of a register with itself, zero */
    case 0x29:
        forget_rm(registers, instruction);
        if (itself)
            set(registers, instruction->rm, 0);
        break;
    case 0x33:
    case 0x2b:
        registers->state[instruction->reg] = ANYTHING;
        if (itself)
            set(registers, instruction->reg, 0);
        break;
    case 0x89: /* MOV to */
        if (both)
            copy(registers, instruction->rm, instruction->reg);
        break;
    case 0x8b: /* MOV from */
        registers->state[instruction->reg] = ANYTHING;
        if (both)
            copy(registers, instruction->reg, instruction->rm);
        break;
    case 0x01: /* ADD, OR, ADC, SBB, AND */
    case 0x09:
    case 0x11:
    case 0x19:
    case 0x21:
    case 0xc1: /* shifts */
    case 0xd1:
    case 0xd3:
        forget_rm(registers, instruction);
        break;
    case 0x03: /* the same the other way round; LEA, MOVSXD, IMUL */
    case 0x0b:
    case 0x13:
    case 0x1b:
    case 0x23:
    case 0x8d:
    case 0x63:
    case 0x69:
    case 0x6b:
        registers->state[instruction->reg] = ANYTHING;
        break;
    case 0x87: /* XCHG */
        registers->state[instruction->reg] = ANYTHING;
        forget_rm(registers, instruction);
        break;
    case 0x98: /* CDQE, CQO */
        registers->state[RAX] = ANYTHING;
        break;
    case 0x99:
        registers->state[RDX] = ANYTHING;
        break;
    case 0xf7: /* TEST, NOT, NEG, MUL, DIV */
        if ((instruction->reg & 7) < 2)
            break;
        registers->state[RAX] = registers->state[RDX] = ANYTHING;
        forget_rm(registers, instruction);
        break;
    case 0xf6: /* the same of a byte */
        if ((instruction->reg & 7) >= 2)
            forget_all(registers);
        break;
    case 0xff: /* INC, DEC, CALL, PUSH */
        forget_rm(registers, instruction);
        if ((instruction->reg & 7) == 2)
            follow_call(registers);
        break;
    case 0x81:
    case 0x83:
        follow_immediate(registers, instruction);
        break;
    case 0x80: /* arithmetic with bytes, MOV */
    case 0x88:
    case 0xc6:
        forget_byte(registers, instruction);
        break;
    case 0x58 ... 0x5f: /* POP */
        registers->state[instruction->rm] = ANYTHING;
        break;
    case 0xe8: /* CALL */
        follow_call(registers);
        break;
    case 0x50 ... 0x57: /* PUSH */
    case 0x68:
    case 0x6a:
    case 0x70 ... 0x7f: /* jumps */
    case 0xe9:
    case 0xeb:
    case 0x38 ... 0x3d: /* CMP, TEST */
    case 0x84:
    case 0x85:
    case 0xa8:
    case 0xa9:
        break;
    default:
        forget_all(registers);
    }
}

static void follow_two_bytes(struct registers *registers, const struct instruction *instruction) {
    switch (instruction->opcode) {
    case 0x05: /* SYSCALL */
        registers->state[RAX] = registers->state[RCX] = registers->state[R11] = ANYTHING;
        break;
    case 0x10: /* MOVUPS and its like, XORPS, PXOR: no general register */
    case 0x11:
    case 0x14:
    case 0x16:
    case 0x28:
    case 0x29:
    case 0x57:
    case 0x6c:
    case 0x6f:
    case 0x7f:
    case 0xc6:
    case 0xef:
    case 0x1e: /* ENDBR64, NOP */
    case 0x1f:
    case 0x80 ... 0x8f: /* jumps */
    case 0x0d:          /* PREFETCH */
    case 0x18:
        break;
    case 0xb0: /* CMPXCHG */
    case 0xb1:
        registers->state[RAX] = ANYTHING;
        forget_rm(registers, instruction);
        break;
    case 0xc1: /* XADD */
        registers->state[instruction->reg] = ANYTHING;
        forget_rm(registers, instruction);
        break;
    case 0x90 ... 0x9f: /* SET of a byte */
        forget_byte(registers, instruction);
        break;
    case 0xaf:          /* IMUL */
    case 0x40 ... 0x4f: /* CMOV, MOVZX, MOVSX */
    case 0xb6:
    case 0xb7:
    case 0xbe:
    case 0xbf:
        registers->state[instruction->reg] = ANYTHING;
        break;
    default:
        forget_all(registers);
    }
}

/* NOP, whatever its length, and PAUSE */
static bool is_padding(const struct instruction *instruction) {
    return instruction->map == MAP_0F ? instruction->opcode == 0x1f
                                      : instruction->map == MAP_ONE_BYTE && instruction->opcode == 0x90 &&
                                            instruction->rm == 0; /* else XCHG */
}

static void follow(struct registers *registers, const struct instruction *instruction) {
    if (is_padding(instruction))
        return;
    if (instruction->map == MAP_0F)
        follow_two_bytes(registers, instruction);
    else if (instruction->map != MAP_ONE_BYTE || instruction->narrow || instruction->repeats)
        forget_all(registers); /* of another kind, or part of a register */
    else
        follow_one_byte(registers, instruction);
}

enum way { GOES_ON, MAY_JUMP, JUMPS, ENDS, GOES_ANYWHERE };

static enum way way_of(const struct instruction *instruction) {
    enum { JUMP_TO_REGISTER = 4, JUMP_FAR = 5 };
    if (instruction->map == MAP_0F)
        return (instruction->opcode & 0xf0) == 0x80 ? MAY_JUMP : instruction->opcode == 0x0b ? ENDS : GOES_ON;
    if (instruction->map != MAP_ONE_BYTE)
        return GOES_ON;
    switch (instruction->opcode) {
    case 0x70 ... 0x7f:
    case 0xe0 ... 0xe3:
        return MAY_JUMP;
    case 0xe9:
    case 0xeb:
        return JUMPS;
    case 0xc2: /* RET, INT3, HLT */
    case 0xc3:
    case 0xcc:
    case 0xf4:
        return ENDS;
    case 0xff:
        return (instruction->reg & 7) == JUMP_TO_REGISTER || (instruction->reg & 7) == JUMP_FAR ? GOES_ANYWHERE
                                                                                                : GOES_ON;
    default:
        return GOES_ON;
    }
}

/* Where jumps lead to. */
struct label {
    size_t at;
    bool reached;
    struct registers registers; /* as they are on all ways that have been followed so far */
};

enum { LABELS_MAX = 128 };

struct flow {
    struct label labels[LABELS_MAX];
    unsigned count;
    bool changed;
};

static struct label *label_at(struct flow *flow, size_t at) {
    for (unsigned i = 0; i < flow->count; i++)
        if (flow->labels[i].at == at)
            return &flow->labels[i];
    return NULL;
}

static bool target_of(const struct instruction *instruction, size_t at, size_t n, size_t *target) {
    int64_t to = (int64_t)(at + instruction->length) + instruction->immediate;
    *target = (size_t)to;
    return to >= 0 && to < (int64_t)n; /* else it leaves the function */
}

static bool collect_labels(struct flow *flow, const uint8_t *code, size_t n) {
    struct instruction instruction;
    for (size_t at = 0, target; at < n; at += instruction.length) {
        if (!instruction_decode(code + at, n - at, &instruction))
            return false;
        enum way way = way_of(&instruction);
        if (way == GOES_ANYWHERE)
            return false;
        if ((way != MAY_JUMP && way != JUMPS) || !target_of(&instruction, at, n, &target) || label_at(flow, target))
            continue;
        if (flow->count == LABELS_MAX)
            return false;
        flow->labels[flow->count++].at = target;
    }
    return true;
}

static void meet(struct flow *flow, struct registers *here, const struct registers *coming, unsigned i) {
    bool same =
        here->state[i] == coming->state[i] && (here->state[i] != CONSTANT || here->value[i] == coming->value[i]);
    if (same || coming->state[i] == NOTHING || here->state[i] == ANYTHING)
        return;
    flow->changed = true;
    bool first = here->state[i] == NOTHING;
    here->value[i] = coming->value[i];
    here->state[i] = first ? coming->state[i] : ANYTHING;
}

/* One more way leads there: what isn't the same on both isn't known. */
static void arrive(struct flow *flow, struct label *label, const struct registers *registers) {
    if (!label->reached) {
        label->reached = flow->changed = true;
        label->registers = *registers;
        return;
    }
    for (unsigned i = 0; i < REGISTERS; i++)
        meet(flow, &label->registers, registers, i);
}

/*
 * Once through the code in the order of addresses. Behind what doesn't go on, where no jump leads to, it is entered
 * from elsewhere (a handler of exceptions): nothing is known there. What hasn't been reached yet waits for the next
 * time.
 */
static void go_through(struct flow *flow, const uint8_t *code, size_t n, size_t asked, struct registers *out) {
    struct registers registers = {0};
    struct instruction instruction;
    enum { COMES, UNREACHED, FROM_ELSEWHERE } here = COMES;
    for (size_t at = 0, target; at < n; at += instruction.length) {
        struct label *label = label_at(flow, at);
        instruction_decode(code + at, n - at, &instruction);
        enum way way = way_of(&instruction);
        if (label && here == COMES)
            arrive(flow, label, &registers);
        if (label) {
            here = label->reached ? COMES : UNREACHED;
            registers = label->registers;
        } else if (here == FROM_ELSEWHERE && !is_padding(&instruction)) {
            here = COMES;
            forget_all(&registers);
        }
        if (here == COMES) {
            if (at == asked)
                *out = registers;
            follow(&registers, &instruction);
            if ((way == MAY_JUMP || way == JUMPS) && target_of(&instruction, at, n, &target))
                arrive(flow, label_at(flow, target), &registers);
        }
        if (way == ENDS || way == JUMPS)
            here = FROM_ELSEWHERE;
    }
}

bool registers_at(const uint8_t *code, size_t n, size_t at, struct registers *out) {
    enum { TIMES_MAX = 16 };
    struct flow flow = {0};
    *out = (struct registers){0};
    if (!collect_labels(&flow, code, n))
        return false;
    for (int times = 0; times < TIMES_MAX; times++) {
        flow.changed = false;
        go_through(&flow, code, n, at, out);
        if (!flow.changed)
            return true;
    }
    return false;
}
