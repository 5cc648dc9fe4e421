// streams_gone KIND: the other end of a stream goes and says so, by every channel. From then on each write fails, by
// every call, whatever the program does with SIGPIPE.

#include "stream_kinds.h"

#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>

enum { RECORD = 24, BEFORE = 6 };

static const char *kind;
static int ends[2], channel[2];
static char record[RECORD];
static volatile sig_atomic_t broken, told;
static FILE *unbuffered, *buffered;

static void count(int number) {
    broken += number == SIGPIPE;
}

static void hear(int number) {
    told += number == SIGUSR1;
}

// How the reader, when it has gone, makes itself heard; and how the writer hears it.

static void say_by_signal(void) {
    require(kill(getppid(), SIGUSR1) == 0);
    pause();
}

static void say_by_pipe(void) {
    require(write(channel[1], "x", 1) == 1);
    pause();
}

static void say_by_closing(void) {
    close(channel[1]);
    pause();
}

static void say_nothing(void) {
    pause();
}

static void say_by_end(void) {
    _exit(0);
}

static void hear_by_handler(void) {
    sigset_t none;
    sigemptyset(&none);
    while (!told)
        sigsuspend(&none);
}

static void hear_by_sigwait(void) {
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    require(sigwait(&set, &number) == 0);
}

static void hear_by_byte(void) {
    await_byte(channel[0]);
}

static void hear_by_eof(void) {
    close(channel[1]);
    await_end(channel[0]);
}

static void hear_by_death(void) {
    int status;
    require(wait(&status) > 0);
}

static void hear_by_waitid(void) {
    siginfo_t info;
    require(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0);
}

static void hear_by_poll(void) {
    struct pollfd looked_at = {.fd = ends[1]};
    require(poll(&looked_at, 1, -1) == 1 && looked_at.revents & (POLLERR | POLLHUP));
}

static void hear_by_epoll(void) {
    struct epoll_event event = {.events = 0};
    int poller = epoll_create1(EPOLL_CLOEXEC);
    require(poller >= 0 && epoll_ctl(poller, EPOLL_CTL_ADD, ends[1], &event) == 0);
    require(epoll_wait(poller, &event, 1, -1) == 1 && event.events & (EPOLLERR | EPOLLHUP));
    close(poller);
}

// Of a socket: nothing comes any more.
static void hear_by_its_own(void) {
    await_end(ends[1]);
}

static void shut_down(void) {
    require(shutdown(ends[0], SHUT_RDWR) == 0);
    say_by_pipe();
}

static void shut_for_reading(void) {
    require(shutdown(ends[0], SHUT_RD) == 0);
    say_by_pipe();
}

static const struct {
    const char *name;
    void (*say)(void), (*hear)(void);
    bool sockets, stays; // only for those; the reader keeps its end
} channels[] = {
    {"handler", say_by_signal, hear_by_handler, false, false},
    {"sigwait", say_by_signal, hear_by_sigwait, false, false},
    {"byte", say_by_pipe, hear_by_byte, false, false},
    {"closing", say_by_closing, hear_by_eof, false, false},
    {"wait", say_by_end, hear_by_death, false, false},
    {"waitid", say_by_end, hear_by_waitid, false, false},
    {"poll", say_nothing, hear_by_poll, false, false},
    {"epoll", say_nothing, hear_by_epoll, false, false},
    {"eof", say_nothing, hear_by_its_own, true, false},
    {"shutdown", shut_down, hear_by_byte, true, true},
    {"shutdown for reading", shut_for_reading, hear_by_byte, true, true},
};

// Each call that writes.

static long by_write(void) {
    return write(ends[1], record, RECORD);
}

static long by_writev(void) {
    return writev(ends[1], (struct iovec[]){{record, 5}, {record + 5, RECORD - 5}}, 2);
}

static long by_number(void) {
    return syscall(SYS_write, ends[1], record, (size_t)RECORD);
}

static long by_dprintf(void) {
    return dprintf(ends[1], "%.*s", RECORD, record);
}

static long by_unbuffered(void) {
    return fwrite(record, 1, RECORD, unbuffered) == RECORD ? RECORD : -1;
}

static long by_buffered(void) {
    require(fwrite(record, 1, RECORD, buffered) == RECORD);
    return fflush(buffered) == 0 ? RECORD : -1;
}

static long by_send(void) {
    return send(ends[1], record, RECORD, 0);
}

static long by_quiet_send(void) {
    return send(ends[1], record, RECORD, MSG_NOSIGNAL);
}

static long by_sendto(void) {
    return sendto(ends[1], record, RECORD, 0, NULL, 0);
}

static long by_sendmsg(void) {
    return sendmsg(ends[1], &(struct msghdr){.msg_iov = &(struct iovec){record, RECORD}, .msg_iovlen = 1}, 0);
}

static long by_quiet_sendmsg(void) {
    return sendmsg(ends[1], &(struct msghdr){.msg_iov = &(struct iovec){record, RECORD}, .msg_iovlen = 1},
                   MSG_NOSIGNAL);
}

static const struct {
    const char *name;
    long (*write)(void);
    bool sockets;
} calls[] = {
    {"write", by_write, false},
    {"writev", by_writev, false},
    {"by number", by_number, false},
    {"dprintf", by_dprintf, false},
    {"unbuffered", by_unbuffered, false},
    {"buffered", by_buffered, false},
    {"send", by_send, true},
    {"quiet send", by_quiet_send, true},
    {"sendto", by_sendto, true},
    {"sendmsg", by_sendmsg, true},
    {"quiet sendmsg", by_quiet_sendmsg, true},
};

enum disposition { IGNORED, HANDLED, BLOCKED, DISPOSITIONS };
static const char *const disposition_names[] = {"ignored", "handled", "blocked"};

// What has come of SIGPIPE since it was last asked.
static void note_signal(void) {
    sigset_t pending, set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    require(sigpending(&pending) == 0);
    note("  SIGPIPE: %d came, %s\n", (int)broken, sigismember(&pending, SIGPIPE) ? "one waits" : "none waits");
    if (sigismember(&pending, SIGPIPE))
        require(sigtimedwait(&set, NULL, &(struct timespec){0}) == SIGPIPE);
}

static void dispose(enum disposition disposition) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    signal(SIGPIPE, SIG_IGN); // forgets one that waits
    require(sigprocmask(disposition == BLOCKED ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL) == 0);
    signal(SIGPIPE, disposition == HANDLED ? count : disposition == IGNORED ? SIG_IGN : SIG_DFL);
    broken = 0;
}

// The reader reads all that there is to be before it goes, so that nothing but its going can matter.
static void reader(size_t way) {
    static char bytes[BEFORE * RECORD];
    close(ends[1]);
    require(read_all(ends[0], bytes, sizeof bytes) == sizeof bytes);
    for (int i = 0; i < BEFORE; i++) {
        record_of(record, RECORD, i);
        require(memcmp(bytes + i * RECORD, record, RECORD) == 0);
    }
    if (!channels[way].stays)
        close(ends[0]);
    channels[way].say();
    _exit(0);
}

static void goes(size_t way, size_t call, enum disposition disposition) {
    note("%s, told by %s, %s, SIGPIPE %s\n", kind, channels[way].name, calls[call].name,
         disposition_names[disposition]);
    dispose(disposition);
    told = 0;
    make_stream(kind, ends);
    require(pipe(channel) == 0);
    pid_t child = fork();
    require(child >= 0);
    if (!child)
        reader(way);
    close(ends[0]);
    unbuffered = fdopen(dup(ends[1]), "w");
    buffered = fdopen(dup(ends[1]), "w");
    require(unbuffered && buffered && setvbuf(unbuffered, NULL, _IONBF, 0) == 0);
    for (int i = 0; i < BEFORE; i++) {
        record_of(record, RECORD, i);
        require(calls[call].write() == RECORD);
    }
    channels[way].hear();
    for (int i = 0; i < 3; i++) {
        TRY(calls[call].write());
        note_signal();
    }
    // Neither does another, nor through another number, know better.
    TRY(write(ends[1], "x", 1));
    TRY(write(fileno(unbuffered), "x", 1));
    note_signal();
    fclose(buffered);
    fclose(unbuffered);
    close(ends[1]);
    close(channel[0]);
    close(channel[1]);
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
        ;
}

int main(int argc, char **argv) {
    sigset_t set;
    require(argc == 2);
    kind = argv[1];
    alarm(HANG_SECONDS);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    require(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    signal(SIGUSR1, hear);
    for (size_t way = 0; way < COUNT_OF(channels); way++)
        for (size_t call = 0; call < COUNT_OF(calls); call++)
            for (enum disposition disposition = 0; disposition < DISPOSITIONS; disposition++)
                if ((is_socket(kind) || !(channels[way].sockets || calls[call].sockets)) &&
                    // Each channel with one call, and each call with one channel.
                    (call == way % 3 || way == 2))
                    goes(way, call, disposition);
    print_transcript();
    return 0;
}
