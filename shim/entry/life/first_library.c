#include "entry/life/first_library.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/first.h"
#include "base/real.h"
#include "base/text.h"
#include "entry/processes/child_environment.h"

static bool is_one(const char *path) {
    const char *slash = strrchr(path, '/');
    return must_come_first(slash ? slash + 1 : path);
}

bool first_library_is_behind_us(void) {
    return real_behind_us(is_one);
}

static const char itself[] = "/proc/self/exe";

static bool is_itself(const char *path) {
    struct stat one, other;
    return sys(SYS_newfstatat, AT_FDCWD, path, &one, 0) == 0 && sys(SYS_newfstatat, AT_FDCWD, itself, &other, 0) == 0 &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Is the process called so? It is as the end of what was started, or, since Linux 6.14, as the file of a number. */
static bool is_called(const char *name) {
    char called[16] = "";
    return sys(SYS_prctl, PR_GET_NAME, called, 0, 0, 0) == 0 && strncmp(called, name, sizeof called) == 0;
}

/* By its number if it was started by that: then the kernel has called it "/dev/fd/N" (alloc_bprm in fs/exec.c). */
static void start_given(const char *given, char *const *argv, char *const *environment) {
    static const char numbers[] = "/dev/fd/";
    const char *number = given + sizeof numbers - 1, *end = NULL;
    if (strncmp(given, numbers, sizeof numbers - 1) == 0 && !is_called(number)) {
        long fd = text_parse(number, &end);
        if (end > number && !*end)
            sys(SYS_execveat, fd, "", argv, environment, AT_EMPTY_PATH);
    }
    sys(SYS_execve, given, argv, environment);
}

/*
 * Starts the file that it was started by: the kernel names the process after that. A script's name stands among the
 * arguments, in front of those that it was given itself (load_script in fs/binfmt_script.c).
 */
static void start(const char *given, char *const *argv, char *const *environment) {
    if (is_itself(given)) {
        start_given(given, argv, environment);
        return;
    }
    for (int i = 1; argv[0] && argv[i]; i++)
        if (strcmp(argv[i], given) == 0)
            start_given(given, argv + i, environment);
}

void first_library_start_again(char *const *argv, char *const *envp) {
    __typeof__(&getauxval) value = LIBC(getauxval);
    if (!value || !value(AT_BASE)) /* the loader was started by name, and has changed the arguments */
        return;
    char path[PATH_MAX];
    CHILD_ENVIRONMENT(child, envp, false);
    char *const *environment = child_environment(&child, child_memory);
    if (child.words) {
        start((const char *)value(AT_EXECFN), argv, environment);
        long length = sys(SYS_readlinkat, AT_FDCWD, itself, path, PATH_MAX - 1);
        path[length > 0 ? length : 0] = '\0';
        sys(SYS_execve, is_itself(path) ? path : itself, argv, environment);
    }
    child_environment_end(&child);
}
