/* What is needed of an ELF object (elf(5)), in memory or in a file. */
#include <elf.h>
#include <string.h>

#include "code/calls.h"

/* A note of Go's: its name is "Go", its type 4 (src/cmd/link/internal/ld/elf.go: ELF_NOTE_GOBUILDID_TAG). */
static bool has_go_note(const struct code_source *source, uint64_t address, uint64_t size) {
    enum { READ = 1024, BUILD_ID = 4, ROUND = 3 };
    uint8_t bytes[READ];
    size_t n = size < READ ? size : READ;
    if (!source->read(source, address, bytes, n))
        return false;
    for (size_t at = 0; at + sizeof(Elf64_Nhdr) + 4 <= n;) {
        Elf64_Nhdr note;
        memcpy(&note, bytes + at, sizeof note);
        if (note.n_type == BUILD_ID && note.n_namesz == 4 && memcmp(bytes + at + sizeof note, "Go", 3) == 0)
            return true;
        uint64_t name = ((uint64_t)note.n_namesz + ROUND) & ~(uint64_t)ROUND;
        at += sizeof note + name + (((uint64_t)note.n_descsz + ROUND) & ~(uint64_t)ROUND);
    }
    return false;
}

/*
 * Where one segment has everything in it, GNU's linkers put code between .init and .fini, and names, tables and
 * constants before and behind them, which can look like code. Only if all functions that are known lie between the two.
 */
static void find_ends(struct object *object, const struct code_source *source, const Elf64_Phdr *dynamic) {
    enum { FINI_MAX = 64 }; /* bytes */
    uint64_t init = 0, fini = 0, first, last;
    Elf64_Dyn entries[64];
    size_t n = dynamic->p_memsz < sizeof entries ? dynamic->p_memsz : sizeof entries;
    if (!source->read(source, object->base + dynamic->p_vaddr, entries, n))
        return;
    for (size_t i = 0; i < n / sizeof *entries && entries[i].d_tag != DT_NULL; i++) {
        if (entries[i].d_tag == DT_INIT)
            init = object->base + entries[i].d_un.d_ptr;
        else if (entries[i].d_tag == DT_FINI)
            fini = object->base + entries[i].d_un.d_ptr;
    }
    if (init && fini && functions_range(&object->functions, source, &first, &last) && init < first && last <= fini) {
        object->code_low = init;
        object->code_high = fini + FINI_MAX;
    }
}

bool object_open(struct object *object, const struct code_source *source, uint64_t start) {
    Elf64_Ehdr header;
    *object = (struct object){.base = start, .code_high = UINT64_MAX};
    if (!source->read(source, start, &header, sizeof header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof *object->segment ||
        header.e_phnum > OBJECT_SEGMENTS_MAX ||
        !source->read(source, start + header.e_phoff, object->segment, header.e_phnum * sizeof *object->segment))
        return false;
    object->segments = header.e_phnum;
    for (unsigned i = 0; i < object->segments; i++)
        if (object->segment[i].p_type == PT_LOAD && object->segment[i].p_offset == 0)
            object->base = start - object->segment[i].p_vaddr;
    for (unsigned i = 0; i < object->segments; i++) {
        const Elf64_Phdr *segment = &object->segment[i];
        if (segment->p_type == PT_GNU_EH_FRAME)
            functions_open(&object->functions, source, object->base + segment->p_vaddr);
        else if (segment->p_type == PT_NOTE)
            object->go |= has_go_note(source, object->base + segment->p_vaddr, segment->p_filesz);
    }
    for (unsigned i = 0; i < object->segments; i++)
        if (object->segment[i].p_type == PT_DYNAMIC)
            find_ends(object, source, &object->segment[i]);
    return true;
}

void object_close(struct object *object) {
    functions_close(&object->functions);
}

enum calls_verdict calls_in_file(struct calls_search *search, const struct object *object) {
    enum calls_verdict verdict = CALLS_NONE;
    for (unsigned i = 0; i < object->segments && verdict != CALLS_UNKNOWN; i++) {
        const Elf64_Phdr *segment = &object->segment[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
            continue;
        uint64_t start = object->base + segment->p_vaddr;
        enum calls_verdict here = calls_in(search, object, start, start + segment->p_filesz);
        if (here != CALLS_NONE)
            verdict = here;
    }
    return verdict;
}
