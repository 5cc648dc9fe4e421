// Guarded copying: every length and alignment copies what memcpy would and nothing beside it; memory that can't be
// read, or written, from whichever byte on, is an answer and no crash.
#include "base/copy.h"
#include "base/signals.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROOM = 6000 };

static unsigned char from[ROOM], to[ROOM], expected[ROOM];

static int copies(size_t n, size_t from_at, size_t to_at) {
    memset(to, 0xee, sizeof to);
    memset(expected, 0xee, sizeof expected);
    memcpy(expected + to_at, from + from_at, n);
    if (copy_in(to + to_at, from + from_at, n) && memcmp(to, expected, sizeof to) == 0)
        return 0;
    printf("%zu bytes, from +%zu to +%zu\n", n, from_at, to_at);
    return 1;
}

static int refuses(const char *what, void *room, const void *bytes, size_t n, size_t good) {
    if (!copy_in(room, bytes, n))
        return 0;
    printf("%s, from byte %zu of %zu on: copied\n", what, good, n);
    return 1;
}

static int refuses_both(char *edge, size_t n, size_t good) {
    return refuses("unreadable", to, edge - good, n, good) + refuses("unwritable", edge - good, from, n, good);
}

int main(void) {
    int failures = 0;
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (unsigned char)(i * 7 + i / 256);
    for (size_t n = 0; n <= 1100; n++)
        for (size_t at = 0; at < 4; at++)
            failures += copies(n, 16 + at, 24 - 3 * at);
    failures += copies(5000, 3, 500);

    if (signals_guard() != REASON_NONE)
        return 2;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
         *edge = pages + page;
    mprotect(edge, page, PROT_NONE);
    for (size_t n = 1; n <= 1100; n++) {
        size_t near = n <= 140 || n == 515 || n == 1100 ? n : 2; /* these from every byte on */
        for (size_t good = 0; good < near; good++)
            failures += refuses_both(edge, n, good);
        failures += refuses_both(edge, n, n - 1);
    }
    failures += refuses("no memory at all", to, NULL, 5, 0);
    if (!copy_in(to, edge - 100, 100)) {
        printf("up to the very end: refused\n");
        failures++;
    }
    return failures != 0;
}
