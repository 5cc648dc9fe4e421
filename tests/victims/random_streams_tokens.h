// How the turn goes from one actor to the next: by everything from which one process learns that another has done
// something.
#pragma once

#include "passing.h"
#include "random_streams_data.h"
#include <sys/eventfd.h>

#define TOKENS(T)                                                                                                      \
    T(PIPE) T(PAIR) T(TCP) T(SEQPACKET) T(DATAGRAM) T(RIGHTS) T(EVENT) T(SIGNAL) T(CREATED) T(RENAMED) T(GROWN)
#define TOKEN_ENUM(name) TOKEN_##name,
enum token { TOKENS(TOKEN_ENUM) TOKEN_COUNT, LAST_CHANNEL = TOKEN_EVENT, MAILBOX = LAST_CHANNEL + 1 };

// Each actor has a channel of each kind, known to all by number, and a mailbox for descriptors.
static int channel_fd(int actor, int token, bool out) {
    return CHANNELS_FD + (actor * (MAILBOX + 1) + token) * 2 + out;
}

static void put_at(int fd, int number) {
    require(dup2(fd, number) == number && !close(fd));
}

static void make_channels(int actor) {
    struct stream unused;
    for (int token = 0; token <= MAILBOX; token++) {
        int pair[2];
        struct ends ends = {-1, -1};
        if (token == TOKEN_PIPE)
            ends = make_stream(&unused, KIND_PIPE, 0, NULL);
        else if (token == TOKEN_PAIR || token == TOKEN_RIGHTS)
            ends = make_stream(&unused, KIND_PAIR, 0, NULL);
        else if (token == TOKEN_TCP)
            ends = make_stream(&unused, KIND_TCP, 0, NULL);
        else if (token == TOKEN_EVENT)
            ends.out = dup(ends.in = eventfd(0, 0));
        else {
            require(!socketpair(AF_UNIX, token == TOKEN_DATAGRAM ? SOCK_DGRAM : SOCK_SEQPACKET, 0, pair));
            ends = (struct ends){pair[0], pair[1]};
        }
        put_at(ends.in, channel_fd(actor, token, false));
        put_at(ends.out, channel_fd(actor, token, true));
    }
}

static int token_signal(void) {
    return SIGRTMIN + 3;
}

static struct name token_name(int step) {
    struct name name;
    snprintf(name.text, sizeof name.text, "token.%d", step);
    return name;
}

static pid_t pid_of(int actor) {
    static pid_t pids[ACTORS];
    if (!pids[0]) {
        int fd = open("pids", O_RDONLY);
        require(fd >= 0 && read(fd, pids, sizeof pids) == sizeof pids && !close(fd));
    }
    return pids[actor];
}

static enum token token_of(int step) {
    return (enum token)(common_number(step, 1) % TOKEN_COUNT);
}

// Each is one call, with nothing before it.
static void give_token(int step, int actor) {
    enum token token = token_of(step);
    struct name name = token_name(step);
    uint64_t one = 1;
    switch (token) {
    case TOKEN_SIGNAL:
        require(!kill(pid_of(actor), token_signal()));
        break;
    case TOKEN_CREATED:
        require(!mkdir(name.text, 0700));
        break;
    case TOKEN_RENAMED:
        require(!rename("token", name.text));
        break;
    case TOKEN_GROWN:
        require(!truncate("growing", step + 1));
        break;
    case TOKEN_RIGHTS:
        require(send_descriptor(channel_fd(actor, token, true), STDERR_FILENO) == 1);
        break;
    case TOKEN_EVENT:
        require(write(channel_fd(actor, token, true), &one, sizeof one) == sizeof one);
        break;
    default:
        require(write(channel_fd(actor, token, true), "t", 1) == 1);
    }
}

static void await_token(int step) {
    enum token token = token_of(step);
    struct name name = token_name(step);
    struct stat found;
    uint64_t content;
    sigset_t set;
    int got;
    switch (token) {
    case TOKEN_SIGNAL:
        sigemptyset(&set);
        sigaddset(&set, token_signal());
        do
            got = sigwaitinfo(&set, NULL);
        while (got < 0 && errno == EINTR);
        require(got == token_signal());
        break;
    case TOKEN_CREATED:
    case TOKEN_RENAMED:
        while (stat(name.text, &found))
            usleep(100);
        require(token == TOKEN_CREATED ? !rmdir(name.text) : !rename(name.text, "token"));
        break;
    case TOKEN_GROWN:
        do
            usleep(100);
        while (stat("growing", &found) || found.st_size <= step);
        break;
    case TOKEN_RIGHTS:
        require(!close(receive_descriptor(channel_fd(me.number, token, false))));
        break;
    case TOKEN_EVENT:
        require(read(channel_fd(me.number, token, false), &content, sizeof content) == sizeof content);
        break;
    default:
        require(read(channel_fd(me.number, token, false), data, 1) == 1);
    }
}

static void save_world(void) {
    require(pwrite(WORLD_FD, &world, sizeof world, 0) == sizeof world);
}

static void load_world(int step) {
    struct world found;
    require(pread(WORLD_FD, &found, sizeof found, 0) == sizeof found);
    world.step = step;
    if (found.step != step)
        wrong("the state is still that of step %d", found.step);
    world = found;
}
