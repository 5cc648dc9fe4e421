#include "code/instruction.h"

/*
 * What follows an opcode: nothing (' '), ModRM (M), an immediate of 8 (b), 16 (w), 16 or 32 (z) bits, ModRM and one of
 * these (B, Z), a jump's distance of 8 (J) or 32 (j) bits, up to 64 bits (V), an address (O), 16 and 8 bits (e), ModRM
 * and for TEST alone an immediate (T, t). p: a prefix; R: REX; x: none in 64-bit mode. Those that lead elsewhere: 2 to
 * the map of 0F, 8 and A on from there, v and 3 VEX, E EVEX, P XOP where it isn't POP.
 */
static const char one_byte[] = "MMMMbzxxMMMMbzx2"
                               "MMMMbzxxMMMMbzxx"
                               "MMMMbzpxMMMMbzpx"
                               "MMMMbzpxMMMMbzpx"
                               "RRRRRRRRRRRRRRRR"
                               "                "
                               "xxEMppppzZbB    "
                               "JJJJJJJJJJJJJJJJ"
                               "BZxBMMMMMMMMMMMP"
                               "          x     "
                               "OOOO    bz      "
                               "bbbbbbbbVVVVVVVV"
                               "BBw 3vBZe w  bx "
                               "MMMMxxx MMMMMMMM"
                               "JJJJbbbbjjxJ    "
                               "p pp  Tt      MM";

static const char two_bytes[] = "MMMMx     x xM B"
                                "MMMMMMMMMMMMMMMM"
                                "MMMMxxxxMMMMMMMM"
                                "      x 8xAxxxxx"
                                "MMMMMMMMMMMMMMMM"
                                "MMMMMMMMMMMMMMMM"
                                "MMMMMMMMMMMMMMMM"
                                "BBBBMMM MMxxMMMM"
                                "jjjjjjjjjjjjjjjj"
                                "MMMMMMMMMMMMMMMM"
                                "   MBMMM   MBMMM"
                                "MMMMMMMMMMBMMMMM"
                                "MMBMBBBM        "
                                "MMMMMMMMMMMMMMMM"
                                "MMMMMMMMMMMMMMMM"
                                "MMMMMMMMMMMMMMMM";

/* The bytes that are left; past the end they are zeros, and `over` tells. */
struct bytes {
    const uint8_t *start;
    size_t n, at;
    bool over;
};

static uint8_t next(struct bytes *bytes) {
    if (bytes->at >= bytes->n) {
        bytes->over = true;
        return 0;
    }
    return bytes->start[bytes->at++];
}

static int64_t number(struct bytes *bytes, unsigned size) {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)next(bytes) << 8 * i;
    unsigned unused = 64 - 8 * size;
    return size == 0 ? 0 : (int64_t)(value << unused) >> unused;
}

struct prefixes {
    uint8_t rex;
    bool operand, address, f2, f3;
};

static uint8_t read_prefixes(struct bytes *bytes, struct prefixes *prefixes) {
    for (;;) {
        uint8_t byte = next(bytes);
        if (one_byte[byte] == 'R') {
            prefixes->rex = byte;
            continue;
        }
        if (one_byte[byte] != 'p')
            return byte;
        prefixes->rex = 0; /* counts just before the opcode */
        prefixes->operand |= byte == 0x66;
        prefixes->address |= byte == 0x67;
        prefixes->f2 |= byte == 0xf2;
        prefixes->f3 |= byte == 0xf3;
    }
}

static void read_modrm(struct bytes *bytes, const struct prefixes *prefixes, struct instruction *out) {
    uint8_t modrm = next(bytes);
    unsigned base = modrm & 7;
    out->has_modrm = true;
    out->mod = modrm >> 6;
    out->reg = (uint8_t)((modrm >> 3 & 7) | (prefixes->rex & 4) << 1);
    out->rm = (uint8_t)(base | (prefixes->rex & 1) << 3);
    if (out->mod == 3)
        return;
    if (base == 4)
        base = next(bytes) & 7;
    if (out->mod == 1)
        number(bytes, 1);
    else if (out->mod == 2 || base == 5)
        number(bytes, 4);
}

/* VEX, EVEX, XOP: `rest` bytes of prefix are left, of which the first names the map. The next one is the opcode. */
static bool read_vector(struct bytes *bytes, unsigned map_bits, unsigned rest, struct instruction *out) {
    enum { VZEROUPPER = 0x77, XOP_IMMEDIATE_8 = 8, XOP_IMMEDIATE_32 = 10 };
    static const struct prefixes none;
    unsigned map = rest == 1 ? 1 : next(bytes) & map_bits;
    number(bytes, rest - (rest > 1));
    out->opcode_at = (unsigned)bytes->at;
    out->opcode = next(bytes);
    out->map = MAP_VECTOR;
    if (map == 0)
        return false;
    if (!(map == 1 && out->opcode == VZEROUPPER))
        read_modrm(bytes, &none, out);
    bool byte_follows = map == 3 || map == XOP_IMMEDIATE_8 || (map == 1 && two_bytes[out->opcode] == 'B');
    out->immediate = number(bytes, map == XOP_IMMEDIATE_32 ? 4 : byte_follows);
    return true;
}

/* ModRM and the immediate that the letter says. */
static void read_operands(struct bytes *bytes, const struct prefixes *prefixes, char letter, struct instruction *out) {
    unsigned half = out->narrow ? 2 : 4;
    switch (letter) {
    case 'M':
    case 'B':
    case 'Z':
    case 'T':
    case 't':
        read_modrm(bytes, prefixes, out);
        break;
    }
    bool tests = (letter == 'T' || letter == 't') && (out->reg & 7) < 2;
    switch (letter) {
    case 'b':
    case 'B':
    case 'J':
        out->immediate = number(bytes, 1);
        break;
    case 'w':
        number(bytes, 2);
        break;
    case 'e':
        number(bytes, 3);
        break;
    case 'z':
    case 'Z':
        out->immediate = number(bytes, half);
        break;
    case 'j':
        out->immediate = number(bytes, 4);
        break;
    case 'V':
        out->immediate = number(bytes, out->wide ? 8 : half);
        break;
    case 'O':
        number(bytes, prefixes->address ? 4 : 8);
        break;
    case 'T':
    case 't':
        number(bytes, !tests ? 0 : letter == 'T' ? 1 : half);
        break;
    }
}

static char read_two_bytes(struct bytes *bytes, const struct prefixes *prefixes, struct instruction *out) {
    enum { EXTRQ = 0x78 };
    out->map = MAP_0F;
    out->opcode = next(bytes);
    char letter = two_bytes[out->opcode];
    if (letter == '8' || letter == 'A') {
        out->map = letter == '8' ? MAP_0F38 : MAP_0F3A;
        out->opcode = next(bytes);
        return letter == '8' ? 'M' : 'B';
    }
    if (out->opcode == EXTRQ && (prefixes->operand || prefixes->f2)) {
        read_modrm(bytes, prefixes, out);
        return 'w'; /* two immediates of 8 bits */
    }
    return letter;
}

bool instruction_decode(const uint8_t *start, size_t n, struct instruction *out) {
    enum { LENGTH_MAX = 15 };
    struct bytes bytes = {start, n < LENGTH_MAX ? n : LENGTH_MAX, 0, false};
    struct prefixes prefixes = {0};
    *out = (struct instruction){0};
    out->opcode = read_prefixes(&bytes, &prefixes);
    out->opcode_at = (unsigned)bytes.at - 1;
    out->wide = prefixes.rex & 8;
    out->narrow = prefixes.operand && !out->wide;
    out->repeats = prefixes.f2 || prefixes.f3;
    out->rex = prefixes.rex != 0;
    char letter = one_byte[out->opcode];
    bool is_pop = bytes.at < bytes.n && (start[bytes.at] & 0x1f) < 8; /* no map of XOP's has so small a number */
    bool valid = true;
    if (letter == 'v')
        valid = read_vector(&bytes, 0, 1, out);
    else if (letter == '3')
        valid = read_vector(&bytes, 0x1f, 2, out);
    else if (letter == 'E')
        valid = read_vector(&bytes, 7, 3, out);
    else if (letter == 'P' && !is_pop)
        valid = read_vector(&bytes, 0x1f, 2, out);
    else if (letter == '2')
        letter = read_two_bytes(&bytes, &prefixes, out);
    if (out->map != MAP_VECTOR) {
        out->rm = (uint8_t)((out->opcode & 7) | (prefixes.rex & 1) << 3); /* where there is no ModRM */
        if (letter == 'P')
            letter = 'M';
        read_operands(&bytes, &prefixes, letter, out);
    }
    out->length = (unsigned)bytes.at;
    return valid && letter != 'x' && !bytes.over;
}
