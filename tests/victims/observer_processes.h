// Channels that are processes: one that ends, observed by its parent, and one that is made, observing.
#pragma once

#include "observer_records.h"

#include <assert.h>
#include <err.h>
#include <spawn.h>

extern char **environ;
static bool leaving; // a child that is to return from main
static char self[4096];

static void open_files_anew(void) {
    open_files(0);
    MUST(lseek(log_fd, 0, SEEK_END));
}

// The child writes and goes; what it wrote is there when wait returns. Odd rounds inherit the descriptors.
static void observe_end(void (*leave)(void), int expected) {
    open_files(O_APPEND);
    for (now = 0; now < rounds; now++) {
        pid_t child = MUST(fork());
        if (!child) {
            if (now % 2 == 0)
                open_files_anew();
            warm_up();
            write_records();
            if (leave)
                leave();
            leaving = true;
            return;
        }
        int status;
        MUST(waitpid(child, &status, 0));
        if (status != expected)
            give_up("the child's status is %x, not %x", (unsigned)status, (unsigned)expected);
        look();
    }
}

static void leave_exit(void) {
    exit(3);
}
static void leave__exit(void) {
    _exit(3);
}
static void leave__Exit(void) {
    _Exit(3);
}
static void leave_quick_exit(void) {
    quick_exit(3);
}
static void leave_abort(void) {
    abort();
}
static void leave_raise(void) {
    raise(SIGTERM);
}
static void leave_kill(void) {
    kill(getpid(), SIGKILL);
}
static void leave_thread(void) {
    pthread_exit(NULL);
}
static void leave_syscall(void) {
    syscall(SYS_exit_group, 3);
}

static void silence(void) {
    int fd = MUST(open("/dev/null", O_WRONLY));
    MUST(dup2(fd, 2));
}

static void leave_err(void) {
    silence();
    err(3, "as told");
}

static void leave_assert(void) {
    silence();
    assert(!"reached");
}

static void run_return(void) {
    observe_end(NULL, 0);
}
static void run_exit(void) {
    observe_end(leave_exit, 3 << 8);
}
static void run__exit(void) {
    observe_end(leave__exit, 3 << 8);
}
static void run__Exit(void) {
    observe_end(leave__Exit, 3 << 8);
}
static void run_quick_exit(void) {
    observe_end(leave_quick_exit, 3 << 8);
}
static void run_pthread_exit(void) {
    observe_end(leave_thread, 0);
}
static void run_exit_group(void) {
    observe_end(leave_syscall, 3 << 8);
}
static void run_err(void) {
    observe_end(leave_err, 3 << 8);
}
static void run_raise(void) {
    observe_end(leave_raise, SIGTERM);
}
static void run_kill_self(void) {
    observe_end(leave_kill, SIGKILL);
}
static void run_abort(void) {
    observe_end(leave_abort, SIGABRT);
}
static void run_assert(void) {
    observe_end(leave_assert, SIGABRT);
}

// A process that has just been made looks; `start` makes it and `finish`, once it has looked, waits for it.
static void observe_start(void (*start)(void), void (*finish)(void)) {
    map_seen(false);
    open_files(0);
    warm_up();
    for (now = 0; now < rounds; now++) {
        write_records();
        start();
        await_look();
        finish();
    }
}

static void look_as_child(void) {
    map_seen(true);
    look_and_wake();
    _exit(0);
}

static void start_fork(void) {
    observer = MUST(fork());
    if (!observer)
        look_as_child();
}

static void start__Fork(void) {
    observer = MUST(_Fork());
    if (!observer)
        look_as_child();
}

static void start_clone(void) {
    observer = (pid_t)MUST(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
    if (!observer)
        look_as_child();
}

static char *const *looker(void) {
    static char round[24];
    static char *arguments[] = {self, "--look", dir, round, NULL};
    snprintf(round, sizeof round, "%ld", now);
    return arguments;
}

// Made before vfork, whose child had better do nothing but exec.
static void start_vfork(void) {
    char *const *arguments = looker();
    observer = vfork();
    if (!observer) {
        execv(self, arguments);
        _exit(127);
    }
    MUST(observer);
}

static void start_spawn(void) {
    errno = posix_spawn(&observer, self, NULL, NULL, looker(), environ);
    MUST(errno ? -1 : 0);
}

static void start_spawnp(void) {
    errno = posix_spawnp(&observer, self, NULL, NULL, looker(), environ);
    MUST(errno ? -1 : 0);
}

static const char *look_command(void) {
    static char command[sizeof self + sizeof dir + 64];
    snprintf(command, sizeof command, "exec '%s' --look '%s' %ld", self, dir, now);
    return command;
}

static void start_system(void) {
    MUST(system(look_command()) ? -1 : 0);
}
static void finish_nothing(void) {}

static FILE *command_pipe;

static void start_popen(void) {
    command_pipe = popen(look_command(), now % 2 ? "r" : "w");
    if (!command_pipe)
        give_up("popen");
}

static void finish_pclose(void) {
    MUST(pclose(command_pipe) ? -1 : 0);
}

static void run_fork(void) {
    observe_start(start_fork, await_observer);
}
static void run__Fork(void) {
    observe_start(start__Fork, await_observer);
}
static void run_clone(void) {
    observe_start(start_clone, await_observer);
}
static void run_vfork(void) {
    observe_start(start_vfork, await_observer);
}
static void run_spawn(void) {
    observe_start(start_spawn, await_observer);
}
static void run_spawnp(void) {
    observe_start(start_spawnp, await_observer);
}
static void run_system(void) {
    observe_start(start_system, finish_nothing);
}
static void run_popen(void) {
    observe_start(start_popen, finish_pclose);
}

// Each image of the same process looks for what the one before it wrote, writes, and makes the next.
static void write_and_exec(void) {
    char round[24], last[24];
    open_files_anew();
    warm_up();
    write_records();
    snprintf(round, sizeof round, "%ld", now);
    snprintf(last, sizeof last, "%ld", rounds);
    MUST(execl(self, self, "--chain", dir, round, last, (char *)NULL));
}

static void continue_chain(void) {
    look();
    if (++now == rounds)
        _exit(0);
    write_and_exec();
}

static void run_exec(void) {
    observer = MUST(fork());
    if (!observer) {
        now = 0;
        write_and_exec();
    }
    await_observer();
}
