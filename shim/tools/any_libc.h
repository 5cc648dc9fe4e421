/*
 * To be included by each of these programs: one that was linked with a new libc starts with an old one, too. What new
 * libcs have in a newer version is asked for in the one that all have; scripts/check-exports shows what was forgotten.
 */
#ifndef URINGSHIM_TOOLS_ANY_LIBC_H
#define URINGSHIM_TOOLS_ANY_LIBC_H

#include <sys/stat.h>

#include "base/libc.h"
#include "base/sys.h"

typedef int start_function(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                           void (*fini)(void), void (*rtld_fini)(void), void *stack_end);

/*
 * What the linker puts at the program's beginning calls this (--wrap in the Makefile). Since glibc 2.34 it gives no
 * `init`, and an older libc calls no constructor then: there is none.
 */
start_function __wrap___libc_start_main, start_in_any_libc;
__asm__(".symver start_in_any_libc, __libc_start_main@" LIBC_FIRST);
int __wrap___libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                             void (*fini)(void), void (*rtld_fini)(void), void *stack_end) {
    return start_in_any_libc(main, argc, argv, init, fini, rtld_fini, stack_end);
}

/* sscanf as it was before C23, whose numbers may begin with 0b. */
extern int scan(const char *text, const char *format, ...) __asm__("__isoc99_sscanf")
    __attribute__((format(scanf, 2, 3)));

/* Before glibc 2.33 these were no functions of libc's. True: they could be looked at. */
static inline bool stat_file(const char *path, struct stat *st) {
    return sys(SYS_newfstatat, AT_FDCWD, path, st, 0) == 0;
}

static inline bool stat_open_file(int fd, struct stat *st) {
    return sys(SYS_fstat, fd, st) == 0;
}

#endif
