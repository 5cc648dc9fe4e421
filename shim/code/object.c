/* What is needed of an ELF object (elf(5)), in memory or in a file. */
#include <elf.h>
#include <string.h>

#include "code/calls.h"

static bool read_segment(const struct object *object, const struct code_source *source, unsigned i, Elf64_Phdr *out) {
    return source->read(source, object->table + i * sizeof *out, out, sizeof *out);
}

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
    Elf64_Dyn entry;
    for (uint64_t at = 0; at + sizeof entry <= dynamic->p_memsz; at += sizeof entry) {
        if (!source->read(source, object->base + dynamic->p_vaddr + at, &entry, sizeof entry) || entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag == DT_INIT)
            init = object->base + entry.d_un.d_ptr;
        else if (entry.d_tag == DT_FINI)
            fini = object->base + entry.d_un.d_ptr;
    }
    if (init && fini && functions_range(&object->functions, source, &first, &last) && init < first && last <= fini) {
        object->code_low = init;
        object->code_high = fini + FINI_MAX;
    }
}

bool object_open(struct object *object, const struct code_source *source, uint64_t start) {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    *object = (struct object){0};
    if (!source->read(source, start, &header, sizeof header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof segment)
        return false;
    object->table = start + header.e_phoff;
    object->segments = header.e_phnum;
    object->base = start;
    object->code_high = UINT64_MAX;
    for (unsigned i = 0; i < header.e_phnum && read_segment(object, source, i, &segment); i++)
        if (segment.p_type == PT_LOAD && segment.p_offset == 0)
            object->base = start - segment.p_vaddr;
    for (unsigned i = 0; i < header.e_phnum && read_segment(object, source, i, &segment); i++) {
        if (segment.p_type == PT_GNU_EH_FRAME)
            functions_open(&object->functions, source, object->base + segment.p_vaddr);
        else if (segment.p_type == PT_NOTE)
            object->go |= has_go_note(source, object->base + segment.p_vaddr, segment.p_filesz);
    }
    for (unsigned i = 0; i < header.e_phnum && read_segment(object, source, i, &segment); i++)
        if (segment.p_type == PT_DYNAMIC)
            find_ends(object, source, &segment);
    return true;
}

void object_close(struct object *object) {
    functions_close(&object->functions);
}

enum calls_verdict calls_in_file(struct calls_search *search, const struct object *object) {
    enum calls_verdict verdict = CALLS_NONE;
    Elf64_Phdr segment;
    for (unsigned i = 0; i < object->segments && verdict != CALLS_UNKNOWN; i++) {
        if (!read_segment(object, search->source, i, &segment))
            return CALLS_UNKNOWN;
        if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X))
            continue;
        uint64_t start = object->base + segment.p_vaddr;
        enum calls_verdict here = calls_in(search, object, start, start + segment.p_filesz);
        if (here != CALLS_NONE)
            verdict = here;
    }
    return verdict;
}
