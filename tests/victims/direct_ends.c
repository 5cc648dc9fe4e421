// direct_ends FILE: a process locks the file (flock), reads it directly, a block after the other, and ends in the
// middle in one way or another. Whoever waited for it finds the lock free at once, and so does the program that
// replaces it. Exit status: 0 right, 1 wrong, 77 no direct I/O here.

#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 6, BLOCK = 4096, HELD = 42 };

static const char *path;

static void by_exit(void) {
    exit(0);
}

static void by_exit_at_once(void) {
    _exit(0);
}

static void by_number(void) {
    syscall(SYS_exit_group, 0);
}

static void by_signal(void) {
    raise(SIGTERM);
}

static void by_abort(void) {
    abort();
}

static void by_exec(void) {
    execl("/proc/self/exe", "direct_ends", "try", path, (char *)NULL);
}

static void by_exec_and_number(void) {
    char *argv[] = {"direct_ends", "try", (char *)path, NULL};
    syscall(SYS_execve, "/proc/self/exe", argv, environ);
}

static void *wait_for_the_end(void *unused) {
    for (;;)
        pause();
    return unused;
}

static void by_exec_with_a_thread(void) {
    pthread_t thread;
    require(pthread_create(&thread, NULL, wait_for_the_end, NULL) == 0);
    by_exec();
}

static const struct {
    const char *name;
    void (*end)(void);
} ways[] = {
    {"exit", by_exit},
    {"_exit", by_exit_at_once},
    {"exit_group", by_number},
    {"a signal", by_signal},
    {"abort", by_abort},
    {"exec", by_exec},
    {"execve by number", by_exec_and_number},
    {"exec with a thread", by_exec_with_a_thread},
};

static bool is_held(void) {
    int fd = open(path, O_RDONLY);
    require(fd >= 0);
    bool held = flock(fd, LOCK_EX | LOCK_NB) != 0;
    require(close(fd) == 0);
    return held;
}

static void read_and_end(void (*end)(void), int blocks) {
    char *block;
    int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    require(fd >= 0 && flock(fd, LOCK_EX) == 0 && posix_memalign((void **)&block, BLOCK, BLOCK) == 0);
    for (int i = 0; i < blocks; i++)
        require(read(fd, block, BLOCK) == BLOCK);
    end();
    _exit(1);
}

static int times_held(void (*end)(void)) {
    int held = 0, status;
    for (int i = 0; i < ROUNDS; i++) {
        pid_t child = fork();
        require(child >= 0);
        if (child == 0)
            read_and_end(end, 200 + i * 97 % 700);
        require(waitpid(child, &status, 0) == child);
        held += is_held() || (WIFEXITED(status) && WEXITSTATUS(status) == HELD);
        require(!WIFEXITED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == HELD);
    }
    return held;
}

int main(int argc, char **argv) {
    int wrong = 0;
    require(argc >= 2);
    path = argv[argc - 1];
    if (argc == 3)
        return is_held() ? HELD : 0;
    int fd = open(path, O_RDONLY | O_DIRECT);
    if (fd < 0)
        return 77;
    require(close(fd) == 0);
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        int held = times_held(ways[i].end);
        if (held)
            fprintf(stderr, "%s: held %d times of %d\n", ways[i].name, held, ROUNDS);
        wrong += held;
    }
    return wrong != 0;
}
