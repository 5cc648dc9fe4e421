/*
 * uringshim-elf FILE: what a program's file says of how it will run, a line each, for the command uringshim (elf(5)):
 *
 *   no_program        it isn't an ELF file; nothing more is said then
 *   foreign           for another processor than ours, or of 32 bits; nothing more is said then
 *   interpreter PATH  the loader that it asks for; without this line it is statically linked
 *   first NAME        it is linked with this library, which must come before any other (entry/life/first_library.h)
 *   go                it was made by Go's linker (debug/buildinfo in Go's library)
 *   newer_libc NAME   it wants functions of libc's in a version that came after all that we know
 *   io_uring          a name of liburing's, or of its system call, stands in it
 *   call 0xADDRESS N  code in it makes system call N itself, past libc; -: the number isn't a constant (code/calls.h).
 *                     Only the first one; with --calls before FILE all of them
 *   capabilities      it has file capabilities (capabilities(7))
 *
 * Exit status 1: it can't be read.
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/first.h"
#include "base/libc.h"
#include "code/calls.h"
#include "tools/any_libc.h"

struct file {
    const unsigned char *bytes;
    size_t size;
};

static bool file_map(struct file *file, const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || !stat_open_file(fd, &st) || !S_ISREG(st.st_mode))
        return false;
    file->size = (size_t)st.st_size;
    file->bytes = NULL;
    if (file->size) /* nothing can't be mapped */
        file->bytes = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    return file->bytes != MAP_FAILED;
}

/* The bytes at `offset`, or NULL: there aren't that many, in a file that need not be what it says. */
static const void *part(const struct file *file, uint64_t offset, uint64_t length) {
    return offset <= file->size && length <= file->size - offset ? file->bytes + offset : NULL;
}

/* Of our own kind: the processor, the size of addresses and the order of bytes that this program has. */
static bool ours(const Elf64_Ehdr *header) {
    struct file self;
    const Elf64_Ehdr *own = file_map(&self, "/proc/self/exe") ? part(&self, 0, sizeof *own) : NULL;
    return own && header->e_machine == own->e_machine && memcmp(header->e_ident, own->e_ident, EI_VERSION) == 0;
}

static void print_interpreter(const struct file *file, const Elf64_Ehdr *header) {
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const Elf64_Phdr *segment = part(file, header->e_phoff + i * sizeof *segment, sizeof *segment);
        if (!segment || segment->p_type != PT_INTERP || segment->p_filesz > PATH_MAX)
            continue;
        const char *path = part(file, segment->p_offset, segment->p_filesz);
        if (path)
            printf("interpreter %.*s\n", (int)segment->p_filesz, path);
    }
}

static const Elf64_Shdr *section_of(const struct file *file, const Elf64_Ehdr *header, unsigned number) {
    return part(file, header->e_shoff + number * sizeof(Elf64_Shdr), sizeof(Elf64_Shdr));
}

static bool has_section(const struct file *file, const Elf64_Ehdr *header, const char *name) {
    const Elf64_Shdr *names = section_of(file, header, header->e_shstrndx);
    for (unsigned i = 0; names && i < header->e_shnum; i++) {
        const Elf64_Shdr *section = section_of(file, header, i);
        const char *found = section ? part(file, names->sh_offset + section->sh_name, strlen(name) + 1) : NULL;
        if (found && memcmp(found, name, strlen(name) + 1) == 0)
            return true;
    }
    return false;
}

/* One of the lists of versions that it wants (section .gnu.version_r): the first of libc's that we don't know. */
static const char *newer_version(const struct file *file, const Elf64_Shdr *needed, uint64_t names) {
    uint64_t at = needed->sh_offset;
    for (unsigned left = needed->sh_info; left > 0; left--) {
        const Elf64_Verneed *library = part(file, at, sizeof *library);
        const char *of = library ? part(file, names + library->vn_file, sizeof "libc.so.") : NULL;
        if (!of)
            return NULL;
        uint64_t version_at = at + library->vn_aux;
        for (unsigned i = 0; i < library->vn_cnt && memcmp(of, "libc.so.", 8) == 0; i++) {
            const Elf64_Vernaux *version = part(file, version_at, sizeof *version);
            const char *name = version ? part(file, names + version->vna_name, 1) : NULL;
            if (!name || !memchr(name, 0, file->size - (size_t)((const unsigned char *)name - file->bytes)))
                return NULL;
            if (libc_version_minor(name) > LIBC_NEWEST)
                return name;
            version_at += version->vna_next;
        }
        at += library->vn_next;
    }
    return NULL;
}

static void print_newer_libc(const struct file *file, const Elf64_Ehdr *header) {
    for (unsigned i = 0; i < header->e_shnum; i++) {
        const Elf64_Shdr *section = section_of(file, header, i);
        if (!section || section->sh_type != SHT_GNU_verneed)
            continue;
        const Elf64_Shdr *names = section_of(file, header, section->sh_link);
        const char *name = names ? newer_version(file, section, names->sh_offset) : NULL;
        if (name)
            printf("newer_libc %s\n", name);
    }
}

/* The string at `offset` of a section of strings, if it ends. */
static const char *string_in(const struct file *file, const Elf64_Shdr *strings, uint64_t offset) {
    const char *string = offset < strings->sh_size ? part(file, strings->sh_offset + offset, 1) : NULL;
    return string && memchr(string, '\0', file->size - (size_t)(string - (const char *)file->bytes)) ? string : NULL;
}

static void print_first(const struct file *file, const Elf64_Ehdr *header) {
    for (unsigned i = 0; i < header->e_shnum; i++) {
        const Elf64_Shdr *section = section_of(file, header, i);
        const Elf64_Shdr *strings =
            section && section->sh_type == SHT_DYNAMIC ? section_of(file, header, section->sh_link) : NULL;
        for (uint64_t at = 0; strings && at < section->sh_size; at += sizeof(Elf64_Dyn)) {
            const Elf64_Dyn *entry = part(file, section->sh_offset + at, sizeof *entry);
            const char *name = entry && entry->d_tag == DT_NEEDED ? string_in(file, strings, entry->d_un.d_val) : NULL;
            if (name && must_come_first(name))
                printf("first %s\n", name);
        }
    }
}

static bool contains(const struct file *file, const char *text) {
    return memmem(file->bytes, file->size, text, strlen(text)) != NULL;
}

/* As it would be loaded: from the segment in which the address lies. */
static bool read_loaded(const struct code_source *source, uint64_t address, void *to, size_t n) {
    struct file file = {source->file, source->size};
    const Elf64_Ehdr *header = part(&file, 0, sizeof *header);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const Elf64_Phdr *segment = part(&file, header->e_phoff + i * sizeof *segment, sizeof *segment);
        if (!segment || segment->p_type != PT_LOAD || address < segment->p_vaddr ||
            address - segment->p_vaddr > segment->p_filesz || n > segment->p_filesz - (address - segment->p_vaddr))
            continue;
        const void *from = part(&file, segment->p_offset + (address - segment->p_vaddr), n);
        return from && memcpy(to, from, n);
    }
    return false;
}

static bool all_calls;

static bool print_call(struct calls_search *search, uint64_t address, int64_t number) {
    (void)search;
    if (number < 0)
        printf("call 0x%lx -\n", (unsigned long)address);
    else
        printf("call 0x%lx %ld\n", (unsigned long)address, (long)number);
    return all_calls;
}

/* Where the file is loaded first of all, the program headers are (elf(5), PT_PHDR): so its ELF header is. */
static uint64_t lowest_address(const struct file *file, const Elf64_Ehdr *header) {
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const Elf64_Phdr *segment = part(file, header->e_phoff + i * sizeof *segment, sizeof *segment);
        if (segment && segment->p_type == PT_LOAD && segment->p_offset == 0)
            return segment->p_vaddr;
    }
    return 0;
}

static void print_calls(const struct file *file, const Elf64_Ehdr *header) {
    struct code_source source = {.read = read_loaded, .file = file->bytes, .size = file->size};
    struct calls_search search = {.source = &source, .found = print_call};
    struct object object;
    if (!calls_begin(&search))
        return;
    if (object_open(&object, &source, lowest_address(file, header))) {
        calls_in_file(&search, &object);
        object_close(&object);
    }
    calls_end(&search);
}

int main(int argc, char **argv) {
    struct file file;
    all_calls = argc == 3 && strcmp(argv[1], "--calls") == 0;
    if (argc != 2 + all_calls || !file_map(&file, argv[argc - 1]))
        return 1;
    const Elf64_Ehdr *header = part(&file, 0, sizeof *header);
    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
        puts("no_program");
        return 0;
    }
    if (!ours(header)) {
        puts("foreign");
        return 0;
    }
    print_interpreter(&file, header);
    print_first(&file, header);
    if (has_section(&file, header, ".go.buildinfo") || has_section(&file, header, ".note.go.buildid"))
        puts("go");
    print_newer_libc(&file, header);
    if (contains(&file, "io_uring_queue_init") || contains(&file, "io_uring_setup"))
        puts("io_uring");
    if (getxattr(argv[argc - 1], "security.capability", NULL, 0) > 0)
        puts("capabilities");
    print_calls(&file, header);
    return 0;
}
