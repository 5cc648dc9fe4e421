// Guarded copying: every length and alignment copies what memcpy would and nothing beside it; unreadable memory, in any
// part of the source, is an answer and no crash.
#include "base/copy.h"
#include "base/signals.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { ROOM = 6000, PAGE = 4096 };

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

static int refuses(const char *what, const void *bytes, size_t n) {
    if (!copy_in(to, bytes, n))
        return 0;
    printf("%s, %zu bytes: copied\n", what, n);
    return 1;
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
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + PAGE, PAGE, PROT_NONE);
    for (size_t n = 1; n <= 1100; n++) {
        failures += refuses("all of it unreadable", pages + PAGE, n);
        failures += refuses("the last byte unreadable", pages + PAGE - n + 1, n);
    }
    failures += refuses("no memory at all", NULL, 5);
    if (!copy_in(to, pages + PAGE - 100, 100)) {
        printf("up to the very end: refused\n");
        failures++;
    }
    return failures != 0;
}
