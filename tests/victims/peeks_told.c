/*
 * peeks_told pipe|unix CHANNEL ROUNDS SEED   or: peeks_told --list
 *
 * A process reads a stream in small pieces and asks the only writer, another process, for more. Once it has been told
 * by the channel that this is done, a read that wants all there is must get all, and after the end a read must say so,
 * at once: nothing here waits for the stream. Now and then the writer finds the stream full, and tells only when it has
 * all been taken: what the reader has read must have been taken from the kernel then, whatever it waits in.
 */
#include "flow.h"
#include "streams.h"

#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/un.h>

enum request { MORE, END };
struct question {
    enum request request;
    size_t bytes;
};

static struct flow flow;
static int questions[2], answers[2], news;
static pid_t writer, reader;
static volatile sig_atomic_t told;
static uint64_t rng;

static void is_told(int number) {
    (void)number;
    told = 1;
}

static void tell_byte(void) {
    require(write(answers[1], "x", 1) == 1);
}

static void tell_signal(void) {
    require(!kill(reader, SIGUSR1));
}

static void tell_file(void) {
    require(write(news, "x", 1) == 1);
}

static bool is_stopped(void) {
    char path[32], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", reader);
    int fd = open(path, O_RDONLY);
    require(fd >= 0 && read(fd, text, sizeof text - 1) > 0 && !close(fd));
    return strstr(text, ") T ") != NULL;
}

static void tell_stopped(void) {
    while (!is_stopped())
        usleep(100);
    require(!kill(reader, SIGCONT));
}

static void by_reading(void) {
    await_byte(answers[0]);
}

static void by_polling(void) {
    struct pollfd here = {.fd = answers[0], .events = POLLIN};
    require(poll(&here, 1, -1) == 1);
    await_byte(answers[0]);
}

static void by_selecting(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(answers[0], &set);
    require(select(answers[0] + 1, &set, NULL, NULL, NULL) == 1);
    await_byte(answers[0]);
}

static void by_epoll(void) {
    struct epoll_event event = {.events = EPOLLIN};
    int fd = epoll_create1(0);
    require(fd >= 0 && !epoll_ctl(fd, EPOLL_CTL_ADD, answers[0], &event) && epoll_wait(fd, &event, 1, -1) == 1);
    require(!close(fd));
    await_byte(answers[0]);
}

static void by_suspending(void) {
    sigset_t without;
    require(!sigprocmask(SIG_SETMASK, NULL, &without));
    sigdelset(&without, SIGUSR1);
    while (!told)
        sigsuspend(&without);
    told = 0;
}

static void unmask(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    require(!sigprocmask(how, &set, NULL));
}

// No call at all: only the clock can take what was read.
static void by_computing(void) {
    unmask(SIG_UNBLOCK);
    while (!told)
        ;
    unmask(SIG_BLOCK);
    told = 0;
}

static void by_waiting_for_signal(void) {
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    require(!sigwait(&set, &number) && number == SIGUSR1);
}

static void by_sleeping(void) {
    unmask(SIG_UNBLOCK);
    while (!told)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    unmask(SIG_BLOCK);
    told = 0;
}

static void by_looking(void) {
    static off_t seen;
    struct stat found;
    do
        require(!fstat(news, &found));
    while (found.st_size == seen);
    seen = found.st_size;
}

static void by_being_continued(void) {
    raise(SIGSTOP);
}

static const struct channel {
    const char *name;
    void (*tell)(void), (*await)(void);
} channels[] = {{"read", tell_byte, by_reading},
                {"poll", tell_byte, by_polling},
                {"select", tell_byte, by_selecting},
                {"epoll", tell_byte, by_epoll},
                {"sigsuspend", tell_signal, by_suspending},
                {"sigwait", tell_signal, by_waiting_for_signal},
                {"computing", tell_signal, by_computing},
                {"sleeping", tell_signal, by_sleeping},
                {"file", tell_file, by_looking},
                {"stopped", tell_stopped, by_being_continued}};
static const struct channel *channel;

static void listen_at(int *listener) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    unlink("socket");
    require((*listener = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
    require(!bind(*listener, (struct sockaddr *)&address, sizeof address) && !listen(*listener, 1));
}

static void write_all(void) {
    struct question question;
    while (read(questions[0], &question, sizeof question) == sizeof question) {
        for (size_t part; question.bytes; question.bytes -= part) {
            part = question.bytes < 500 ? question.bytes : 500;
            flow_write(&flow, part);
        }
        if (question.request == END)
            require(!close(flow.out));
        channel->tell();
    }
    _exit(0);
}

static void start(const char *kind) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int ends[2] = {-1, -1};
    flow.socket = is_socket(kind);
    if (flow.socket)
        listen_at(&ends[0]);
    else
        require(!pipe(ends));
    require(!pipe(questions) && !pipe(answers) && (news = open("news", O_CREAT | O_TRUNC | O_RDWR, 0600)) >= 0);
    reader = getpid();
    require((writer = fork()) >= 0);
    if (writer == 0) {
        require(!close(questions[1]));
        flow.out = flow.socket ? accept(ends[0], NULL, NULL) : ends[1];
        require(!close(ends[0]));
        write_all();
    }
    require(!close(ends[flow.socket ? 0 : 1]) && !close(questions[0]));
    flow.in = flow.socket ? socket(AF_UNIX, SOCK_STREAM, 0) : ends[0];
    require(!flow.socket || !connect(flow.in, (struct sockaddr *)&address, sizeof address));
    require(!fcntl(flow.in, F_SETFL, O_NONBLOCK));
}

static void ask(enum request request, size_t bytes) {
    struct question question = {request, bytes};
    require(write(questions[1], &question, sizeof question) == sizeof question);
    flow.written += bytes;
}

static size_t some(size_t most) {
    return 1 + (size_t)rng_below(&rng, most);
}

static void ask_and_await(enum request request, size_t bytes) {
    ask(request, bytes);
    channel->await();
}

static void wants_all(void) {
    unsigned char bytes[1024];
    flow_read(&flow, flow.in, flow_there(&flow) - some(300), some(8));
    ask_and_await(MORE, some(300));
    if (rng_below(&rng, 2))
        require(stream_fill(flow.in) == flow_there(&flow));
    flow_took(&flow, bytes, read(flow.in, bytes, flow_there(&flow)), flow_there(&flow));
    require(read(flow.in, bytes, 1) == -1 && errno == EAGAIN);
}

// More than it holds: the writer goes on when the reader has taken enough, and only then it tells.
static void finds_it_full(void) {
    struct pollfd looked_at = {.fd = flow.in, .events = POLLIN};
    size_t before = flow_there(&flow), more = 300000;
    ask(MORE, more);
    for (size_t left = before + more - 4096, part; left; left -= part) {
        while (!stream_fill(flow.in))
            require(poll(&looked_at, 1, -1) == 1);
        part = stream_fill(flow.in);
        part = part < left ? part : left;
        flow.written = flow.taken + part;
        flow_read(&flow, flow.in, part, some(16));
    }
    flow.written = flow.taken + 4096;
    channel->await();
}

// The rest of what it writes has room when what was read has been taken, and not before.
static void just_enough(void) {
    size_t room = flow.socket ? 0 : (size_t)fcntl(flow.in, F_GETPIPE_SZ);
    if (!room)
        return;
    flow_read(&flow, flow.in, flow_there(&flow), 64);
    ask_and_await(MORE, room / 2);
    ask(MORE, room / 8 * 5);
    while (stream_fill(flow.in) < room / 2 + 500)
        sched_yield();
    flow.written -= room / 8 * 5;
    flow_read(&flow, flow.in, flow_there(&flow) - 100, some(16));
    flow.written += room / 8 * 5;
    channel->await();
}

static void become_channel(const char *name) {
    for (size_t i = 0; i < COUNT_OF(channels); i++)
        if (!strcmp(channels[i].name, name))
            channel = &channels[i];
    if (!channel)
        die("no channel: %s", name);
}

int main(int argc, char **argv) {
    char byte;
    int status;
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (size_t i = 0; i < COUNT_OF(channels); i++)
            puts(channels[i].name);
        return 0;
    }
    require(argc == 5);
    alarm(HANG_SECONDS);
    become_channel(argv[2]);
    rng = strtoull(argv[4], NULL, 0);
    signal(SIGUSR1, is_told);
    unmask(SIG_BLOCK);
    start(argv[1]);
    for (int round = atoi(argv[3]); round; round--) {
        ask_and_await(MORE, 1000 + some(3000));
        wants_all();
        ask_and_await(MORE, 1000 + some(3000));
        if (round % 8 == 0)
            finds_it_full();
        if (round % 4 == 0)
            just_enough();
        flow_read(&flow, flow.in, flow_there(&flow), some(16));
    }
    ask_and_await(MORE, 3000);
    flow_read(&flow, flow.in, 2000, some(16));
    ask_and_await(END, 0);
    flow_read(&flow, flow.in, 1000, some(16));
    require(read(flow.in, &byte, 1) == 0 && !close(questions[1]));
    require(waitpid(writer, &status, 0) == writer && status == 0);
    return 0;
}
