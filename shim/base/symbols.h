/*
 * The names in loaded objects, read without the loader: its lock may be held by whoever waits for the caller. (System V
 * ABI, "Dynamic Section"; the hash table is GNU's, and so are versions: Drepper, "ELF Symbol Versioning".)
 */
#ifndef URINGSHIM_BASE_SYMBOLS_H
#define URINGSHIM_BASE_SYMBOLS_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct symbols {
    const struct link_map *object;
    const Elf64_Sym *table;
    const char *names;
    const Elf64_Half *versions;  /* NULL: none has a version */
    const uint32_t *hashes;      /* NULL: there is no such table, and nothing is found */
    const Elf64_Verdef *defined; /* the versions that it has, or NULL */
    const Elf64_Verneed *needed; /* those that it needs of others, or NULL */
    const char *file;            /* what it calls itself (DT_SONAME), or NULL */
    bool stays;                  /* once it's loaded it isn't unloaded any more (DF_1_NODELETE) */
};

/* Of several versions the default one, as dlsym(3) has it; or also one kept for programs that were linked long ago. */
enum wanted { VERSION_DEFAULT, VERSION_ANY };

/* Of what dl_iterate_phdr(3) shows: as much as the functions below look at. `l_ld` is NULL if it has no symbols. */
struct link_map symbols_object(const struct dl_phdr_info *loaded);

/* False: nothing can be said of its names. */
bool symbols_find(const struct link_map *object, struct symbols *out);

/* The defined symbol of this name, as its place in the table; 0: there is none. */
uint32_t symbols_look_up(const struct symbols *symbols, const char *name, uint32_t hash, enum wanted wanted);
uint32_t symbols_hash(const char *name);

/* Does a relocation of it ask for this name, of others and in no version? */
bool symbols_asks_plainly(const struct symbols *symbols, const char *name);

/* Where it is: an indirect function is asked where that is. */
void *symbols_address(const struct symbols *symbols, uint32_t symbol);

/* The name of a defined symbol's version, or NULL. */
const char *symbols_version(const struct symbols *symbols, uint32_t symbol);

#endif
