/*
 * echo_uring HOW ADDRESS: sends back what its clients send, as a server that was written for io_uring. ADDRESS is the
 * path of a unix socket, or a TCP port of the loopback interface (0: any). Prints where it listens, and goes on until
 * it is killed. Needs liburing; memory for requests of 4 KiB.
 *
 *   turns      waits by epoll, receives from all sockets that are readable by one submission, and sends by another
 *   threads    a thread for each connection, by recv(2) and send(2), without io_uring
 *   linked     the same, each with a ring: the answer, and linked to it the next receive, in one submission
 *   checked    the same, and linked to that a send of no bytes: does the other end still take what is sent to it? Who
 *              keeps an answer back, and has told the program that it is sent, must know that
 *   multishot  accepts and receives by requests that stay (io_uring_prep_recv_multishot(3)), into a ring of buffers
 */
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../victims/common.h"

enum { SIZE = 4096, MOST = 1024, BUFFERS = 1024, GROUP = 1, AT_ONCE = 64 };
enum { ACCEPTED = 1, RECEIVED, SENT }; /* beside a number in a request's tag */

static struct io_uring ring;
static int listener;

static int listen_at(const char *address) {
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool is_path = strchr(address, '/') != NULL;
    int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof inet;
    require(fd >= 0 && strlen(address) < sizeof local.sun_path);
    strcpy(local.sun_path, is_path ? address : "");
    inet.sin_port = htons((uint16_t)atoi(address));
    require((is_path ? bind(fd, (struct sockaddr *)&local, sizeof local)
                     : bind(fd, (struct sockaddr *)&inet, sizeof inet)) == 0);
    require(listen(fd, 1024) == 0);
    if (is_path)
        puts(address);
    else if (getsockname(fd, (struct sockaddr *)&inet, &size) == 0)
        printf("%d\n", ntohs(inet.sin_port));
    fflush(stdout);
    return fd;
}

static void set_options(int fd) {
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static struct io_uring_sqe *request(void) {
    struct io_uring_sqe *made = io_uring_get_sqe(&ring);
    if (!made) {
        io_uring_submit(&ring);
        require((made = io_uring_get_sqe(&ring)) != NULL);
    }
    return made;
}

/* After it was prepared, for that clears it. */
static void tag(struct io_uring_sqe *made, uint64_t kind, int number) {
    made->user_data = kind << 32 | (uint32_t)number;
}

static void accept_all(int epoll) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        require(fd < MOST);
        set_options(fd);
        require(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    }
}

static void by_turns(void) {
    static char bytes[MOST][SIZE];
    struct epoll_event events[AT_ONCE], of_listener = {.events = EPOLLIN, .data.fd = listener};
    struct io_uring_cqe *answer;
    int epoll = epoll_create1(0);
    require(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &of_listener) == 0);
    for (;;) {
        int n = epoll_wait(epoll, events, AT_ONCE, -1);
        unsigned reads = 0, sends = 0;
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(epoll);
                continue;
            }
            struct io_uring_sqe *made = request();
            io_uring_prep_recv(made, fd, bytes[fd], SIZE, MSG_DONTWAIT);
            tag(made, RECEIVED, fd);
            reads++;
        }
        if (reads)
            io_uring_submit_and_wait(&ring, reads);
        for (unsigned i = 0; i < reads; i++) {
            require(io_uring_wait_cqe(&ring, &answer) == 0);
            int fd = (int)(uint32_t)answer->user_data, got = answer->res;
            io_uring_cqe_seen(&ring, answer);
            if (got == -EAGAIN)
                continue;
            if (got <= 0) {
                close(fd);
                continue;
            }
            struct io_uring_sqe *made = request();
            io_uring_prep_send(made, fd, bytes[fd], (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL);
            tag(made, SENT, fd);
            sends++;
        }
        if (sends)
            io_uring_submit_and_wait(&ring, sends);
        for (; sends; sends--) {
            require(io_uring_wait_cqe(&ring, &answer) == 0);
            io_uring_cqe_seen(&ring, answer);
        }
    }
}

static struct io_uring_buf_ring *buffers;
static char *pool;

static void give_back(int buffer) {
    io_uring_buf_ring_add(buffers, pool + (size_t)buffer * SIZE, SIZE, (unsigned short)buffer,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(buffers, 1);
}

static void receive_from(int fd) {
    struct io_uring_sqe *made = request();
    io_uring_prep_recv_multishot(made, fd, NULL, 0, 0);
    made->flags |= IOSQE_BUFFER_SELECT;
    made->buf_group = GROUP;
    tag(made, RECEIVED, fd);
}

static void received(int fd, const struct io_uring_cqe *answer) {
    if (answer->res > 0) {
        int buffer = (int)(answer->flags >> IORING_CQE_BUFFER_SHIFT);
        struct io_uring_sqe *made = request();
        io_uring_prep_send(made, fd, pool + (size_t)buffer * SIZE, (size_t)answer->res, MSG_NOSIGNAL | MSG_WAITALL);
        tag(made, SENT, buffer);
    } else if (answer->res != -ENOBUFS) {
        close(fd);
        return;
    }
    if (!(answer->flags & IORING_CQE_F_MORE))
        receive_from(fd);
}

static void by_multishot(void) {
    struct io_uring_buf_reg group = {.ring_entries = BUFFERS, .bgid = GROUP};
    require((pool = malloc((size_t)BUFFERS * SIZE)) != NULL);
    require(posix_memalign((void **)&buffers, 4096, BUFFERS * sizeof(struct io_uring_buf)) == 0);
    group.ring_addr = (uintptr_t)buffers;
    require(io_uring_register_buf_ring(&ring, &group, 0) == 0);
    io_uring_buf_ring_init(buffers);
    for (int i = 0; i < BUFFERS; i++)
        give_back(i);
    struct io_uring_sqe *made = request();
    io_uring_prep_multishot_accept(made, listener, NULL, NULL, 0);
    tag(made, ACCEPTED, 0);
    for (;;) {
        struct io_uring_cqe *answer;
        unsigned head, n = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, answer) {
            int number = (int)(uint32_t)answer->user_data;
            n++;
            if (answer->user_data >> 32 == RECEIVED) {
                received(number, answer);
            } else if (answer->user_data >> 32 == SENT) {
                give_back(number);
            } else if (answer->res >= 0) {
                set_options(answer->res);
                receive_from(answer->res);
            }
        }
        io_uring_cq_advance(&ring, n);
    }
}

static void *serve_blocking(void *number) {
    static _Thread_local char bytes[SIZE];
    int fd = (int)(intptr_t)number;
    for (ssize_t n; (n = recv(fd, bytes, SIZE, 0)) > 0;)
        if (send(fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    close(fd);
    return NULL;
}

static bool checked;

static void *serve_linked(void *number) {
    static _Thread_local char bytes[2][SIZE];
    int fd = (int)(intptr_t)number, got = 0;
    struct io_uring_params alone = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    struct io_uring own;
    require(io_uring_queue_init_params(4, &own, &alone) == 0 && io_uring_register_files(&own, &fd, 1) == 0);
    io_uring_register_ring_fd(&own);
    for (unsigned turn = 0; got >= 0; turn++) {
        struct io_uring_cqe *answer;
        struct io_uring_sqe *made;
        if (got) {
            made = io_uring_get_sqe(&own);
            io_uring_prep_send(made, 0, bytes[turn % 2], (size_t)got, MSG_WAITALL | MSG_NOSIGNAL);
            made->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
        }
        made = io_uring_get_sqe(&own);
        io_uring_prep_recv(made, 0, bytes[(turn + 1) % 2], SIZE, 0);
        made->flags |= IOSQE_FIXED_FILE | (checked ? IOSQE_IO_LINK : 0);
        if (checked) {
            made = io_uring_get_sqe(&own);
            io_uring_prep_send(made, 0, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL);
            made->flags |= IOSQE_FIXED_FILE;
        }
        io_uring_submit_and_wait(&own, 1 + checked);
        require(io_uring_wait_cqe(&own, &answer) == 0);
        got = answer->res > 0 ? answer->res : -1;
        io_uring_cq_advance(&own, 1 + checked);
    }
    io_uring_queue_exit(&own);
    close(fd);
    return NULL;
}

static void by_threads(void *(*serve)(void *)) {
    for (int fd; (fd = accept4(listener, NULL, NULL, 0)) >= 0 || errno == EAGAIN;) {
        pthread_t thread;
        if (fd < 0) {
            require(poll(&(struct pollfd){listener, POLLIN, 0}, 1, -1) == 1);
            continue;
        }
        set_options(fd);
        require(pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0 && pthread_detach(thread) == 0);
    }
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 99;
    bool turns = strcmp(argv[1], "turns") == 0;
    struct io_uring_params alone = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE, .cq_entries = 4096};
    struct io_uring_params plain = {.flags = IORING_SETUP_COOP_TASKRUN};
    listener = listen_at(argv[2]);
    if (strcmp(argv[1], "threads") == 0)
        by_threads(serve_blocking);
    checked = strcmp(argv[1], "checked") == 0;
    if (checked || strcmp(argv[1], "linked") == 0)
        by_threads(serve_linked);
    require(io_uring_queue_init_params(256, &ring, turns ? &plain : &alone) == 0);
    io_uring_register_ring_fd(&ring);
    (turns ? by_turns : by_multishot)();
}
