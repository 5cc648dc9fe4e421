// What the streams_* victims share: streams of each kind, and numbered records to write into them.
#pragma once

#include "transcript.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

// What is written to ends[1] arrives at ends[0].
static inline void make_fifo(int ends[2]) {
    require(mkfifo("fifo", 0600) == 0);
    ends[0] = open("fifo", O_RDONLY | O_NONBLOCK);
    ends[1] = open("fifo", O_WRONLY);
    require(ends[0] >= 0 && ends[1] >= 0 && fcntl(ends[0], F_SETFL, 0) == 0 && unlink("fifo") == 0);
}

static inline void make_tcp(int ends[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    require(listening >= 0 && bind(listening, (struct sockaddr *)&address, length) == 0);
    require(listen(listening, 1) == 0 && getsockname(listening, (struct sockaddr *)&address, &length) == 0);
    ends[1] = socket(AF_INET, SOCK_STREAM, 0);
    require(ends[1] >= 0 && connect(ends[1], (struct sockaddr *)&address, length) == 0);
    ends[0] = accept(listening, NULL, NULL);
    require(ends[0] >= 0 && close(listening) == 0);
    require(setsockopt(ends[1], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
}

static inline void make_stream(const char *kind, int ends[2]) {
    if (!strcmp(kind, "pipe"))
        require(pipe(ends) == 0);
    else if (!strcmp(kind, "page")) // a pipe of one
        require(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    else if (!strcmp(kind, "unix"))
        require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    else if (!strcmp(kind, "fifo"))
        make_fifo(ends);
    else if (!strcmp(kind, "tcp"))
        make_tcp(ends);
    else
        die("no kind: %s", kind);
}

static inline bool is_socket(const char *kind) {
    return !strcmp(kind, "unix") || !strcmp(kind, "tcp");
}

// A line that says which it is, and is told from every other of any size from 8 bytes on.
static inline void record_of(char *record, size_t size, int number) {
    char digits[16];
    snprintf(digits, sizeof digits, "%07d", number);
    memset(record, 'a' + number % 26, size);
    memcpy(record, digits, 7);
    record[size - 1] = '\n';
}

// Without a signal nobody's read ends short of this, unless the other end is closed.
static inline size_t read_all(int fd, void *bytes, size_t size) {
    size_t have = 0;
    while (have < size) {
        ssize_t part = read(fd, (char *)bytes + have, size - have);
        if (part == -1 && errno == EINTR)
            continue;
        require(part >= 0);
        if (part == 0)
            break;
        have += (size_t)part;
    }
    return have;
}

static inline void await_byte(int fd) {
    char byte;
    require(read_all(fd, &byte, 1) == 1);
}

static inline void await_end(int fd) {
    char byte;
    require(read_all(fd, &byte, 1) == 0);
}

// How many records of a size go into a stream that nobody reads.
static inline int fitting(const char *kind, size_t size) {
    char record[4096];
    int ends[2], count = 0;
    require(size <= sizeof record);
    make_stream(kind, ends);
    require(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    record_of(record, size, 0);
    while (write(ends[1], record, size) == (ssize_t)size)
        count++;
    close(ends[0]);
    close(ends[1]);
    return count;
}

static inline int bytes_in(int fd) {
    int bytes;
    require(ioctl(fd, FIONREAD, &bytes) == 0);
    return bytes;
}

static inline void a_while(void) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

// Until nothing more goes in: whoever writes to it waits, or is about to.
static inline void await_full(const int ends[2]) {
    struct pollfd looked_at = {.fd = ends[1], .events = POLLOUT};
    for (int before = -1, now; poll(&looked_at, 1, 0) != 0 || (now = bytes_in(ends[0])) != before; a_while())
        before = bytes_in(ends[0]);
}
