/*
 * Becoming another program: what is pending is performed, and the report is written while there is still time. One that
 * can't load us gets no LD_PRELOAD with us in it.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/live.h"
#include "entry/entry.h"
#include "entry/life/lifecycle.h"
#include "entry/processes/child_environment.h"
#include "entry/processes/child_program.h"

/* `changed` is the call with an environment of its own, `as_it_is` the one that was made. */
#define EXEC(name, parameters, given, with_us, as_it_is, changed)                                                      \
    EXPORT int name parameters {                                                                                       \
        struct thread *self = thread_self();                                                                           \
        uint8_t waits = self->vfork_child ? 0 : thread_waits_no_more(self);                                            \
        bool exclusive = exclusive_begins(#name);                                                                      \
        CHILD_ENVIRONMENT(child, given, with_us);                                                                      \
        finish(#name, FLUSH_BARRIER);                                                                                  \
        if (child.words) /* the next program won't take over the counters that are watched */                          \
            live_end();                                                                                                \
        char *const *environment = child_environment(&child, child_memory);                                            \
        int result = child.words ? changed : as_it_is;                                                                 \
        child_environment_end(&child);                                                                                 \
        exclusive_ends(exclusive);                                                                                     \
        if (unlikely(waits)) /* it goes on after all */                                                                \
            self->waiting = waits;                                                                                     \
        return result;                                                                                                 \
    }
/* The call has the environment among its arguments. */
#define EXEC_WITH(name, parameters, with_us, call) EXEC(name, parameters, envp, with_us, call, call)

EXEC(execv, (const char *path, char *const argv[]), environ, child_program_takes_us(&child.choice, AT_FDCWD, path, 0),
     REAL(execv)(path, argv), REAL(execve)(path, argv, environment))
EXEC(execvp, (const char *file, char *const argv[]), environ, child_program_in_path_takes_us(&child.choice, file),
     REAL(execvp)(file, argv), REAL(execvpe)(file, argv, environment))
EXEC_WITH(execve, (const char *path, char *const argv[], char *const envp[]),
          child_program_takes_us(&child.choice, AT_FDCWD, path, 0), REAL(execve)(path, argv, environment))
EXEC_WITH(execveat, (int dir, const char *path, char *const argv[], char *const envp[], int flags),
          child_program_takes_us(&child.choice, dir, path, flags), REAL(execveat)(dir, path, argv, environment, flags))
EXEC_WITH(execvpe, (const char *file, char *const argv[], char *const envp[]),
          child_program_in_path_takes_us(&child.choice, file), REAL(execvpe)(file, argv, environment))
EXEC_WITH(fexecve, (int fd, char *const argv[], char *const envp[]),
          child_program_takes_us(&child.choice, fd, "", AT_EMPTY_PATH), REAL(fexecve)(fd, argv, environment))

static int count_arguments(const char *first, va_list list) {
    int count = 1;
    __asm__("" : "+r"(first)); /* declared nonnull, but execl(path, NULL) gives an empty list (execve(2), "NOTES") */
    if (!first)
        return 0;
    while (va_arg(list, char *))
        count++;
    return count;
}

/*
 * Collects the list, and its end, into an array on the caller's stack; leaves `*list` behind the NULL. (A va_list that
 * is given as such is a copy on some processors.)
 */
static void collect_arguments(char **argv, const char *first, va_list *list) {
    __asm__("" : "+r"(first));
    *argv = (char *)first;
    while (*argv)
        *++argv = va_arg(*list, char *);
}

#define EXEC_LIST(name, before_list, call)                                                                             \
    EXPORT int name(const char *path, const char *first, ...) {                                                        \
        va_list list;                                                                                                  \
        va_start(list, first);                                                                                         \
        int count = count_arguments(first, list);                                                                      \
        va_end(list);                                                                                                  \
        char *argv[count + 1];                                                                                         \
        va_start(list, first);                                                                                         \
        collect_arguments(argv, first, &list);                                                                         \
        before_list;                                                                                                   \
        va_end(list);                                                                                                  \
        return call;                                                                                                   \
    }

EXEC_LIST(execl, , execv(path, argv))
EXEC_LIST(execlp, , execvp(path, argv))
EXEC_LIST(execle, char **envp = va_arg(list, char **), execve(path, argv, envp))
