// streams_life KIND: programs whose standard output is a stream, and what becomes of what they wrote to it when they
// make processes, become others, close and duplicate numbers, pass them on, or end. Each leaves what arrived in a file
// of its own. streams_life KIND WAY: such a program. It may be told something by standard input, and tells by
// descriptor 3.

#include "stream_kinds.h"

#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

enum { TOLD = 3 };

extern char **environ;
static char self[4096];
static const char *kind;
static int serial;

// Lines of many lengths, each of which says whose it is and where it belongs.
static void scribble(int fd, const char *who) {
    for (int i = 0; i < 25; i++) {
        char line[256];
        int length = snprintf(line, sizeof line, "%s %d %.*s\n", who, serial++, i * 7 % 90,
                              "................................"
                              "............................................................");
        require(write(fd, line, (size_t)length) == length);
    }
}

static void await_child(pid_t child, int expected) {
    int status;
    require(child > 0 && waitpid(child, &status, __WALL) == child);
    if (status != expected)
        fprintf(stderr, "%s: a child's status is %x\n", kind, (unsigned)status);
}

static void tell(void) {
    require(write(TOLD, "x", 1) == 1);
}

static void by_fork(void) {
    pid_t child = fork();
    if (!child) {
        scribble(1, "child");
        _exit(5);
    }
    await_child(child, 5 << 8);
}

static void by_fork_exit(void) {
    pid_t child = fork();
    if (!child) {
        scribble(1, "child");
        printf("left to stdio\n");
        exit(5);
    }
    await_child(child, 5 << 8);
}

static void by_bare_fork(void) {
    pid_t child = fork_by_number();
    if (!child) {
        scribble(1, "child");
        _exit(5);
    }
    await_child(child, 5 << 8);
}

static int child_function(void *unused) {
    (void)unused;
    scribble(1, "clone");
    return 5;
}

static char stack[1 << 18] __attribute__((aligned(64)));

static void by_clone_vm(void) {
    await_child(clone(child_function, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL), 5 << 8);
}

static void by_vfork(void) {
    pid_t child = vfork();
    if (!child) {
        execl(self, self, kind, "scribble", (char *)NULL);
        _exit(127);
    }
    await_child(child, 5 << 8);
}

static void by_vfork_write(void) {
    pid_t child = vfork();
    if (!child)
        _exit(write(1, "from vfork\n", 11) == 11 ? 5 : 1);
    await_child(child, 5 << 8);
}

// The child dies of a signal right after it wrote.
static void by_killed_child(void) {
    pid_t child = fork();
    if (!child) {
        scribble(1, "child");
        kill(getpid(), SIGKILL);
    }
    await_child(child, SIGKILL);
}

static void by_spawn(void) {
    pid_t child;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addclose(&actions, TOLD);
    require(posix_spawn(&child, self, &actions, NULL, (char *[]){self, (char *)kind, "scribble", NULL}, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    await_child(child, 5 << 8);
}

static void by_system(void) {
    char command[5000];
    snprintf(command, sizeof command, "'%s' %s scribble", self, kind);
    require(system("echo a shell; echo twice") == 0 && system(command) == 5 << 8);
}

static void by_popen(void) {
    FILE *pipe = popen("cat; exit 5", "w");
    require(pipe && setvbuf(pipe, NULL, _IONBF, 0) == 0);
    scribble(1, "before cat");
    scribble(fileno(pipe), "through cat");
    fputs("and by stdio\n", pipe);
    require(pclose(pipe) == 5 << 8);
}

// Both write at the same time: who reads it finds each one's lines in order, after those from before.
static void by_both(void) {
    pid_t child = fork();
    if (!child) {
        for (int i = 0; i < 10; i++)
            scribble(1, "child");
        _exit(5);
    }
    for (int i = 0; i < 10; i++)
        scribble(1, "beside");
    await_child(child, 5 << 8);
}

static void by_exec(void) {
    execl("/nonexistent", "nonexistent", (char *)NULL);
    scribble(1, "still here");
    execl(self, self, kind, "scribble", (char *)NULL);
}

static void by_bare_exec(void) {
    syscall(SYS_execve, self, (char *[]){self, (char *)kind, "scribble", NULL}, environ);
}

static void by_exec_of_shell(void) {
    execlp("sh", "sh", "-c", "echo a shell; exit 5", (char *)NULL);
}

// The reader sees the end while the writer lives on.
static void closed(void) {
    require(close(1) == 0);
    await_byte(0);
}

static void closed_by_range(void) {
    require(syscall(SYS_close_range, 1, 1, 0) == 0);
    await_byte(0);
}

static void closed_by_stdio(void) {
    printf("left to stdio\n");
    require(fclose(stdout) == 0);
    await_byte(0);
}

static void shut_down(void) {
    require(shutdown(1, SHUT_WR) == 0);
    await_byte(0);
}

static void covered(void) {
    int file = open("covering", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(file >= 0 && dup2(file, 1) == 1);
    scribble(1, "to the file");
    await_byte(0);
}

static void reused(void) {
    require(close(1) == 0 && open("reusing", O_WRONLY | O_CREAT | O_TRUNC, 0600) == 1);
    scribble(1, "to the file");
    await_byte(0);
}

static void duplicated(void) {
    int other = dup(1), third = fcntl(1, F_DUPFD, 50), fourth = dup3(1, 60, O_CLOEXEC);
    require(other >= 0 && third >= 50 && fourth == 60);
    for (int i = 0; i < 5; i++) {
        scribble(1, "first");
        scribble(other, "second");
        scribble(third, "third");
        scribble(fourth, "fourth");
    }
    require(close(1) == 0);
    scribble(other, "second");
    require(dup2(other, 1) == 1 && close(other) == 0);
}

// Another description of the same pipe.
static void reopened(void) {
    int other = open("/proc/self/fd/1", O_WRONLY);
    if (is_socket(kind))
        return;
    require(other >= 0);
    for (int i = 0; i < 10; i++) {
        scribble(1, "first");
        scribble(other, "second");
    }
    require(close(other) == 0);
}

static void write_all(int fd, const char *bytes, size_t size) {
    for (ssize_t part; size; bytes += part, size -= (size_t)part) {
        part = write(fd, bytes, size);
        if (part == -1) {
            require(errno == EAGAIN);
            require(poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1) == 1);
            part = 0;
        }
    }
}

static void nonblocking(void) {
    require(fcntl(1, F_SETFL, O_NONBLOCK) == 0);
    for (int i = 0; i < 100; i++)
        write_all(1, "without waiting\n", 16);
    require(fcntl(1, F_SETFL, 0) == 0);
}

static void nonblocking_by_child(void) {
    pid_t child = fork();
    if (!child)
        _exit(fcntl(1, F_SETFL, O_NONBLOCK));
    await_child(child, 0);
    for (int i = 0; i < 100; i++)
        write_all(1, "without waiting\n", 16);
}

// Another process has had it by message.
static void passed_on(void) {
    int sockets[2], got = -1;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &(struct iovec){(char[1]){"x"}, 1},
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    pid_t child = fork();
    if (!child) {
        close(1);
        require(recvmsg(sockets[0], &message, 0) == 1);
        memcpy(&got, CMSG_DATA(&control.header), sizeof got);
        scribble(got, "who was given it");
        _exit(5);
    }
    scribble(1, "who gives it");
    memcpy(CMSG_DATA(&control.header), &(int){1}, sizeof(int));
    require(sendmsg(sockets[1], &message, 0) == 1);
    for (volatile int i = 0; i < 3000000; i++) // no call that might put things right before the child is done
        ;
    await_child(child, 5 << 8);
}

// Other calls that put bytes into it, between writes.
static void moved(void) {
    int from[2], file = open("moved", O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(pipe(from) == 0 && file >= 0);
    for (int i = 0; i < 5; i++) {
        scribble(1, "before");
        require(write(from[1], "spliced\n", 8) == 8);
        require(splice(from[0], NULL, 1, NULL, 8, 0) == 8);
        scribble(1, "between");
        require(pwrite(file, "sent from a file\n", 17, 0) == 17);
        require(sendfile(1, file, &(off_t){0}, 17) == 17);
        if (is_socket(kind))
            continue;
        scribble(1, "between");
        require(write(from[1], "teed\n", 5) == 5);
        require(tee(from[0], 1, 5, 0) == 5 && read(from[0], (char[5]){0}, 5) == 5);
        scribble(1, "between");
        require(vmsplice(1, &(struct iovec){"mapped\n", 7}, 1, 0) == 7);
        scribble(1, "between");
        require(splice(file, &(off64_t){0}, 1, NULL, 17, 0) == 17);
    }
}

static void sent(void) {
    if (!is_socket(kind))
        return;
    for (int i = 0; i < 5; i++) {
        scribble(1, "before");
        require(send(1, "sent\n", 5, MSG_NOSIGNAL) == 5);
        require(send(1, "more to come", 12, MSG_MORE) == 12);
        scribble(1, "after that");
        ssize_t sent;
        while ((sent = sendto(1, "not waiting\n", 12, MSG_DONTWAIT, NULL, 0)) < 0 &&
               errno == EAGAIN) { /* a slow reader */
            struct pollfd one = {.fd = 1, .events = POLLOUT};
            require(poll(&one, 1, -1) == 1);
        }
        require(sent == 12);
        require(sendmsg(1, &(struct msghdr){.msg_iov = (struct iovec[]){{"a ", 2}, {"message\n", 8}}, .msg_iovlen = 2},
                        0) == 10);
        require(setsockopt(1, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)) == 0);
        scribble(1, "after them");
    }
    if (!strcmp(kind, "tcp")) {
        require(send(1, "!", 1, MSG_OOB) == 1); // inline where it's read
        scribble(1, "after what was urgent");
        require(setsockopt(1, IPPROTO_TCP, TCP_CORK, &(int){1}, sizeof(int)) == 0);
        scribble(1, "corked");
        require(setsockopt(1, IPPROTO_TCP, TCP_CORK, &(int){0}, sizeof(int)) == 0);
        require(send(1, "last, and more to come", 22, MSG_MORE) == 22);
    } else {
        union {
            struct cmsghdr header;
            char space[CMSG_SPACE(sizeof(int))];
        } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
        memcpy(CMSG_DATA(&control.header), &(int){2}, sizeof(int));
        require(sendmsg(1,
                        &(struct msghdr){.msg_iov = &(struct iovec){"with a descriptor\n", 18},
                                         .msg_iovlen = 1,
                                         .msg_control = &control,
                                         .msg_controllen = sizeof control},
                        0) == 18);
        scribble(1, "after it");
    }
}

// By stdio in its modes, and by dprintf, in turns with write.
static void by_stdio(void) {
    for (int i = 0; i < 3; i++) {
        static const int modes[] = {_IONBF, _IOLBF, _IOFBF};
        FILE *stream = fdopen(dup(1), "w");
        require(stream && setvbuf(stream, NULL, modes[i], 512) == 0);
        for (int j = 0; j < 30; j++) {
            fprintf(stream, "mode %d, line %d\nand ", modes[i], j);
            if (j % 3 == 0)
                fflush(stream);
            dprintf(1, "dprintf %d\n", j);
            scribble(1, "between");
        }
        require(fclose(stream) == 0);
    }
}

// Everybody looks into what is there, while it's written.
static void looked_at(void) {
    int own[2];
    make_stream(kind, own);
    for (int i = 0; i < 20; i++) {
        char bytes[400];
        for (int j = 0; j < 4; j++)
            require(write(own[1], "four of these\n", 14) == 14);
        int queued = 0;
        if (is_socket(kind))
            require(ioctl(own[1], TIOCOUTQ, &queued) == 0);
        // Of TCP all may have arrived.
        require(strcmp(kind, "unix") != 0 || queued >= 56);
        while (stream_fill(own[0]) < 56)
            require(!strcmp(kind, "tcp"));
        require(poll(&(struct pollfd){.fd = own[0], .events = POLLIN}, 1, -1) == 1);
        require(read(own[0], bytes, sizeof bytes) == 56);
        scribble(1, "looked at");
        require(write(own[1], "one\n", 4) == 4 && read(own[0], bytes, sizeof bytes) == 4);
    }
    close(own[0]);
    close(own[1]);
}

static void *write_on(void *main_thread) {
    pthread_join(*(pthread_t *)main_thread, NULL);
    scribble(1, "after main has gone");
    return NULL;
}

static void main_thread_ends(void) {
    static pthread_t itself;
    pthread_t thread;
    itself = pthread_self();
    require(pthread_create(&thread, NULL, write_on, &itself) == 0);
    pthread_exit(NULL);
}

static void last_words(void) {
    scribble(1, "last words");
}

static void by_exit(void) {
    atexit(last_words);
    printf("left to stdio\n");
    exit(4);
}

static void by__exit(void) {
    _exit(4);
}

static void by_quick_exit(void) {
    at_quick_exit(last_words);
    quick_exit(4);
}

static void by_exit_group(void) {
    syscall(SYS_exit_group, 4);
}

static void by_abort(void) {
    abort();
}

static void by_fault(void) {
    static volatile char *volatile nowhere;
    *nowhere = 1;
}

static void by_term(void) {
    raise(SIGTERM);
}

static void by_kill(void) {
    kill(getpid(), SIGKILL);
}

static void by_alarm(void) {
    ualarm(1000, 0);
    for (;;)
        ;
}

// It's killed as soon as it has told.
static void killed_from_outside(void) {
    tell();
    scribble(TOLD, "not before");
    for (;;)
        pause();
}

static void nothing(void) {}

static void scribble_only(void) {
    scribble(1, "another program");
    _exit(5);
}

enum { AFTER = 1, END = 2, KILL = 4, SORT = 8 };

static const struct {
    const char *name;
    void (*run)(void);
    int how; // it goes on after it; it's told of the end; it's killed when it tells; several write at once
} ways[] = {
    {"fork", by_fork, AFTER},
    {"fork_exit", by_fork_exit, AFTER},
    {"bare_fork", by_bare_fork, AFTER},
    {"clone_vm", by_clone_vm, AFTER},
    {"vfork", by_vfork, AFTER},
    {"vfork_write", by_vfork_write, AFTER},
    {"killed_child", by_killed_child, AFTER},
    {"spawn", by_spawn, AFTER},
    {"system", by_system, AFTER},
    {"popen", by_popen, AFTER},
    {"both", by_both, AFTER | SORT},
    {"exec", by_exec, 0},
    {"bare_exec", by_bare_exec, 0},
    {"exec_of_shell", by_exec_of_shell, 0},
    {"closed", closed, END},
    {"closed_by_range", closed_by_range, END},
    {"closed_by_stdio", closed_by_stdio, END},
    {"shut_down", shut_down, END},
    {"covered", covered, END},
    {"reused", reused, END},
    {"duplicated", duplicated, AFTER},
    {"reopened", reopened, AFTER},
    {"nonblocking", nonblocking, AFTER},
    {"nonblocking_by_child", nonblocking_by_child, 0},
    {"passed_on", passed_on, AFTER},
    {"moved", moved, AFTER},
    {"sent", sent, 0},
    {"stdio", by_stdio, AFTER},
    {"looked_at", looked_at, AFTER},
    {"main_thread_ends", main_thread_ends, 0},
    {"exit", by_exit, 0},
    {"_exit", by__exit, 0},
    {"quick_exit", by_quick_exit, 0},
    {"exit_group", by_exit_group, 0},
    {"return", nothing, 0},
    {"abort", by_abort, 0},
    {"fault", by_fault, 0},
    {"term", by_term, 0},
    {"kill", by_kill, 0},
    {"alarm", by_alarm, 0},
    {"killed_from_outside", killed_from_outside, KILL},
    {"scribble", scribble_only, 0},
};

static int be_program(const char *name) {
    size_t way = 0;
    while (strcmp(name, ways[way].name) != 0)
        require(++way < COUNT_OF(ways));
    scribble(1, "before");
    ways[way].run();
    if (ways[way].how & AFTER)
        scribble(1, "after");
    return 6;
}

// Whose lines they are is told by their first letter: `b` beside and before, `c` child.
static size_t sort_lines(char *bytes, size_t size) {
    char *sorted = malloc(size), *end = sorted;
    require(sorted);
    for (int children = 0; children < 2; children++)
        for (char *line = bytes, *next; line < bytes + size; line = next) {
            next = memchr(line, '\n', (size_t)(bytes + size - line));
            require(next++);
            if ((*line == 'c') == children) {
                memcpy(end, line, (size_t)(next - line));
                end += next - line;
            }
        }
    memcpy(bytes, sorted, (size_t)(end - sorted));
    free(sorted);
    return size;
}

static void run(size_t way) {
    static char bytes[1 << 18];
    char name[64];
    int ends[2], end_seen[2], told[2], status;
    make_stream(kind, ends);
    require(pipe(end_seen) == 0 && pipe(told) == 0);
    require(strcmp(kind, "tcp") != 0 || setsockopt(ends[0], SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int)) == 0);
    pid_t child = fork();
    require(child >= 0);
    if (!child) {
        int in = fcntl(end_seen[0], F_DUPFD, 100), out = fcntl(ends[1], F_DUPFD, 100),
            tells = fcntl(told[1], F_DUPFD, 100);
        require(dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(tells, TOLD) == TOLD);
        closefrom(TOLD + 1);
        execl(self, self, kind, ways[way].name, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    close(told[1]);
    close(end_seen[0]);
    if (ways[way].how & KILL) {
        await_byte(told[0]);
        require(kill(child, SIGKILL) == 0);
    }
    size_t size = read_all(ends[0], bytes, sizeof bytes);
    if (ways[way].how & END)
        require(write(end_seen[1], "x", 1) == 1);
    require(waitpid(child, &status, 0) == child && size < sizeof bytes);
    if (ways[way].how & SORT)
        size = sort_lines(bytes, size);
    note("%s: status %x, %zu bytes\n", ways[way].name, (unsigned)status & ~0x80u, size);
    snprintf(name, sizeof name, "arrived.%s", ways[way].name);
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(file >= 0 && write(file, bytes, size) == (ssize_t)size && close(file) == 0);
    close(ends[0]);
    close(told[0]);
    close(end_seen[1]);
}

int main(int argc, char **argv) {
    require(argc >= 2 && readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    kind = argv[1];
    alarm(HANG_SECONDS);
    if (argc == 3)
        return be_program(argv[2]);
    for (size_t way = 0; way < COUNT_OF(ways); way++)
        if (is_socket(kind) || (ways[way].run != shut_down && ways[way].run != sent))
            run(way);
    print_transcript();
    return 0;
}
