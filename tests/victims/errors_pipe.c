// Writes to pipes and sockets that nobody reads any more, with small writes to a file pending.

#include "transcript.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

static volatile sig_atomic_t signals;

static void count(int number) {
    signals += number == SIGPIPE;
}

static int broken_pipe(void) {
    int ends[2];
    require(pipe(ends) == 0 && close(ends[0]) == 0);
    return ends[1];
}

static void try_all(void) {
    int fd = broken_pipe(), sockets[2], file = open_busy("busy", O_WRONLY);
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0 && close(sockets[0]) == 0);
    TRY(write(fd, "x", 1));
    TRY(write(file, "more\n", 5));
    TRY(writev(fd, &(struct iovec){"x", 1}, 1));
    TRY(write(fd, "x", 0));
    TRY(write(sockets[1], "x", 1));
    TRY(send(sockets[1], "x", 1, 0));
    TRY(send(sockets[1], "x", 1, MSG_NOSIGNAL));
    note("%d signals\n", (int)signals);
    close(fd);
    close(file);
    close(sockets[1]);
}

// A child that dies of it: what it wrote to the file before is there.
static void die_of_it(void) {
    pid_t child = fork();
    if (!child) {
        int fd = broken_pipe();
        open_busy("died", O_WRONLY);
        TRY(write(fd, "x", 1));
        _exit(0);
    }
    int status;
    require(waitpid(child, &status, 0) == child);
    note("the child's status is %x\n", (unsigned)status);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    try_all();
    signal(SIGPIPE, count);
    try_all();
    signal(SIGPIPE, SIG_DFL);
    die_of_it();
    print_transcript();
    return 0;
}
