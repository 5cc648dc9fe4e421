/*
 * Functions that came with a libc newer than the oldest that we run with. Each is exported under the version that it
 * came with, and not as that name's default: so it is found by who was linked with such a libc, and an older one has no
 * such function, as programs see it that look whether it is there (by a weak reference, by dlsym). Who asks a newer
 * libc for it without a version gets libc's: libc_version.c keeps out then.
 *
 * Only an object linked with a newer libc than it runs with, and content without the function, can come here where
 * there is no real one: it is told ENOSYS, as it would be by a kernel that hasn't got it.
 */
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>

#include "entry/data/sharing.h"
#include "entry/entry.h"
#include "entry/processes/child_environment.h"
#include "entry/processes/child_program.h"

struct open_how;
struct sched_attr;

#define LATE(version, type, name, parameters)                                                                          \
    extern type name parameters;                                                                                       \
    EXPORT type late_##name parameters;                                                                                \
    __asm__(".symver late_" #name ", " #name "@" version);                                                             \
    EXPORT type late_##name parameters

/* posix_spawn and its like return a positive errno, and never -1. */
#define LATE_SPAWN(name, with_us)                                                                                      \
    LATE("GLIBC_2.39", int, name,                                                                                      \
         (int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,                                     \
          const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])) {                              \
        bool exclusive = exclusive_begins(#name);                                                                      \
        sharing_passed_on();                                                                                           \
        CHILD_ENVIRONMENT(child, envp, with_us);                                                                       \
        envp = child_environment(&child, child_memory);                                                                \
        int error = CALL(name, (pidfd, path, actions, attributes, argv, envp));                                        \
        child_environment_end(&child);                                                                                 \
        sharing_passed_on(); /* with it, what another thread opened meanwhile */                                       \
        exclusive_ends(exclusive);                                                                                     \
        return error == -1 ? ENOSYS : error;                                                                           \
    }

LATE_SPAWN(pidfd_spawn, child_program_takes_us(&child.choice, AT_FDCWD, path, 0))
LATE_SPAWN(pidfd_spawnp, child_program_in_path_takes_us(&child.choice, path))

LATE("GLIBC_2.39", pid_t, pidfd_getpid, (int pidfd)) {
    announce("pidfd_getpid");
    return CALL(pidfd_getpid, (pidfd));
}

/* A thread that is never preempted could keep the flusher from running: as in processes/rights.c. */
LATE("GLIBC_2.41", int, sched_setattr, (pid_t pid, struct sched_attr *attributes, unsigned flags)) {
    wb_hinder(REASON_real_time);
    drain_reads_too("sched_setattr");
    return CALL(sched_setattr, (pid, attributes, flags));
}

LATE("GLIBC_2.41", int, sched_getattr, (pid_t pid, struct sched_attr *attributes, unsigned size, unsigned flags)) {
    announce("sched_getattr");
    return CALL(sched_getattr, (pid, attributes, size, flags));
}

LATE("GLIBC_2.43", int, openat2, (int dir, const char *path, const struct open_how *how, size_t size)) {
    announce("openat2");
    int fd = CALL(openat2, (dir, path, how, size));
    number_opened(fd);
    return fd;
}
