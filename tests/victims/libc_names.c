/*
 * Which functions are there that came to libc lately: by a reference that need not be met, and by dlsym. (Where libc
 * has them the library keeps out of a program that looks for them without a version: what else it did would show
 * nothing.)
 */
#include "transcript.h"

#include <dlfcn.h>
#include <stdbool.h>

#define LATE(name)                                                                                                     \
    extern void name_##name(void) __asm__(#name) __attribute__((weak));                                                \
    static bool has_##name(void) {                                                                                     \
        return name_##name != NULL;                                                                                    \
    }
LATE(pidfd_spawn)
LATE(pidfd_spawnp)
LATE(pidfd_getpid)
LATE(sched_setattr)
LATE(sched_getattr)
LATE(openat2)

int main(void) {
    static const struct {
        const char *name;
        bool (*has)(void);
    } late[] = {
        {"pidfd_spawn", has_pidfd_spawn},     {"pidfd_spawnp", has_pidfd_spawnp},   {"pidfd_getpid", has_pidfd_getpid},
        {"sched_setattr", has_sched_setattr}, {"sched_getattr", has_sched_getattr}, {"openat2", has_openat2},
    };
    for (size_t i = 0; i < COUNT_OF(late); i++) {
        bool found = dlsym(RTLD_DEFAULT, late[i].name) != NULL;
        const char *error = dlerror();
        note("%s: %d %d %s\n", late[i].name, late[i].has(), found, error ? error : "");
    }
    /* Of another library, or since 2.33 to 2.36: who has them depends on where this runs. */
    static const char *const others[] = {"io_setup", "fstat64", "_Fork", "close_range", "epoll_pwait2", "pidfd_open"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        note("%s: %d\n", others[i], dlsym(RTLD_DEFAULT, others[i]) != NULL);
    print_transcript();
    return 0;
}
