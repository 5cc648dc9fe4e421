// streams_between WAY…: what others do to a stream after its writer's last write, and before it makes another call.
// They see in its memory how far it is, and wake it by a signal.

#include "stream_kinds.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <ucontext.h>

enum { RECORDS = 40, SIZE = 64 };

static const char *kind;
static int ends[2], news[2];
static int received = -1; // a number that was sent before, or made by dup, of which nothing is known
static volatile int written, filled;
static volatile sig_atomic_t told;
static sigjmp_buf before;
static ucontext_t context_before;
static volatile bool by_context, was_left, returns;
static void (*volatile ends_in_handler)(void);

static void wake(int number) {
    (void)number;
    told = 1;
}

static void pass(int number) {
    (void)number;
}

static void write_records(void) {
    char record[SIZE];
    for (int i = 0; i < RECORDS; i++) {
        record_of(record, SIZE, i);
        require(write(ends[1], record, SIZE) == SIZE);
    }
    written = RECORDS;
    while (!told)
        ;
}

static void leave(int number) {
    (void)number;
    was_left = true;
    if (ends_in_handler)
        ends_in_handler();
    if (returns)
        return;
    if (by_context)
        setcontext(&context_before);
    siglongjmp(before, 1);
}

// The library waits at the call that comes next, for the stream is full. The handler leaves that, and the next is told.
static void write_and_leave(void) {
    require(signal(SIGALRM, leave) != SIG_ERR);
    require(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 40000}}, NULL) == 0);
    require(getcontext(&context_before) == 0);
    if (!was_left && sigsetjmp(before, 1) == 0) {
        write_records();
        while (!was_left)
            usleep(1000000);
    }
}

// Without a signal.
static void poke(pid_t writer) {
    sig_atomic_t yes = 1;
    struct iovec here = {&yes, sizeof yes}, there = {(void *)&told, sizeof told};
    require(process_vm_writev(writer, &here, 1, &there, 1, 0) == sizeof yes);
}

static void await_written(pid_t writer) {
    int seen = 0;
    struct iovec here = {&seen, sizeof seen}, there = {(void *)&written, sizeof written};
    while (seen != RECORDS) {
        require(process_vm_readv(writer, &here, 1, &there, 1, 0) == sizeof seen);
        sched_yield();
    }
}

static void tells_number(void);
static void tells_number_by_context(void);
static void told_in_handler(void);
static void told_by_child(void);
static void lets_child_tell(void);
static void goes_on(void);
static void adds_record(void);
static void mask_stays(void);
static void jumped_within(void);
static void jumps_and_tells(void);
static void await_told(void);
static void nested(void);
static void signal_often(pid_t writer);
static void empty(void);
static void signal_twice(pid_t writer);
static void find_order(void);
static void exits(void);
static void becomes_another(void);
static void faults(void);
static void ends_thread(void);
static void hang_up(void);
static void find_records(bool reads);
static void find_all(void);
static void send_number(void);
static void by_received(void);
static void by_received_alone(void);
static void by_duplicate(void);
static void by_duplicate_alone(void);

// A writer that goes on with `way` when `others` have done their part. What it notes is told here.
static void between(void (*others)(void), void (*way)(void)) {
    make_stream(kind, ends);
    if (way == jumped_within || way == nested) // so large that it isn't made larger
        require(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= 1 << 20);
    require(pipe(news) == 0);
    filled = 0;
    pid_t writer = fork();
    require(writer >= 0);
    if (!writer) {
        transcript_length = 0;
        signal(SIGUSR1, wake);
        if (way == nested) {
            static char stack[256 << 10];
            struct sigaction action = {.sa_handler = pass, .sa_flags = SA_NODEFER | SA_ONSTACK | SA_RESTART};
            require(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL) == 0);
            require(sigaction(SIGUSR2, &action, NULL) == 0);
        }
        if (way == mask_stays) {
            signal(SIGUSR2, pass);
            signal(SIGHUP, pass);
        }
        signal(SIGPIPE, SIG_IGN);
        if (others == hang_up)
            close(ends[0]);
        if (way == by_received || way == by_received_alone)
            send_number();
        if (way == by_duplicate || way == by_duplicate_alone)
            require((received = dup(ends[1])) >= 0);
        by_context = way == tells_number_by_context;
        ends_in_handler = way == exits || way == becomes_another || way == faults || way == ends_thread ? way : NULL;
        returns = way == told_in_handler || way == told_by_child || way == goes_on || way == jumped_within;
        if (returns)
            ends_in_handler = way == told_in_handler ? tells_number
                              : way == told_by_child ? lets_child_tell
                              : way == goes_on       ? adds_record
                                                     : jumps_and_tells;
        if (way == tells_number || by_context || ends_in_handler)
            write_and_leave();
        else
            write_records();
        way();
        dup2(news[1], STDOUT_FILENO);
        print_transcript();
        _exit(0);
    }
    if (others == hang_up)
        close(ends[1]);
    await_written(writer);
    others();
    if (way == mask_stays || way == nested)
        poke(writer);
    else
        require(kill(writer, SIGUSR1) == 0);
    if (way == tells_number || way == tells_number_by_context || way == told_in_handler || way == told_by_child)
        find_records(way == tells_number || way == tells_number_by_context);
    if (way == mask_stays)
        signal_twice(writer);
    if (way == jumped_within)
        await_told();
    if (way == nested)
        signal_often(writer);
    if (way == goes_on)
        find_order();
    if (way == exits || way == becomes_another || way == faults || way == ends_thread)
        find_all();
    int status;
    require(waitpid(writer, &status, 0) == writer);
    note("status %x\n", (unsigned)status);
    char text[4096] = "";
    close(news[1]);
    read_all(news[0], text, sizeof text - 1);
    note("%s", text);
    close(news[0]);
}

// Another process fills the stream up.
static void fill_up(void) {
    static const char page[4096];
    if (is_socket(kind)) {
        while (send(ends[1], page, sizeof page, MSG_DONTWAIT) > 0 || send(ends[1], page, 1, MSG_DONTWAIT) > 0)
            ;
        return;
    }
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[1]);
    int filler = open(name, O_WRONLY | O_NONBLOCK);
    require(filler >= 0);
    for (ssize_t more; (more = write(filler, page, sizeof page)) > 0 || (more = write(filler, page, 1)) > 0;)
        filled += (int)more;
    close(filler);
}

// It hasn't been told before all is in the stream that was written, or has been read from it. If nobody reads there is
// made room in the end.
static void find_records(bool reads) {
    static char bytes[4096];
    struct pollfd told_by = {.fd = news[0], .events = POLLIN};
    int got = 0, number = 0;
    usleep(reads ? 300000 : 0);
    while (poll(&told_by, 1, 1) == 0)
        if (reads && stream_fill(ends[0]))
            got += (int)read(ends[0], bytes, sizeof bytes);
    require(read_all(news[0], &number, sizeof number) == sizeof number && number == RECORDS);
    note("%s\n", got + (int)stream_fill(ends[0]) < filled + number * SIZE ? "some are missing" : "all are there");
}

// Of who ends there is all that it has written.
static void find_all(void) {
    static char bytes[1 << 20];
    close(ends[1]);
    usleep(300000);
    size_t all = read_all(ends[0], bytes, sizeof bytes);
    note("%s\n", all < (size_t)filled + RECORDS * SIZE ? "some are missing" : "all are there");
}

static void exits(void) {
    _exit(0);
}

static void becomes_another(void) {
    signal(SIGUSR1, SIG_IGN); // on a slow machine it comes later
    execl("/bin/true", "true", (char *)NULL);
    _exit(127);
}

static void faults(void) {
    static volatile int *volatile nowhere;
    *nowhere = 0;
}

static void ends_thread(void) {
    pthread_exit(NULL);
}

static void tells_number(void) {
    int number = written;
    require(write(news[1], &number, sizeof number) == sizeof number);
}

static void tells_number_by_context(void) {
    tells_number();
}

// The handler comes in the midst of the wait, and returns to it.
static void told_in_handler(void) {}
static void told_by_child(void) {}
static void goes_on(void) {}

static void lets_child_tell(void) {
    pid_t child = fork();
    if (child == 0) {
        tells_number();
        _exit(0);
    }
    require(waitpid(child, NULL, 0) == child);
}

static void adds_record(void) {
    char record[SIZE];
    record_of(record, SIZE, RECORDS);
    require(write(ends[1], record, SIZE) == SIZE);
}

// What was written in the handler comes last.
static void find_order(void) {
    static char bytes[1 << 20];
    char record[SIZE];
    close(ends[1]);
    usleep(300000);
    size_t all = read_all(ends[0], bytes, sizeof bytes);
    record_of(record, SIZE, RECORDS);
    note("%s\n", all == (size_t)filled + (RECORDS + 1) * SIZE && memcmp(bytes + all - SIZE, record, SIZE) == 0
                     ? "in order"
                     : "not in order");
}

static void empty(void) {
    static char bytes[4096];
    while (stream_fill(ends[0]))
        require(read(ends[0], bytes, sizeof bytes) > 0);
}

// Two signals at once, in the midst of the wait.
static void signal_twice(pid_t writer) {
    usleep(10000);
    require(kill(writer, SIGSTOP) == 0 && kill(writer, SIGUSR2) == 0 && kill(writer, SIGHUP) == 0);
    require(kill(writer, SIGCONT) == 0);
    usleep(100000);
    empty();
}

// The handler jumps, but not out of itself, and then tells: the reader waits for that, and the stream isn't made
// larger.
static void jumped_within(void) {}

static void jumps_and_tells(void) {
    sigjmp_buf here;
    if (sigsetjmp(here, 0) == 0)
        siglongjmp(here, 1);
    tells_number();
}

static void await_told(void) {
    note("%s\n", poll(&(struct pollfd){.fd = news[0], .events = POLLIN}, 1, 10000) == 1 ? "told" : "never told");
    empty();
}

// Many signals, whose handler may be interrupted by the next one, on a stack of its own.
static void nested(void) {
    usleep(1000);
}

static void signal_often(pid_t writer) {
    for (int i = 0; i < 60000; i++) {
        require(kill(writer, SIGUSR2) == 0);
        for (volatile int j = rand() % 10000; j > 0; j--)
            ;
    }
    empty();
}

static void mask_stays(void) {
    sigset_t mask;
    int blocked = 0;
    usleep(1000);
    require(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    for (int i = 1; i < 65; i++)
        blocked += sigismember(&mask, i) == 1;
    note("%d signals are blocked\n", blocked);
}

// All that was written is there, in order.
static void count_records(void) {
    static char bytes[1 << 20];
    char record[SIZE];
    int have = 0, records = 0;
    close(ends[1]);
    size_t all = read_all(ends[0], bytes, sizeof bytes);
    for (size_t at = 0; at + SIZE <= all; at++) {
        record_of(record, SIZE, records);
        if (memcmp(bytes + at, record, SIZE) == 0)
            records++, have += SIZE;
    }
    note("%d records of %d bytes\n", records, have);
    close(ends[0]);
}

static void reads_itself(void) {
    char bytes[SIZE];
    TRY(read(ends[0], bytes, SIZE)); // whosever they are
}

static void ends_itself(void) {
    TRY(close(ends[1]));
}

static void hang_up(void) {
    struct linger at_once = {1, 0};
    require(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    close(ends[0]);
}

static void by_readv(void) {
    char byte;
    struct iovec one = {&byte, 1};
    TRY(readv(ends[1], &one, 1));
    TRY(readv(ends[1], &one, 1));
}

static void by_sendmmsg(void) {
    char byte = 0;
    struct iovec one = {&byte, 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &one, .msg_iovlen = 1}};
    TRY(sendmmsg(ends[1], &message, 1, MSG_NOSIGNAL));
    TRY(sendmmsg(ends[1], &message, 1, MSG_NOSIGNAL));
}

static void by_option(void) {
    for (int i = 0; i < 2; i++) {
        int error = -1;
        socklen_t size = sizeof error;
        TRY(getsockopt(ends[1], SOL_SOCKET, SO_ERROR, &error, &size));
        note("%d\n", error);
    }
}

static void by_another_number(void) {
    char byte;
    int other = dup(ends[1]);
    close(ends[1]);
    TRY(recv(other, &byte, 1, 0));
    TRY(recv(other, &byte, 1, 0));
}

static void send_number(void) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    char byte = 0;
    struct iovec one = {&byte, 1};
    struct msghdr carrier = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int pair[2];
    memcpy(CMSG_DATA(&control.header), &ends[1], sizeof ends[1]);
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    require(sendmsg(pair[0], &carrier, 0) == 1 && recvmsg(pair[1], &carrier, 0) == 1);
    memcpy(&received, CMSG_DATA(&control.header), sizeof received);
    close(pair[0]);
    close(pair[1]);
}

static void by_received(void) {
    char byte;
    TRY(recv(received, &byte, 1, 0));
    TRY(recv(ends[1], &byte, 1, 0));
}

static void by_duplicate(void) {
    char byte;
    require(dup2(9999, ends[1]) == -1 && errno == EBADF);
    TRY(send(ends[1], &byte, 1, MSG_NOSIGNAL));
    TRY(send(received, &byte, 1, MSG_NOSIGNAL));
}

static void by_duplicate_alone(void) {
    char byte;
    close(ends[1]);
    TRY(read(received, &byte, 1));
    TRY(read(received, &byte, 1));
}

static void by_received_alone(void) {
    char byte;
    close(ends[1]);
    TRY(read(received, &byte, 1));
    TRY(read(received, &byte, 1));
}

static void by_child(void) {
    char byte;
    pid_t child = fork();
    if (!child) {
        TRY(recv(ends[1], &byte, 1, 0));
        dup2(news[1], STDOUT_FILENO);
        print_transcript();
        _exit(0);
    }
    require(waitpid(child, NULL, 0) == child);
}

// A thread of the library's would forbid it.
static void not_at_all(void) {
    TRY(unshare(CLONE_NEWUSER));
}

static int write_some(int fd, int count) {
    static const char record[SIZE];
    for (int i = 0; i < count; i++)
        require(write(fd, record, SIZE) == SIZE);
    return count;
}

// A pipe that goes up to the last byte: each page of it is filled, whoever writes to it.
static void fills_with(bool another_process) {
    static char bytes[1 << 16];
    enum { ALL = sizeof bytes / SIZE };
    char name[40];
    make_stream("pipe", ends);
    require(fcntl(ends[1], F_SETPIPE_SZ, (int)sizeof bytes) == (int)sizeof bytes);
    for (int i = 0; i < 100; i++) {
        write_some(ends[1], 3);
        require(read_all(ends[0], bytes, 3 * SIZE) == 3 * SIZE);
    }
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[1]);
    int again = open(name, O_WRONLY), count = write_some(ends[1], 32);
    pid_t child = another_process ? fork() : -1;
    if (!child) {
        write_some(ends[1], 33);
        _exit(0);
    }
    count += child > 0 ? 33 : write_some(again, 33);
    require(child < 0 || waitpid(child, NULL, 0) == child);
    write_some(ends[1], ALL - count);
    require(read_all(ends[0], bytes, sizeof bytes) == sizeof bytes);
    note("full\n");
}

static void fills_with_child(void) {
    fills_with(true);
}

static void fills_twice_opened(void) {
    fills_with(false);
}

static const struct way {
    const char *name, *kind;
    void (*others)(void), (*run)(void);
} ways[] = {
    {"reads", "pipe", fill_up, reads_itself},
    {"ends", "pipe", fill_up, ends_itself},
    {"left", "pipe", fill_up, tells_number},
    {"left_by_context", "pipe", fill_up, tells_number_by_context},
    {"handler", "pipe", fill_up, told_in_handler},
    {"handlers_child", "pipe", fill_up, told_by_child},
    {"handler_goes_on", "pipe", fill_up, goes_on},
    {"mask", "pipe", fill_up, mask_stays},
    {"jumps", "pipe", fill_up, jumped_within},
    {"nested", "pipe", fill_up, nested},
    {"exit", "pipe", fill_up, exits},
    {"exec", "pipe", fill_up, becomes_another},
    {"fault", "pipe", fill_up, faults},
    {"thread", "pipe", fill_up, ends_thread},
    {"fifo_reads", "fifo", fill_up, reads_itself},
    {"fifo_ends", "fifo", fill_up, ends_itself},
    {"unix_reads", "unix", fill_up, reads_itself},
    {"unix_ends", "unix", fill_up, ends_itself},
    {"readv", "tcp", hang_up, by_readv},
    {"sendmmsg", "tcp", hang_up, by_sendmmsg},
    {"option", "tcp", hang_up, by_option},
    {"another_number", "tcp", hang_up, by_another_number},
    {"received", "tcp", hang_up, by_received},
    {"received_alone", "tcp", hang_up, by_received_alone},
    {"duplicate", "tcp", hang_up, by_duplicate},
    {"duplicate_alone", "tcp", hang_up, by_duplicate_alone},
    {"child", "tcp", hang_up, by_child},
    {"unshare", "tcp", hang_up, not_at_all},
    {"page", NULL, NULL, fills_with_child},
    {"page_twice", NULL, NULL, fills_twice_opened},
};

int main(int argc, char **argv) {
    alarm(HANG_SECONDS);
    for (int i = 1; i < argc; i++) {
        size_t way = 0;
        while (strcmp(argv[i], ways[way].name) != 0)
            require(++way < COUNT_OF(ways));
        note("%s\n", ways[way].name);
        kind = ways[way].kind;
        if (ways[way].others)
            between(ways[way].others, ways[way].run);
        else
            ways[way].run();
        if (ways[way].run == ends_itself)
            count_records();
    }
    print_transcript();
    return 0;
}
