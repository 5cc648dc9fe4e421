// How random_streams makes its streams.
#pragma once

#include "random_streams.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

struct name {
    char text[40];
};

static inline bool is_socket(const struct stream *stream) {
    return stream->kind >= KIND_PAIR;
}

static void set_nonblocking(int fd, bool on) {
    int flags = fcntl(fd, F_GETFL);
    require(flags >= 0 && !fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

// Both ends of a FIFO, by its name, without waiting for one another.
static struct ends open_fifo(const char *name) {
    struct ends ends = {.in = open(name, O_RDONLY | O_NONBLOCK)};
    require(ends.in >= 0);
    ends.out = open(name, O_WRONLY);
    require(ends.out >= 0);
    set_nonblocking(ends.in, false);
    return ends;
}

static struct ends connect_to(int listener, const struct sockaddr *address, socklen_t size) {
    struct ends ends = {.out = socket(address->sa_family, SOCK_STREAM, 0)};
    require(ends.out >= 0 && !connect(ends.out, address, size));
    ends.in = accept(listener, NULL, NULL);
    require(ends.in >= 0 && !close(listener));
    return ends;
}

static struct ends connect_locally(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, name);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    require(listener >= 0 && !bind(listener, (struct sockaddr *)&address, sizeof address) && !listen(listener, 1));
    struct ends ends = connect_to(listener, (struct sockaddr *)&address, sizeof address);
    require(!unlink(name));
    return ends;
}

// Nobody waits for acknowledgements here.
static struct ends connect_by_tcp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    require(listener >= 0 && !bind(listener, (struct sockaddr *)&address, size) && !listen(listener, 1));
    require(!getsockname(listener, (struct sockaddr *)&address, &size));
    struct ends ends = connect_to(listener, (struct sockaddr *)&address, size);
    require(!setsockopt(ends.in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    require(!setsockopt(ends.out, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    return ends;
}

static struct name fifo_name(int slot, unsigned generation) {
    struct name name;
    snprintf(name.text, sizeof name.text, "fifo.%d.%u", slot, generation);
    return name;
}

// A stream of that kind; name is for those that need one, and left there for a FIFO.
static struct ends make_stream(struct stream *stream, enum kind kind, uint64_t id, const char *name) {
    struct ends ends;
    int pair[2];
    *stream = (struct stream){.kind = kind, .slots = 16, .lanes = {{.id = 2 * id}, {.id = 2 * id + 1}}};
    switch (kind) {
    case KIND_PIPE:
        require(!(one_in(2) ? pipe(pair) : pipe2(pair, 0)));
        ends = (struct ends){pair[0], pair[1]};
        break;
    case KIND_FIFO:
        require(!mkfifo(name, 0600));
        ends = open_fifo(name);
        break;
    case KIND_PAIR:
        require(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        ends = (struct ends){pair[0], pair[1]};
        break;
    case KIND_LOCAL:
        ends = connect_locally(name);
        break;
    default:
        ends = connect_by_tcp();
    }
    return ends;
}

// One of an actor's own, for one operation.
static struct ends own_stream(struct stream *stream, enum kind kind) {
    struct name name;
    snprintf(name.text, sizeof name.text, "own.%d.%d", me.number, (int)getpid());
    struct ends ends = make_stream(stream, kind, 100000u * (unsigned)(me.number + 1) + me.streams++, name.text);
    if (kind == KIND_FIFO)
        require(!unlink(name.text));
    return ends;
}

static struct ends any_own_stream(struct stream *stream) {
    return own_stream(stream, (enum kind)below(KIND_COUNT));
}

static void close_end(int *fd) {
    if (*fd >= 0)
        require(!close(*fd));
    *fd = -1;
}

static void close_ends(struct ends *ends) {
    close_end(&ends->in);
    close_end(&ends->out);
}
