/*
 * echo_clients ADDRESS CONNECTIONS REQUESTS SIZE [SEED [OPTION…]]: so many connections at the same time, each of which
 * sends REQUESTS requests and waits for each answer, which must be the same bytes. SIZE bytes each, or random: from 1
 * byte to 1 MB, mostly small. Prints the requests a second, the 50th and 99th percentile of the answers' time in
 * microseconds, and how many answers there were, and leaves a file called over.
 *
 *   pipeline=N  N requests are sent at once
 *   slow        each answer is read in small pieces, with pauses
 *   half        after the last request the client shuts its half down, and reads to the end
 *   never       as many more connections ask for as much as goes in, and never read the answers
 *   dies        the server may go at any moment: each has got a beginning of its answers then
 *   again       a connection that is through is closed, and made anew, as often as it has sent requests
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

enum { LARGEST = 1 << 20, MOST = 4096, PIECE = 64 << 10 };

struct client {
    int fd;
    uint64_t seed_out, seed_in; /* of the bytes that come next */
    uint32_t size, sent, got;   /* of what is under way */
    uint64_t began;
    uint32_t left, again;
    bool shut;
};

static struct client clients[MOST];
static uint32_t *times;
static size_t timed, pipeline = 1;
static uint64_t began;
static long size_wanted, requests;
static bool slow, half, again, never, dies;
static const char *address;
static uint64_t sizes;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint32_t next_size(void) {
    if (size_wanted > 0)
        return (uint32_t)((size_t)size_wanted * pipeline);
    uint64_t kind = rng_below(&sizes, 100);
    return 1 + (uint32_t)(kind < 90   ? rng_below(&sizes, 300)
                          : kind < 98 ? rng_below(&sizes, 9000)
                                      : rng_below(&sizes, LARGEST));
}

static void fill(uint64_t *seed, char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (char)(*seed >> 56);
    }
}

/* A server that has seen the file already may have gone. */
static int connected(bool for_sure) {
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool is_path = strchr(address, '/') != NULL;
    int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    require(fd >= 0 && fd < MOST);
    strncpy(local.sun_path, is_path ? address : "", sizeof local.sun_path - 1);
    inet.sin_port = htons((uint16_t)atoi(address));
    while ((is_path ? connect(fd, (struct sockaddr *)&local, sizeof local)
                    : connect(fd, (struct sockaddr *)&inet, sizeof inet)) != 0)
        if (errno != EAGAIN && errno != EINTR) {
            require(!for_sure);
            break;
        }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    require(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

static void begin(struct client *one) {
    one->size = next_size();
    one->sent = one->got = 0;
    one->began = now_ns();
}

/* As much as goes in. */
static void send_on(struct client *one) {
    static char bytes[PIECE];
    while (one->sent < one->size) {
        uint64_t seed = one->seed_out;
        size_t n = one->size - one->sent < PIECE ? one->size - one->sent : PIECE;
        fill(&seed, bytes, n);
        ssize_t done = send(one->fd, bytes, n, MSG_NOSIGNAL);
        if (done < 0 && errno == EAGAIN)
            return;
        if (done < 0 && dies && (errno == EPIPE || errno == ECONNRESET))
            return;
        require(done > 0);
        fill(&one->seed_out, bytes, (size_t)done);
        one->sent += (uint32_t)done;
    }
    if (half && one->left == 1 && !one->shut) {
        require(shutdown(one->fd, SHUT_WR) == 0);
        one->shut = true;
    }
}

static int by_value(const void *a, const void *b) {
    return (int)(*(const uint32_t *)a > *(const uint32_t *)b) - (int)(*(const uint32_t *)a < *(const uint32_t *)b);
}

static void report(void) {
    double seconds = (double)(now_ns() - began) / 1e9;
    qsort(times, timed, sizeof *times, by_value);
    printf("%.0f %.2f %.2f %zu\n", (double)timed * (double)pipeline / seconds, timed ? times[timed / 2] / 100.0 : 0,
           timed ? times[timed * 99 / 100] / 100.0 : 0, timed * pipeline);
    fflush(stdout);
}

static bool receive(struct client *one) {
    static char bytes[PIECE], expected[PIECE];
    struct timespec pause = {0, 200000};
    while (one->got < one->size) {
        ssize_t got = recv(one->fd, bytes, slow ? 700 : PIECE, 0);
        if (got < 0 && errno == EAGAIN)
            return false;
        if (dies && (got == 0 || (got < 0 && errno == ECONNRESET))) {
            report();
            exit(0);
        }
        require(got > 0 && (size_t)got <= one->size - one->got);
        fill(&one->seed_in, expected, (size_t)got);
        require(memcmp(bytes, expected, (size_t)got) == 0);
        one->got += (uint32_t)got;
        if (slow)
            nanosleep(&pause, NULL);
    }
    return true;
}

static int epoll_fd;

static void join(struct client *one) {
    one->fd = connected(true);
    one->shut = false;
    one->left = (uint32_t)requests;
    one->seed_out = one->seed_in = (uint64_t)one->fd * 77777 + sizes;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = one};
    require(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, one->fd, &event) == 0);
    begin(one);
    send_on(one);
}

/* True: it is through. */
static bool go_on(struct client *one) {
    send_on(one);
    while (receive(one)) {
        times[timed++] = (uint32_t)((now_ns() - one->began) / 10);
        if (--one->left == 0) {
            char more;
            if (half)
                require(fcntl(one->fd, F_SETFL, 0) == 0 && recv(one->fd, &more, 1, 0) == 0);
            require(close(one->fd) == 0);
            if (!again || one->again++ == (uint32_t)requests)
                return true;
            join(one);
            return false;
        }
        begin(one);
        send_on(one);
    }
    return false;
}

int main(int argc, char **argv) {
    if (argc < 5)
        return 99;
    address = argv[1];
    long count = atol(argv[2]), left = count;
    requests = atol(argv[3]);
    size_wanted = strcmp(argv[4], "random") == 0 ? 0 : atol(argv[4]);
    sizes = argc > 5 ? strtoull(argv[5], NULL, 10) : 1;
    for (int i = 6; i < argc; i++) {
        slow |= strcmp(argv[i], "slow") == 0;
        half |= strcmp(argv[i], "half") == 0;
        again |= strcmp(argv[i], "again") == 0;
        never |= strcmp(argv[i], "never") == 0;
        dies |= strcmp(argv[i], "dies") == 0;
        if (strncmp(argv[i], "pipeline=", 9) == 0)
            pipeline = (size_t)atol(argv[i] + 9);
    }
    times = malloc((size_t)(count * requests * (again ? requests + 1 : 1) + 1) * sizeof *times);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    require(times && epoll_fd >= 0 && count > 0 && count < MOST - 16 && requests > 0);
    began = now_ns();
    for (long i = 0; i < count && never; i++) {
        static char bytes[1000];
        int fd = connected(true);
        for (int sent = 0; sent < 2000 && send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) > 0; sent++)
            ;
    }
    for (long i = 0; i < count; i++)
        join(&clients[i]);
    while (left > 0) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll_fd, events, 64, -1);
        require(n > 0 || errno == EINTR);
        for (int i = 0; i < n; i++)
            left -= go_on(events[i].data.ptr);
    }
    report();
    int fd = open("over", O_CREAT | O_WRONLY, 0600); /* and another connection, at which the server sees it */
    require(fd >= 0 && close(fd) == 0 && close(connected(false)) == 0);
    return 0;
}
