/*
 * turn_errors WAY: a server with one connection at a time, which it waits for by poll.
 *
 *   reset      TCP: the client resets the connection when it may have the server's answer: that is told once, by
 *              whichever call comes next, if it is one that tells such a thing. The calls are in a table.
 *   feedN      the same with one of the last three calls of the table
 *   odd        TCP and AF_UNIX: buffers that the kernel refuses, and messages with more than bytes. Prints what comes
 *              of it
 *   modes      TCP and AF_UNIX: when all has been read a socket is made to wait, or not to, by FIONBIO and its like
 *   refused    AF_UNIX: what was kept is refused, when some of what came before it was performed
 *   behind     AF_UNIX: a message with a descriptor lies amid what is read by two reads. Prints what each gets
 *   blocked    AF_UNIX: the server writes to a file, answers, and faults with all signals blocked, by sigprocmask
 *   blocked_…  with `handler` in a handler, and with `file` it writes to the file last
 *   pipe       AF_UNIX, two connections: the client closes the first one when the server has been told of both. It is
 *              killed by writing to that one, or it isn't and the second one has its answer, but not both
 *   urgent     AF_UNIX: what was urgent becomes an ordinary byte while the server has read what came after it
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "bare.h"
#include "turn_pair.h"

static volatile sig_atomic_t pipes;

static void count_pipe(int number) {
    (void)number;
    pipes++;
}

static void idle(long us) {
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - began.tv_sec) * 1000000 + (now.tv_nsec - began.tv_nsec) / 1000 < us);
}

/* One way to call, by a message of one part. */
static struct iovec part;
static struct msghdr *message(size_t n) {
    static struct msghdr made;
    part = (struct iovec){bytes, n};
    made = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    return &made;
}
static struct mmsghdr *messages(void) {
    static struct mmsghdr made;
    made = (struct mmsghdr){.msg_hdr = *message(10)};
    return &made;
}

static void *volatile nowhere = (void *)16;

static struct msghdr *with_address(void) {
    struct msghdr *made = message(10);
    made->msg_name = &at;
    made->msg_namelen = at_size;
    return made;
}

static struct msghdr *with_control(void) {
    static union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SO_MARK}};
    struct msghdr *made = message(10);
    made->msg_control = &control;
    made->msg_controllen = sizeof control;
    return made;
}

static struct msghdr *unreadable(void) {
    struct msghdr *made = message(10);
    made->msg_iov = nowhere;
    return made;
}

static long error_of(int fd, bool by_number) {
    int error = 0;
    socklen_t size = sizeof error;
    require((by_number ? syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, &error, &size)
                       : getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size)) == 0);
    errno = error;
    return error ? -1 : 0;
}

static long error_of_one_byte(int fd) {
    unsigned char error = 0;
    socklen_t size = 1;
    require(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && size == 1);
    errno = error;
    return error ? -1 : 0;
}

static long through_pipe(int fd, bool out) {
    int ends[2];
    require(pipe(ends) == 0 && write(ends[1], "abc", 3) == 3);
    long result = out ? splice(ends[0], NULL, fd, NULL, 3, 0) : splice(fd, NULL, ends[1], NULL, 100, 0);
    int saved = errno;
    close(ends[0]);
    close(ends[1]);
    errno = saved;
    return result;
}

static long from_file(int fd) {
    off_t from = 0;
    int file = open("/proc/self/exe", O_RDONLY);
    long result = sendfile(fd, file, &from, 100);
    int saved = errno;
    close(file);
    errno = saved;
    return result;
}

static long by_stream(int fd) {
    FILE *stream = fdopen(dup(fd), "r");
    require(stream);
    long got = (long)fread(bytes, 1, 100, stream);
    int saved = errno;
    got = ferror(stream) ? -1 : got;
    fclose(stream);
    errno = saved;
    return got;
}

/* By a number of which nothing is known. */
static long by_received(int fd) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec one = {bytes, 1};
    struct msghdr carrier = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int ends[2], received;
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    require(sendmsg(ends[0], &carrier, 0) == 1 && recvmsg(ends[1], &carrier, 0) == 1);
    memcpy(&received, CMSG_DATA(&control.header), sizeof received);
    long got = read(received, bytes, 10);
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    close(received);
    errno = error;
    return got;
}

static long by_another(int other) {
    require(other >= 0);
    long got = read(other, bytes, 100);
    int saved = errno;
    close(other);
    errno = saved;
    return got;
}

extern ssize_t __read_chk(int fd, void *into, size_t n, size_t room);

#define CALLS(CALL)                                                                                                    \
    CALL("read", true, read(fd, bytes, 100))                                                                           \
    CALL("read of 1000", true, read(fd, bytes, 1000))                                                                  \
    CALL("read of none", false, read(fd, bytes, 0))                                                                    \
    CALL("__read_chk", true, __read_chk(fd, bytes, 100, sizeof bytes))                                                 \
    CALL("readv", true, readv(fd, message(100)->msg_iov, 1))                                                           \
    CALL("readv of none", false, readv(fd, message(0)->msg_iov, 1))                                                    \
    CALL("preadv2", true, preadv2(fd, message(10)->msg_iov, 1, -1, 0))                                                 \
    CALL("recv", true, recv(fd, bytes, 100, 0))                                                                        \
    CALL("recv of 3000", true, recv(fd, bytes, 3000, 0))                                                               \
    CALL("recv of none", true, recv(fd, bytes, 0, 0))                                                                  \
    CALL("recv of urgent data", false, recv(fd, bytes, 100, MSG_OOB))                                                  \
    CALL("recv of errors", false, recv(fd, bytes, 100, MSG_ERRQUEUE))                                                  \
    CALL("recvmsg", true, recvmsg(fd, message(100), 0))                                                                \
    CALL("recvmsg of errors", false, recvmsg(fd, message(100), MSG_ERRQUEUE))                                          \
    CALL("recvmmsg", true, recvmmsg(fd, messages(), 1, 0, NULL))                                                       \
    CALL("fread", true, by_stream(fd))                                                                                 \
    CALL("SYS_read", true, syscall(SYS_read, fd, bytes, 100))                                                          \
    CALL("SYS_readv", true, syscall(SYS_readv, fd, message(100)->msg_iov, 1))                                          \
    CALL("SYS_recvfrom", true, syscall(SYS_recvfrom, fd, bytes, 100, 0, NULL, NULL))                                   \
    CALL("SYS_recvfrom, MSG_PEEK", true, syscall(SYS_recvfrom, fd, bytes, 100, MSG_PEEK, NULL, NULL))                  \
    CALL("SYS_recvmsg", true, syscall(SYS_recvmsg, fd, message(100), 0))                                               \
    CALL("SYS_recvmmsg", true, syscall(SYS_recvmmsg, fd, messages(), 1, 0, NULL))                                      \
    CALL("write", true, write(fd, bytes, 10))                                                                          \
    CALL("writev", true, writev(fd, message(10)->msg_iov, 1))                                                          \
    CALL("pwritev2", true, pwritev2(fd, message(10)->msg_iov, 1, -1, 0))                                               \
    CALL("send", true, send(fd, bytes, 10, 0))                                                                         \
    CALL("send of 3000", true, send(fd, bytes, 3000, MSG_MORE))                                                        \
    CALL("sendto with an address", true, sendto(fd, bytes, 10, 0, (struct sockaddr *)&at, at_size))                    \
    CALL("sendmsg", true, sendmsg(fd, message(10), 0))                                                                 \
    CALL("sendmsg with an address", true, sendmsg(fd, with_address(), 0))                                              \
    CALL("sendmsg with control data", true, sendmsg(fd, with_control(), 0))                                            \
    CALL("sendmsg of what can't be read", false, sendmsg(fd, unreadable(), 0))                                         \
    CALL("recvmsg into what can't be read", false, recvmsg(fd, unreadable(), 0))                                       \
    CALL("writev of none", false, writev(fd, message(0)->msg_iov, 1))                                                  \
    CALL("writev of no parts", false, writev(fd, message(10)->msg_iov, 0))                                             \
    CALL("writev of what can't be read", false, writev(fd, nowhere, 1))                                                \
    CALL("pwrite", false, pwrite(fd, bytes, 10, 0))                                                                    \
    CALL("SYS_pwritev2", true, syscall(SYS_pwritev2, fd, message(10)->msg_iov, 1L, -1L, 0L, 0L))                       \
    CALL("sendmmsg", true, sendmmsg(fd, messages(), 1, 0))                                                             \
    CALL("dprintf", true, dprintf(fd, "hello"))                                                                        \
    CALL("read by a number that was received", true, by_received(fd))                                                  \
    CALL("SYS_write", true, syscall(SYS_write, fd, bytes, 10))                                                         \
    CALL("SYS_sendto", true, syscall(SYS_sendto, fd, bytes, 10, 0, &at, at_size))                                      \
    CALL("SYS_sendmsg", true, syscall(SYS_sendmsg, fd, message(10), 0))                                                \
    CALL("SYS_sendmmsg", true, syscall(SYS_sendmmsg, fd, messages(), 1, 0))                                            \
    CALL("SO_ERROR", true, error_of(fd, false))                                                                        \
    CALL("SO_ERROR of one byte", true, error_of_one_byte(fd))                                                          \
    CALL("SYS_getsockopt", true, error_of(fd, true))                                                                   \
    CALL("dup", true, by_another(dup(fd)))                                                                             \
    CALL("SYS_dup", true, by_another((int)syscall(SYS_dup, fd)))                                                       \
    CALL("SYS_dup3", true, by_another((int)syscall(SYS_dup3, fd, 500, 0)))                                             \
    CALL("splice from it", true, through_pipe(fd, false))                                                              \
    CALL("sendfile", true, from_file(fd))                                                                              \
    CALL("splice to it", true, through_pipe(fd, true))

#define NAME(name, tells, call) {name, tells},
static const struct {
    const char *name;
    bool tells;
} kinds[] = {CALLS(NAME)};

#define ONE(name, tells, call)                                                                                         \
    if (kind == next++)                                                                                                \
        return call;
static long call(size_t kind, int fd) {
    size_t next = 0;
    CALLS(ONE)
    return 0;
}

static void be_reset(int times) {
    struct linger none = {1, 0};
    int fd = connected();
    ask_often(fd, times);
    require(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0 && write(fd, "hello", 5) == 5);
    idle(250);
    close(fd);
}

static void one_reset(int listener, size_t kind, int times) {
    int fd = accepted(listener);
    answer_often(fd, times);
    wait_for(fd, POLLIN);
    ssize_t got = read(fd, bytes, 100), sent = got == 5 ? write(fd, "x", 1) : -1;
    idle(500);
    wait_for(fd, 0); /* for the end, that is */
    bool in_time = got == 5 && sent == 1;
    pipes = 0;
    errno = 0;
    long result = call(kind, fd);
    bool told = result < 0 && errno == ECONNRESET;
    if (in_time && (told != kinds[kind].tells || (told && pipes)))
        die("%s: %ld, %d SIGPIPE", kinds[kind].name, result, (int)pipes);
    errno = 0;
    result = read(fd, bytes, 100);
    if (in_time && (told ? result != 0 : result != -1 || errno != ECONNRESET))
        die("%s: and then %ld", kinds[kind].name, result);
    close(fd);
}

/* After these three nothing is looked at any more. */
enum { FEEDS = 3, RESET_ALL = COUNT_OF(kinds) - FEEDS };

static void reset(size_t first, size_t count) {
    enum { ROUNDS = 4, WARM = 60 };
    int listener = listen_somewhere(true);
    pid_t pid = fork();
    require(pid >= 0);
    for (size_t i = 0; pid == 0 && i < ROUNDS * count; i++)
        be_reset(i ? 3 : WARM);
    if (pid == 0)
        _exit(0);
    signal(SIGPIPE, count_pipe);
    for (size_t i = 0; i < ROUNDS * count; i++)
        one_reset(listener, first + i % count, i ? 3 : WARM);
    require(waitpid(pid, NULL, 0) == pid);
}

static int flags_of(int fd) {
    struct msghdr *made = message(100);
    long got = recvmsg(fd, made, 0);
    require(got > 0);
    return made->msg_flags;
}

static long into_read_only(int fd) {
    struct msghdr *there = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(there != MAP_FAILED);
    *there = *message(100);
    require(mprotect(there, 4096, PROT_READ) == 0);
    return recvmsg(fd, there, 0);
}

static void send_descriptor(int fd) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr *made = message(5);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    made->msg_control = &control;
    made->msg_controllen = sizeof control;
    require(sendmsg(fd, made, 0) == 5);
}

/* Where there is no more they stay as they were. */
static int flags_of_none(int fd) {
    struct msghdr *made = message(100);
    require(read(fd, bytes, 100) == 5);
    made->msg_flags = 0x55;
    require(recvmsg(fd, made, 0) == -1);
    return made->msg_flags;
}

enum { ODD = 9 };
static char *const of_kernel = (char *)0xffff800000000000;

static void one_odd(int kind, int fd) {
    struct iovec parts[2] = {{bytes, 3}, {of_kernel, kind == 3 ? 10 : 0}};
    static volatile size_t sizes[] = {SIZE_MAX, (size_t)1 << 62, (size_t)1 << 47};
    switch (kind) {
    case 0:
    case 1:
    case 2:
        printf("%zd", read(fd, bytes, sizes[kind]));
        break;
    case 3:
    case 4:
        printf("%zd", readv(fd, parts, 2));
        break;
    case 5:
        printf("%zd", writev(fd, parts, 2));
        break;
    case 6:
        printf("%ld", into_read_only(fd));
        break;
    case 7:
        printf("%x", (unsigned)flags_of_none(fd));
        break;
    default:
        printf("%x", (unsigned)flags_of(fd));
    }
    printf(" %d; ", errno);
}

/* From now on what comes has a time: the kernel begins with that some time after it was asked for
 * (net_enable_timestamp). */
static int stamps_come(void) {
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof self;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), yes = 1;
    require(fd >= 0 && bind(fd, (struct sockaddr *)&self, size) == 0);
    require(getsockname(fd, (struct sockaddr *)&self, &size) == 0 && connect(fd, (struct sockaddr *)&self, size) == 0);
    require(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &yes, sizeof yes) == 0);
    for (int flags = 0; !(flags & MSG_CTRUNC); usleep(1000)) {
        require(send(fd, "hello", 5, 0) == 5);
        flags = flags_of(fd);
    }
    return fd;
}

static void odd(bool tcp, int option) {
    int listener = listen_somewhere(tcp), yes = 1, stamped = option == SO_TIMESTAMP ? stamps_come() : -1;
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        int fd = connected();
        ask_often(fd, 60);
        for (int i = 0; i < ODD; i++) {
            if (!tcp && i == ODD - 1)
                send_descriptor(fd);
            else
                require(write(fd, "hello", 5) == 5);
            require(recv(fd, bytes, 1, MSG_WAITALL) == 1);
        }
        require(read(fd, bytes, 1) == 0);
        _exit(0);
    }
    int fd = accepted(listener);
    answer_often(fd, 30);
    require(!option ||
            setsockopt(fd, tcp && option == TCP_INQ ? IPPROTO_TCP : SOL_SOCKET, option, &yes, sizeof yes) == 0);
    answer_often(fd, 30);
    for (int i = 0; i < ODD; i++) {
        wait_for(fd, POLLIN);
        errno = 0;
        one_odd(i, fd);
        errno = 0;
        printf("%zd %d, ", recv(fd, bytes, 100, MSG_DONTWAIT), errno);
        require(write(fd, "x", 1) == 1);
    }
    puts("");
    close(fd);
    require(stamped < 0 || close(stamped) == 0);
    require(waitpid(pid, NULL, 0) == pid);
}

/* Odd rounds don't wait in between. */
static void broken_pipe(void) {
    for (int round = 0; round < 60; round++) {
        int listener = listen_somewhere(false), fd[2], status;
        pid_t pid = fork();
        require(pid >= 0);
        if (pid > 0) {
            fd[0] = connected();
            fd[1] = connected();
            for (int i = 0; i < 60; i++) {
                require(write(fd[0], "hello", 5) == 5 && write(fd[1], "hello", 5) == 5);
                require(read(fd[0], bytes, 1) == 1 && read(fd[1], bytes, 1) == 1);
            }
            require(write(fd[0], "hello", 5) == 5 && write(fd[1], "hello", 5) == 5);
            idle(round * 10);
            close(fd[0]);
            bool answered = read(fd[1], bytes, 1) == 1;
            require(waitpid(pid, &status, 0) == pid && close(fd[1]) == 0 && close(listener) == 0);
            require(answered != (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE));
            continue;
        }
        struct pollfd both[2];
        for (int i = 0; i < 2; i++)
            both[i] = (struct pollfd){fd[i] = accepted(listener), POLLIN, 0};
        for (int i = 0; i < 61; i++) {
            while (poll(both, 2, -1) < 2)
                ;
            require(read(fd[0], bytes, 100) == 5 && read(fd[1], bytes, 100) == 5);
            if (i == 60)
                idle(300);
            (void)!write(fd[0], "x", 1);
            require(write(fd[1], "x", 1) == 1);
        }
        poll(NULL, 0, 1);
        _exit(0);
    }
}

static void urgent(void) {
    int fd, seen[256] = {0};
    pid_t pid = used_to_turns(&fd);
    if (pid == 0) {
        if (send(fd, "b", 1, MSG_OOB) != 1) /* the kernel has none on AF_UNIX */
            require(write(fd, "b", 1) == 1);
        require(write(fd, "c", 1) == 1);
        idle(1700);
        if (send(fd, "d", 1, MSG_OOB) != 1)
            require(write(fd, "d", 1) == 1);
        require(write(fd, "e", 1) == 1 && shutdown(fd, SHUT_WR) == 0);
        require(read(fd, bytes, 1) >= 0);
        _exit(0);
    }
    usleep(1000);
    for (ssize_t got = 1; got != 0;) {
        wait_for(fd, POLLIN);
        got = read(fd, bytes, 100);
        for (ssize_t i = 0; i < got; i++)
            require(++seen[(unsigned char)bytes[i]] == 1);
        idle(1200);
    }
    require(close(fd) == 0 && waitpid(pid, NULL, 0) == pid);
}

/* The first read has gone past what there is before a message with a descriptor, the second one goes on behind it. */
static void behind(void) {
    int fd;
    pid_t pid = used_to_turns(&fd);
    if (pid == 0) {
        require(write(fd, "AAAAA", 5) == 5);
        send_descriptor(fd);
        require(write(fd, "CCCCC", 5) == 5 && read(fd, bytes, 1) == 0);
        _exit(0);
    }
    usleep(3000);
    wait_for(fd, POLLIN);
    ssize_t first = read(fd, bytes, 7), second = read(fd, bytes, 100), third = read(fd, bytes, 100);
    printf("%zd %zd %zd\n", first, second, third);
    close(fd);
    require(waitpid(pid, NULL, 0) == pid);
}

static void set_waiting(int fd, int way, bool waits) {
    int on = !waits, flags = waits ? 0 : O_NONBLOCK;
    require((way == 0   ? ioctl(fd, FIONBIO, &on)
             : way == 1 ? (int)syscall(SYS_ioctl, fd, FIONBIO, &on)
             : way == 2 ? fcntl(fd, F_SETFL, flags)
                        : (int)syscall(SYS_fcntl, fd, F_SETFL, flags)) == 0);
}

static void modes(bool tcp) {
    enum { ROUNDS = 40, WAYS = 4 };
    int listener = listen_somewhere(tcp), fd;
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        fd = connected();
        ask_often(fd, 60);
        for (int i = 0; i < ROUNDS; i++) {
            ask_often(fd, 1);
            usleep(2000);
            require(write(fd, "more", 4) == 4 && read(fd, bytes, 1) == 1);
        }
        _exit(0);
    }
    fd = accepted(listener);
    answer_often(fd, 60);
    for (int i = 0; i < ROUNDS; i++) {
        wait_for(fd, POLLIN);
        require(read(fd, bytes, 100) == 5 && write(fd, "x", 1) == 1);
        if (i % 2)
            require(read(fd, bytes, 100) == -1 && errno == EAGAIN);
        set_waiting(fd, i % WAYS, true);
        ssize_t got = read(fd, bytes, 100);
        set_waiting(fd, i / WAYS % WAYS, false);
        ssize_t none = read(fd, bytes, 100);
        printf("%zd, %zd %d; ", got, none, errno);
        require(write(fd, "x", 1) == 1);
    }
    puts("");
    close(fd);
    require(waitpid(pid, NULL, 0) == pid);
}

static atomic_bool ready;

static void fault_now(int number) {
    (void)number;
    if (ready)
        *(volatile int *)nowhere = 0;
}

static void write_records(int file) {
    for (int i = 0; i < 100; i++)
        require(write(file, "a record.\n", 10) == 10);
}

/* A fault that is blocked kills on the spot: what was written before that is there. */
static void blocked(bool in_handler, bool file_last) {
    int listener = listen_somewhere(false), status;
    pid_t pid = fork();
    require(pid >= 0);
    if (pid > 0) {
        int fd = connected();
        struct stat st;
        ask_often(fd, 60);
        require(write(fd, "hello", 5) == 5);
        require(read(fd, bytes, 100) == 6 && memcmp(bytes, "answer", 6) == 0);
        require(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        require(stat("records", &st) == 0 && st.st_size == 1000 && unlink("records") == 0);
        return;
    }
    int fd = accepted(listener), file = open("records", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    struct sigaction action = {.sa_handler = fault_now};
    struct itimerval often = {{0, 300}, {0, 300}};
    sigset_t all;
    sigfillset(&all);
    action.sa_mask = all;
    action.sa_flags = SA_RESTART;
    answer_often(fd, 60);
    require(file >= 0 && sigaction(SIGALRM, &action, NULL) == 0);
    wait_for(fd, POLLIN);
    require(!in_handler || setitimer(ITIMER_REAL, &often, NULL) == 0);
    wait_for(fd, POLLIN);
    require(read(fd, bytes, 100) == 5);
    if (!file_last)
        write_records(file);
    if (write(fd, "answer", 6) != 6)
        _exit(1);
    if (file_last)
        write_records(file);
    ready = true;
    if (!in_handler) {
        sigprocmask(SIG_BLOCK, &all, NULL);
        fault_now(0);
    }
    idle(HANG_SECONDS * 1000000L);
    _exit(1);
}

/*
 * What is kept is refused after all, as when the kernel is short of memory: by calls that no library sees. What was
 * performed before it isn't done once more.
 */
static void refused(void) {
    static char much[3000];
    int listener = listen_somewhere(false), fd[2];
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < 2; i++)
            ask_often(fd[i] = connected(), 60);
        require(write(fd[0], "0123456789", 10) == 10 && write(fd[1], "hello", 5) == 5);
        usleep(60000);
        while (recv(fd[1], bytes, sizeof bytes, 0) > 0)
            ;
        ssize_t got = recv(fd[0], bytes, sizeof bytes, MSG_WAITALL);
        require(got == 1);
        _exit(0);
    }
    for (int i = 0; i < 2; i++)
        answer_often(fd[i] = accepted(listener), 60);
    struct pollfd both[2] = {{fd[0], POLLIN, 0}, {fd[1], POLLIN, 0}};
    while (poll(both, 2, -1) < 2)
        ;
    require(read(fd[0], bytes, 5) == 5 && write(fd[0], "A", 1) == 1);
    while (bare_call(SYS_write, fd[1], much, sizeof much, 0) > 0)
        ;
    require(read(fd[1], bytes, 100) == 5);
    (void)!write(fd[1], "Y", 1);
    idle(20000);
    usleep(1);
    ssize_t got = read(fd[0], bytes, 100);
    require(got == 5 && memcmp(bytes, "56789", 5) == 0);
    int status;
    require(close(fd[0]) == 0 && close(fd[1]) == 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 99;
    if (strcmp(argv[1], "reset") == 0) {
        reset(0, RESET_ALL);
    } else if (strncmp(argv[1], "feed", 4) == 0) {
        reset(RESET_ALL + (size_t)atoi(argv[1] + 4) % FEEDS, 1);
    } else if (strcmp(argv[1], "odd") == 0) {
        odd(true, 0);
        odd(true, SO_TIMESTAMP);
        odd(false, 0);
        odd(false, SO_PASSCRED);
    } else if (strcmp(argv[1], "modes") == 0) {
        modes(true);
        modes(false);
    } else if (strcmp(argv[1], "refused") == 0) {
        refused();
    } else if (strcmp(argv[1], "behind") == 0) {
        behind();
    } else if (strncmp(argv[1], "blocked", 7) == 0) {
        blocked(strstr(argv[1], "handler") != NULL, strstr(argv[1], "file") != NULL);
    } else if (strcmp(argv[1], "pipe") == 0) {
        broken_pipe();
    } else if (strcmp(argv[1], "urgent") == 0) {
        for (int round = 0; round < 40; round++)
            urgent();
    } else {
        return 99;
    }
    return 0;
}
