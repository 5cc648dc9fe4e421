/*
 * peeks_random KIND SEED OPS [FAMILY…]
 *
 * One process reads a stream in small pieces, by every call that reads, and in between does whatever else may read that
 * stream, or show how much there is in it: by other numbers, in other processes and programs, in handlers and threads.
 * It writes the stream itself, and so knows at each moment what the next read must return. Families: see `events`.
 */
#include "flow.h"
#include "passing.h"
#include "streams.h"

#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/select.h>
#include <sys/time.h>

extern char **environ;

static struct flow flow;
static const char *kind;
static uint64_t rng;
static int file, side[2];
static off_t file_size;

static size_t below(size_t limit) {
    return (size_t)rng_below(&rng, limit);
}

// Small ones mostly, for those are what a library may want to serve.
static size_t some_size(void) {
    size_t most = below(2) ? 1 : below(3) ? 16 : 600;
    return 1 + below(most);
}

// What goes over the network may take its time.
static void await_arrival(void) {
    while (stream_fill(flow.in) < flow_there(&flow))
        sched_yield();
}

static void refill(void) {
    for (size_t wanted = 1000 + below(20000); flow_there(&flow) < wanted;)
        flow_write(&flow, 1 + below(500));
    await_arrival();
}

static void by_read(size_t size) {
    unsigned char bytes[1024];
    flow_took(&flow, bytes, read(flow.in, bytes, size), size);
}

static void by_number(size_t size) {
    unsigned char bytes[1024];
    flow_took(&flow, bytes, syscall(SYS_read, flow.in, bytes, size), size);
}

static void by_readv(size_t size) {
    unsigned char bytes[1024];
    size_t first = below(size + 1);
    struct iovec parts[] = {{bytes, first}, {bytes + first, size - first}};
    ssize_t got = below(2) ? readv(flow.in, parts, 2) : preadv2(flow.in, parts, 2, -1, 0);
    flow_took(&flow, bytes, got, size);
}

static void by_recv(size_t size) {
    unsigned char bytes[1024];
    struct iovec part = {bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    static const int flags[] = {0, 0, 0, MSG_DONTWAIT, MSG_WAITALL};
    if (!flow.socket)
        return by_read(size);
    if (size > flow_there(&flow))
        size = flow_there(&flow);
    part.iov_len = size;
    switch (below(3)) {
    case 0:
        return flow_took(&flow, bytes, recv(flow.in, bytes, size, flags[below(5)]), size);
    case 1:
        return flow_took(&flow, bytes, recvfrom(flow.in, bytes, size, flags[below(5)], NULL, NULL), size);
    default:
        return flow_took(&flow, bytes, recvmsg(flow.in, &message, flags[below(5)]), size);
    }
}

// Calls that take many reads each: libc's own, which takes no more than it is asked for.
static void by_stdio(size_t size) {
    unsigned char bytes[1024];
    FILE *stream = fdopen(dup(flow.in), "r");
    require(stream && !setvbuf(stream, NULL, _IONBF, 0));
    size = size < flow_there(&flow) ? size : flow_there(&flow);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)getc(stream);
    require(!fclose(stream));
    flow_took(&flow, bytes, (ssize_t)size, size);
}

static void by_nothing(size_t size) {
    char byte;
    (void)size;
    require(read(flow.in, &byte, 0) == 0);
}

static void burst(void) {
    static void (*const ways[])(size_t size) = {by_read,  by_read, by_read,  by_number,
                                                by_readv, by_recv, by_stdio, by_nothing};
    void (*way)(size_t size) = ways[below(COUNT_OF(ways))];
    size_t size = some_size(), reads = 1 + below(way == by_stdio ? 5 : 200);
    bool mixed = below(4) == 0;
    while (reads-- && flow_there(&flow))
        (mixed ? ways[below(COUNT_OF(ways))] : way)(mixed ? some_size() : size);
}

// Writes go into files and other streams in between, and are there.
static void written_between(void) {
    char text[64], found[64];
    for (size_t lines = 1 + below(40); lines && flow_there(&flow) > 1; lines--) {
        by_read(1);
        int length = snprintf(text, sizeof text, "%llu\n", (unsigned long long)flow.taken);
        require(write(file, text, (size_t)length) == length);
        require(write(side[1], text, (size_t)length) == length);
        file_size += length;
        if (below(2)) {
            require(read(side[0], found, sizeof found) == length && !memcmp(found, text, (size_t)length));
            continue;
        }
        by_read(1);
        require(read(side[0], found, (size_t)length) == length && !memcmp(found, text, (size_t)length));
    }
    require(lseek(file, 0, SEEK_END) == file_size);
}

static void looked_at(void) {
    struct pollfd here = {.fd = flow.in, .events = POLLIN};
    struct timeval none = {0, 0};
    struct stat found;
    fd_set set;
    bool any = flow_there(&flow) > 0;
    FD_ZERO(&set);
    FD_SET(flow.in, &set);
    switch (below(7)) {
    case 0:
        require(stream_fill(flow.in) == flow_there(&flow));
        break;
    case 1:
        require(poll(&here, 1, 0) == any && (!any || here.revents == POLLIN));
        break;
    case 2:
        require(select(flow.in + 1, &set, NULL, NULL, &none) == any);
        break;
    case 3:
        require(!fstat(flow.in, &found) && (flow.socket ? S_ISSOCK(found.st_mode) : S_ISFIFO(found.st_mode)));
        break;
    case 4:
        require(isatty(flow.in) == 0 && errno == ENOTTY);
        break;
    case 5:
        require(lseek(flow.in, 0, SEEK_CUR) == -1 && errno == ESPIPE);
        break;
    default:
        require(fcntl(flow.in, F_GETFL) >= 0 && fcntl(flow.in, F_GETFD) >= 0);
    }
}

// Until nothing is there, and that is said.
static void emptied(void) {
    unsigned char bytes[1024];
    int flags = fcntl(flow.in, F_GETFL);
    require(!fcntl(flow.in, F_SETFL, flags | O_NONBLOCK));
    for (size_t size = some_size(); flow_there(&flow);)
        by_read(size);
    require(read(flow.in, bytes, 1) == -1 && errno == EAGAIN);
    require(!fcntl(flow.in, F_SETFL, flags));
}

static void seen_twice(void) {
    unsigned char bytes[600];
    size_t size = 1 + below(sizeof bytes);
    size = size < flow_there(&flow) ? size : flow_there(&flow);
    if (flow.socket) {
        int offset = -1;
        if (strcmp(kind, "unix") == 0 && below(3) == 0 && size > 1) {
            require(!setsockopt(flow.in, SOL_SOCKET, SO_PEEK_OFF, &(int){1}, sizeof(int)));
            by_read(1);
            require(recv(flow.in, bytes, size - 1, MSG_PEEK) == (ssize_t)size - 1);
            require(!setsockopt(flow.in, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset));
            return;
        }
        return flow_are_next(&flow, bytes, recv(flow.in, bytes, size, MSG_PEEK), size);
    }
    ssize_t copied = tee(flow.in, side[1], size, 0);
    require(copied > 0 && copied <= (ssize_t)size);
    flow_are_next(&flow, bytes, read(side[0], bytes, sizeof bytes), (size_t)copied);
}

static void spliced(void) {
    unsigned char bytes[600];
    off_t at = 0;
    size_t size = 1 + below(sizeof bytes);
    size = size < flow_there(&flow) ? size : flow_there(&flow);
    int target = open("spliced", O_CREAT | O_TRUNC | O_RDWR, 0600);
    ssize_t moved = flow.socket ? read(flow.in, bytes, size) : splice(flow.in, NULL, target, &at, size, 0);
    require(moved > 0 && (flow.socket || pread(target, bytes, sizeof bytes, 0) == moved) && !close(target));
    flow_took(&flow, bytes, moved, (size_t)moved);
}

// Other numbers of the same stream: which of them are left, and which read it first.
static void numbers(void) {
    int other = below(2) ? dup(flow.in) : dup2(flow.in, flow.in == 90 ? 91 : 90);
    size_t bytes = 1 + below(100), size = some_size();
    require(other >= 0 && !close(below(2) ? dup(other) : dup(flow.in)));
    if (flow_there(&flow) > bytes && below(2))
        flow_read(&flow, other, bytes, size);
    if (below(2)) {
        int kept = flow.in;
        require(!close(flow.in) && dup2(other, kept) == kept && !close(other));
    } else if (below(2)) {
        require(!close(other));
    } else {
        require(!close(flow.in));
        flow.in = other;
    }
}

// Another stream under the same number for a while.
static void replaced(void) {
    int kept = dup(flow.in), ends[2];
    char byte;
    require(kept >= 0 && !pipe(ends) && write(ends[1], "x", 1) == 1);
    require(dup2(ends[0], flow.in) == flow.in && read(flow.in, &byte, 1) == 1 && byte == 'x');
    if (flow_there(&flow))
        flow_read(&flow, kept, 1, 1);
    require(dup2(kept, flow.in) == flow.in && !close(kept) && !close(ends[0]) && !close(ends[1]));
}

static void reopened(void) {
    char path[32];
    if (flow.socket || flow_there(&flow) < 50)
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", flow.in);
    int other = open(path, O_RDONLY);
    require(other >= 0);
    flow_read(&flow, other, 20, 1 + below(20));
    by_read(3);
    flow_read(&flow, other, 5, 1);
    require(!close(other));
}

static void passed(void) {
    int pair[2];
    require(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && send_descriptor(pair[0], flow.in) == 1);
    if (flow_there(&flow) > 10)
        by_read(1);
    int other = receive_descriptor(pair[1]);
    if (flow_there(&flow) > 20)
        flow_read(&flow, other, 20, 1 + below(20));
    if (flow_there(&flow) > 10)
        by_read(1);
    require(!close(other) && !close(pair[0]) && !close(pair[1]));
}

static void await_child(pid_t child) {
    int status;
    require(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

// So many bytes, which other processes or threads read for this one.
static size_t share(void) {
    size_t bytes = 1 + below(300);
    return bytes < flow_there(&flow) ? bytes : flow_there(&flow);
}

static void forked(void) {
    size_t bytes = share(), size = some_size();
    pid_t child = fork();
    if (child == 0) {
        flow_read(&flow, flow.in, bytes, size);
        _exit(0);
    }
    await_child(child);
    flow.taken += bytes;
}

// A child that is there for a while, and reads only when its parent has read on.
static void forked_later(void) {
    int go[2];
    size_t before = share(), bytes;
    char byte = 'g';
    require(!pipe(go));
    pid_t child = fork();
    if (child == 0) {
        require(read(go[0], &bytes, sizeof bytes) == sizeof bytes);
        flow.taken += before;
        flow_read(&flow, flow.in, bytes, 3);
        _exit(0);
    }
    flow_read(&flow, flow.in, before, 1);
    bytes = share();
    require(write(go[1], &bytes, sizeof bytes) == sizeof bytes);
    await_child(child);
    flow.taken += bytes;
    require(!close(go[0]) && !close(go[1]) && byte);
}

static void another_program(void) {
    char texts[4][24];
    size_t bytes = share();
    pid_t child;
    snprintf(texts[0], sizeof texts[0], "%d", flow.in);
    snprintf(texts[1], sizeof texts[1], "%llu", (unsigned long long)flow.taken);
    snprintf(texts[2], sizeof texts[2], "%zu", bytes);
    snprintf(texts[3], sizeof texts[3], "%zu", some_size());
    char *words[] = {"peeks_random", "--reader", texts[0], texts[1], texts[2], texts[3], NULL};
    if (below(2)) {
        require(!posix_spawn(&child, "/proc/self/exe", NULL, NULL, words, environ));
    } else if ((child = vfork()) == 0) {
        execve("/proc/self/exe", words, environ);
        _exit(1);
    }
    await_child(child);
    flow.taken += bytes;
}

static _Atomic unsigned counted[256];

static void count_one(void) {
    unsigned char byte = 0;
    require(read(flow.in, &byte, 1) == 1);
    counted[byte]++;
}

// Several read one byte each: nobody knows who gets which, but none is there twice.
static void were_next(size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        counted[flow_byte(flow.taken + i)]--;
    for (int i = 0; i < 256; i++)
        require(counted[i] == 0);
    flow.taken += bytes;
}

static volatile int handled, most_handled;

static void reads_one(int number) {
    (void)number;
    if (handled < most_handled) {
        count_one();
        handled++;
    }
}

static void handlers(void) {
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = reads_one, .sa_flags = below(2) ? SA_RESTART : 0}, before;
    size_t reads = share() / 2, done = 0;
    handled = 0;
    most_handled = (int)reads;
    require(!sigaction(SIGALRM, &action, &before) && (below(2) || !setitimer(ITIMER_REAL, &often, NULL)));
    for (; done < reads; done++) {
        if (below(10) == 0)
            raise(SIGALRM);
        count_one();
    }
    require(!setitimer(ITIMER_REAL, &never, NULL) && !sigaction(SIGALRM, &before, NULL));
    were_next(done + (size_t)handled);
}

static void *reads_many(void *argument) {
    for (size_t left = *(size_t *)argument; left; left--)
        count_one();
    return NULL;
}

static void threads(void) {
    pthread_t other;
    size_t half = share() / 2;
    require(!pthread_create(&other, NULL, reads_many, &half));
    if (below(2))
        reads_many(&half);
    require(!pthread_join(other, NULL));
    size_t had = 0;
    for (int i = 0; i < 256; i++)
        had += counted[i];
    were_next(had);
}

// The next program goes on where this one was.
static void becomes(char **argv, unsigned ops) {
    char text[160];
    snprintf(text, sizeof text, "%d %d %llu %llu %llu %u %d %d %d %lld", flow.in, flow.out,
             (unsigned long long)flow.written, (unsigned long long)flow.taken, (unsigned long long)rng, ops, file,
             side[0], side[1], (long long)file_size);
    char *words[] = {argv[0], argv[1], argv[2], argv[3], argv[4], "--resume", text, NULL};
    execve("/proc/self/exe", words, environ);
    die("exec");
}

static const struct {
    const char *family;
    void (*perform)(void);
    unsigned weight;
} events[] = {{"calls", written_between, 6}, {"calls", looked_at, 12},       {"calls", emptied, 2},
              {"calls", seen_twice, 6},      {"calls", spliced, 4},          {"numbers", numbers, 6},
              {"numbers", replaced, 3},      {"numbers", reopened, 3},       {"numbers", passed, 3},
              {"processes", forked, 3},      {"processes", forked_later, 3}, {"processes", another_program, 1},
              {"inside", handlers, 4},       {"inside", threads, 2}};

static void event(const char *family) {
    size_t total = 0, chosen, i = 0;
    for (size_t k = 0; k < COUNT_OF(events); k++)
        total += strstr(family, events[k].family) ? events[k].weight : 0;
    for (chosen = below(total);; i++) {
        size_t weight = strstr(family, events[i].family) ? events[i].weight : 0;
        if (chosen < weight)
            break;
        chosen -= weight;
    }
    if (!flow_there(&flow))
        refill();
    events[i].perform();
}

static void reader(char **argv) {
    flow = (struct flow){.taken = strtoull(argv[3], NULL, 0), .written = UINT64_MAX};
    flow_read(&flow, atoi(argv[2]), strtoul(argv[4], NULL, 0), strtoul(argv[5], NULL, 0));
    exit(0);
}

static unsigned resume(const char *text) {
    unsigned long long written, taken, state;
    long long size;
    unsigned ops;
    require(sscanf(text, "%d %d %llu %llu %llu %u %d %d %d %lld", &flow.in, &flow.out, &written, &taken, &state, &ops,
                   &file, &side[0], &side[1], &size) == 10);
    flow.written = written;
    flow.taken = taken;
    rng = state;
    file_size = size;
    return ops;
}

static void begin(void) {
    int ends[2];
    make_stream(kind, ends);
    flow.in = ends[0];
    flow.out = ends[1];
    if (!flow.socket)
        require(fcntl(flow.out, F_SETPIPE_SZ, 256 << 10) > 0);
    require(!pipe(side) && (file = open("file", O_CREAT | O_TRUNC | O_RDWR, 0600)) >= 0);
}

int main(int argc, char **argv) {
    if (argc == 6 && !strcmp(argv[1], "--reader"))
        reader(argv);
    require(argc == 5 || argc == 7);
    alarm(HANG_SECONDS);
    kind = argv[1];
    rng = strtoull(argv[2], NULL, 0) * 1000003;
    flow.socket = is_socket(kind);
    unsigned ops = (unsigned)atoi(argv[3]);
    if (argc == 7)
        ops = resume(argv[6]);
    else
        begin();
    while (ops--) {
        if (flow_there(&flow) < 300 || below(10) == 0)
            refill();
        burst();
        event(argv[4]);
        if (strstr(argv[4], "processes") && below(40) == 0)
            becomes(argv, ops);
    }
    while (flow_there(&flow))
        by_read(some_size());
    require(stream_fill(flow.in) == 0 && !close(flow.out));
    char byte;
    require(read(flow.in, &byte, 1) == 0);
    return 0;
}
