/*
 * starts WAY PROGRAM [NAME=VALUE]…: starts a program in one of the ways there are, and says how it ended. It gets this
 * one's environment or, if one is given, just that, from memory that can't be written. thread_WAY: from a second
 * thread; handler_WAY: from a handler. starts refused: what the ways answer when they are given what can't be used.
 * starts left PROGRAM [NAME=VALUE]…: what is left in this process of having started it many times.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "old_libc.h"

static const char *program;
static char *arguments[] = {"program", "one", "two words", NULL};
static char **environment; /* NULL: this one's */

static void __attribute__((noreturn)) die(const char *what) {
    perror(what);
    exit(98);
}

static char **given(void) {
    return environment ? environment : environ;
}

/* The calls that take no environment use this process's. */
static void go(void) {
    if (environment)
        environ = environment;
}

static void by_execl(void) {
    go();
    execl(program, "program", "one", "two words", NULL);
}

static void by_execle(void) {
    execle(program, "program", "one", "two words", NULL, given());
}

static void by_execlp(void) {
    go();
    execlp(program, "program", "one", "two words", NULL);
}

static void by_execv(void) {
    go();
    execv(program, arguments);
}

static void by_execve(void) {
    execve(program, arguments, given());
}

static void by_execvp(void) {
    go();
    execvp(program, arguments);
}

static void by_execvpe(void) {
    execvpe(program, arguments, given());
}

static void by_execveat(void) {
    int dir = open(".", O_PATH | O_DIRECTORY);
    execveat(dir, program, arguments, given(), AT_SYMLINK_NOFOLLOW);
}

static void by_number_at(void) {
    int fd = open(program, O_PATH);
    execveat(fd, "", arguments, given(), AT_EMPTY_PATH);
}

static void by_fexecve(void) {
    int fd = open(program, O_RDONLY);
    fexecve(fd, arguments, given());
}

static void by_syscall(void) {
    syscall(SYS_execve, program, arguments, given());
}

static void by_syscall_at(void) {
    int dir = open(".", O_PATH | O_DIRECTORY);
    syscall(SYS_execveat, dir, program, arguments, given(), 0);
}

static const struct way {
    const char *name;
    void (*exec)(void);
} ways[] = {
    {"execl", by_execl},         {"execle", by_execle},   {"execlp", by_execlp},   {"execv", by_execv},
    {"execve", by_execve},       {"execvp", by_execvp},   {"execvpe", by_execvpe}, {"execveat", by_execveat},
    {"number_at", by_number_at}, {"fexecve", by_fexecve}, {"syscall", by_syscall}, {"syscall_at", by_syscall_at},
};

static void ended(int status) {
    printf("ended with %d, %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static int wait_for(pid_t pid) {
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("waitpid");
    return status;
}

static int in_child(void (*exec)(void), bool virtual) {
    fflush(stdout);
    pid_t pid = virtual ? vfork() : fork();
    if (pid == 0) {
        exec();
        _exit(errno == ENOENT ? 127 : 126);
    }
    return wait_for(pid);
}

static int spawned(bool in_path, posix_spawn_file_actions_t *actions) {
    pid_t pid;
    fflush(stdout);
    int error = (in_path ? posix_spawnp : posix_spawn)(&pid, program, actions, NULL, arguments, given());
    if (error) {
        printf("spawn: %s\n", strerrorname_np(error));
        exit(1);
    }
    return wait_for(pid);
}

static int start(const char *way);

static const char *inner_way;
static int inner_status;

static void start_inner(int signal) {
    (void)signal;
    inner_status = start(inner_way);
}

static void *start_in_thread(void *unused) {
    start_inner(0);
    return unused;
}

static int from_elsewhere(const char *way, bool thread) {
    pthread_t id;
    inner_way = way;
    if (!thread) {
        signal(SIGUSR1, start_inner);
        raise(SIGUSR1);
    } else if (pthread_create(&id, NULL, start_in_thread, NULL) || pthread_join(id, NULL)) {
        die("pthread_create");
    }
    return inner_status;
}

static int start(const char *way) {
    posix_spawn_file_actions_t actions;
    if (strncmp(way, "thread_", 7) == 0)
        return from_elsewhere(way + 7, true);
    if (strncmp(way, "handler_", 8) == 0)
        return from_elsewhere(way + 8, false);
    bool virtual = strncmp(way, "vfork_", 6) == 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(way + (virtual ? 6 : 0), ways[i].name) == 0)
            return in_child(ways[i].exec, virtual);
    if (strcmp(way, "spawn") == 0)
        return spawned(false, NULL);
    if (strcmp(way, "spawnp") == 0)
        return spawned(true, NULL);
    if (strcmp(way, "spawn_acting") == 0) {
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 9, "/dev/null", O_RDONLY, 0);
        return spawned(false, &actions);
    }
    go();
    fflush(stdout);
    if (strcmp(way, "system") == 0)
        return system(program);
    FILE *stream = strcmp(way, "popen") == 0 ? popen(program, "w") : NULL;
    if (!stream)
        die(way);
    return pclose(stream);
}

/* Copies strings, and pointers to them, to where nothing can be changed. */
static char **read_only(char **strings, size_t count) {
    size_t bytes = 0, size;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(strings[i]) + 1;
    size = (bytes + (count + 1) * sizeof *strings + 4095) & ~(size_t)4095;
    char **copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        die("mmap");
    char *text = (char *)(copy + count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] = text;
        text = stpcpy(text, strings[i]) + 1;
    }
    if (mprotect(copy, size, PROT_READ) != 0)
        die("mprotect");
    return copy;
}

static void answered(const char *what, long result) {
    printf("%s: %ld %s\n", what, result, result < 0 ? strerrorname_np(errno) : "");
}

/* Pointers that the kernel refuses; the end of what can be read in the middle of a list. */
static void refused(void) {
    char **volatile bad = (char **)(uintptr_t)8;
    char *name = getenv("LD_PRELOAD"), preload[4096];
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", name ? name : "");
    char *half[] = {"A=1", preload, (char *)(uintptr_t)16, NULL};
    char **page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || munmap((char *)page + 4096, 4096) != 0)
        die("mmap");
    char **open_ended = (char **)((char *)page + 4096) - 2, *unended = (char *)page + 4096 - 14;
    open_ended[0] = "A=1";
    open_ended[1] = preload;
    answered("bad list", execve("/bin/true", arguments, bad));
    answered("bad string", execve("/bin/true", arguments, half));
    answered("no end of the list", execve("/bin/true", arguments, open_ended));
    memcpy(unended, "LD_PRELOAD=abc", 14);
    half[2] = unended;
    answered("no end of a string", execve("/bin/true", arguments, half));
    half[2] = NULL;
    answered("by number", syscall(SYS_execve, "/bin/true", arguments, bad));
    answered("by number, at", syscall(SYS_execveat, AT_FDCWD, "/bin/true", arguments, open_ended, 0));
    answered("bad path", execve((char *)bad, arguments, environ));
    answered("bad path by number", syscall(SYS_execve, bad, arguments, environ));
    answered("nothing there", execv("/nowhere", arguments));
    answered("nothing in PATH", execvp("nowhere", arguments));
    answered("a directory", execve("/", arguments, environ));
    answered("no descriptor", fexecve(99, arguments, environ));
    answered("not a directory", execveat(0, "true", arguments, environ, 0));
    answered("bad flags", execveat(AT_FDCWD, "/bin/true", arguments, environ, 1 << 30));
    answered("empty", execveat(AT_FDCWD, "", arguments, environ, 0));
}

/* Of this process's memory: the first number in statm (proc(5)). */
static unsigned long pages(void) {
    char bytes[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY);
    if (read(fd, bytes, sizeof bytes - 1) <= 0)
        die("statm");
    close(fd);
    return strtoul(bytes, NULL, 10);
}

static unsigned lowest(void) {
    int fd = dup(0);
    close(fd);
    return (unsigned)fd;
}

static void left(void) {
    static const char *const many[] = {"execve", "vfork_execve", "vfork_execv", "spawn", "spawnp"};
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        start(many[i]); /* what the first one needs stays */
        unsigned number = lowest();
        unsigned long before = pages();
        for (int n = 0; n < 40; n++)
            start(many[i]);
        printf("%s: %s, %u\n", many[i], pages() > before + 100 ? "memory" : "nothing", lowest() - number);
    }
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (argc == 2 && strcmp(argv[1], "refused") == 0) {
        refused();
        return 0;
    }
    if (argc < 3)
        return 99;
    program = argv[2];
    if (argc > 3)
        environment = read_only(argv + 3, (size_t)argc - 3);
    if (strcmp(argv[1], "left") == 0)
        left();
    else
        ended(start(argv[1]));
    return 0;
}
