// Every function that is intercepted is found without the loader where the loader finds it.
#include "base/real.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define OWN(name) #name,
#define LATE(name, minor) #name,
#define BARRIER(type, name, parameters, arguments) #name,
#define RECEIVE(type, name, parameters, arguments, fd) #name,
#define FEED(type, name, parameters, arguments, from, to) #name,
#define TOUCH(type, name, parameters, arguments, fd) #name,
#define TAKE(type, name, parameters, arguments, fd) #name,
#define NEWFILE(type, name, parameters, arguments, fd) #name,
#define RESIZE(type, name, parameters, arguments, end) #name,
#define SPAWN(type, name, parameters, arguments) #name,
#define LAUNCH(type, name, parameters, arguments, with_us) #name,
#define VISIT(type, name, parameters, arguments) #name,
#define CLOCK(type, name, parameters, arguments) #name,
#define ZONE(type, name, parameters, arguments) #name,
#define ZONED(type, name, parameters, arguments) #name,
#define HELPER(type, name, parameters, arguments) #name,
static const char *const names[] = {
#include "entry/calls.def"
};

/* The kernel's own object comes after a program, though before a library that is preloaded; the loader passes it over.
 */
static bool is_kernels(const char *name) {
    static const char *const kernels[] = {"clock_gettime", "gettimeofday", "time", "getcpu"};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (strcmp(name, kernels[i]) == 0)
            return true;
    return false;
}

#if defined(__x86_64__)
#define FIRST_VERSION "GLIBC_2.2.5"
#else
#define FIRST_VERSION "GLIBC_2.17"
#endif

/* Before the loader's own, to see whether it is asked. */
static size_t asked;
void *dlsym(void *restrict handle, const char *restrict name) {
    void *loaders = dlvsym(RTLD_NEXT, "dlsym", FIRST_VERSION);
    asked++;
    return ((void *(*)(void *, const char *))loaders)(handle, name);
}

int main(void) {
    size_t count = sizeof names / sizeof *names, different = 0, missing = 0;
    for (size_t i = 0; i < count; i++) {
        /* Before glibc 2.36 RTLD_NEXT gives the oldest version of several (its bug 14932). */
        void *whence = strcmp(names[i], "dlsym") == 0 ? RTLD_NEXT : RTLD_DEFAULT;
        void *slot = NULL, *wanted = dlsym(whence, names[i]);
        asked = 0;
        void *found = real_resolve(&slot, names[i]);
        if (asked > !wanted) {
            printf("%s: the loader was asked\n", names[i]);
            different++;
        }
        missing += !wanted;
        if (slot == found && (found == wanted || !wanted || is_kernels(names[i])))
            continue;
        printf("%s: %p, the loader has it at %p\n", names[i], found, wanted);
        different++;
    }
    printf("%zu names, %zu of them not in this libc, %zu different\n", count, missing, different);
    return different || count < 700 || missing > 100;
}
