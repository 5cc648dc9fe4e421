/*
 * libc_parts PART…: parts of libc (libutil.so.1 …) come and go, and functions that few libcs have are called before and
 * after that. Prints which parts there are.
 */
#include "common.h"

#include <dlfcn.h>

/* In whatever way it fails. */
static void call_late(const char *name, const char *version) {
    int (*function)(int, void *, unsigned, unsigned) = dlvsym(RTLD_DEFAULT, name, version);
    if (function)
        function(-1, NULL, 0, 0);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        void *part = dlopen(argv[i], RTLD_NOW);
        call_late("pidfd_getpid", "GLIBC_2.39");
        if (part)
            dlclose(part);
        void *another = dlopen("libm.so.6", RTLD_NOW);
        call_late("sched_getattr", "GLIBC_2.41");
        if (another)
            dlclose(another);
        printf("%s: %d\n", argv[i], part != NULL);
    }
    return 0;
}
