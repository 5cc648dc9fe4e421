/*
 * Where functions begin and end: what unwinding through them needs says it (.eh_frame_hdr and .eh_frame: Linux Standard
 * Base, "Exception Frames"; pointer encodings: DWARF exception header encoding). Pure but for reading: any thread.
 */
#ifndef URINGSHIM_CODE_FUNCTIONS_H
#define URINGSHIM_CODE_FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Something that has addresses: a process's memory, or a file as it would be loaded at zero. */
struct code_source {
    /* All n bytes at the address, or false. */
    bool (*read)(const struct code_source *source, uint64_t address, void *to, size_t n);
    long process;     /* of memory: whose; or a descriptor of it */
    const void *file; /* of a file: its bytes, and how many */
    size_t size;
};

/* A copy of the table of one object; entries == 0: it has none that can be used. */
struct functions {
    uint64_t header; /* address */
    uint32_t entries;
    const struct functions_entry *table;
};

void functions_open(struct functions *functions, const struct code_source *source, uint64_t header);
void functions_close(struct functions *functions);

struct function {
    uint64_t start, end; /* addresses; the end is the first one behind it */
    bool known;          /* else it is where one might be: what lies between two that are known */
};

/* Where the first one begins, and the last one ends; false: there is none. */
bool functions_range(const struct functions *functions, const struct code_source *source, uint64_t *low,
                     uint64_t *high);

/* The one around an address, or the gap there; of a gap both ends lie within [low, high). */
struct function functions_find(const struct functions *functions, const struct code_source *source, uint64_t address,
                               uint64_t low, uint64_t high);

#endif
