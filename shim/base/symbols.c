#include "base/symbols.h"

#include <string.h>

/* The loader has made addresses of these values, but for where it may not write. They aren't far from the section. */
static const void *address_in(const struct link_map *object, Elf64_Addr value) {
    const uint64_t far = 1ull << 32;
    bool made = value - (uintptr_t)object->l_ld + far < 2 * far;
    return (const void *)(made ? value : object->l_addr + value);
}

struct link_map symbols_object(const struct dl_phdr_info *loaded) {
    struct link_map object = {.l_addr = loaded->dlpi_addr};
    for (int i = 0; i < loaded->dlpi_phnum; i++)
        if (loaded->dlpi_phdr[i].p_type == PT_DYNAMIC)
            object.l_ld = (void *)(loaded->dlpi_addr + loaded->dlpi_phdr[i].p_vaddr);
    return object;
}

bool symbols_find(const struct link_map *object, struct symbols *out) {
    const Elf64_Dyn *file = NULL;
    *out = (struct symbols){.object = object};
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
        else if (entry->d_tag == DT_VERDEF)
            out->defined = address;
        else if (entry->d_tag == DT_VERNEED)
            out->needed = address;
        else if (entry->d_tag == DT_SONAME)
            file = entry;
        else if (entry->d_tag == DT_FLAGS_1)
            out->stays = entry->d_un.d_val & DF_1_NODELETE;
    }
    if (file && out->names)
        out->file = out->names + file->d_un.d_val;
    return out->table && out->names && out->hashes;
}

uint32_t symbols_hash(const char *name) {
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

uint32_t symbols_look_up(const struct symbols *symbols, const char *name, uint32_t hash, enum wanted wanted) {
    const uint32_t *header = symbols->hashes; /* buckets, the first symbol in them, words of the filter, its shift */
    const uint64_t *filter = (const uint64_t *)(header + 4);
    const uint32_t *buckets = (const uint32_t *)(filter + header[2]), *chains = buckets + header[0];
    uint64_t word = filter[hash / 64 % header[2]];
    if (!(word >> hash % 64 & word >> (hash >> header[3]) % 64 & 1))
        return 0;
    uint32_t i = buckets[hash % header[0]];
    if (i < header[1])
        return 0;
    for (;; i++) { /* the lowest bit ends a chain */
        uint32_t found = chains[i - header[1]];
        if ((found | 1) == (hash | 1) && is_named(symbols, i, name, wanted))
            return i;
        if (found & 1)
            return 0;
    }
}

static bool asks_in(const struct symbols *symbols, const Elf64_Rela *relocations, size_t size, const char *name) {
    const Elf64_Half hidden = 0x8000;
    for (size_t i = 0; relocations && i < size / sizeof *relocations; i++) {
        uint32_t symbol = ELF64_R_SYM(relocations[i].r_info);
        bool plain = !symbols->versions || (symbols->versions[symbol] & ~hidden) <= VER_NDX_GLOBAL;
        if (symbol && plain && symbols->table[symbol].st_shndx == SHN_UNDEF &&
            strcmp(symbols->names + symbols->table[symbol].st_name, name) == 0)
            return true;
    }
    return false;
}

bool symbols_asks_plainly(const struct symbols *symbols, const char *name) {
    const Elf64_Rela *data = NULL, *calls = NULL;
    size_t data_size = 0, calls_size = 0;
    for (const Elf64_Dyn *entry = symbols->object->l_ld; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_RELA)
            data = address_in(symbols->object, entry->d_un.d_ptr);
        else if (entry->d_tag == DT_RELASZ)
            data_size = entry->d_un.d_val;
        else if (entry->d_tag == DT_JMPREL)
            calls = address_in(symbols->object, entry->d_un.d_ptr);
        else if (entry->d_tag == DT_PLTRELSZ)
            calls_size = entry->d_un.d_val;
    }
    return asks_in(symbols, calls, calls_size, name) || asks_in(symbols, data, data_size, name);
}

typedef void *resolver(uint64_t hwcap, const void *more);

/*
 * As the loader asks: on aarch64 with what the processor can do (elf_ifunc_invoke in sysdeps/aarch64/dl-irel.h of
 * glibc). libc is asked for that as libgcc asks it.
 */
static void *resolve(resolver *ask) {
#if defined(__aarch64__)
    extern unsigned long __getauxval(unsigned long type);
    const uint64_t more_follows = 1ull << 62; /* _IFUNC_ARG_HWCAP */
    const uint64_t more[3] = {sizeof more, __getauxval(AT_HWCAP), __getauxval(AT_HWCAP2)};
    return ask(more[1] | more_follows, more);
#else
    return ask(0, NULL);
#endif
}

void *symbols_address(const struct symbols *symbols, uint32_t symbol) {
    const Elf64_Sym *found = &symbols->table[symbol];
    void *address = (void *)(symbols->object->l_addr + found->st_value);
    return ELF64_ST_TYPE(found->st_info) == STT_GNU_IFUNC ? resolve((resolver *)address) : address;
}

const char *symbols_version(const struct symbols *symbols, uint32_t symbol) {
    if (!symbols->versions || !symbols->defined)
        return NULL;
    for (const Elf64_Verdef *version = symbols->defined;;) {
        const Elf64_Verdaux *name = (const void *)((const char *)version + version->vd_aux);
        if (version->vd_ndx == (symbols->versions[symbol] & 0x7fff))
            return symbols->names + name->vda_name;
        if (!version->vd_next)
            return NULL;
        version = (const void *)((const char *)version + version->vd_next);
    }
}
