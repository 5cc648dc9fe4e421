// The operations of random_streams with signals: handlers that write, and waiting that they end.
#pragma once

#include "random_streams_crowds.h"
#include <setjmp.h>

// What a handler is to do, at an instant that is known.
static struct {
    struct side side;
    bool leave;
    sigjmp_buf jump;
} plan;

static void write_in_handler(int number) {
    note("handler %d", number);
    burst_side(plan.side, 1 + (unsigned)below(5));
    if (one_in(2))
        check_there(plan.side.stream, plan.side.lane, plan.side.in);
    if (plan.leave)
        siglongjmp(plan.jump, 1);
}

static void send_signal(int number) {
    switch (below(4)) {
    case 0:
        CALL(raise(number));
        break;
    case 1:
        CALL(kill(getpid(), number));
        break;
    case 2:
        CALL(pthread_kill(pthread_self(), number));
        break;
    default:
        CALL(sigqueue(getpid(), number, (union sigval){0}));
    }
}

static void op_handled(void) {
    struct sigaction action = {.sa_handler = write_in_handler, .sa_flags = one_in(2) ? SA_RESTART : 0};
    struct side side = any_side();
    int number = one_in(2) ? SIGUSR1 : SIGRTMIN + 1;
    plan.side = one_in(2) ? side : any_side();
    plan.leave = one_in(3);
    require(!sigaction(number, &action, NULL));
    burst_side(side, (unsigned)below(20));
    if (sigsetjmp(plan.jump, 1) == 0)
        send_signal(number);
    else
        note("jumped");
    burst_side(side, (unsigned)below(20));
    signal(number, SIG_DFL);
}

// Blocked, pending, and let in by a call that waits for it.
static void op_awaited(void) {
    struct sigaction action = {.sa_handler = write_in_handler};
    struct side side = any_side();
    struct timespec time = {.tv_nsec = 1000};
    struct pollfd none = {.fd = -1};
    sigset_t blocked, before;
    plan.side = any_side();
    plan.leave = false;
    require(!sigaction(SIGUSR1, &action, NULL));
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    require(!pthread_sigmask(SIG_BLOCK, &blocked, &before));
    burst_side(side, (unsigned)below(20));
    send_signal(SIGUSR1);
    burst_side(side, (unsigned)below(20));
    switch (below(4)) {
    case 0:
        CALL(sigsuspend(&before));
        break;
    case 1:
        CALL(ppoll(&none, 1, NULL, &before));
        break;
    case 2:
        CALL(sigtimedwait(&blocked, NULL, &time) > 0);
        break;
    default:
        break;
    }
    require(!pthread_sigmask(SIG_SETMASK, &before, NULL));
    burst_side(side, (unsigned)below(20));
    signal(SIGUSR1, SIG_DFL);
}

// A handler that comes anywhere and writes to a pipe of its own.
static struct {
    int fd;
    volatile sig_atomic_t records;
} apart;

static void write_apart(int number) {
    static const char record[] = "a record by a handler\n";
    int error = errno;
    (void)number;
    if (apart.records < 1000) {
        require(write(apart.fd, record, sizeof record - 1) == sizeof record - 1);
        apart.records++;
    }
    errno = error;
}

static void op_anywhere(void) {
    enum { RECORD = 22 };
    struct sigaction action = {.sa_handler = write_apart, .sa_flags = SA_RESTART};
    struct itimerval never = {{0, 0}, {0, 0}}, often = {{0, 1000 + (long)below(2000)}, {0, 100}};
    struct side side = any_side();
    struct stream stream, busy;
    struct ends ends = own_stream(&stream, (enum kind)below(KIND_PAIR)), busy_ends = any_own_stream(&busy);
    apart.fd = ends.out;
    apart.records = 0;
    require(!sigaction(SIGALRM, &action, NULL) && !setitimer(ITIMER_REAL, &often, NULL));
    do {
        burst_side(side, (unsigned)below(20));
        take_all(side.stream, side.lane, side.in);
    } while (one_in(2));
    uint64_t rng_after = rng_next(&me.rng);
    bool mute = me.mute;
    me.mute = true;
    do {
        burst(&busy, busy.lanes, busy_ends.out, 1 + (unsigned)below(20));
        take_all(&busy, busy.lanes, busy_ends.in);
    } while (!apart.records);
    int records = apart.records;
    require(!setitimer(ITIMER_REAL, &never, NULL));
    signal(SIGALRM, SIG_DFL);
    if (look(ends.in) < (uint64_t)records * RECORD || look(ends.in) != (uint64_t)apart.records * RECORD)
        wrong("%llu bytes of %d records", (unsigned long long)look(ends.in), (int)apart.records);
    me.mute = mute;
    me.rng = rng_after;
    close_ends(&ends);
    close_ends(&busy_ends);
}

static void jump_out(int number) {
    (void)number;
    siglongjmp(plan.jump, 1);
}

// Nobody reads: the writer waits in the end, until a signal comes.
static void op_interrupted(void) {
    struct stream stream;
    struct ends ends = own_stream(&stream, (enum kind)below(KIND_TCP));
    volatile struct lane *seen = stream.lanes;
    struct lane *lane = stream.lanes;
    bool mute = me.mute, jump = one_in(2);
    volatile size_t under_way = 0;
    struct sigaction action = {.sa_handler = jump ? jump_out : tick, .sa_flags = jump && one_in(2) ? SA_RESTART : 0};
    struct itimerval never = {{0, 0}, {0, 0}}, soon = {{0, 3000}, {0, 3000 + (long)below(5000)}};
    size_t size = 100 + below(4000);
    uint64_t rng_after = rng_next(&me.rng);
    me.mute = true;
    bool pipes = !is_socket(&stream);
    if (sigsetjmp(plan.jump, 1) == 0) {
        require(!sigaction(SIGALRM, &action, NULL) && !setitimer(ITIMER_REAL, &soon, NULL));
        for (;;) { // a timer that comes before it's full interrupts nothing
            under_way = size;
            fill(lane->id, seen->written, data, size);
            ssize_t result = pipes ? write(ends.out, data, size) : send(ends.out, data, size, 0);
            if (result > 0)
                seen->written += (uint64_t)result;
            under_way = 0;
            if (result < 0)
                break;
        }
        if (errno != EINTR || jump)
            wrong("no EINTR of a write that waits, but %d", errno);
    }
    require(!setitimer(ITIMER_REAL, &never, NULL));
    signal(SIGALRM, SIG_DFL);
    uint64_t there = look(ends.in), known = filled(lane);
    if (there < known || there > known + under_way)
        wrong("%llu bytes there, %llu written", (unsigned long long)there, (unsigned long long)known);
    lane->written = lane->taken + there;
    take_all(&stream, lane, ends.in);
    me.mute = mute;
    me.rng = rng_after;
    burst(&stream, lane, ends.out, (unsigned)below(20));
    take_all(&stream, lane, ends.in);
    close_ends(&ends);
}
