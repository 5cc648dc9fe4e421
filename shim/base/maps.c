#include "base/maps.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/arena.h"
#include "base/real.h"
#include "base/sys.h"

static unsigned digit_of(char c) {
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static uint64_t parse(const char **p, unsigned base) {
    uint64_t value = 0;
    for (; digit_of(**p) < base; (*p)++)
        value = value * base + digit_of(**p);
    return value;
}

static void skip_field(const char **p) {
    while (**p != ' ' && **p != '\0')
        (*p)++;
    while (**p == ' ')
        (*p)++;
}

/* "start-end perms offset major:minor inode path" */
static struct mapping parse_line(const char *p) {
    struct mapping mapping = {.start = parse(&p, 16)};
    p++;
    mapping.end = parse(&p, 16);
    skip_field(&p);
    mapping.readable = p[0] == 'r';
    mapping.writable = p[1] == 'w';
    mapping.executable = p[2] == 'x';
    mapping.shared = p[3] == 's';
    skip_field(&p);
    mapping.offset = parse(&p, 16);
    skip_field(&p);
    mapping.device = parse(&p, 16) << 32;
    p++;
    mapping.device |= parse(&p, 16);
    skip_field(&p);
    mapping.inode = parse(&p, 10);
    skip_field(&p);
    mapping.name = p;
    return mapping;
}

/* Takes the whole lines out of the buffer; how many bytes are left, moved to its beginning. */
static size_t see_lines(char *buffer, size_t n, void (*see)(const struct mapping *mapping, void *argument),
                        void *argument) {
    char *line = buffer, *end = buffer + n;
    for (char *newline; (newline = memchr(line, '\n', (size_t)(end - line))) != NULL; line = newline + 1) {
        *newline = '\0';
        struct mapping mapping = parse_line(line);
        see(&mapping, argument);
    }
    memmove(buffer, line, (size_t)(end - line));
    return (size_t)(end - line);
}

bool maps_read(void (*see)(const struct mapping *mapping, void *argument), void *argument) {
    enum { SIZE = 16384 };
    long fd = sys(SYS_openat, AT_FDCWD, "/proc/thread-self/maps", O_RDONLY | O_CLOEXEC);
    char *buffer = fd < 0 ? NULL : arena_map(SIZE, ARENA_INHERIT);
    long got = -1;
    size_t kept = 0;
    while (buffer && (got = sys(SYS_read, fd, buffer + kept, SIZE - kept)) > 0) {
        kept = see_lines(buffer, kept + (size_t)got, see, argument);
        if (kept == SIZE)
            kept = 0; /* no path is that long */
    }
    if (fd >= 0)
        sys(SYS_close, fd);
    arena_unmap(buffer, SIZE);
    return got == 0;
}

size_t maps_page_size(void) {
    static _Atomic size_t known;
    size_t size = atomic_load_explicit(&known, memory_order_relaxed);
    if (unlikely(!size)) {
        __typeof__(&getauxval) value = LIBC(getauxval);
        size = value ? value(AT_PAGESZ) : 4096;
        atomic_store_explicit(&known, size, memory_order_relaxed);
    }
    return size;
}
