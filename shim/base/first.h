/* Runtimes that must be the first library of a process. The one list, for the library and for `uringshim check`. */
#ifndef URINGSHIM_BASE_FIRST_H
#define URINGSHIM_BASE_FIRST_H

#include <stdbool.h>
#include <stddef.h>

/* By the name of its file. */
static inline bool must_come_first(const char *name) {
    static const char *const names[] = {
        "libasan.so",       "libtsan.so",         "libhwasan.so",        "libclang_rt.asan",
        "libclang_rt.tsan", "libclang_rt.hwasan", "libclang_rt.memprof",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t alike = 0;
        while (names[i][alike] && names[i][alike] == name[alike])
            alike++;
        if (!names[i][alike])
            return true;
    }
    return false;
}

#endif
