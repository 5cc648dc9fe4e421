// The operations of random_streams that move data: the ways to write, to take, and to look.
#pragma once

#include "random_streams_open.h"
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#define WAYS(W) W(WRITE) W(WRITEV) W(PWRITEV2) W(BY_NUMBER) W(DPRINTF) W(SEND) W(SENDTO) W(SENDMSG) W(SENDMMSG)
#define WAY_ENUM(name) name,
enum way { WAYS(WAY_ENUM) WAY_COUNT, FOR_PIPES = SEND };

static enum way any_way(const struct stream *stream) {
    return (enum way)below(is_socket(stream) ? WAY_COUNT : FOR_PIPES);
}

static int split(char *at, size_t size, struct iovec parts[8]) {
    int count = 1 + (int)below(one_in(2) ? 8 : 2);
    size_t done = 0;
    for (int i = 0; i < count; i++) {
        size_t part = i == count - 1 ? size - done : below(size - done + 1);
        parts[i] = (struct iovec){at + done, part};
        done += part;
    }
    return count;
}

static long long put_data(enum way way, int fd, char *at, size_t size) {
    struct iovec parts[8];
    int flags = one_in(4) ? MSG_NOSIGNAL : 0, count = split(at, size, parts);
    struct mmsghdr message = {.msg_hdr = {.msg_iov = parts, .msg_iovlen = (size_t)count}};
    switch (way) {
    case WRITE:
        return CALL(write(fd, at, size));
    case WRITEV:
        return CALL(writev(fd, parts, count));
    case PWRITEV2:
        return CALL(pwritev2(fd, parts, count, -1, 0));
    case BY_NUMBER:
        return CALL(syscall(SYS_write, fd, at, size));
    case DPRINTF:
        return CALL(dprintf(fd, "%.*s", (int)size, at));
    case SEND:
        return CALL(send(fd, at, size, flags));
    case SENDTO:
        return CALL(sendto(fd, at, size, flags, NULL, 0));
    case SENDMSG:
        return CALL(sendmsg(fd, &message.msg_hdr, flags));
    default:
        return CALL(sendmmsg(fd, &message, 1, flags)) == 1 ? (long long)message.msg_len : -1;
    }
}

// The next bytes of a lane. Whoever has copied nothing will be found out: the buffer is another's at once.
static long long put(struct lane *lane, int fd, enum way way, size_t size) {
    fill(lane->id, lane->written, data, size);
    data[size] = 0;
    long long result = put_data(way, fd, data, size);
    int error = errno;
    if (result > 0)
        has_written(lane, (size_t)result);
    memset(data, '~', size);
    errno = error;
    return result;
}

static size_t any_size(void) {
    static const size_t limits[] = {1, 16, 64, 64, 200, 200, 200, 600, 4096, 5000, 20000, 70000};
    return below(50) ? 1 + below(limits[below(COUNT_OF(limits) - (one_in(2) ? 0 : 4))]) : 0;
}

// Quick small writes in a row, as many as surely fit.
static void burst(struct stream *stream, struct lane *lane, int fd, unsigned count) {
    enum way way = any_way(stream);
    size_t limit = one_in(8) ? 5000 : one_in(4) ? 600 : 200, fixed = one_in(2) ? 1 + below(limit) : 0;
    bool each = one_in(2);
    for (; count; count--) {
        size_t size = fixed ? fixed : below(limit + 1);
        if (size > room(stream, lane, 1))
            return;
        put(lane, fd, each ? any_way(stream) : way, size);
    }
}

#define TAKES(T) T(READ) T(READV) T(PREADV2) T(READ_BY_NUMBER) T(RECV) T(RECVFROM) T(RECVMSG) T(WAITALL) T(PEEKED)
enum how { TAKES(WAY_ENUM) TAKE_COUNT, TAKES_OF_PIPES = RECV };

static enum how any_how(const struct stream *stream) {
    return (enum how)below(is_socket(stream) ? TAKE_COUNT : TAKES_OF_PIPES);
}

static ssize_t take_data(enum how how, int fd, char *at, size_t size) {
    struct iovec parts[8];
    int count = split(at, size, parts);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    ssize_t got;
    switch (how) {
    case READ:
        return read(fd, at, size);
    case READV:
        return readv(fd, parts, count);
    case PREADV2:
        return preadv2(fd, parts, count, -1, 0);
    case READ_BY_NUMBER:
        return syscall(SYS_read, fd, at, size);
    case RECV:
        return recv(fd, at, size, 0);
    case RECVFROM:
        return recvfrom(fd, at, size, 0, NULL, NULL);
    case RECVMSG:
        return recvmsg(fd, &message, 0);
    case WAITALL:
        return recv(fd, at, size, MSG_WAITALL);
    default:
        got = recv(fd, at, size, MSG_PEEK);
        return got > 0 ? recv(fd, at, (size_t)got, 0) : got;
    }
}

// What is there, without waiting for it.
static uint64_t look(int fd) {
    int there = -1;
    require(!ioctl(fd, FIONREAD, &there));
    return (uint64_t)there;
}

// No call for a while, in which others have time to look.
static void compute(void) {
    for (uint64_t times = below(20); times; times--)
        fill(0, 0, expected, sizeof expected / 4);
}

// All that was written is there. TCP makes no such promise: what it lacks at the end is waited for when it's taken.
static void check_there(const struct stream *stream, const struct lane *lane, int fd) {
    uint64_t there = look(fd);
    if (stream->kind == KIND_TCP ? there > filled(lane) : there != filled(lane))
        wrong("stream %llu (%s): %llu bytes there, %llu written, %llu taken", (unsigned long long)lane->id,
              kinds[stream->kind], (unsigned long long)there, (unsigned long long)lane->written,
              (unsigned long long)lane->taken);
    if (filled(lane) && stream->kind != KIND_TCP) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        require(poll(&one, 1, 0) == 1 && one.revents & POLLIN);
    }
}

static void has_taken(struct lane *lane, const char *at, size_t size) {
    expect(lane->id, lane->taken, at, size);
    lane->taken += size;
}

// Takes so much of what is there, by reads that may ask for more.
static void take(const struct stream *stream, struct lane *lane, int fd, size_t size) {
    require(size <= filled(lane));
    note("take %zu of %llu", size, (unsigned long long)filled(lane));
    uint64_t rng_after = rng_next(&me.rng); // however many reads it is
    while (size) {
        enum how how = any_how(stream);
        size_t part = one_in(3) ? size : 1 + below(size);
        part = part < sizeof data ? part : sizeof data;
        ssize_t got = take_data(how, fd, data, part);
        if (got < 1 || (size_t)got > part || (stream->kind != KIND_TCP && (size_t)got < part))
            wrong("stream %llu (%s): %zd of %zu by %d", (unsigned long long)lane->id, kinds[stream->kind], got, part,
                  how);
        has_taken(lane, data, (size_t)got);
        size -= (size_t)got;
    }
    me.rng = rng_after;
}

static void take_all(const struct stream *stream, struct lane *lane, int fd) {
    if (one_in(2))
        check_there(stream, lane, fd);
    take(stream, lane, fd, filled(lane));
    if (look(fd))
        wrong("stream %llu: more than was written", (unsigned long long)lane->id);
}

// Nothing is there, and that is all.
static void check_end(const struct lane *lane, int fd) {
    ssize_t got = read(fd, data, 100);
    if (got || filled(lane))
        wrong("stream %llu: no end after byte %llu of %llu, but %zd", (unsigned long long)lane->id,
              (unsigned long long)lane->taken, (unsigned long long)lane->written, got);
    note("end at %llu", (unsigned long long)lane->taken);
}

// A standing stream in one direction. Sockets have two.
struct side {
    int slot;
    struct stream *stream;
    struct lane *lane;
    int in, out;
};

static struct side side_of(int slot, int direction) {
    const struct ends *ends = &me.ends[slot];
    struct stream *stream = &world.streams[slot];
    struct side side = {slot, stream, &stream->lanes[direction], ends->in, ends->out};
    if (direction)
        side.in = ends->out, side.out = ends->in;
    return side;
}

static struct side any_side(void) {
    int slot = (int)below(SLOTS);
    return side_of(slot, is_socket(&world.streams[slot]) ? (int)below(2) : 0);
}

static struct side any_pipe_side(void) {
    struct side side = any_side();
    for (int i = 0; i < SLOTS && is_socket(side.stream); i++)
        side = side_of((side.slot + i) % SLOTS, 0);
    return side;
}

static void burst_side(struct side side, unsigned count) {
    burst(side.stream, side.lane, side.out, count);
}

static void op_burst(void) {
    burst_side(any_side(), 1 + (unsigned)below(one_in(4) ? 200 : 40));
}

// Several streams in turns.
static void op_turns(void) {
    struct side sides[] = {any_side(), any_side(), any_side()};
    for (unsigned times = 5 + (unsigned)below(60); times; times--)
        burst_side(sides[below(COUNT_OF(sides))], 1 + (unsigned)below(3));
}

static void op_put(void) {
    struct side side = any_side();
    size_t size = any_size();
    if (size <= room(side.stream, side.lane, 1))
        put(side.lane, side.out, any_way(side.stream), size);
}

static void op_take(void) {
    struct side side = any_side();
    uint64_t there = filled(side.lane);
    if (one_in(2))
        take_all(side.stream, side.lane, side.in);
    else
        take(side.stream, side.lane, side.in, below((there < 60000 ? there : 60000) + 1));
}

// A question and its answer, in one process.
static void op_answered(void) {
    struct side side = any_side();
    take_all(side.stream, side.lane, side.in);
    for (unsigned times = 1 + (unsigned)below(10); times; times--) {
        put(side.lane, side.out, any_way(side.stream), 1 + below(200));
        take_all(side.stream, side.lane, side.in);
    }
}

static void op_look(void) {
    for (int slot = 0; slot < SLOTS; slot++)
        for (int direction = 0; direction <= is_socket(&world.streams[slot]); direction++) {
            struct side side = side_of(slot, direction);
            check_there(side.stream, side.lane, side.in);
        }
}

// More is asked for than there is.
static void op_beyond(void) {
    struct side side = any_side();
    struct pollfd one = {.fd = side.in, .events = POLLIN};
    burst_side(side, (unsigned)below(20));
    if (one_in(2) && side.stream->kind != KIND_TCP)
        CALL(poll(&one, 1, 0));
    if (side.stream->kind == KIND_TCP || filled(side.lane) > 60000)
        return;
    if (filled(side.lane)) {
        ssize_t got = CALL(take_data(any_how(side.stream) % RECV, side.in, data, filled(side.lane) + 1 + below(1000)));
        require(got == (ssize_t)filled(side.lane));
        has_taken(side.lane, data, (size_t)got);
    }
    set_nonblocking(side.in, true);
    CALL(read(side.in, data, 100));
    set_nonblocking(side.in, false);
    if (is_socket(side.stream))
        CALL(recv(side.in, data, 10, MSG_DONTWAIT));
    CALL(poll(&one, 1, 0));
    note("ready %x", (unsigned)one.revents);
}

// Each fails or does nothing, and says so, with something written just before.
static void op_refused(void) {
    struct side side = any_side();
    struct iovec parts[2] = {{data, 10}, {NULL, 10}};
    char *volatile nowhere = NULL; // not known to be wrong before it's tried
    volatile int minus_one = -1;
    struct stat found;
    burst_side(side, (unsigned)below(20));
    for (unsigned times = 1 + (unsigned)below(5); times; times--)
        switch (below(16)) {
        case 0:
            CALL(write(side.out, nowhere, 10));
            break;
        case 1:
            CALL(write(side.out, data, 0));
            break;
        case 2:
            CALL(writev(side.out, parts, minus_one));
            break;
        case 3:
            CALL(pwrite(side.out, data, 10, 0));
            break;
        case 4:
            CALL(lseek(side.out, 0, SEEK_CUR));
            break;
        case 5:
            CALL(fsync(side.out));
            break;
        case 6:
            CALL(ftruncate(side.out, 0));
            break;
        case 7:
            if (!is_socket(side.stream))
                CALL(send(side.out, data, 10, 0));
            break;
        case 8:
            if (!is_socket(side.stream))
                CALL(write(side.in, data, 10));
            break;
        case 9:
            if (!is_socket(side.stream))
                CALL(read(side.out, data, 10));
            break;
        case 10:
            CALL(write(399, data, 10));
            break;
        case 11:
            CALL(write(side.out, nowhere - 4096, 20));
            break;
        case 12:
            require(!fstat(side.out, &found));
            note("stat %o %lld", found.st_mode, (long long)found.st_size);
            break;
        case 13:
            CALL(isatty(side.out));
            break;
        case 14:
            if (is_socket(side.stream))
                CALL(send(side.out, nowhere + 8, 20, MSG_NOSIGNAL));
            break;
        default:
            CALL(pwritev2(side.out, parts, 1, -1, 0x40000000));
        }
    burst_side(side, (unsigned)below(20));
}
