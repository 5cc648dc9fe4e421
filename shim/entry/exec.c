/* Becoming another program: what is pending is performed, and the report is written while there is still time. */
#include <stdarg.h>
#include <unistd.h>

#include "entry/entry.h"
#include "entry/lifecycle.h"

#define EXEC(name, parameters, arguments)                                                                              \
    EXPORT int name parameters {                                                                                       \
        bool exclusive = exclusive_begins(#name);                                                                      \
        finish(#name, FLUSH_BARRIER);                                                                                  \
        int result = REAL(name) arguments;                                                                             \
        exclusive_ends(exclusive);                                                                                     \
        return result;                                                                                                 \
    }

EXEC(execv, (const char *path, char *const argv[]), (path, argv))
EXEC(execve, (const char *path, char *const argv[], char *const envp[]), (path, argv, envp))
EXEC(execveat, (int dir, const char *path, char *const argv[], char *const envp[], int flags),
     (dir, path, argv, envp, flags))
EXEC(execvp, (const char *file, char *const argv[]), (file, argv))
EXEC(execvpe, (const char *file, char *const argv[], char *const envp[]), (file, argv, envp))
EXEC(fexecve, (int fd, char *const argv[], char *const envp[]), (fd, argv, envp))

static int count_arguments(const char *first, va_list list) {
    int count = 1;
    __asm__("" : "+r"(first)); /* declared nonnull, but execl(path, NULL) gives an empty list (execve(2), "NOTES") */
    if (!first)
        return 0;
    while (va_arg(list, char *))
        count++;
    return count;
}

/* Collects the list, and its end, into an array on the caller's stack; leaves `list` behind the NULL. */
static void collect_arguments(char **argv, const char *first, va_list list) {
    __asm__("" : "+r"(first));
    *argv = (char *)first;
    while (*argv)
        *++argv = va_arg(list, char *);
}

#define EXEC_LIST(name, before_list, call)                                                                             \
    EXPORT int name(const char *path, const char *first, ...) {                                                        \
        va_list list;                                                                                                  \
        va_start(list, first);                                                                                         \
        int count = count_arguments(first, list);                                                                      \
        va_end(list);                                                                                                  \
        char *argv[count + 1];                                                                                         \
        va_start(list, first);                                                                                         \
        collect_arguments(argv, first, list);                                                                          \
        before_list;                                                                                                   \
        va_end(list);                                                                                                  \
        return call;                                                                                                   \
    }

EXEC_LIST(execl, , execv(path, argv))
EXEC_LIST(execlp, , execvp(path, argv))
EXEC_LIST(execle, char **envp = va_arg(list, char **), execve(path, argv, envp))
