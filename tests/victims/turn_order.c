/*
 * turn_order WHAT FAMILY ROUNDS: a server of two connections, and a client, another process, that knows of both. Each
 * finds out whether the server's calls are as they were called. FAMILY: unix or tcp.
 *
 *   freshness  the client sends on A, and then says on B how much that was: who has read B finds it all on A
 *   order      the server answers on A and then on B: who has the answer on B finds the one on A
 *   gone       the client has shut B down for receiving, or reset it, and says so on A: a send on B fails
 *   told       the server answers on A, and a thread that it has told, by memory, on B: as above
 *   taken      two threads of the server read B, one waits in the read: each byte is had once
 *   waits      one waits in its first read of B, when the other is told of it by epoll: as above
 *   waits_HOW  the same, by another number that is made by HOW: dup, dup3 or getfd, called by their numbers
 *   reset      B was reset, or closed with something unread: who reads it, or asks for its error, is told once
 *   own        both ends are the server's: what it writes to the one is there when it reads the other
 *   own_number the same, connected by the number of connect(2)
 *   own_left   the same, and a handler has left the call that connects B: that goes on
 *   fault      the server answers, and then faults in the handler of a fault: the answer is there
 *   small      as full, but it was filled by small answers
 *   space      the client has filled the file system at `space`, and told the server so; it sends on A, and sends more,
 * and then makes room: who could write again finds both full       the client doesn't read B, and the server has filled
 * it in large pieces: it goes on to answer A
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

enum { A, B, NEITHER };

static int listener;
static bool by_number, sends, sends_several; /* how the process connects */

static int made(bool tcp, struct sockaddr_storage *at, socklen_t *size) {
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    *size = tcp ? sizeof inet : sizeof(sa_family_t); /* a name that nobody has */
    memcpy(at, tcp ? (void *)&inet : (void *)&local, *size);
    int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
    require(fd >= 0 && bind(fd, (struct sockaddr *)at, *size) == 0 && listen(fd, 5) == 0);
    *size = sizeof *at;
    require(getsockname(fd, (struct sockaddr *)at, size) == 0);
    return fd;
}

/* By a call that sends, which TCP may be connected by, too. */
static int connect_by_sending(int fd, const struct sockaddr_storage *to, socklen_t size) {
    struct mmsghdr one = {.msg_hdr = {.msg_name = (void *)to, .msg_namelen = size}};
    int result = by_number       ? (int)syscall(SYS_sendmsg, fd, &one.msg_hdr, MSG_FASTOPEN)
                 : sends_several ? sendmmsg(fd, &one, 1, MSG_FASTOPEN) - 1
                                 : (int)sendmsg(fd, &one.msg_hdr, MSG_FASTOPEN);
    return result;
}

static int connected(const struct sockaddr_storage *to, socklen_t size) {
    int fd = socket(to->ss_family, SOCK_STREAM, 0);
    require(fd >= 0 && (sends && to->ss_family == AF_INET ? connect_by_sending(fd, to, size)
                        : by_number                       ? (int)syscall(SYS_connect, fd, to, size)
                                                          : connect(fd, (const struct sockaddr *)to, size)) == 0);
    int yes = 1; /* or else the kernel keeps back what comes second */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static sigjmp_buf before_connecting;

static void leave(int number) {
    (void)number;
    siglongjmp(before_connecting, 1);
}

static in_port_t port_of(int fd, bool peer) {
    struct sockaddr_in address = {.sin_port = 0};
    socklen_t size = sizeof address;
    require((peer ? getpeername : getsockname)(fd, (struct sockaddr *)&address, &size) == 0);
    return address.sin_port;
}

/* TCP: waits in connect(2) while others, who have come first, aren't accepted, and is made to leave it. */
static int left_connecting(const struct sockaddr_storage *to, socklen_t size, int *accepted) {
    int others[16], fd = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 16; i++)
        require((others[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0 &&
                connect(others[i], (const struct sockaddr *)to, size) == -1 && errno == EINPROGRESS);
    require(fd >= 0 && signal(SIGALRM, leave) != SIG_ERR);
    if (sigsetjmp(before_connecting, 1) == 0) {
        require(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 50000}}, NULL) == 0);
        connect(fd, (const struct sockaddr *)to, size);
        die("it didn't wait");
    }
    while ((*accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0 &&
           port_of(*accepted, true) != port_of(fd, false))
        require(close(*accepted) == 0);
    for (int i = 0; i < 16; i++)
        require(close(others[i]) == 0);
    require(*accepted >= 0 && poll(&(struct pollfd){fd, POLLOUT, 0}, 1, -1) == 1);
    return fd;
}

/* By another process, that hands them over: nothing shows then that both ends are this one's. */
static void connected_elsewhere(const struct sockaddr_storage *to, socklen_t size, int *client) {
    int ends[2], theirs[2];
    require(pipe(ends) == 0);
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        theirs[A] = connected(to, size);
        theirs[B] = connected(to, size);
        require(write(ends[1], theirs, sizeof theirs) == sizeof theirs);
        for (;;)
            pause();
    }
    require(read(ends[0], theirs, sizeof theirs) == sizeof theirs);
    int other = (int)syscall(SYS_pidfd_open, pid, 0);
    require(other >= 0);
    for (int i = A; i <= B; i++)
        require((client[i] = (int)syscall(SYS_pidfd_getfd, other, theirs[i], 0)) >= 0);
    require(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    require(close(other) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
}

/* Sockets that are readable all the time, so that A and B aren't looked at at the same moment. */
static void stand_between(int epoll, int count) {
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = NEITHER + (uint32_t)i};
        int ends[2];
        require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && write(ends[1], "", 1) == 1);
        require(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
    }
}

/* Waits until both have something. */
static void wait_for_both(int epoll, bool *ready) {
    struct epoll_event events[40];
    ready[A] = ready[B] = false;
    int n = epoll_wait(epoll, events, 40, -1);
    require(n > 0);
    for (int i = 0; i < n; i++)
        if (events[i].data.u32 < NEITHER)
            ready[events[i].data.u32] = true;
}

static void serve_freshness(int epoll, const int *at) {
    char all[32768];
    long got = 0;
    uint32_t said[100];
    for (;;) {
        bool ready[2];
        wait_for_both(epoll, ready);
        ssize_t n = ready[B] ? read(at[B], said, sizeof said) : 0;
        if (ready[B] && n == 0)
            return;
        require(n >= 0 && n % (ssize_t)sizeof *said == 0);
        ssize_t more = read(at[A], all, sizeof all); /* all there is, for the client waits for an answer to each few */
        got += more > 0 ? more : 0;
        if (n)
            require(got >= (long)said[n / (ssize_t)sizeof *said - 1]);
        if (more > 0)
            require(write(at[A], "k", 1) == 1);
    }
}

static void ask_freshness(const int *at, long rounds) {
    uint32_t sent = 0, seed = (uint32_t)getpid();
    char some[40] = "", answers[4096];
    for (long i = 0; i < rounds; i++) {
        seed = seed * 1103515245 + 12345;
        uint32_t n = 1 + (seed >> 16) % sizeof some;
        require(write(at[A], some, n) == n);
        sent += n;
        require(write(at[B], &sent, sizeof sent) == sizeof sent);
        if (i % 8 == 7)
            require(read(at[A], answers, sizeof answers) > 0);
        else
            (void)!recv(at[A], answers, sizeof answers, MSG_DONTWAIT);
    }
}

static void serve_order(int epoll, const int *at) {
    char request[100];
    int have = 0;
    for (;;) {
        bool ready[2];
        wait_for_both(epoll, ready);
        for (int i = A; i <= B; i++)
            if (ready[i]) {
                ssize_t n = read(at[i], request, sizeof request);
                if (n == 0)
                    return;
                have += n > 0;
            }
        if (have < 2)
            continue;
        require(write(at[A], "answer", 6) == 6 && write(at[B], "answer", 6) == 6);
        have = 0;
    }
}

static void ask_order(const int *at, long rounds) {
    char answer[6];
    for (long i = 0; i < rounds; i++) {
        require(write(at[A], "a", 1) == 1 && write(at[B], "b", 1) == 1);
        require(recv(at[B], answer, 6, MSG_WAITALL) == 6);
        require(recv(at[A], answer, 6, MSG_DONTWAIT) == 6);
    }
}

static atomic_long told, written;

enum { BLOCK = 64 << 10, MUCH = 4 << 20 };
static char block[BLOCK];

static void fill(int fd) {
    for (off_t at = 0; at < MUCH && pwrite(fd, block, sizeof block, at) > 0; at += BLOCK)
        ;
}

static void idle(uint32_t *seed) {
    *seed = *seed * 1103515245 + 12345;
    for (volatile uint32_t left = (*seed >> 16) % 16 * 20000; left; left--)
        ;
}

static bool fails_before; /* once, in a file that nothing else is done with */

static void serve_space(int epoll, const int *at) {
    char request[100];
    uint32_t seed = 1;
    int fd = open("space/file", O_RDWR | O_CREAT | O_TRUNC, 0600), told_so = 0;
    require(fd >= 0);
    if (fails_before) {
        int other = open("space/other", O_RDWR | O_CREAT, 0600);
        fill(other);
        require(ftruncate(other, 0) == 0 && close(other) == 0);
    }
    for (int i = 0; i < 300; i++) /* which makes it known */
        require(pwrite(fd, "x", 1, i) == 1);
    require(write(at[B], "r", 1) == 1);
    for (;;) {
        bool ready[2] = {false, false};
        while (!ready[A])
            wait_for_both(epoll, ready);
        if (read(at[A], request, sizeof request) == 0)
            break;
        require(fails_before || (pwrite(fd, block, sizeof block, MUCH) < 0 && errno == ENOSPC));
        require(write(at[B], "g", 1) == 1);
        for (ready[A] = false; !ready[A];)
            wait_for_both(epoll, ready);
        for (int i = 0; i < (fails_before ? 20 : 1); i++) /* one failure more, and it is noted */
            idle(&seed);
        bool told_now = pwrite(fd, block, sizeof block, MUCH) == sizeof block;
        told_so += told_now;
        ssize_t n = read(at[A], request, sizeof request);
        require(n == 8 || !told_now);
        while (n < 8) {
            ssize_t more = read(at[A], request, sizeof request);
            require(more > 0 || errno == EAGAIN);
            n += more > 0 ? more : 0;
        }
        require(ftruncate(fd, 0) == 0 && write(at[B], "d", 1) == 1);
    }
    printf("told %s; ", told_so ? "at times" : "never");
}

static void ask_space(const int *at, long rounds) {
    uint32_t seed = 2;
    char answer;
    int fd = open("space/filler", O_RDWR | O_CREAT, 0600);
    require(fd >= 0 && recv(at[B], &answer, 1, MSG_WAITALL) == 1);
    for (long i = 0; i < rounds; i++) {
        fill(fd);
        require(write(at[A], "F", 1) == 1 && recv(at[B], &answer, 1, MSG_WAITALL) == 1);
        require(write(at[A], "AAAA", 4) == 4);
        idle(&seed);
        require(write(at[A], "BBBB", 4) == 4 && ftruncate(fd, 0) == 0 && recv(at[B], &answer, 1, MSG_WAITALL) == 1);
    }
}

static void *write_when_told(void *fd) {
    for (long n = 1;; n++) {
        while (told < n)
            sched_yield(); /* which is no call of ours */
        require(write(*(const int *)fd, "answer", 6) == 6 || errno == EPIPE || errno == ECONNRESET);
        written = n;
    }
    return NULL;
}

static void serve_told(int epoll, const int *at) {
    pthread_t thread;
    char request[100];
    require(pthread_create(&thread, NULL, write_when_told, (void *)&at[B]) == 0);
    for (;;) {
        bool ready[2];
        wait_for_both(epoll, ready);
        ssize_t n = ready[A] ? read(at[A], request, sizeof request) : -1;
        if (n == 0)
            return;
        if (n < 0)
            continue;
        require(write(at[A], "answer", 6) == 6);
        told++;
        while (written < told)
            sched_yield();
    }
}

static void ask_told(const int *at, long rounds) {
    char answer[6];
    for (long i = 0; i < rounds; i++) {
        require(write(at[A], "a", 1) == 1);
        require(recv(at[B], answer, 6, MSG_WAITALL) == 6);
        require(recv(at[A], answer, 6, MSG_DONTWAIT) == 6);
    }
}

static atomic_uchar had[1 << 20]; /* how often each number was read */

static bool note(int fd, int flags) {
    uint32_t number;
    ssize_t n = recv(fd, &number, sizeof number, flags);
    require(n == 0 || n == sizeof number || (n < 0 && errno == EAGAIN));
    if (n > 0)
        require(number < sizeof had && ++had[number] == 1);
    return n != 0;
}

static void *take(void *fd) {
    while (note(*(const int *)fd, 0))
        ;
    return NULL;
}

static void serve_taken(int epoll, const int *at) {
    pthread_t thread;
    require(fcntl(at[B], F_SETFL, 0) == 0);
    require(pthread_create(&thread, NULL, take, (void *)&at[B]) == 0);
    for (bool more = true; more;) {
        bool ready[2];
        wait_for_both(epoll, ready);
        if (ready[B])
            more = note(at[B], MSG_DONTWAIT);
    }
    require(pthread_join(thread, NULL) == 0);
    for (uint32_t i = 1; i < sizeof had && had[i]; i++)
        require(had[i - 1]);
}

static void ask_taken(const int *at, long rounds) {
    for (uint32_t i = 0; i < rounds; i++) {
        require(write(at[B], &i, sizeof i) == sizeof i);
        if (i % 5 == 0)
            usleep(50);
    }
}

static volatile int *volatile nowhere;

static void served_by_fault(int number) {
    (void)number;
    *nowhere = 0;
}

static void serve_fault(int epoll, const int *at) {
    char request[100];
    for (long answers = 0;;) {
        bool ready[2];
        wait_for_both(epoll, ready);
        if (!ready[A])
            continue;
        require(read(at[A], request, sizeof request) > 0 && write(at[A], "answer", 6) == 6);
        if (++answers == 21) {
            signal(SIGSEGV, served_by_fault);
            *nowhere = 0;
        }
    }
}

static void ask_fault(const int *at, long rounds) {
    char answer[6];
    long got = 0;
    (void)rounds;
    while (write(at[A], "a", 1) == 1 && recv(at[A], answer, 6, MSG_WAITALL) == 6)
        got++;
    printf("%ld answers\n", got);
    fflush(stdout);
}

static const struct way {
    const char *name;
    void (*serve)(int epoll, const int *at);
    void (*ask)(const int *at, long rounds);
} ways[] = {{"freshness", serve_freshness, ask_freshness},
            {"order", serve_order, ask_order},
            {"told", serve_told, ask_told},
            {"taken", serve_taken, ask_taken},
            {"space", serve_space, ask_space},
            {"space_before", serve_space, ask_space},
            {"fault", serve_fault, ask_fault}};

/* One answer on each, which makes them known. */
static void introduce(const int *server, const int *client, int epoll) {
    char request[100];
    bool ready[2];
    for (int i = B; i >= A; i--) { /* A is the one that is told of first */
        require(write(client[i], "a", 1) == 1);
        wait_for_both(epoll, ready);
        require(ready[i] && read(server[i], request, sizeof request) == 1 && write(server[i], "b", 1) == 1);
        require(poll(&(struct pollfd){client[i], POLLIN, 0}, 1, -1) == 1 && read(client[i], request, 1) == 1);
    }
}

static void fill_by_answers(const int *server, const int *client, int epoll) {
    static char some[12000];
    for (int turn = 0;; turn++) {
        size_t n = turn % 2 ? sizeof some : 1000;
        bool ready[2];
        require(write(client[B], "b", 1) == 1 && write(client[A], "a", 1) == 1);
        wait_for_both(epoll, ready);
        for (int i = A; i <= B; i++)
            if (ready[i])
                (void)!read(server[i], some, sizeof some);
        for (size_t done = 0; done < 30000 + (unsigned)turn * 7919 % 60000; done += n)
            if (write(server[B], some, n) < 0)
                return;
    }
}

static void full(bool small, const int *server, const int *client, int epoll) {
    static char much[1 << 20];
    char request[100];
    bool ready[2];
    introduce(server, client, epoll);
    int size = 64 << 10; /* or else it grows */
    if (small)
        require(setsockopt(server[B], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    for (int i = 0; small && i < 30; i++) {
        while (i && poll(&(struct pollfd){client[B], POLLIN, 0}, 1, 2) == 1)
            require(read(client[B], much, sizeof much) > 0);
        fill_by_answers(server, client, epoll);
    }
    if (!small)
        while (write(server[B], much, sizeof much) > 0)
            ;
    require(errno == EAGAIN);
    for (int i = 0; i < 40; i++) {
        require(write(client[B], "b", 1) == 1 && write(client[A], "a", 1) == 1);
        wait_for_both(epoll, ready);
        require(ready[A] && ready[B]);
        require(read(server[A], request, sizeof request) == 1 && read(server[B], request, sizeof request) == 1);
        ssize_t done = write(server[B], much, 1000); /* a little may have left for the other end's buffer meanwhile */
        require(done > 0 || errno == EAGAIN);
        require(write(server[A], "k", 1) == 1);
        require(epoll_wait(epoll, &(struct epoll_event){0}, 1, 0) >= 0);
        require(poll(&(struct pollfd){client[A], POLLIN, 0}, 1, -1) == 1 && read(client[A], request, 1) == 1);
    }
}

/* By select, which says of neither that there is an error. */
static void reset(bool tcp, const int *server, const int *client, int epoll) {
    static int times;
    struct linger none = {1, 0};
    char request[100];
    int error = -1;
    socklen_t size = sizeof error;
    fd_set in;
    introduce(server, client, epoll);
    require(write(server[B], "unread", 6) == 6 && write(client[A], "a", 1) == 1);
    if (tcp)
        require(setsockopt(client[B], SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0);
    require(close(client[B]) == 0);
    FD_ZERO(&in);
    FD_SET(server[A], &in);
    FD_SET(server[B], &in);
    require(select((server[A] > server[B] ? server[A] : server[B]) + 1, &in, NULL, NULL, NULL) == 2);
    require(read(server[A], request, sizeof request) == 1);
    if (times++ % 2)
        require(getsockopt(server[B], SOL_SOCKET, SO_ERROR, &error, &size) == 0);
    printf("error %d; ", error);
    for (int i = 0; i < 2; i++) {
        ssize_t got = read(server[B], request, sizeof request);
        printf("read %zd %d; ", got, got < 0 ? errno : 0);
    }
}

static void own(const int *server, const int *client, int epoll) {
    char some[100];
    bool ready[2];
    int yes = 1;
    setsockopt(server[B], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* as in connected */
    introduce(server, client, epoll);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = NEITHER + 100};
    require(epoll_ctl(epoll, EPOLL_CTL_ADD, client[B], &event) == 0);
    for (int i = 0; i < 20; i++) {
        require(i % 2 || write(client[B], "from B", 6) == 6); /* so either is told of first */
        require(write(server[B], "to B ", 5) == 5);
        require(i % 2 == 0 || write(client[B], "from B", 6) == 6);
        wait_for_both(epoll, ready);
        require(ready[B]);
        ssize_t got = read(server[B], some, sizeof some);
        require(got == 6 && write(server[B], "again", 5) == 5);
        for (got = 0; got < 10;) {
            ssize_t more = read(client[B], some, sizeof some);
            printf("%zd ", more);
            require(more > 0);
            got += more;
        }
    }
}

/* The client has gone on one, and says so on the other, before the server waits. */
static void gone(bool tcp, const int *server, const int *client, int epoll) {
    struct linger none = {1, 0};
    char request[100];
    bool ready[2];
    introduce(server, client, epoll);
    require(write(client[A], "hello", 5) == 5 && write(client[B], "b", 1) == 1); /* so A is told of first */
    if (tcp)
        require(setsockopt(client[B], SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0 && close(client[B]) == 0);
    else
        require(shutdown(client[B], SHUT_RD) == 0);
    require(write(client[A], "B is gone", 9) == 9);
    wait_for_both(epoll, ready);
    require(ready[A] && ready[B]);
    require(read(server[A], request, sizeof request) == 14);
    ssize_t got = read(server[B], request, sizeof request);
    printf("read %zd %d; ", got, got < 0 ? errno : 0);
    require(write(server[A], "hm", 2) == 2);
    ssize_t done = send(server[B], "who?", 4, MSG_NOSIGNAL);
    printf("send %zd %d; ", done, done < 0 ? errno : 0);
    done = send(server[B], "who?", 4, MSG_NOSIGNAL);
    printf("send %zd %d; ", done, done < 0 ? errno : 0);
    got = read(server[B], request, sizeof request);
    printf("read %zd %d; ", got, got < 0 ? errno : 0);
    require(recv(client[A], request, 2, 0) == 2);
}

/* From now on it is noted who uses what. */
static void *sleep_on(void *unused) {
    for (;;)
        pause();
    return unused;
}

static atomic_int takes, taken;

static void *take_once(void *fd) {
    static const size_t sizes[] = {1, 600, 20000};
    static unsigned times;
    char bytes[20000];
    takes++;
    ssize_t got = read(*(const int *)fd, bytes, sizes[times++ % 3]);
    require(got >= 0);
    taken += (int)got;
    return NULL;
}

static void *tell_later(void *client) {
    const int *to = client;
    while (!takes)
        sched_yield();
    usleep(300);
    require(write(to[A], "x", 1) == 1 && write(to[B], "x", 1) == 1);
    return NULL;
}

/* What is there is had by one; the other has what comes after that. */
static void waits(const char *how, const int *server, const int *client, int epoll) {
    pthread_t taker, teller;
    int other = server[B], self;
    char byte;
    bool ready[2];
    require(fcntl(server[B], F_SETFL, 0) == 0);
    introduce(server, client, epoll);
    takes = taken = 0;
    if (strcmp(how, "waits_dup") == 0) {
        require((other = (int)syscall(SYS_dup, server[B])) >= 0);
    } else if (strcmp(how, "waits_dup3") == 0) {
        require((other = (int)syscall(SYS_dup3, server[B], 900, O_CLOEXEC)) >= 0);
    } else if (strcmp(how, "waits_getfd") == 0) {
        require((self = (int)syscall(SYS_pidfd_open, getpid(), 0)) >= 0);
        require((other = (int)syscall(SYS_pidfd_getfd, self, server[B], 0)) >= 0 && close(self) == 0);
    }
    require(pthread_create(&taker, NULL, take_once, &other) == 0);
    require(pthread_create(&teller, NULL, tell_later, (void *)client) == 0);
    do {
        wait_for_both(epoll, ready);
        if (ready[A])
            require(read(server[A], &byte, 1) == 1);
    } while (!ready[B] && !taken);
    if (ready[B])
        taken += recv(server[B], &byte, 1, MSG_DONTWAIT) == 1;
    usleep(300);
    require(taken == 1 && pthread_join(teller, NULL) == 0 && write(client[B], "y", 1) == 1);
    require(pthread_join(taker, NULL) == 0 && taken <= 2);
    require(other == server[B] || close(other) == 0);
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 99;
    bool tcp = strcmp(argv[2], "tcp") == 0;
    long rounds = atol(argv[3]);
    struct sockaddr_storage at;
    socklen_t size;
    listener = made(tcp, &at, &size);
    bool small = strcmp(argv[1], "small") == 0, fills = small || strcmp(argv[1], "full") == 0,
         owns = strncmp(argv[1], "own", 3) == 0, resets = strcmp(argv[1], "reset") == 0,
         waiting = strncmp(argv[1], "waits", 5) == 0, left = tcp && strcmp(argv[1], "own_left") == 0;
    bool alone = fills || owns || resets || waiting || strcmp(argv[1], "gone") == 0;
    pthread_t idler;
    require(!waiting || pthread_create(&idler, NULL, sleep_on, NULL) == 0);
    by_number = strstr(argv[1], "_number") != NULL;
    sends = strstr(argv[1], "_sent") != NULL;
    sends_several = strstr(argv[1], "_several") != NULL;
    fails_before = strcmp(argv[1], "space_before") == 0;
    const struct way *way = ways;
    while (!alone && strcmp(way->name, argv[1]) != 0)
        require(++way < ways + sizeof ways / sizeof *ways);
    for (long round = 0; round < (alone ? rounds : 1); round++) {
        int client[2], server[2], status = 0, epoll = epoll_create1(EPOLL_CLOEXEC);
        pid_t pid = alone ? 0 : fork();
        require(pid >= 0);
        if (alone && !owns)
            connected_elsewhere(&at, size, client);
        for (int i = A; i <= B && pid == 0; i++) {
            if (left && i == B) {
                client[i] = left_connecting(&at, size, &server[i]);
                continue;
            }
            client[i] = alone && !owns ? client[i] : connected(&at, size);
            require(!alone || (server[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
        }
        if (pid == 0) {
            if (!alone) {
                unsetenv("LD_PRELOAD");
                way->ask(client, rounds);
                _exit(0);
            }
        }
        for (int i = A; i <= B; i++)
            require(alone || (server[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
        for (uint32_t i = A; i <= B; i++) {
            if (i == B)
                stand_between(epoll, waiting ? 1 : 30);
            struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
            require(epoll_ctl(epoll, EPOLL_CTL_ADD, server[i], &event) == 0);
        }
        if (alone) {
            if (fills)
                full(small, server, client, epoll);
            else if (owns)
                own(server, client, epoll);
            else if (waiting)
                waits(argv[1], server, client, epoll);
            else if (resets)
                reset(tcp, server, client, epoll);
            else
                gone(tcp, server, client, epoll);
            close(client[A]);
            close(client[B]);
        } else {
            way->serve(epoll, server);
            require(waitpid(pid, &status, 0) == pid && status == 0);
        }
        close(server[A]);
        close(server[B]);
        close(epoll);
    }
    puts("");
    return 0;
}
