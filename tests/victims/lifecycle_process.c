// lifecycle_process HOW: writes, makes another process by HOW, which writes to the same open file and to one of its
// own, waits for it, and writes on. Everything is in turn, so that the files must come out the same to the byte.

#include "common.h"

#include <fcntl.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char self[4096], log_number[16];
static int log_fd;

static void scribble(int fd, const char *who) {
    char line[64];
    for (int i = 0; i < 200; i++) {
        int length = snprintf(line, sizeof line, "%s %d\n", who, i);
        require(write(fd, line, (size_t)length) == length);
    }
}

static void work_as_child(void) {
    int own = open("own", O_WRONLY | O_CREAT | O_APPEND, 0600);
    require(own >= 0);
    scribble(log_fd, "child");
    scribble(own, "child");
    scribble(log_fd, "child again");
}

static int child_function(void *unused) {
    (void)unused;
    work_as_child();
    return 5;
}

static void await_child(pid_t child) {
    int status;
    require(child > 0 && waitpid(child, &status, __WALL) == child && status == 5 << 8);
}

static void by_fork(void) {
    pid_t child = fork();
    if (!child) {
        work_as_child();
        _exit(5);
    }
    await_child(child);
}

static void by_fork_exit(void) {
    pid_t child = fork();
    if (!child) {
        work_as_child();
        exit(5);
    }
    await_child(child);
}

static void by__Fork(void) {
    pid_t child = _Fork();
    if (!child) {
        work_as_child();
        _exit(5);
    }
    await_child(child);
}

static void by_syscall_fork(void) {
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (!child) {
        work_as_child();
        _exit(5);
    }
    await_child(child);
}

static char stack[1 << 18] __attribute__((aligned(64)));

static void by_clone(void) {
    await_child(clone(child_function, stack + sizeof stack, SIGCHLD, NULL));
}

// The child shares this process's memory, and with CLONE_FILES its descriptors.
static void by_clone_vm(void) {
    await_child(clone(child_function, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL));
}

static void by_clone_vm_files(void) {
    await_child(clone(child_function, stack + sizeof stack, CLONE_VM | CLONE_FILES | SIGCHLD, NULL));
}

static void by_vfork_exec(void) {
    pid_t child = vfork();
    if (!child) {
        execl(self, self, "child", log_number, (char *)NULL);
        _exit(127);
    }
    await_child(child);
}

static void by_vfork_exit(void) {
    pid_t child = vfork();
    if (!child)
        _exit(5);
    await_child(child);
}

// As a shell or Python's subprocess does it: descriptors are moved in the child, the first exec fails.
static void by_vfork_like_subprocess(void) {
    pid_t child = vfork();
    if (!child) {
        dup2(log_fd, 9);
        close(log_fd);
        execl("/nonexistent", "nonexistent", (char *)NULL);
        execl(self, self, "child", "9", (char *)NULL);
        _exit(127);
    }
    await_child(child);
}

// What POSIX forbids and Linux allows.
static void by_vfork_write(void) {
    pid_t child = vfork();
    if (!child) {
        if (write(log_fd, "from vfork\n", 11) != 11)
            _exit(1);
        _exit(5);
    }
    await_child(child);
}

static void by_spawn(void) {
    pid_t child;
    require(posix_spawn(&child, self, NULL, NULL, (char *[]){self, "child", log_number, NULL}, environ) == 0);
    await_child(child);
}

static void by_spawn_actions(void) {
    pid_t child;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, log_fd, 11);
    posix_spawn_file_actions_addclose(&actions, log_fd);
    require(posix_spawnp(&child, self, &actions, NULL, (char *[]){self, "child", "11", NULL}, environ) == 0);
    await_child(child);
}

static void by_system(void) {
    char command[5000];
    snprintf(command, sizeof command, "'%s' child %d", self, log_fd);
    require(system(command) == 5 << 8);
}

static void by_popen(void) {
    char command[5000];
    snprintf(command, sizeof command, "'%s' child %d", self, log_fd);
    FILE *pipe = popen(command, "w");
    require(pipe && pclose(pipe) == 5 << 8);
}

static void by_forkpty(void) {
    int terminal;
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    if (!child) {
        work_as_child();
        _exit(5);
    }
    await_child(child);
    close(terminal);
}

// The daemon outlives the one that started it; the end of a pipe tells when it has gone.
static void by_daemon(void) {
    int ends[2];
    char byte;
    require(pipe(ends) == 0);
    pid_t child = fork();
    if (!child) {
        scribble(log_fd, "before daemon");
        require(daemon(1, 1) == 0);
        work_as_child();
        _exit(0);
    }
    require(close(ends[1]) == 0 && waitpid(child, NULL, 0) == child && read(ends[0], &byte, 1) == 0);
}

// Three generations, each with writes pending when it makes the next.
static void by_generations(void) {
    pid_t child = fork();
    if (!child) {
        scribble(log_fd, "first");
        child = fork();
        if (!child) {
            scribble(log_fd, "second");
            by_vfork_exec();
            scribble(log_fd, "second again");
            _exit(5);
        }
        await_child(child);
        scribble(log_fd, "first again");
        _exit(5);
    }
    await_child(child);
}

static const struct {
    const char *name;
    void (*make)(void);
} ways[] = {
    {"fork", by_fork},
    {"fork_exit", by_fork_exit},
    {"_Fork", by__Fork},
    {"syscall", by_syscall_fork},
    {"clone", by_clone},
    {"clone_vm", by_clone_vm},
    {"clone_vm_files", by_clone_vm_files},
    {"vfork_exec", by_vfork_exec},
    {"vfork_exit", by_vfork_exit},
    {"vfork_like_subprocess", by_vfork_like_subprocess},
    {"vfork_write", by_vfork_write},
    {"posix_spawn", by_spawn},
    {"posix_spawn_actions", by_spawn_actions},
    {"system", by_system},
    {"popen", by_popen},
    {"forkpty", by_forkpty},
    {"daemon", by_daemon},
    {"generations", by_generations},
};

int main(int argc, char **argv) {
    require(argc >= 2 && readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    if (argc == 3) {
        log_fd = atoi(argv[2]);
        work_as_child();
        return 5;
    }
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        if (!strcmp(argv[1], "--list"))
            puts(ways[i].name);
        if (strcmp(argv[1], ways[i].name) != 0)
            continue;
        log_fd = open("log", O_RDWR | O_CREAT | O_TRUNC, 0600);
        int own = open("own", O_WRONLY | O_CREAT | O_APPEND, 0600);
        require(log_fd >= 0 && own >= 0);
        alarm(HANG_SECONDS); // for a child that never ends
        snprintf(log_number, sizeof log_number, "%d", log_fd);
        for (int turn = 0; turn < 3; turn++) {
            scribble(log_fd, "parent");
            scribble(own, "parent");
            ways[i].make();
            scribble(own, "parent after");
            scribble(log_fd, "parent after");
        }
    }
    return 0;
}
