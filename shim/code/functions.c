#include "code/functions.h"

#include "base/arena.h"

enum { /* how a pointer is stored: the size in the low half, what it counts from in the high one */
       PE_UDATA4 = 0x03,
       PE_SDATA4 = 0x0b,
       PE_PCREL = 0x10,
       PE_DATAREL = 0x30,
};

struct functions_entry {
    int32_t start, description; /* both from the header's address */
};

void functions_open(struct functions *functions, const struct code_source *source, uint64_t header) {
    enum { ENTRIES_MAX = 4 << 20 };
    struct {
        uint8_t version, frame_encoding, count_encoding, table_encoding;
        int32_t frame;
        uint32_t count;
    } read;
    functions_close(functions);
    if (!source->read(source, header, &read, sizeof read) || read.version != 1 ||
        read.frame_encoding != (PE_PCREL | PE_SDATA4) || read.count_encoding != PE_UDATA4 ||
        read.table_encoding != (PE_DATAREL | PE_SDATA4) || read.count == 0 || read.count > ENTRIES_MAX)
        return;
    size_t size = read.count * sizeof *functions->table;
    void *table = arena_map(size, ARENA_DONTFORK);
    if (!table)
        return;
    *functions = (struct functions){header, read.count, table};
    if (!source->read(source, header + sizeof read, table, size))
        functions_close(functions);
}

void functions_close(struct functions *functions) {
    arena_unmap((void *)functions->table, functions->entries * sizeof *functions->table);
    *functions = (struct functions){0};
}

/* LEB128, of which nobody wants the value. */
static const uint8_t *skip_number(const uint8_t *p) {
    while (*p++ & 0x80)
        ;
    return p;
}

static size_t pointer_size(uint8_t encoding) {
    switch (encoding & 0x07) {
    case 2:
        return 2;
    case 3:
        return 4;
    default:
        return 8;
    }
}

/* How the common part (CIE) of a description says that it stores addresses; false: in no way that we know. */
static bool read_encoding(const struct code_source *source, uint64_t common, uint8_t *encoding) {
    uint8_t bytes[64 + 16] = {0};
    enum { VERSION = 8, AUGMENTATION = 9, READ = 64 };
    if (!source->read(source, common, bytes, READ))
        return false;
    const char *letter = (const char *)bytes + AUGMENTATION;
    const uint8_t *p = bytes + AUGMENTATION;
    while (p < bytes + READ && *p++)
        ;
    *encoding = 0;
    if (*letter++ != 'z')
        return p < bytes + READ;
    p = skip_number(skip_number(p));                  /* alignment of code and data */
    p = bytes[VERSION] == 1 ? p + 1 : skip_number(p); /* the return address's register */
    for (p = skip_number(p); p < bytes + READ && *letter; letter++) {
        if (*letter == 'R')
            *encoding = *p++;
        else if (*letter == 'P')
            p += 1 + pointer_size(*p);
        else if (*letter == 'L')
            p++;
    }
    return p < bytes + READ;
}

/* How many bytes the function has that is described (FDE) there; 0: unknown. */
static uint64_t length_of(const struct code_source *source, uint64_t description) {
    struct {
        uint32_t length, common;
        uint8_t addresses[16];
    } read;
    uint8_t encoding;
    uint64_t length = 0;
    if (!source->read(source, description, &read, sizeof read) || read.length == UINT32_MAX ||
        !read_encoding(source, description + 4 - read.common, &encoding))
        return 0;
    size_t size = pointer_size(encoding);
    __builtin_memcpy(&length, read.addresses + size, size);
    return length;
}

static uint64_t start_of(const struct functions *functions, const struct functions_entry *entry) {
    return functions->header + (uint64_t)(int64_t)entry->start;
}

static uint64_t end_of(const struct functions *functions, const struct code_source *source,
                       const struct functions_entry *entry) {
    return start_of(functions, entry) + length_of(source, functions->header + (uint64_t)(int64_t)entry->description);
}

/* How many of the table's functions begin at or before the address. */
static uint32_t count_up_to(const struct functions *functions, uint64_t address) {
    uint32_t low = 0, high = functions->entries;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (start_of(functions, &functions->table[middle]) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool functions_range(const struct functions *functions, const struct code_source *source, uint64_t *low,
                     uint64_t *high) {
    if (functions->entries == 0)
        return false;
    *low = start_of(functions, functions->table);
    *high = end_of(functions, source, &functions->table[functions->entries - 1]);
    return true;
}

struct function functions_find(const struct functions *functions, const struct code_source *source, uint64_t address,
                               uint64_t low, uint64_t high) {
    struct function found = {low, high, false};
    uint32_t i = count_up_to(functions, address);
    const struct functions_entry *next = functions->table + i;
    if (i > 0) {
        uint64_t end = end_of(functions, source, next - 1);
        if (address < end)
            return (struct function){start_of(functions, next - 1), end, true};
        if (end > low)
            found.start = end;
    }
    if (i < functions->entries && start_of(functions, next) < high)
        found.end = start_of(functions, next);
    return found;
}
