// surface_processes HOW: less common ways to make a process, with writes pending, and descriptors that change hands.

#include "transcript.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int fd, other;
static char stack[1 << 16] __attribute__((aligned(16)));

static void write_some(int to, const char *text) {
    for (int i = 0; i < 150; i++)
        require(write(to, text, strlen(text)) == (ssize_t)strlen(text));
}

static void await(pid_t child) {
    int status;
    require(child > 0 && waitpid(child, &status, __WALL) == child);
    note("status %x\n", (unsigned)status);
}

static int child_body(void *text) {
    write_some(fd, text);
    return 5;
}

static int closing_body(void *text) {
    write_some(fd, text);
    close(other);
    other = open("of the child", O_WRONLY | O_CREAT, 0600);
    write_some(other, "into the child's\n");
    return 6;
}

static void by_clone(int flags, int (*body)(void *)) {
    write_some(fd, "before clone\n");
    write_some(other, "other before clone\n");
    await(clone(body, stack + sizeof stack, flags | SIGCHLD, "child of clone\n"));
    write_some(fd, "after clone\n");
    TRY(write(other, "other after clone\n", 18));
    TRY(fcntl(other, F_GETFL) & O_ACCMODE);
}

static void by_plain_clone(void) {
    by_clone(0, child_body);
    by_clone(0, closing_body);
}

static void by_vfork_clone(void) {
    by_clone(CLONE_VFORK | CLONE_VM, child_body);
}

static void by_sharing_files(void) {
    by_clone(CLONE_FILES, closing_body);
}

static void by_bare_clone(void) {
    write_some(fd, "before clone\n");
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (!child) {
        write_some(fd, "child of bare clone\n");
        _exit(7);
    }
    await(child);
    child = fork_by_number();
    if (!child) {
        write_some(fd, "child of bare fork\n");
        _exit(8);
    }
    await(child);
    write_some(fd, "after\n");
}

// As Python's subprocess does: descriptors put in place, the others closed, and exec.
static void by_vfork(void) {
    for (volatile int fails = 0; fails < 2; fails++) { /* the child uses the same memory */
        int report[2];
        require(pipe2(report, O_CLOEXEC) == 0);
        write_some(fd, "before vfork\n");
        pid_t child = vfork();
        if (!child) {
            close(report[0]);
            dup2(fd, 1);
            dup2(fd, 2);
            close_range(3, (unsigned)report[1] - 1, 0);
            close_range((unsigned)report[1] + 1, ~0u, 0);
            execl(fails ? "/nowhere" : "/bin/sh", "sh", "-c", "echo from the shell; echo and again >&2", NULL);
            int error = errno;
            if (write(report[1], &error, sizeof error) < 0)
                _exit(1);
            _exit(255);
        }
        close(report[1]);
        int error = 0;
        TRY(read(report[0], &error, sizeof error));
        note("error %d\n", error);
        close(report[0]);
        await(child);
        write_some(fd, "after vfork\n");
        write_some(other, "other after vfork\n");
    }
}

static void by_spawn(void) {
    char *arguments[] = {"sh", "-c",
                         "echo out; echo err >&2; pwd | sed 's,.*/,,'; ls -1 /proc/self/fd | wc -l; cat <&5", NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    require(mkdir("elsewhere", 0700) == 0);
    require(posix_spawn_file_actions_init(&actions) == 0);
    require(posix_spawn_file_actions_addopen(&actions, 1, "opened", O_WRONLY | O_CREAT | O_APPEND, 0600) == 0);
    require(posix_spawn_file_actions_addopen(&actions, 5, "log", O_RDONLY, 0) == 0);
    require(posix_spawn_file_actions_adddup2(&actions, fd, 2) == 0);
    require(posix_spawn_file_actions_addclose(&actions, other) == 0);
    require(posix_spawn_file_actions_addchdir_np(&actions, "elsewhere") == 0);
    require(posix_spawn_file_actions_addclosefrom_np(&actions, 6) == 0);
    for (int i = 0; i < 3; i++) {
        write_some(fd, "before spawn\n");
        note("posix_spawn %d\n", posix_spawn(&child, "/bin/sh", &actions, NULL, arguments, environ));
        await(child);
        write_some(fd, "after spawn\n");
        write_some(other, "other after spawn\n");
    }
    require(posix_spawn_file_actions_addopen(&actions, 1, "not/there", O_RDONLY, 0) == 0);
    write_some(fd, "before spawn\n");
    note("posix_spawn %d\n", posix_spawn(&child, "/bin/sh", &actions, NULL, arguments, environ));
    note("posix_spawnp %d\n", posix_spawnp(&child, "no such program", NULL, NULL, arguments, environ));
    require(posix_spawn_file_actions_destroy(&actions) == 0);
}

static void by_daemon(void) {
    int done[2];
    char byte;
    require(pipe(done) == 0);
    write_some(fd, "before daemon\n");
    pid_t child = fork();
    if (!child) {
        write_some(fd, "who becomes one\n");
        require(daemon(1, 1) == 0);
        write_some(fd, "the daemon\n");
        write_some(other, "the daemon\n");
        require(write(done[1], "d", 1) == 1);
        _exit(0);
    }
    await(child);
    require(read(done[0], &byte, 1) == 1);
    close(done[1]);
    TRY(read(done[0], &byte, 1)); // the end: nobody has it any more
    write_some(fd, "after daemon\n");
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } ways[] = {{"clone", by_plain_clone},   {"vfork_clone", by_vfork_clone},
                {"files", by_sharing_files}, {"bare", by_bare_clone},
                {"vfork", by_vfork},         {"spawn", by_spawn},
                {"daemon", by_daemon}};
    if (argc == 1) {
        for (size_t i = 0; i < COUNT_OF(ways); i++)
            puts(ways[i].name);
        return 0;
    }
    fd = open_busy("log", O_RDWR | O_APPEND);
    other = open_busy("other", O_WRONLY);
    for (size_t i = 0; i < COUNT_OF(ways); i++)
        if (!strcmp(argv[1], ways[i].name))
            ways[i].run();
    TRY(close(fd));
    TRY(close(other));
    print_transcript();
    return 0;
}
