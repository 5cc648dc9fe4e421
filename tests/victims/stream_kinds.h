// What the victims share whose streams are waited for, broken and passed on: numbered records, and who reads them.
#pragma once

#include "streams.h"
#include "transcript.h"

#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/wait.h>

// What is written to ends[1] arrives at ends[0].
static inline void make_stream(const char *kind, int ends[2]) {
    bool page = !strcmp(kind, "page"); // a pipe of one
    open_stream(page ? "pipe" : kind, "fifo", ends);
    require(!page || fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    require(strcmp(kind, "fifo") != 0 || unlink("fifo") == 0);
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

// The same in however few pieces they come: what a socket holds depends on that, and a pipe's pages don't.
static inline int most_fitting(const char *kind, size_t size) {
    int bytes, ends[2];
    socklen_t length = sizeof bytes;
    if (!is_socket(kind))
        return fitting(kind, size);
    make_stream(kind, ends);
    require(getsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, &length) == 0);
    close(ends[0]);
    close(ends[1]);
    return bytes / (int)size;
}

static inline void a_while(void) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

// Until nothing more goes in: whoever writes to it waits, or is about to.
static inline void await_full(const int ends[2]) {
    struct pollfd looked_at = {.fd = ends[1], .events = POLLOUT};
    for (size_t before = SIZE_MAX; poll(&looked_at, 1, 0) != 0 || stream_fill(ends[0]) != before; a_while())
        before = stream_fill(ends[0]);
}
