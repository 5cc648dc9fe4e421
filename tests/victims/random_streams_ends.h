// The operations of random_streams with descriptors and the two ends of a stream: numbers that change, ends that go.
#pragma once

#include "random_streams_files.h"
#include "random_streams_tokens.h"
#include <linux/sockios.h>
#include <sys/wait.h>

static void await(pid_t child) {
    int status = 0;
    require(waitpid(child, &status, 0) == child);
    note("child %x", (unsigned)status & ~0x80u); // but for the core
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
        die("as its child said");
}

static volatile sig_atomic_t pipe_signals;

static void count_pipe_signal(int number) {
    (void)number;
    pipe_signals++;
}

// Two numbers for one end, one of which goes.
static void op_dup(void) {
    struct side side = any_side();
    struct ends *ends = &me.ends[side.slot];
    int *own = side.out == ends->out ? &ends->out : &ends->in, copy, other = open("/dev/null", O_WRONLY);
    burst_side(side, (unsigned)below(20));
    copy = one_in(2) ? dup(side.out) : fcntl(side.out, F_DUPFD, (int)below(60));
    require(copy >= 0 && other >= 0);
    side.out = copy;
    burst_side(side, (unsigned)below(20));
    switch (below(4)) {
    case 0: // the copy goes
        CALL(close(copy));
        break;
    case 1: // the copy stays
        CALL(close(*own));
        *own = copy;
        break;
    case 2: // onto itself
        require(dup2(copy, *own) == *own);
        side.out = *own;
        burst_side(side, (unsigned)below(10));
        CALL(close(copy));
        break;
    default: // another file takes the number that was just written to, and is written to
        require((one_in(2) ? dup2(other, copy) : dup3(other, copy, O_CLOEXEC)) == copy);
        CALL(write(copy, "nowhere", 7));
        require(!close(copy));
    }
    require(!close(other));
    side = side_of(side.slot, side.lane != side.stream->lanes);
    if (one_in(2))
        check_there(side.stream, side.lane, side.in);
    burst_side(side, (unsigned)below(20));
}

// The last writer goes, in each way it can; all is there, and then the end.
static void close_writer(struct ends *ends, struct lane *lane, struct stream *stream, int other) {
    FILE *file;
    switch (below(7)) {
    case 0:
    case 1:
        CALL(close(ends->out));
        break;
    case 2:
        require(dup2(other, ends->out) == ends->out);
        break;
    case 3:
        require(dup3(other, ends->out, 0) == ends->out);
        break;
    case 4:
        if (close_range((unsigned)ends->out, (unsigned)ends->out, 0)) // not before Linux 5.9
            require(!close(ends->out));
        break;
    case 5:
        CALL(syscall(SYS_close, ends->out));
        break;
    default:
        file = fdopen(ends->out, "w");
        require(file);
        put_by_stdio(stream, lane, file, (unsigned)below(20));
        CALL(fclose(file));
    }
}

static void op_closed(void) {
    struct stream stream;
    struct ends ends = any_own_stream(&stream);
    struct lane *lane = stream.lanes;
    int other = open("/dev/null", O_RDWR); // now, so that nothing comes between what is written and the end
    require(other >= 0);
    burst(&stream, lane, ends.out, (unsigned)below(60));
    close_writer(&ends, lane, &stream, other);
    take(&stream, lane, ends.in, filled(lane));
    check_end(lane, ends.in);
    close(ends.out); // if it is another file now
    close(ends.in);
    close(other);
}

static void op_shutdown(void) {
    struct stream stream;
    struct ends ends = own_stream(&stream, KIND_PAIR + (enum kind)below(3));
    struct lane *lane = stream.lanes;
    burst(&stream, lane, ends.out, (unsigned)below(60));
    burst(&stream, lane + 1, ends.in, (unsigned)below(20));
    CALL(shutdown(ends.out, SHUT_WR));
    CALL(send(ends.out, "late", 4, MSG_NOSIGNAL));
    CALL(write(ends.out, "late", 4));
    burst(&stream, lane + 1, ends.in, (unsigned)below(20));
    take(&stream, lane, ends.in, filled(lane));
    check_end(lane, ends.in);
    CALL(shutdown(ends.in, SHUT_WR));
    take(&stream, lane + 1, ends.out, filled(lane + 1));
    check_end(lane + 1, ends.out);
    close_ends(&ends);
}

// A reader that goes, and the writer knows: the very next write fails.
static void op_broken(void) {
    struct stream stream;
    struct ends ends = own_stream(&stream, (enum kind)below(KIND_TCP));
    struct lane *lane = stream.lanes;
    bool handled = one_in(2), by_child = one_in(2);
    sighandler_t old = signal(SIGPIPE, handled ? count_pipe_signal : SIG_IGN);
    int go[2];
    pipe_signals = 0;
    require(!pipe(go));
    pid_t child = by_child ? start_child() : -1;
    if (child == 0) {
        close(ends.out);
        _exit(read(go[0], data, 1) != 1);
    }
    if (by_child)
        close_end(&ends.in); // the child is the last that has it
    burst(&stream, lane, ends.out, (unsigned)below(30));
    if (by_child) {
        require(write(go[1], "g", 1) == 1);
        await(child);
    } else {
        CALL(close(ends.in));
        ends.in = -1;
    }
    for (unsigned times = 1 + (unsigned)below(5); times; times--) {
        put(lane, ends.out, any_way(&stream), 1 + below(100));
        note("%d signals", handled ? (int)pipe_signals : 0);
        if (me.has_turn && one_in(2))
            op_mixed();
    }
    close_ends(&ends);
    require(!close(go[0]) && !close(go[1]));
    signal(SIGPIPE, old);
}

// Descriptions are shared: the others have it, too, until it's taken back.
static void op_nonblocking(void) {
    struct side side = any_side();
    int one = 1, zero = 0;
    bool by_ioctl = one_in(2);
    burst_side(side, (unsigned)below(20));
    if (by_ioctl)
        require(!ioctl(side.out, FIONBIO, &one));
    else
        set_nonblocking(side.out, true);
    burst_side(side, (unsigned)below(20));
    if (by_ioctl)
        require(!ioctl(side.out, FIONBIO, &zero));
    else
        set_nonblocking(side.out, false);
    burst_side(side, (unsigned)below(20));
    check_there(side.stream, side.lane, side.in);
}

// Until it's full, or surely nearly so: how much that is depends on how it came.
static void op_filled(void) {
    struct stream stream;
    struct ends ends = own_stream(&stream, (enum kind)below(KIND_TCP));
    struct lane *lane = stream.lanes;
    bool nonblocking = one_in(2), mute = me.mute;
    size_t size = 50 + below(one_in(2) ? 4000 : 200);
    uint64_t rng_after = rng_next(&me.rng);
    burst(&stream, lane, ends.out, (unsigned)below(40));
    set_nonblocking(ends.out, nonblocking);
    me.mute = true;
    while (nonblocking || size <= room(&stream, lane, 1)) {
        long long result = put(lane, ends.out, any_way(&stream), size);
        if (result < 0 && errno == EAGAIN)
            break;
        require(result > 0);
    }
    take_all(&stream, lane, ends.in);
    me.mute = mute;
    me.rng = rng_after;
    set_nonblocking(ends.out, false);
    burst(&stream, lane, ends.out, (unsigned)below(40));
    take_all(&stream, lane, ends.in);
    close_ends(&ends);
}

// Calls that ask or tell something about a stream that is being written to.
static void op_option(void) {
    struct side side = any_side();
    int value = 30000 + (int)below(100000), there;
    socklen_t size = sizeof value;
    struct timeval time = {.tv_sec = 1000};
    burst_side(side, (unsigned)below(30));
    if (!is_socket(side.stream)) {
        CALL(fcntl(side.out, F_GETPIPE_SZ));
        if (!filled(side.lane)) {
            side.stream->slots = one_in(2) ? 16 : 64;
            CALL(fcntl(side.out, F_SETPIPE_SZ, (int)side.stream->slots * 4096));
        }
        require(!ioctl(side.out, FIONREAD, &there));
        note("%d there", there);
    } else if (side.stream->kind == KIND_TCP) {
        CALL(getsockopt(side.out, IPPROTO_TCP, TCP_NODELAY, &value, &size));
        CALL(setsockopt(side.out, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time));
    } else {
        require(!ioctl(side.out, SIOCOUTQ, &there) && (there > 0) == (filled(side.lane) > 0));
        CALL(setsockopt(side.out, SOL_SOCKET, SO_RCVBUF, &value, sizeof value));
        value = 212992;
        CALL(setsockopt(side.out, SOL_SOCKET, SO_SNDBUF, &value, sizeof value));
    }
    note("flags %x", (unsigned)fcntl(side.out, F_GETFL));
    burst_side(side, (unsigned)below(30));
}

// A descriptor that is sent through a socket to itself, with writes around it.
static void op_passed(void) {
    struct side side = any_side();
    int pair[2];
    require(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    burst_side(side, (unsigned)below(20));
    require(send_descriptor(pair[0], side.out) == 1);
    burst_side(side, (unsigned)below(20));
    side.out = receive_descriptor(pair[1]);
    burst_side(side, (unsigned)below(20));
    CALL(close(side.out));
    close(pair[0]);
    close(pair[1]);
    check_there(side.stream, side.lane, side.in);
}

// By name, once more.
static void op_reopened(void) {
    struct side side = any_pipe_side();
    if (side.stream->kind != KIND_FIFO)
        return;
    burst_side(side, (unsigned)below(40));
    CALL(close(side.out));
    int *out = &me.ends[side.slot].out;
    *out = open(fifo_name(side.slot, world.generations[side.slot]).text, O_WRONLY);
    require(*out >= 0);
    side = side_of(side.slot, 0);
    burst_side(side, (unsigned)below(40));
    check_there(side.stream, side.lane, side.in);
}

// What another actor needs to use a stream that it hasn't inherited.
struct letter {
    int slot;
    unsigned generation;
};

static void send_ends(int actor, struct letter letter, struct ends ends) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } passing = {.header = {.cmsg_len = CMSG_LEN(2 * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {&letter, sizeof letter};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &passing, .msg_controllen = sizeof passing};
    int both[] = {ends.in, ends.out};
    memcpy(CMSG_DATA(&passing.header), both, sizeof both);
    require(sendmsg(channel_fd(actor, MAILBOX, true), &message, 0) == sizeof letter);
}

static void receive_ends(void) {
    for (;;) {
        union {
            struct cmsghdr header;
            char room[CMSG_SPACE(2 * sizeof(int))];
        } passing = {0};
        struct letter letter;
        struct iovec part = {&letter, sizeof letter};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &passing, .msg_controllen = sizeof passing};
        int both[2];
        ssize_t got = recvmsg(channel_fd(me.number, MAILBOX, false), &message, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        require(got == sizeof letter && message.msg_controllen);
        memcpy(both, CMSG_DATA(&passing.header), sizeof both);
        close_ends(&me.ends[letter.slot]);
        me.ends[letter.slot] = (struct ends){both[0], both[1]};
        me.generations[letter.slot] = letter.generation;
    }
}

// A new stream in the old one's place, which all others get when it's their turn.
static void op_replaced(void) {
    struct side side = any_side();
    unsigned generation = world.generations[side.slot] + 1;
    uint64_t id = (unsigned)side.slot + SLOTS * generation;
    for (int direction = 0; direction <= is_socket(side.stream); direction++) {
        struct side old = side_of(side.slot, direction);
        take_all(old.stream, old.lane, old.in);
    }
    close_ends(&me.ends[side.slot]);
    if (side.stream->kind == KIND_FIFO)
        require(!unlink(fifo_name(side.slot, world.generations[side.slot]).text));
    struct name name = fifo_name(side.slot, generation);
    struct ends ends = make_stream(side.stream, (enum kind)below(KIND_COUNT), id, name.text);
    world.generations[side.slot] = me.generations[side.slot] = generation;
    me.ends[side.slot] = ends;
    burst_side(side_of(side.slot, 0), (unsigned)below(30));
    for (int actor = 0; actor < options.actors; actor++)
        if (actor != me.number)
            send_ends(actor, (struct letter){side.slot, generation}, ends);
}
