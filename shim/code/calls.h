/*
 * Code that makes system calls of its own, past libc, where nobody sees them: assembly, Go, Rust's rustix. Looked for
 * in machine code that is mapped, or in a file. One whose number is a constant, and harmless to what the library
 * promises, doesn't count: it neither sees what is in files or elsewhere outside, nor changes what a write would do.
 */
#ifndef URINGSHIM_CODE_CALLS_H
#define URINGSHIM_CODE_CALLS_H

#include <elf.h>
#include <stdatomic.h>

#include "code/functions.h"

struct calls_search {
    const struct code_source *source;
    /* Called for each one that counts, in the order of addresses; number: -1 where it isn't a constant. False: enough.
     */
    bool (*found)(struct calls_search *search, uint64_t address, int64_t number);
    const _Atomic bool *stop;  /* somebody wants it to end; may be NULL */
    uint8_t *chunk, *function; /* room to read to: calls_begin */
};

/* Takes memory for a search, and gives it back. False: there is none. */
bool calls_begin(struct calls_search *search);
void calls_end(struct calls_search *search);

enum { OBJECT_SEGMENTS_MAX = 32 };

/* An object file as it is loaded: where its functions are, and whether Go's linker made it (it leaves a note). */
struct object {
    uint64_t base; /* what is added to the addresses in it */
    unsigned segments;
    Elf64_Phdr segment[OBJECT_SEGMENTS_MAX];
    bool go;
    uint64_t code_low, code_high; /* addresses between which all its code lies, as far as is known */
    struct functions functions;
};
/* False: there is no object at that address. Else it is to be closed. */
bool object_open(struct object *object, const struct code_source *source, uint64_t start);
void object_close(struct object *object);

enum calls_verdict { CALLS_NONE, CALLS_FOUND, CALLS_UNKNOWN /* it can't be read, or the search was stopped */ };

/* Code of the object, or of none (NULL). */
enum calls_verdict calls_in(struct calls_search *search, const struct object *object, uint64_t start, uint64_t end);
/* All code of an object in a file. */
enum calls_verdict calls_in_file(struct calls_search *search, const struct object *object);

#endif
