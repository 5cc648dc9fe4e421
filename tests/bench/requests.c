/*
 * requests SERVER ADDRESS CONNECTIONS REQUESTS [TEXT]: so many connections at the same time, to the path of a unix
 * socket or a TCP port of the loopback interface. Each sends REQUESTS requests, each when the answer to the one before
 * is there. TEXT is what is sent (\r and \n are known in it), and every answer is as long as the first; without it, 64
 * bytes are sent, and the same are to come back. Prints the nanoseconds for a request, all in all, the 50th and 99th
 * percentile of the microseconds until its answer was there, and the nanoseconds of processor time that the process
 * SERVER used for it, in threads that have ended, too.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../victims/common.h"

enum { MOST = 4096, ECHO = 64, QUIET_MS = 200 };

static struct connection {
    int fd;
    size_t got;
    long left;
    int64_t began;
} connections[MOST];
static char text[65536], answer[1 << 20];
static size_t text_size, answer_size;
static bool echo;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int connected(const char *address) {
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool is_path = strchr(address, '/') != NULL;
    int yes = 1, fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    require(fd >= 0 && strlen(address) < sizeof local.sun_path);
    strcpy(local.sun_path, is_path ? address : "");
    inet.sin_port = htons((uint16_t)atoi(address));
    require((is_path ? connect(fd, (struct sockaddr *)&local, sizeof local)
                     : connect(fd, (struct sockaddr *)&inet, sizeof inet)) == 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void parse(const char *from) {
    for (; *from && text_size < sizeof text; from++) {
        bool escaped = from[0] == '\\' && (from[1] == 'r' || from[1] == 'n');
        from += escaped;
        text[text_size++] = !escaped ? *from : *from == 'r' ? '\r' : '\n';
    }
}

/* The first answer ends where nothing more comes for some time. */
static void learn(int fd) {
    require(send(fd, text, text_size, 0) == (ssize_t)text_size);
    struct pollfd one = {fd, POLLIN, 0};
    for (int limit = -1; poll(&one, 1, limit) == 1; limit = QUIET_MS) {
        ssize_t n = recv(fd, answer + answer_size, sizeof answer - answer_size, 0);
        require(n > 0);
        answer_size += (size_t)n;
    }
}

static void ask(struct connection *one) {
    one->got = 0;
    one->began = now_ns();
    require(send(one->fd, text, text_size, MSG_NOSIGNAL) == (ssize_t)text_size);
}

/* False: it isn't all there. */
static bool take(struct connection *one) {
    static char bytes[sizeof answer];
    ssize_t n = recv(one->fd, bytes, answer_size - one->got, 0);
    require(n > 0 && (!echo || memcmp(bytes, text + one->got, (size_t)n) == 0));
    one->got += (size_t)n;
    return one->got == answer_size;
}

static int earlier(const void *a, const void *b) {
    return (*(const uint32_t *)a > *(const uint32_t *)b) - (*(const uint32_t *)a < *(const uint32_t *)b);
}

static int64_t time_of(clockid_t process) {
    struct timespec t;
    require(clock_gettime(process, &t) == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
    clockid_t server;
    if (argc < 5)
        return 99;
    require(clock_getcpuclockid(atoi(argv[1]), &server) == 0);
    argc--;
    argv++;
    int count = atoi(argv[2]), epoll = epoll_create1(0), open_ones = count;
    size_t requests = (size_t)atol(argv[3]), all = requests * (size_t)count, done = 0;
    uint32_t *times = calloc(all, sizeof *times);
    require(count > 0 && count <= MOST && requests > 0 && times && epoll >= 0);
    echo = argc == 4;
    if (echo) {
        text_size = answer_size = ECHO;
        memset(text, 'x', ECHO);
    } else {
        parse(argv[4]);
    }
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        connections[i] = (struct connection){.fd = connected(argv[1]), .left = (long)requests};
        if (!answer_size)
            learn(connections[i].fd);
        require(epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) == 0);
    }
    int64_t began = now_ns(), used = time_of(server);
    for (int i = 0; i < count; i++)
        ask(&connections[i]);
    while (open_ones) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            struct connection *one = &connections[events[i].data.u32];
            if (!take(one))
                continue;
            times[done++] = (uint32_t)(now_ns() - one->began);
            if (--one->left > 0)
                ask(one);
            else
                open_ones--;
        }
    }
    int64_t took = now_ns() - began;
    used = time_of(server) - used;
    qsort(times, done, sizeof *times, earlier);
    printf("%.1f %.1f %.1f %.0f\n", (double)took / (double)all, times[done / 2] / 1e3, times[done * 99 / 100] / 1e3,
           (double)used / (double)all);
    return 0;
}
