/*
 * echo_server KIND ADDRESS: sends back what its clients send. ADDRESS is the path of a unix socket, or a TCP port of
 * the loopback interface (0: any). Prints where it listens, and ends when its last client has gone and there is a file
 * called over.
 *
 * KIND is how it waits: epoll, edge, oneshot, poll, ppoll, select, pselect; and then, separated by commas: recv, readv,
 * recvmsg or recvfrom instead of read; send, writev or sendmsg instead of write; block: the sockets are blocking ones;
 * small: reads of at most 100 bytes; twice: a read is followed by another until there is no more; pointer: epoll tells
 * it a pointer; sync: a file is synced after each answer; log: what there is to be read is read, then a file called log
 * gets a line for each request, and then all are answered; fork: now and then a child answers, and goes on with the
 * connection. Those that wait by epoll may have threads: the first one accepts, and three others have an epoll each,
 * and some of the connections; handed: now and then one of these is given to the next thread; shared: all wait by the
 * same epoll; noisy: one more thread writes to a pipe and a file, and reads it back, all the time.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

enum { MOST = 4096, READ_MOST = 16 << 10, KEPT = 4 << 20, THREADS = 3 };

static const char *kind;

static bool is_said(const char *word) {
    const char *at = strstr(kind, word);
    size_t n = strlen(word);
    return at && (at == kind || at[-1] == ',') && (at[n] == '\0' || at[n] == ',');
}

/* Looked for once at each place, for that takes as long as a system call. */
#define is(word)                                                                                                       \
    ({                                                                                                                 \
        static _Atomic signed char said;                                                                               \
        if (!said)                                                                                                     \
            said = is_said(word) ? 1 : -1;                                                                             \
        said > 0;                                                                                                      \
    })

/* What couldn't be sent yet. */
struct connection {
    bool there, waits;
    char *kept;
    size_t start, end;
};
static struct connection connections[MOST];
static int listener, log_fd = -1, epoll_of[THREADS];
static _Thread_local int epoll_fd = -1, own_number;
static atomic_int open_ones, came;
static atomic_bool ended;

static int listen_at(const char *address) {
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool is_path = strchr(address, '/') != NULL;
    int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    require(fd >= 0);
    if (is_path) {
        require(strlen(address) < sizeof local.sun_path);
        strcpy(local.sun_path, address);
        require(bind(fd, (struct sockaddr *)&local, sizeof local) == 0);
    } else {
        inet.sin_port = htons((uint16_t)atoi(address));
        require(bind(fd, (struct sockaddr *)&inet, sizeof inet) == 0);
    }
    require(listen(fd, 1024) == 0);
    socklen_t size = sizeof inet;
    if (!is_path)
        require(getsockname(fd, (struct sockaddr *)&inet, &size) == 0);
    if (is_path)
        puts(address);
    else
        printf("%d\n", ntohs(inet.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int fd, bool out, int operation) {
    if (epoll_fd < 0)
        return;
    bool edge = is("edge"), oneshot = is("oneshot");
    struct epoll_event event = {.events = EPOLLIN | (out || edge ? (unsigned)EPOLLOUT : 0) |
                                          (edge && fd != listener ? (unsigned)EPOLLET : 0) |
                                          (oneshot && fd != listener ? (unsigned)EPOLLONESHOT : 0) | EPOLLRDHUP};
    /* a pointer, as many programs have it, or the number */
    if (is("pointer"))
        event.data.ptr = &connections[fd];
    else
        event.data.fd = fd;
    require(epoll_ctl(epoll_fd, operation, fd, &event) == 0);
}

static void accept_all(void) {
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | (is("block") ? 0 : SOCK_NONBLOCK))) >= 0) {
        require(fd < MOST);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        connections[fd].there = true;
        connections[fd].start = connections[fd].end = 0;
        connections[fd].waits = false;
        open_ones++;
        if (is("threads"))
            epoll_fd = epoll_of[came % THREADS];
        came++;
        watch(fd, false, EPOLL_CTL_ADD);
    }
    require(errno == EAGAIN || errno == ECONNABORTED);
}

static void drop(int fd) {
    connections[fd].there = false;
    if (epoll_fd >= 0) /* a child may still have it */
        require(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL) == 0);
    require(close(fd) == 0);
    open_ones--;
}

static ssize_t get(int fd, char *bytes, size_t n) {
    struct iovec parts[2] = {{bytes, n / 3}, {bytes + n / 3, n - n / 3}};
    if (is("recv"))
        return recv(fd, bytes, n, 0);
    if (is("recvfrom"))
        return recvfrom(fd, bytes, n, MSG_DONTWAIT, NULL, NULL);
    if (is("recvmsg")) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2, .msg_flags = -1};
        ssize_t got = recvmsg(fd, &message, 0);
        require(got < 0 || message.msg_flags == 0);
        return got;
    }
    return is("readv") ? readv(fd, parts, 2) : read(fd, bytes, n);
}

static ssize_t put(int fd, char *bytes, size_t n) {
    struct iovec parts[2] = {{bytes, n / 3}, {bytes + n / 3, n - n / 3}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (is("send"))
        return send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (is("sendmsg"))
        return sendmsg(fd, &message, MSG_NOSIGNAL);
    return is("writev") ? writev(fd, parts, 2) : write(fd, bytes, n);
}

/* False: the other end has gone. */
static bool put_kept(int fd) {
    struct connection *to = &connections[fd];
    while (to->start < to->end) {
        ssize_t done = put(fd, to->kept + to->start, to->end - to->start);
        if (done < 0 && errno == EAGAIN)
            break;
        if (done < 0)
            return false;
        to->start += (size_t)done;
    }
    if (to->start == to->end)
        to->start = to->end = 0;
    return true;
}

/* A client that has shut its half down still reads. */
static void put_the_rest(int fd, bool reads) {
    struct pollfd one = {fd, POLLOUT, 0};
    while (reads && connections[fd].end) {
        require(poll(&one, 1, -1) == 1);
        reads = put_kept(fd);
    }
}

static void keep(struct connection *to, const char *bytes, size_t n) {
    if (!to->kept)
        to->kept = malloc(KEPT);
    require(to->kept && to->end + n <= KEPT);
    memcpy(to->kept + to->end, bytes, n);
    to->end += n;
}

/* The child has what was read, and everything that comes. */
static bool handed_to_child(int fd, char *bytes, size_t got) {
    static unsigned requests;
    if (!is("fork") || connections[fd].end || ++requests % 37 != 0)
        return false;
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        require(fcntl(fd, F_SETFL, 0) == 0);
        for (int other = 3; other < MOST; other++)
            if (other != fd)
                close(other);
        ssize_t n = (ssize_t)got;
        do
            for (ssize_t at = 0, done; at < n; at += done)
                require((done = write(fd, bytes + at, (size_t)(n - at))) > 0);
        while ((n = read(fd, bytes, READ_MOST)) > 0);
        _exit(0);
    }
    return true;
}

/* The next thread goes on with it. */
static bool handed_over(int fd) {
    static _Thread_local unsigned requests;
    int own = epoll_fd;
    if (!is("handed") || connections[fd].end || ++requests % 11 != 0)
        return false;
    require(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL) == 0);
    epoll_fd = epoll_of[(own_number + 1) % THREADS];
    watch(fd, false, EPOLL_CTL_ADD);
    epoll_fd = own;
    return true;
}

static void serve(int fd, bool in, bool out) {
    static _Thread_local char bytes[READ_MOST];
    struct connection *one = &connections[fd];
    if (!one->there)
        return;
    bool had = one->end > 0;
    if (out && !put_kept(fd)) {
        drop(fd);
        return;
    }
    while (in) {
        ssize_t got = get(fd, bytes, is("small") ? 100 : sizeof bytes);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got <= 0) {
            put_the_rest(fd, got == 0);
            drop(fd);
            return;
        }
        if (handed_to_child(fd, bytes, (size_t)got)) {
            drop(fd);
            return;
        }
        ssize_t done = one->end || is("log") ? 0 : put(fd, bytes, (size_t)got);
        if (is("sync"))
            require(fsync(listener + 1000) == 0);
        if (done < 0 && errno != EAGAIN) {
            drop(fd);
            return;
        }
        if (done < got)
            keep(one, bytes + (done > 0 ? done : 0), (size_t)(got - (done > 0 ? done : 0)));
        in = is("edge") || is("twice");
    }
    if (handed_over(fd) || is("log"))
        return;
    if (is("oneshot") || (!is("edge") && had != (one->end > 0)))
        watch(fd, one->end > 0, EPOLL_CTL_MOD);
}

static void answer_kept(int fd) {
    struct connection *one = &connections[fd];
    if (!one->there)
        return;
    if (!put_kept(fd)) {
        drop(fd);
    } else if (one->waits != (one->end > 0)) {
        one->waits = one->end > 0;
        watch(fd, one->waits, EPOLL_CTL_MOD);
    }
}

/* One write for all that were read, as databases do it, and then the answers. */
static void log_and_answer(const struct epoll_event *events, int n) {
    static char lines[64 * 16];
    char *end = lines;
    for (int i = 0; i < n; i++)
        if (connections[events[i].data.fd].there && connections[events[i].data.fd].end)
            end += sprintf(end, "request %d\n", events[i].data.fd);
    if (end > lines)
        require(write(log_fd, lines, (size_t)(end - lines)) == end - lines);
    for (int i = 0; i < n; i++)
        answer_kept(events[i].data.fd);
}

static void by_epoll(void) {
    struct epoll_event events[64];
    int n = epoll_wait(epoll_fd, events, 64, is("threads") ? 20 : -1);
    require(n >= 0 || errno == EINTR);
    for (int i = 0; i < n; i++) {
        int fd = is("pointer") ? (int)((struct connection *)events[i].data.ptr - connections) : events[i].data.fd;
        if (fd == listener)
            accept_all();
        else
            serve(fd, events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR), events[i].events & EPOLLOUT);
    }
    if (log_fd >= 0)
        log_and_answer(events, n);
}

static void by_poll(void) {
    struct pollfd fds[MOST];
    nfds_t n = 0;
    for (int fd = 0; fd < MOST; fd++)
        if (fd == listener || connections[fd].there)
            fds[n++] = (struct pollfd){fd, (short)(POLLIN | (connections[fd].end ? POLLOUT : 0)), 0};
    require((is("ppoll") ? ppoll(fds, n, NULL, NULL) : poll(fds, n, -1)) > 0 || errno == EINTR);
    for (nfds_t i = 0; i < n; i++)
        if (fds[i].revents && fds[i].fd == listener)
            accept_all();
        else if (fds[i].revents)
            serve(fds[i].fd, fds[i].revents & (POLLIN | POLLHUP | POLLERR), fds[i].revents & POLLOUT);
}

static void by_select(void) {
    fd_set in, out;
    int highest = listener;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(listener, &in);
    for (int fd = 0; fd < FD_SETSIZE; fd++)
        if (connections[fd].there) {
            FD_SET(fd, &in);
            if (connections[fd].end)
                FD_SET(fd, &out);
            highest = fd > highest ? fd : highest;
        }
    int n =
        is("pselect") ? pselect(highest + 1, &in, &out, NULL, NULL, NULL) : select(highest + 1, &in, &out, NULL, NULL);
    require(n > 0 || errno == EINTR);
    for (int fd = 0; fd <= highest; fd++)
        if (fd != listener)
            serve(fd, FD_ISSET(fd, &in), FD_ISSET(fd, &out));
    if (FD_ISSET(listener, &in))
        accept_all();
}

static void *loop(void *number) {
    own_number = (int)(intptr_t)number;
    epoll_fd = epoll_of[own_number];
    while (!ended)
        by_epoll();
    return NULL;
}

static void *make_noise(void *unused) {
    char some[64] = "", back[64];
    int ends[2], file = fileno(tmpfile());
    require(pipe(ends) == 0 && file >= 0);
    for (off_t at = 0; !ended; at += (off_t)sizeof some) {
        memset(some, (int)at / 64, sizeof some);
        require(write(file, some, sizeof some) == sizeof some && write(ends[1], some, sizeof some) == sizeof some);
        require(pread(file, back, sizeof back, at) == sizeof back && memcmp(some, back, sizeof back) == 0);
        require(read(ends[0], back, sizeof back) == sizeof back && memcmp(some, back, sizeof back) == 0);
        if (at % 4096 == 0)
            usleep(1000);
    }
    return unused;
}

static void start_threads(pthread_t *threads) {
    for (int i = 0; i < THREADS; i++) {
        require((epoll_of[i] = is("shared") && i ? epoll_of[0] : epoll_create1(EPOLL_CLOEXEC)) >= 0);
        require(pthread_create(&threads[i], NULL, loop, (void *)(intptr_t)i) == 0);
    }
    if (is("noisy"))
        require(pthread_create(&threads[THREADS], NULL, make_noise, NULL) == 0);
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS + 1];
    if (argc != 3)
        return 99;
    signal(SIGPIPE, SIG_IGN);
    kind = argv[1];
    listener = listen_at(argv[2]);
    if (is("log"))
        require((log_fd = open("log", O_CREAT | O_TRUNC | O_APPEND | O_WRONLY, 0600)) >= 0);
    if (is("sync"))
        require(dup2(fileno(tmpfile()), listener + 1000) >= 0);
    bool epolls = is("epoll") || is("edge") || is("oneshot");
    if (epolls) {
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        require(epoll_fd >= 0);
        watch(listener, false, EPOLL_CTL_ADD);
    }
    int own = epoll_fd;
    if (is("threads"))
        start_threads(threads);
    while (!came || open_ones || access("over", F_OK) != 0) {
        epoll_fd = own;
        if (epolls)
            by_epoll();
        else if (is("select") || is("pselect"))
            by_select();
        else
            by_poll();
    }
    ended = true;
    for (int i = 0; is("threads") && i < THREADS + is("noisy"); i++)
        require(pthread_join(threads[i], NULL) == 0);
    while (wait(NULL) > 0)
        ;
    return 0;
}
