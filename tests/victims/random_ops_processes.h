/*
 * The operations of random_ops with other processes: children, their ends, and what they and their parents see of each
 * other's files. They go in lockstep, each telling the other when to look.
 */
#pragma once

#include "passing.h"
#include "random_ops_streams.h"
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { CHILD_OPS = 20, GENERATIONS = 2 };

static void write_log(struct worker *w) {
    for (size_t done = 0; done < w->log_used;) {
        ssize_t written = write(LOG_FD, w->log + done, w->log_used - done);
        require(written > 0);
        done += (size_t)written;
    }
    w->log_used = 0;
}

static pid_t start_child(struct worker *w) {
    uint64_t seed = rng_next(&w->rng);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        alarm(HANG_SECONDS); /* not inherited */
        w->log_used = 0;
        w->rng = seed;
        w->generation++;
    }
    return child;
}

static void await(struct worker *w, pid_t child) {
    int status = 0;
    require(waitpid(child, &status, 0) == child);
    note(w, "child %d", status & ~0x80);
}

/* The ways to end. Those of the first line leave the contents of streams to be written, the others don't. */
#define ENDS(E)                                                                                                        \
    E(exit)                                                                                                            \
    E(thread_exits)                                                                                                    \
    E(last_thread)                                                                                                     \
    E(underscore_exit)                                                                                                 \
    E(quick_exit)                                                                                                      \
    E(abort)                                                                                                           \
    E(kill) E(term) E(exec) E(failed_exec) E(segv) E(bus) E(fpe) E(ill) E(pipe) E(alarm) E(size) E(thread_faults)
#define END_ENUM(name) END_##name,
enum end { ENDS(END_ENUM) END_COUNT, END_LAST_FLUSHING = END_last_thread };

static void *end_thread_exit(void *argument) {
    (void)argument;
    exit(5);
}

static void *end_thread_fault(void *argument) {
    (void)argument;
    abort();
}

static void end_by_thread(void *(*function)(void *)) {
    pthread_t thread;
    require(!pthread_create(&thread, NULL, function, NULL));
    pthread_join(thread, NULL);
}

static void exec_self(struct worker *w, struct space *s) {
    char slots[SLOTS * 16] = "", seed[24], families[24];
    if (!alone()) /* the numbers depend on timing, and the new image would show them */
        return;
    for (int i = 0; i < SLOTS; i++)
        sprintf(slots + strlen(slots), "%d ", s->slots[i]);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)rng_next(&w->rng));
    snprintf(families, sizeof(families), "%u", options.families & ~(1u << FAMILY_processes));
    execl(options.program, options.program, options.log_each ? "--log-each" : "--own-only", "--family-bits", families,
          "--inherit", slots, seed, "20", ".", NULL);
}

/* The last writes before a process ends, in each way it can end, are the easiest to lose. */
static void leave(struct worker *w, struct space *s, enum end end) {
    volatile int zero = 0;
    sigset_t none;
    int ends[2];
    w->mute = true;
    if (has_family(FAMILY_stdio))
        op_stream_write(w, s);
    op_burst(w, s);
    if (end <= END_LAST_FLUSHING && !alone()) /* it would flush what other threads of the parent had begun */
        end = END_underscore_exit;
    for (int number = 1; number < 32 && end != END_exec; number++)
        signal(number, SIG_DFL);
    switch (end) {
    case END_exit:
        exit(3);
    case END_thread_exits:
        end_by_thread(end_thread_exit);
        break;
    case END_last_thread:
        pthread_exit(NULL);
    case END_quick_exit:
        quick_exit(6);
    case END_abort:
        abort();
    case END_kill:
        kill(getpid(), SIGKILL);
        break;
    case END_term:
        raise(SIGTERM);
        break;
    case END_exec:
        exec_self(w, s);
        break;
    case END_failed_exec:
        execl("missing", "missing", NULL);
        op_burst(w, s);
        break;
    case END_segv:
        *(volatile char *)(w->edge + sysconf(_SC_PAGESIZE)) = 1;
        break;
    case END_bus:
        raise(SIGBUS);
        break;
    case END_fpe:
        zero = 1 / zero;
        break;
    case END_ill:
        __builtin_trap();
    case END_pipe:
        require(!pipe(ends) && !close(ends[0]));
        require(write(ends[1], "x", 1) == 1);
        break;
    case END_alarm:
        sigemptyset(&none);
        ualarm(1000, 0);
        sigsuspend(&none);
        break;
    case END_size:
        require(!setrlimit(RLIMIT_FSIZE, &(struct rlimit){10, RLIM_INFINITY}));
        require(pwrite(s->slots[0], "x", 1, 10) < 0);
        require(!setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}));
        break;
    case END_thread_faults:
        end_by_thread(end_thread_fault);
        break;
    default:
        break;
    }
    _exit(4);
}

/* Children that go on as their parents did. */
static void op_fork(struct worker *w, struct space *s) {
    enum end end = (enum end)below(w, END_COUNT);
    op_write(w, s);
    pid_t child = start_child(w);
    if (child == 0) {
        for (int i = 0; i < CHILD_OPS; i++)
            perform(w, s);
        write_log(w);
        leave(w, s, end);
    }
    await(w, child);
    op_stat(w, s);
    op_read(w, s);
}

extern char **environ;

static __attribute__((noinline)) pid_t vfork_and_write(int fd) {
    pid_t child = vfork();
    if (child == 0)
        _exit(write(fd, "of a child\n", 11) == 11);
    return child;
}

/* Children that share memory at first, or never were this program. */
static void op_spawn(struct worker *w, struct space *s) {
    char *arguments[] = {"echo", "words of another program", NULL};
    posix_spawn_file_actions_t actions;
    int fd = any_fd(w, s);
    pid_t child = -1;
    op_write(w, s);
    switch (below(w, 3)) {
    case 0:
        child = vfork_and_write(-1);
        break;
    case 1:
        put(w, WRITE, fd, 30, 0);
        child = vfork_and_write(fd);
        break;
    default:
        require(!posix_spawn_file_actions_init(&actions));
        if (fd >= 0)
            require(!posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO));
        require(!posix_spawn_file_actions_addclose(&actions, STDERR_FILENO));
        require(!posix_spawn(&child, "/bin/echo", &actions, NULL, arguments, environ));
        posix_spawn_file_actions_destroy(&actions);
    }
    require(child > 0);
    await(w, child);
    op_stat(w, s);
}

/* A way to say "look now", and what was seen. Its numbers are not those that programs get. */
struct channel {
    enum { PIPES, SOCKETS, SIGNALS } kind;
    int in, out;
    pid_t other;
};

struct sight {
    long long position, size, by_name;
    uint32_t sum, stream_sum;
};

static int move_up(int fd) {
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, PRIVATE_FD);
    require(moved >= 0 && !close(fd));
    return moved;
}

static void two_channels(struct worker *w, struct channel ends[2]) {
    int pair[2], back[2];
    int kind = (int)below(w, 3);
    ends[0] = ends[1] = (struct channel){.kind = kind};
    if (kind == PIPES) {
        require(!pipe(pair) && !pipe(back));
        ends[0].in = move_up(pair[0]);
        ends[1].out = move_up(pair[1]);
        ends[1].in = move_up(back[0]);
        ends[0].out = move_up(back[1]);
    } else {
        require(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
        for (int i = 0; i < 2; i++)
            ends[i].in = ends[i].out = move_up(pair[i]);
    }
}

static void tell(struct channel *to, const void *data, size_t size) {
    struct iovec part = {(void *)data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (to->kind == PIPES)
        require(write(to->out, data, size) == (ssize_t)size);
    else
        require(sendmsg(to->out, &message, 0) == (ssize_t)size);
    if (to->kind == SIGNALS)
        require(!kill(to->other, SIGRTMAX));
}

static void hear(struct channel *from, void *data, size_t size) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMAX);
    if (from->kind == SIGNALS)
        require(sigwaitinfo(&set, NULL) == SIGRTMAX);
    require(read(from->in, data, size) == (ssize_t)size);
}

/* One file, by descriptor, by name and by a stream. */
static struct sight look(int fd, struct name name) {
    static __thread char content[DATA_SIZE];
    struct sight seen = {.position = lseek(fd, 0, SEEK_CUR), .by_name = -1};
    struct stat found;
    ssize_t got = pread(fd, content, sizeof(content), 0);
    seen.size = fstat(fd, &found) ? -1 : S_ISREG(found.st_mode) ? found.st_size : 0;
    seen.sum = checksum(content, got > 0 ? (size_t)got : 0);
    if (!stat(name.text, &found))
        seen.by_name = found.st_size;
    FILE *file = fopen(name.text, "re");
    size_t read = file ? fread(content, 1, sizeof(content), file) : 0;
    seen.stream_sum = checksum(content, read);
    if (file)
        fclose(file);
    return seen;
}

static void note_sight(struct worker *w, struct sight seen) {
    note(w, "sight %lld %lld %lld %08x %08x", seen.position, seen.size, seen.by_name, seen.sum, seen.stream_sum);
}

static void write_some(struct worker *w, struct space *s, int fd) {
    for (int times = 1 + (int)below(w, 30); times; times--)
        put(w, one_in(w, 2) ? WRITE : (enum how)below(w, HOWS), fd, 1 + below(w, 300), (off_t)below(w, AREA));
    if (one_in(w, 4))
        op_write(w, s);
}

/* Parent and child write in turns, on descriptors whose positions they share; who doesn't write looks. */
static void op_watched(struct worker *w, struct space *s) {
    struct channel ends[2];
    struct name name = any_name(w, s);
    struct sight seen;
    sigset_t set, before;
    char go = 'g';
    int fd = any_fd(w, s), rounds = 1 + (int)below(w, 4);
    uint64_t seed = rng_next(&w->rng);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMAX);
    require(!pthread_sigmask(SIG_BLOCK, &set, &before));
    two_channels(w, ends);
    pid_t parent = getpid();
    write_some(w, s, fd);
    pid_t child = start_child(w);
    struct channel *own = &ends[child == 0];
    own->other = child ? child : parent;
    if (own->kind == SIGNALS && !alone()) /* any thread might get it */
        own->kind = SOCKETS;
    if (child == 0) {
        w->mute = true;
        w->rng = seed;
    }
    for (int i = 0; i < rounds; i++) {
        if (child) {
            write_some(w, s, fd);
            tell(own, &go, 1);
            hear(own, &seen, sizeof(seen));
            note_sight(w, seen);
            hear(own, &go, 1);
            note_sight(w, look(fd, name));
        } else {
            hear(own, &go, 1);
            seen = look(fd, name);
            tell(own, &seen, sizeof(seen));
            write_some(w, s, fd);
            tell(own, &go, 1);
        }
    }
    if (child)
        tell(own, &go, 1);
    else
        hear(own, &go, 1);
    if (child == 0)
        leave(w, s, END_LAST_FLUSHING + 1 + (int)below(w, END_COUNT - END_LAST_FLUSHING - 1));
    await(w, child);
    for (int i = 0; i < 2; i++) {
        close(ends[i].in);
        if (ends[i].in != ends[i].out)
            close(ends[i].out);
    }
    require(!pthread_sigmask(SIG_SETMASK, &before, NULL));
    note_sight(w, look(fd, name));
}

/* Two processes read by one description in turns, and each goes on where the other has stopped. */
static void op_turns(struct worker *w, struct space *s) {
    struct report {
        uint32_t sum;
        long long position;
    } report;
    int pair[2], fd = any_fd(w, s), rounds = 1 + (int)below(w, 5);
    bool mute = w->mute;
    if (fd >= 0 && one_in(w, 2))
        fd = dup(fd);
    else
        fd = open(any_name(w, s).text, O_RDONLY);
    fd = fd < 0 ? fd : move_up(fd);
    require(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    pair[0] = move_up(pair[0]);
    pair[1] = move_up(pair[1]);
    note(w, "run %08x", read_run(w, fd));
    pid_t child = start_child(w);
    for (int i = 0; child == 0 && i < rounds; i++) {
        w->mute = true;
        require(read(pair[1], &report, sizeof(report)) == sizeof(report));
        report.sum = read_run(w, fd);
        report.position = lseek(fd, 0, SEEK_CUR);
        require(write(pair[1], &report, sizeof(report)) == sizeof(report));
    }
    if (child == 0)
        _exit(0); /* and no more than that: the parent reads meanwhile */
    w->mute = mute;
    for (int i = 0; i < rounds; i++) {
        memset(&report, 0, sizeof(report));
        require(write(pair[0], &report, sizeof(report)) == sizeof(report));
        require(read(pair[0], &report, sizeof(report)) == sizeof(report));
        note(w, "its run %08x, at %lld", report.sum, report.position);
        note(w, "run %08x", read_run(w, fd));
        CALL(w, lseek(fd, 0, SEEK_CUR));
    }
    close(pair[0]);
    close(pair[1]);
    if (fd >= 0)
        close(fd);
    await(w, child);
}

/* A descriptor that goes to a child, which writes by it, and one that comes from there. */
static void op_pass(struct worker *w, struct space *s) {
    int pair[2], fd = any_fd(w, s), *slot = any_slot(w, s);
    struct name name = any_name(w, s);
    long long position = 0;
    if (fd < 0)
        return;
    require(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    pair[0] = move_up(pair[0]);
    pair[1] = move_up(pair[1]);
    pid_t child = start_child(w);
    if (child == 0) {
        w->mute = true;
        fd = receive_descriptor(pair[1]);
        write_some(w, s, fd);
        position = lseek(fd, 0, SEEK_CUR);
        require(write(pair[1], &position, sizeof(position)) == sizeof(position));
        require(read(pair[1], &position, sizeof(position)) == sizeof(position));
        fd = open(name.text, O_RDWR | O_CREAT, 0600);
        write_some(w, s, fd);
        CALL(w, send_descriptor(pair[1], fd < 0 ? pair[1] : fd));
        require(read(pair[1], &position, sizeof(position)) == sizeof(position));
        require(position == lseek(fd, 0, SEEK_CUR));
        leave(w, s, END_underscore_exit);
    }
    write_some(w, s, fd);
    CALL(w, send_descriptor(pair[0], fd));
    require(read(pair[0], &position, sizeof(position)) == sizeof(position));
    note(w, "its position %lld", position);
    CALL(w, lseek(fd, 0, SEEK_CUR));
    write_some(w, s, fd);
    require(write(pair[0], &position, sizeof(position)) == sizeof(position));
    close_slot(w, slot);
    *slot = receive_descriptor(pair[0]);
    write_some(w, s, *slot);
    position = lseek(*slot, 0, SEEK_CUR);
    note(w, "our position %lld", position);
    require(write(pair[0], &position, sizeof(position)) == sizeof(position));
    await(w, child);
    /* Where the child could open nothing, what came is its socket. Its peer goes for good here, not when a child of
     * another thread that has a copy ends; and leaves nothing unread, which would be ECONNRESET at that moment. */
    require(!shutdown(pair[0], SHUT_RDWR));
    while (recv(pair[0], w->data, DATA_SIZE, 0) > 0)
        ;
    close(pair[0]);
    close(pair[1]);
    note_sight(w, look(*slot, name));
}

/* A child that stops, is looked at, goes on, and is killed as it waits. */
static void op_stopped(struct worker *w, struct space *s) {
    static const int deadly[] = {SIGTERM, SIGKILL, SIGINT, SIGHUP, SIGUSR1, SIGSEGV, SIGXCPU};
    int number = deadly[below(w, COUNT_OF(deadly))], fd = any_fd(w, s), status, ends[2];
    struct name name = any_name(w, s);
    char byte = 'r';
    require(!pipe(ends));
    ends[0] = move_up(ends[0]);
    ends[1] = move_up(ends[1]);
    pid_t child = start_child(w);
    if (child == 0) {
        w->mute = true;
        signal(number, SIG_DFL);
        write_some(w, s, fd);
        raise(SIGSTOP);
        write_some(w, s, fd);
        require(write(ends[1], &byte, 1) == 1);
        for (;;)
            pause();
    }
    require(waitpid(child, &status, WUNTRACED) == child);
    note(w, "stopped %d", status);
    note_sight(w, look(fd, name));
    write_some(w, s, fd);
    require(!kill(child, SIGCONT));
    require(read(ends[0], &byte, 1) == 1);
    note_sight(w, look(fd, name));
    require(!kill(child, number));
    await(w, child);
    close(ends[0]);
    close(ends[1]);
    note_sight(w, look(fd, name));
}
