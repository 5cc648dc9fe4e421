// A stream of each kind, in one process: ends[0] reads, ends[1] writes.
#pragma once

#include "common.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static inline void open_fifo(const char *path, int ends[2]) {
    require(!mkfifo(path, 0600));
    require((ends[0] = open(path, O_RDONLY | O_NONBLOCK)) >= 0 && (ends[1] = open(path, O_WRONLY)) >= 0);
    require(!fcntl(ends[0], F_SETFL, 0));
}

// Nothing is held back for a fuller packet: what was sent arrives by itself.
static inline void open_tcp(int ends[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    require(listener >= 0 && !bind(listener, (struct sockaddr *)&address, length) && !listen(listener, 1));
    require(!getsockname(listener, (struct sockaddr *)&address, &length));
    require((ends[1] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    require(!connect(ends[1], (struct sockaddr *)&address, length));
    require((ends[0] = accept(listener, NULL, NULL)) >= 0 && !close(listener));
    for (int i = 0; i < 2; i++)
        require(!setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes));
}

// The kind by its name; a FIFO is made at the path.
static inline void open_stream(const char *kind, const char *path, int ends[2]) {
    if (!strcmp(kind, "pipe"))
        require(!pipe(ends));
    else if (!strcmp(kind, "fifo"))
        open_fifo(path, ends);
    else if (!strcmp(kind, "unix"))
        require(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    else if (!strcmp(kind, "tcp"))
        open_tcp(ends);
    else
        die("no such kind of stream: %s", kind);
}

// How many bytes are there to be read.
static inline size_t stream_fill(int fd) {
    int fill;
    require(!ioctl(fd, FIONREAD, &fill));
    return (size_t)fill;
}
