/*
 * turn_room WAY: a server on AF_UNIX whose client doesn't read any more, and asks once more. It has filled the socket
 * by a way that isn't a plain write, so that its answer must be refused, or interrupted where it waits, as natively.
 *
 *   write, pwritev2, aio, sendmmsg, backtrace, splice, sendfile   until no more goes in, without waiting
 *   straight                                                      by writes that wait, each after an input
 *   timer      the server answers, and sets a timer that kills it: the client has the answer
 *   waits KIND no server: epoll, poll, select or connect, each a call that makes the library ask what one costs
 */
#include <aio.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "turn_pair.h"

static char much[64 << 10];

static int queued(int fd) {
    int bytes_there = 0;
    require(ioctl(fd, TIOCOUTQ, &bytes_there) == 0);
    return bytes_there;
}

static void by_write(int fd) {
    while (write(fd, much, sizeof much) > 0)
        ;
}

static void by_pwritev2(int fd) {
    struct iovec part = {much, sizeof much};
    while (syscall(SYS_pwritev2, fd, &part, 1L, -1L, -1L, 0L) > 0)
        ;
}

static void by_aio(int fd) {
    struct aiocb block = {.aio_fildes = fd, .aio_buf = much, .aio_nbytes = sizeof much};
    const struct aiocb *all[] = {&block};
    do {
        require(aio_write(&block) == 0);
        while (aio_error(&block) == EINPROGRESS)
            aio_suspend(all, 1, NULL);
    } while (aio_return(&block) > 0);
}

static void by_sendmmsg(int fd) {
    struct iovec part = {much, sizeof much};
    struct mmsghdr one = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    while (syscall(SYS_sendmmsg, fd, &one, 1L, 0L) > 0)
        ;
}

/* Which doesn't say what became of it: until one more makes no difference. */
static void by_backtrace(int fd) {
    void *frames[] = {(void *)much, (void *)bytes};
    for (int before = -1, now = 0; now != before; before = now, now = queued(fd))
        for (int i = 0; i < 200; i++)
            backtrace_symbols_fd(frames, 2, fd);
}

static void by_splice(int fd) {
    int ends[2];
    require(pipe2(ends, O_NONBLOCK) == 0);
    do {
        while (write(ends[1], much, 4096) > 0)
            ;
    } while (splice(ends[0], NULL, fd, NULL, sizeof much, SPLICE_F_NONBLOCK) > 0);
}

static void by_sendfile(int fd) {
    int file = open("much", O_RDWR | O_CREAT, 0600);
    off_t from = 0;
    require(file >= 0 && ftruncate(file, sizeof much) == 0);
    while (sendfile(fd, file, &from, sizeof much) > 0)
        from = 0;
}

static void interrupt(int number) {
    (void)number;
}

/* So much that less than another answer goes in. */
static void by_straight_writes(int fd) {
    enum { SIZE = 2000, ANSWER = 9000 };
    int size = 0;
    socklen_t length = sizeof size;
    require(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) == 0);
    while (queued(fd) < size - ANSWER) { /* it counts what the kernel needs beside, too */
        poll(NULL, 0, 0);
        require(write(fd, much, SIZE) == SIZE);
    }
}

static const struct {
    const char *name;
    void (*fill)(int fd);
} ways[] = {
    {"write", by_write},         {"pwritev2", by_pwritev2}, {"aio", by_aio},           {"sendmmsg", by_sendmmsg},
    {"backtrace", by_backtrace}, {"splice", by_splice},     {"sendfile", by_sendfile}, {"straight", by_straight_writes},
};

static void full(void (*fill)(int fd)) {
    int fd, filled[2];
    require(pipe(filled) == 0);
    pid_t pid = used_to_turns(&fd);
    require(pid == 0 || fill != by_straight_writes || fcntl(fd, F_SETFL, 0) == 0);
    (pid == 0 ? ask_often : answer_often)(fd, 60);
    if (pid == 0) {
        require(close(filled[1]) == 0 && read(filled[0], bytes, 1) == 1 && write(fd, "hello", 5) == 5);
        require(read(filled[0], bytes, 1) == 0);
        _exit(0);
    }
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = interrupt}, NULL);
    fill(fd);
    require(write(filled[1], "x", 1) == 1);
    wait_for(fd, POLLIN);
    ssize_t got = read(fd, bytes, 100), answered = 0;
    int answers = 0;
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 200000}, {0, 200000}}, NULL);
    while (answers < 100 && (answered = write(fd, much, 9000)) == 9000)
        answers++;
    int error = errno;
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    /* one may go in, by how long an address is that was written */
    printf("%zd; %s went in, and then %s\n", got, answers > 1 ? "many" : "one at most",
           answered < 0 ? strerror(error) : "a part");
    require(close(filled[1]) == 0 && close(fd) == 0 && waitpid(pid, NULL, 0) == pid);
}

/* Another process says that there is a timer: the death itself. */
static void timer(void) {
    int listener = listen_somewhere(false), status;
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        timer_t deadly;
        int fd = accepted(listener);
        answer_often(fd, 60);
        wait_for(fd, POLLIN);
        require(read(fd, bytes, 100) == 5 && write(fd, "x", 1) == 1);
        require(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL},
                             &deadly) == 0);
        timer_settime(deadly, 0, &(struct itimerspec){{0, 0}, {0, 1}}, NULL);
        for (;;)
            pause();
    }
    int fd = connected();
    ask_often(fd, 60);
    require(write(fd, "hello", 5) == 5 && read(fd, bytes, 1) == 1);
    require(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void waits(const char *kind) {
    int ends[2];
    fd_set readable;
    struct epoll_event event = {.events = EPOLLIN};
    require(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    FD_ZERO(&readable);
    FD_SET(ends[0], &readable);
    if (strcmp(kind, "poll") == 0) {
        wait_for(ends[0], POLLIN);
    } else if (strcmp(kind, "select") == 0) {
        require(select(ends[0] + 1, &readable, NULL, NULL, NULL) == 1);
    } else if (strcmp(kind, "connect") == 0) {
        listen_somewhere(false);
        connected();
    } else {
        int epoll = epoll_create1(0);
        require(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0 && epoll_wait(epoll, &event, 1, -1) == 1);
    }
}

int main(int argc, char **argv) {
    size_t way = 0;
    if (argc == 3 && strcmp(argv[1], "waits") == 0) {
        waits(argv[2]);
        return 0;
    }
    if (argc != 2)
        return 99;
    require(epoll_create1(0) >= 0); /* whoever has one may have turns with several threads */
    if (strcmp(argv[1], "timer") == 0) {
        timer();
        return 0;
    }
    while (strcmp(ways[way].name, argv[1]) != 0)
        require(++way < COUNT_OF(ways));
    full(ways[way].fill);
    return 0;
}
