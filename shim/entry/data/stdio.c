/*
 * libc's stdio makes its system calls inside libc, where no preloaded name is seen. They go through tables of functions
 * (struct _IO_jump_t, libio/libioP.h in glibc), so the five functions that make them are replaced wherever they stand
 * in libc's tables: by ours, which do what the shells of write, read, lseek, close and fstat do.
 */
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/maps.h"
#include "entry/data/read.h"
#include "entry/data/stdio.h"
#include "entry/data/write.h"
#include "entry/entry.h"

/* Where the five stand in a table: read, write, seek, close, stat, in this order. */
enum { FIRST_ENTRY = 14 };

extern void *const _IO_file_jumps[];
extern ssize_t _IO_file_read(FILE *stream, void *bytes, ssize_t n);
extern ssize_t _IO_file_write(FILE *stream, const void *bytes, ssize_t n);
extern off64_t _IO_file_seek(FILE *stream, off64_t offset, int whence);
extern int _IO_file_close(FILE *stream);
extern int _IO_file_stat(FILE *stream, void *st);

static ssize_t hooked_read(FILE *stream, void *bytes, ssize_t n) {
    ssize_t got = offer_read("stdio read", stream->_fileno, bytes, (size_t)n, WINDOW_AT_POSITION);
    int error = got == WINDOW_MISS ? socket_error_due(stream->_fileno, (size_t)n) : 0;
    if (unlikely(error)) {
        stream->_flags |= _IO_ERR_SEEN;
        return answer(-error);
    }
    if (got == WINDOW_MISS)
        got = read_passed(stream->_fileno, _IO_file_read(stream, bytes, n), WINDOW_AT_POSITION);
    return got;
}

/* As _IO_file_write does it (libio/fileops.c): what was written is returned, an error is a flag and less than that. */
static ssize_t hooked_write(FILE *stream, const void *bytes, ssize_t n) {
    int verdict = offer_write("stdio write", stream->_fileno, bytes, (size_t)n);
    if (verdict == PASS) {
        return write_passed(stream->_fileno, _IO_file_write(stream, bytes, n), (size_t)n);
    }
    if (unlikely(verdict < 0)) {
        stream->_flags |= _IO_ERR_SEEN;
        answer(verdict);
        return 0;
    }
    if (stream->_offset >= 0)
        stream->_offset += n;
    return n;
}

static off64_t hooked_seek(FILE *stream, off64_t offset, int whence) {
    off64_t position = window_seek(thread_self(), stream->_fileno, offset, whence);
    if (position != WINDOW_MISS)
        return position;
    announce_move("stdio seek", stream->_fileno);
    announce_touch("stdio seek", stream->_fileno);
    position = _IO_file_seek(stream, offset, whence);
    input_came();
    files_moved(stream->_fileno, position);
    return position;
}

static int hooked_close(FILE *stream) {
    int fd = stream->_fileno;
    give_up_number("stdio close", fd);
    int result = _IO_file_close(stream);
    input_came();
    files_detached(fd);
    return result;
}

static int hooked_stat(FILE *stream, void *st) {
    announce_touch("stdio stat", stream->_fileno);
    int result = _IO_file_stat(stream, st);
    input_came();
    return result;
}

enum { HOOKS = 5 };
static void *const originals[HOOKS] = {(void *)_IO_file_read, (void *)_IO_file_write, (void *)_IO_file_seek,
                                       (void *)_IO_file_close, (void *)_IO_file_stat};
static void *const replacements[HOOKS] = {(void *)hooked_read, (void *)hooked_write, (void *)hooked_seek,
                                          (void *)hooked_close, (void *)hooked_stat};

/* The part of libc that holds its tables: made read-only after relocation. */
struct relro {
    uintptr_t start, end;
};

static int find_relro(struct dl_phdr_info *object, size_t size, void *found) {
    struct relro relro = {0, 0};
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_GNU_RELRO) {
            relro.start = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
            relro.end = relro.start + object->dlpi_phdr[i].p_memsz;
        }
    uintptr_t table = (uintptr_t)_IO_file_jumps;
    if (relro.start > table || table >= relro.end)
        return 0;
    *(struct relro *)found = relro;
    return 1;
}

static void replace(void **word) {
    for (int i = 0; i < HOOKS; i++)
        if (*word == originals[i])
            __atomic_store_n(word, replacements[i], __ATOMIC_RELAXED);
}

/* The originals stand close together in libc: a look at that is enough for nearly every word. */
static void replace_all(const struct relro *relro) {
    uintptr_t first = UINTPTR_MAX, last = 0;
    for (int i = 0; i < HOOKS; i++) {
        first = first < (uintptr_t)originals[i] ? first : (uintptr_t)originals[i];
        last = last > (uintptr_t)originals[i] ? last : (uintptr_t)originals[i];
    }
    uintptr_t span = last - first;
    for (void **word = (void **)relro->start; word < (void **)relro->end; word++)
        if (unlikely((uintptr_t)*word - first <= span))
            replace(word);
}

bool stdio_hook(void) {
    static bool hooked;
    struct relro relro;
    if (hooked)
        return true;
    if (memcmp(&_IO_file_jumps[FIRST_ENTRY], originals, sizeof originals) != 0)
        return false;
    __typeof__(&dl_iterate_phdr) objects = LIBC(dl_iterate_phdr);
    if (!objects || !objects(find_relro, &relro))
        return false;
    /* As far as the loader has made it so: what shares its last page with other variables isn't. */
    uintptr_t page = ~(uintptr_t)(maps_page_size() - 1), start = relro.start & page, end = relro.end & page;
    if (start < end && sys(SYS_mprotect, start, end - start, PROT_READ | PROT_WRITE) != 0)
        return false;
    replace_all(&relro);
    if (start < end)
        sys(SYS_mprotect, start, end - start, PROT_READ);
    hooked = true;
    return true;
}
