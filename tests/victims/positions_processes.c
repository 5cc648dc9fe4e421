// positions_processes [become]: whoever gets a description finds the position that its reader has come to, and the
// reader what the other has left. They take turns, each waiting for the other.

#include "passing.h"
#include "positions.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char room[64];
extern char **environ;
static const char *program;

// What another process does with the description, and says of it in its own words.
static void share_in(int fd, const char *who) {
    char bytes[8];
    ssize_t got = read(fd, bytes, sizeof bytes);
    dprintf(1, "%s: at %ld, [%.*s]\n", who, (long)position(fd), got > 0 ? (int)got : 0, bytes);
    for (int i = 0; i < 30; i++)
        require(read(fd, bytes, 3) == 3);
    dprintf(1, "%s: then at %ld\n", who, (long)position(fd));
    lseek(fd, 7, SEEK_CUR);
}

// Another program that reads its standard input.
static void in_program(void) {
    share_in(0, "program");
    exit(7);
}

static void ended(pid_t pid) {
    int status = 0;
    require(pid > 0 && waitpid(pid, &status, 0) == pid);
    note("ended %x\n", (unsigned)status);
}

// The reader goes on.
static void go_on(int fd) {
    READ(read(fd, room, 8));
    run(fd, 30, 3);
    TRY(position(fd));
    READ(read(fd, room, 5));
    TRY(lseek(fd, -3, SEEK_CUR));
    READ(read(fd, room, 5));
}

static int child(void *argument) {
    share_in(*(int *)argument, "clone");
    return 0;
}

static pid_t by_clone(int fd, int flags) {
    static char stack[64 << 10];
    return clone(child, stack + sizeof stack, flags | SIGCHLD, &fd);
}

static pid_t by_fork(int fd, pid_t pid) {
    if (pid == 0) {
        share_in(fd, "child");
        _exit(3);
    }
    return pid;
}

static void exec_self(int fd) {
    dup2(fd, 0);
    execl(program, program, "read", NULL);
    _exit(98);
}

static pid_t by_vfork(int fd) {
    pid_t pid = vfork();
    if (pid == 0)
        exec_self(fd);
    return pid;
}

// The child reads itself, in its parent's memory.
static pid_t by_vfork_reading(int fd) {
    static char bytes[30];
    pid_t pid = vfork();
    if (pid == 0) {
        for (int i = 0; i < 20; i++)
            read(fd, bytes, 5);
        lseek(fd, -2, SEEK_CUR);
        _exit(read(fd, bytes, 1) == 1 ? bytes[0] : 1);
    }
    return pid;
}

static pid_t by_fork_and_exec(int fd) {
    pid_t pid = fork();
    if (pid == 0) {
        run(fd, 20, 3);
        exec_self(fd);
    }
    return pid;
}

static pid_t by_spawn(int fd) {
    char *arguments[] = {(char *)(uintptr_t)program, "read", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, 0);
    require(posix_spawn(&pid, program, &actions, NULL, arguments, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static void as_input(int fd) {
    if (fd != 0)
        require(dup2(fd, 0) == 0);
}

static void by_system(int fd) {
    as_input(fd);
    TRY(system("head -c 5; dd bs=9 count=1 status=none | od -An -c"));
}

static void by_popen(int fd) {
    as_input(fd);
    FILE *pipe = popen("dd bs=1 count=13 status=none", "r");
    require(pipe);
    for (int c; (c = getc(pipe)) != EOF;)
        note("%c", c);
    TRY(pclose(pipe));
}

// The other process is there before the file is opened.
static void by_message(void) {
    int ends[2];
    char byte;
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = receive_descriptor(ends[1]);
        for (int i = 0; i < 5; i++) {
            share_in(fd, "receiver");
            require(write(ends[1], "x", 1) == 1 && read(ends[1], &byte, 1) == 1);
        }
        _exit(0);
    }
    int fd = open_running("marks");
    require(send_descriptor(ends[0], fd) == 1);
    for (int i = 0; i < 5; i++) {
        require(read(ends[0], &byte, 1) == 1);
        go_on(fd);
        require(write(ends[0], "x", 1) == 1);
    }
    ended(pid);
    run(fd, 20, 3);
    TRY(position(fd));
    close(fd);
    close(ends[0]);
    close(ends[1]);
}

// This process takes it from the one that reads.
static void by_taking(void) {
    int ends[2], number = -1;
    char byte;
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open_read("marks");
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
        for (int i = 0; i < 5; i++) {
            for (int k = 0; k < 200; k++)
                require(read(fd, room, 3) == 3);
            require(write(ends[1], &fd, sizeof fd) == sizeof fd && read(ends[1], &byte, 1) == 1);
        }
        share_in(fd, "owner");
        _exit(0);
    }
    int pidfd = pidfd_open(pid, 0), fd = -1;
    for (int i = 0; i < 5; i++) {
        require(read(ends[0], &number, sizeof number) == sizeof number);
        if (i == 0)
            require((fd = pidfd_getfd(pidfd, number, 0)) >= 0);
        go_on(fd);
        require(write(ends[0], "x", 1) == 1);
    }
    ended(pid);
    TRY(position(fd));
    close(fd);
    close(pidfd);
    close(ends[0]);
    close(ends[1]);
}

// A lock from the position on covers what it covers natively, as another process finds it.
static void by_lock(int fd) {
    struct flock here = {.l_type = F_RDLCK, .l_whence = SEEK_CUR, .l_start = 3, .l_len = 10};
    TRY(fcntl(fd, F_SETLK, &here));
    run(fd, 10, 3);
    pid_t pid = fork();
    if (pid == 0) {
        struct flock any = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        require(fcntl(fd, F_GETLK, &any) == 0);
        dprintf(1, "locked: from %ld, %ld\n", (long)any.l_start, (long)any.l_len);
        _exit(0);
    }
    ended(pid);
    TRY(lockf(fd, F_TEST, 10));
}

// Both go on at once, each with its own description again.
static void apart(void) {
    int fd = open_running("marks");
    pid_t pid = fork();
    if (pid == 0) {
        close(fd);
        fd = open_running("marks");
        share_in(fd, "apart");
        pid_t grandchild = fork();
        if (grandchild == 0) {
            share_in(fd, "grandchild");
            _exit(0);
        }
        waitpid(grandchild, NULL, 0);
        share_in(fd, "apart again");
        _exit(0);
    }
    ended(pid);
    go_on(fd);
    close(fd);
}

// Many generations of children have had it.
static void in_turns(void) {
    int fd = open_running("marks");
    for (int i = 0; i < 40; i++) {
        run(fd, i, 3);
        ended(by_fork(fd, fork()));
    }
    go_on(fd);
    close(fd);
}

static void failing_exec(int fd) {
    TRY(execl("/no/such/program", "program", NULL));
    go_on(fd);
}

static void way(int number, int fd) {
    switch (number) {
    case 0:
        return ended(by_fork(fd, fork()));
    case 1:
        return ended(by_fork(fd, _Fork()));
    case 2:
        return ended(by_fork(fd, fork_by_number()));
    case 3:
        return ended(by_fork(fd, (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)));
    case 4:
        return ended(by_vfork(fd));
    case 5:
        return ended(by_vfork_reading(fd));
    case 6:
        return ended(by_fork_and_exec(fd));
    case 7:
        return ended(by_spawn(fd));
    case 8:
        return by_system(fd);
    case 9:
        return by_popen(fd);
    case 10:
        return by_lock(fd);
    case 11:
        return failing_exec(fd);
    case 12:
        return ended(by_clone(fd, 0));
    case 13: // from here on some memory or table is shared
        return ended(by_clone(fd, CLONE_VM | CLONE_VFORK));
    default:
        return ended(by_clone(fd, CLONE_FILES));
    }
}

// No call comes between the last read and the other program.
static void become_it(void) {
    as_input(open_read("marks"));
    run(0, 150, 5);
    execl(program, program, "read", NULL);
    exit(98);
}

int main(int argc, char **argv) {
    program = argv[0];
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1 && !strcmp(argv[1], "read"))
        in_program();
    make_marks("marks", MARKS);
    if (argc > 1)
        become_it();
    for (int i = 0; i < 15; i++) {
        note("way %d\n", i);
        int fd = open_running("marks");
        way(i, fd);
        go_on(fd);
        way(i, fd);
        go_on(fd);
        TRY(close(fd));
        if (i == 11) {
            by_message();
            by_taking();
            apart();
            in_turns();
        }
    }
    print_transcript();
    return 0;
}
