#include "base/real.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

static long missing(void) {
    errno = ENOSYS;
    return -1;
}

/* What is needed of a loaded object to look up a name (System V ABI, "Dynamic Section"; the hash table is GNU's). */
struct symbols {
    const Elf64_Sym *table;
    const char *names;
    const Elf64_Half *versions; /* NULL: none has a version */
    const uint32_t *hashes;
};

/* Of several versions the default one, as dlsym(3) has it; or also one kept for programs that were linked long ago. */
enum wanted { VERSION_DEFAULT, VERSION_ANY };

/* The loader has made addresses of these values, but for where it may not write. They aren't far from the section. */
static const void *address_in(const struct link_map *object, Elf64_Addr value) {
    const uint64_t far = 1ull << 32;
    bool made = value - (uintptr_t)object->l_ld + far < 2 * far;
    return (const void *)(made ? value : object->l_addr + value);
}

static bool find_symbols(const struct link_map *object, struct symbols *out) {
    *out = (struct symbols){0};
    for (const Elf64_Dyn *entry = object->l_ld; entry->d_tag != DT_NULL; entry++) {
        const void *address = address_in(object, entry->d_un.d_ptr);
        if (entry->d_tag == DT_SYMTAB)
            out->table = address;
        else if (entry->d_tag == DT_STRTAB)
            out->names = address;
        else if (entry->d_tag == DT_VERSYM)
            out->versions = address;
        else if (entry->d_tag == DT_GNU_HASH)
            out->hashes = address;
    }
    return out->table && out->names && out->hashes;
}

static uint32_t hash_of(const char *name) {
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = 33 * hash + (unsigned char)*name;
    return hash;
}

static bool is_named(const struct symbols *symbols, uint32_t i, const char *name, enum wanted wanted) {
    enum { HIDDEN = 0x8000 }; /* not the default version */
    if (wanted == VERSION_DEFAULT && symbols->versions && symbols->versions[i] & HIDDEN)
        return false;
    return symbols->table[i].st_shndx != SHN_UNDEF && strcmp(symbols->names + symbols->table[i].st_name, name) == 0;
}

static const Elf64_Sym *look_up(const struct symbols *symbols, const char *name, uint32_t hash, enum wanted wanted) {
    const uint32_t *header = symbols->hashes; /* buckets, the first symbol in them, words of the filter, its shift */
    const uint64_t *filter = (const uint64_t *)(header + 4);
    const uint32_t *buckets = (const uint32_t *)(filter + header[2]), *chains = buckets + header[0];
    uint64_t word = filter[hash / 64 % header[2]];
    if (!(word >> hash % 64 & word >> (hash >> header[3]) % 64 & 1))
        return NULL;
    uint32_t i = buckets[hash % header[0]];
    if (i < header[1])
        return NULL;
    for (;; i++) { /* the lowest bit ends a chain */
        uint32_t found = chains[i - header[1]];
        if ((found | 1) == (hash | 1) && is_named(symbols, i, name, wanted))
            return &symbols->table[i];
        if (found & 1)
            return NULL;
    }
}

static void *definition(const struct link_map *object, const Elf64_Sym *symbol) {
    void *address = (void *)(object->l_addr + symbol->st_value);
    return ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC ? ((void *(*)(void))address)() : address;
}

/*
 * In the objects that were loaded with the program, after this one: the loader's list begins with them, in the order of
 * the search. They stay, so no lock is needed. From the loader itself on none is looked at. NULL: it may know better.
 */
static void *next_definition(const char *name, enum wanted wanted) {
    struct symbols symbols;
    uint32_t hash = hash_of(name);
    const struct link_map *object = _r_debug.r_map;
    while (object && object->l_ld != _DYNAMIC)
        object = object->l_next;
    while (object && (object = object->l_next) && object->l_addr != _r_debug.r_ldbase) {
        bool readable = find_symbols(object, &symbols);
        if (!readable && wanted == VERSION_DEFAULT)
            return NULL;
        if (!readable) /* the loader has found nothing there */
            continue;
        const Elf64_Sym *symbol = look_up(&symbols, name, hash, wanted);
        if (symbol)
            return definition(object, symbol);
    }
    return NULL;
}

void *real_resolve(void **slot, const char *name) {
    int saved = errno;
    void *found = next_definition(name, VERSION_DEFAULT);
    if (unlikely(!found))
        found = dlsym(RTLD_NEXT, name);
    if (unlikely(!found))
        found = next_definition(name, VERSION_ANY);
    if (unlikely(!found))
        found = (void *)missing;
    __atomic_store_n(slot, found, __ATOMIC_RELAXED);
    errno = saved;
    return found;
}
