// streams_reset: a server over TCP whose client hangs up. While it knows nothing of that its sends may still succeed;
// as soon as it has seen the reset they don't.

#include "stream_kinds.h"

static int ends[2];
static volatile sig_atomic_t broken;

static void count(int number) {
    broken += number == SIGPIPE;
}

static void some_sends(int flags) {
    for (int i = 0; i < 3; i++) {
        TRY(send(ends[1], "an answer\n", 10, flags));
        note("  %d signals\n", (int)broken);
    }
}

// The client goes with a request of its own on its way to it: what comes then is a reset.
static void hang_up(void) {
    make_stream("tcp", ends);
    for (int i = 0; i < 5; i++)
        require(send(ends[1], "an answer\n", 10, 0) == 10);
    while (stream_fill(ends[0]) < 50)
        sched_yield();
    close(ends[0]);
    broken = 0;
}

static void await_reset(void) {
    struct pollfd looked_at = {.fd = ends[1]};
    require(poll(&looked_at, 1, -1) == 1 && looked_at.revents & POLLHUP && looked_at.revents & POLLERR);
}

static void polled(int flags) {
    hang_up();
    await_reset();
    some_sends(flags);
    close(ends[1]);
}

static void read_first(int flags) {
    char byte;
    hang_up();
    await_reset();
    TRY(recv(ends[1], &byte, 1, 0));
    some_sends(flags);
    close(ends[1]);
}

static void error_asked_for(int flags) {
    int error;
    socklen_t length = sizeof error;
    hang_up();
    await_reset();
    TRY(getsockopt(ends[1], SOL_SOCKET, SO_ERROR, &error, &length));
    note("%s\n", strerrorname_np(error));
    some_sends(flags);
    close(ends[1]);
}

// Nothing that the client hasn't read is under way: it's only the first send that is answered by a reset.
static void sends_on(int flags) {
    static char bytes[50];
    make_stream("tcp", ends);
    for (int i = 0; i < 5; i++)
        require(send(ends[1], "an answer\n", 10, 0) == 10);
    require(read_all(ends[0], bytes, 50) == 50);
    close(ends[0]);
    broken = 0;
    while (errno = UNTOUCHED, send(ends[1], "an answer\n", 10, flags) == 10)
        ;
    note("in the end %s, %d signals\n", strerrorname_np(errno), (int)broken);
    some_sends(flags);
    close(ends[1]);
}

static void dies(void) {
    int status;
    pid_t child = fork();
    if (!child) {
        signal(SIGPIPE, SIG_DFL);
        sends_on(0);
        _exit(0);
    }
    require(waitpid(child, &status, 0) == child);
    note("the child's status is %x\n", (unsigned)status);
}

int main(void) {
    static const int flags[] = {0, MSG_NOSIGNAL};
    alarm(HANG_SECONDS);
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        signal(SIGPIPE, count);
        polled(flags[i]);
        read_first(flags[i]);
        error_asked_for(flags[i]);
        sends_on(flags[i]);
    }
    dies();
    print_transcript();
    return 0;
}
