// Channels through which something is sent: the observer blocks in receiving.
#pragma once

#include "observer_records.h"
#include "passing.h"

#include <arpa/inet.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>

static int ends[2]; // the observer's, the sender's
static int source_fd, spare[2];
static FILE *stream;
static mqd_t queue;
static int sysv_id;
static volatile int told; // the sender's thread, to its other thread

static void hear_byte(void) {
    char byte;
    if (read(ends[0], &byte, 1) != 1)
        give_up("nothing to read");
}

static void make_pipe(void) {
    MUST(pipe(ends));
}
static void make_stream_pair(void) {
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}
static void make_datagram_pair(void) {
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
}
static void tell_write(void) {
    MUST(write(ends[1], "x", 1));
}
static void tell_send(void) {
    MUST(send(ends[1], "x", 1, 0));
}

static void tell_writev(void) {
    struct iovec piece = {"x", 1};
    MUST(writev(ends[1], &piece, 1));
}

static void tell_dprintf(void) {
    MUST(dprintf(ends[1], "%c", (int)(now % 10) + '0'));
}
static void tell_syscall(void) {
    MUST(syscall(SYS_write, ends[1], "x", 1));
}

static void make_udp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    ends[0] = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(bind(ends[0], (struct sockaddr *)&address, length));
    MUST(getsockname(ends[0], (struct sockaddr *)&address, &length));
    ends[1] = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(connect(ends[1], (struct sockaddr *)&address, length));
}

static void make_tcp(void) {
    open_tcp(ends);
}

static void tell_sendmsg(void) {
    struct iovec piece = {"x", 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    MUST(sendmsg(ends[1], &message, 0));
}

static void tell_sendmmsg(void) {
    struct iovec piece = {"x", 1};
    struct mmsghdr messages[1] = {{.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}}};
    MUST(sendmmsg(ends[1], messages, 1, 0));
}

static void tell_sendto(void) {
    MUST(sendto(ends[1], "x", 1, 0, NULL, 0));
}

// The log's own descriptor is passed, and looked at through.
static void tell_descriptor(void) {
    MUST(send_descriptor(ends[1], log_fd));
}

static void hear_descriptor(void) {
    int fd = receive_descriptor(ends[0]);
    if (!log_holds(fd, now))
        give_up("the passed descriptor shows no record");
    close(fd);
}

static void make_listener(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "observer.%d", getpid());
    ends[0] = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(ends[0], (struct sockaddr *)&address, sizeof address));
    MUST(listen(ends[0], 8));
}

static void begin_connect(void) {
    if (now)
        close(ends[1]);
    ends[1] = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
}

static void tell_connect(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "observer.%d", sender);
    MUST(connect(ends[1], (struct sockaddr *)&address, sizeof address));
}

static void hear_connect(void) {
    close(MUST(accept(ends[0], NULL, NULL)));
}

static void hear_end(void) {
    char byte;
    int fd = MUST(accept(ends[0], NULL, NULL));
    if (read(fd, &byte, 1) != 0)
        give_up("no end of file");
    close(fd);
}

static void begin_connected(void) {
    begin_connect();
    tell_connect();
}

static void tell_shutdown(void) {
    MUST(shutdown(ends[1], SHUT_WR));
}

static void tell_close(void) {
    close(ends[1]);
    ends[1] = -1;
}

// The pipe has a name, so that the observer holds no writing end of its own.
static void make_fifo(void) {
    MUST(mkfifo(path_of("fifo"), 0600));
}

static void begin_fifo(void) {
    ends[1] = MUST(open(path_of("fifo"), O_WRONLY));
}

static void hear_fifo_end(void) {
    char byte;
    int fd = MUST(open(path_of("fifo"), O_RDONLY));
    if (read(fd, &byte, 1) != 0)
        give_up("no end of file");
    close(fd);
}

// The observer is blocked in writing; what tells it is the sender's read.
static void make_full_pipe(void) {
    static const char page[4096];
    make_pipe();
    MUST(fcntl(ends[1], F_SETPIPE_SZ, sizeof page));
    MUST(write(ends[1], page, sizeof page));
}

static void tell_read(void) {
    char page[4096];
    if (read(ends[0], page, sizeof page) != sizeof page)
        give_up("the pipe was not full");
}

static void hear_space(void) {
    static const char page[4096];
    MUST(write(ends[1], page, sizeof page));
}

// Those who send what is in a file or another pipe.
// Those who send what is in a file or another pipe.
static void make_source(void) {
    source_fd = MUST(open(path_of("source"), O_RDWR | O_CREAT, 0600));
    MUST(write(source_fd, "x", 1));
    make_pipe();
    MUST(pipe(spare));
}

static void make_tcp_source(void) {
    make_source();
    make_tcp();
}

static void tell_sendfile(void) {
    off_t at = 0;
    MUST(sendfile(ends[1], source_fd, &at, 1));
}

static void tell_splice(void) {
    off_t at = 0;
    MUST(splice(source_fd, &at, ends[1], NULL, 1, 0));
}

static void begin_tee(void) {
    char byte;
    if (now)
        MUST(read(spare[0], &byte, 1));
    MUST(write(spare[1], "x", 1));
}

static void tell_tee(void) {
    MUST(tee(spare[0], ends[1], 1, 0));
}

static void tell_vmsplice(void) {
    struct iovec piece = {"x", 1};
    MUST(vmsplice(ends[1], &piece, 1, 0));
}

static void make_pty(void) {
    ends[0] = MUST(posix_openpt(O_RDWR | O_NOCTTY));
    MUST(grantpt(ends[0]));
    MUST(unlockpt(ends[0]));
    ends[1] = MUST(open(ptsname(ends[0]), O_RDWR | O_NOCTTY));
    struct termios raw;
    MUST(tcgetattr(ends[1], &raw));
    cfmakeraw(&raw);
    MUST(tcsetattr(ends[1], TCSANOW, &raw));
}

static void make_stream(int buffering) {
    make_pipe();
    stream = fdopen(ends[1], "w");
    setvbuf(stream, NULL, buffering, BUFSIZ);
}

static void make_buffered(void) {
    make_stream(_IOFBF);
}
static void make_unbuffered(void) {
    make_stream(_IONBF);
}
static void make_by_line(void) {
    make_stream(_IOLBF);
}

static void make_stdout(void) {
    make_pipe();
    MUST(dup2(ends[1], 1));
}

static void tell_printf(void) {
    MUST(printf("%c", (int)(now % 10) + '0'));
    MUST(fflush(stdout));
}

static void tell_fprintf(void) {
    MUST(fprintf(stream, "%c", (int)(now % 10) + '0'));
    MUST(fflush(stream));
}

static void tell_putc(void) {
    MUST(putc_unlocked((int)(now % 10) + '0', stream));
}
static void tell_newline(void) {
    MUST(fputs("\n", stream));
}
static void tell_fwrite(void) {
    MUST((int)fwrite("x", 1, 1, stream) - 1);
}

static void make_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
}

static void hear_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    MUST(sigwaitinfo(&set, NULL));
}

static void tell_kill(void) {
    MUST(kill(observer, SIGUSR1));
}
static void tell_sigqueue(void) {
    MUST(sigqueue(observer, SIGUSR1, (union sigval){.sival_int = (int)now}));
}

static void make_eventfd(void) {
    ends[0] = ends[1] = MUST(eventfd(0, 0));
}
static void tell_eventfd(void) {
    MUST(eventfd_write(ends[1], 1));
}

static void hear_eventfd(void) {
    eventfd_t value;
    MUST(eventfd_read(ends[0], &value));
}

static void make_mqueue(void) {
    char name[64];
    struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 8};
    snprintf(name, sizeof name, "/observer.%d", getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    if (queue == (mqd_t)-1 && errno == ENOSYS)
        _exit(CANNOT);
    MUST(queue);
    MUST(mq_unlink(name));
}

static void tell_mqueue(void) {
    MUST(mq_send(queue, "x", 1, 0));
}

static void hear_mqueue(void) {
    char text[8];
    MUST(mq_receive(queue, text, sizeof text, NULL));
}

static void remove_msgq(void) {
    msgctl(sysv_id, IPC_RMID, NULL);
}
static void remove_sem(void) {
    semctl(sysv_id, 0, IPC_RMID);
}

static void make_msgq(void) {
    sysv_id = MUST(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
    atexit(remove_msgq);
}

static void tell_msgq(void) {
    struct msgbuf message = {.mtype = 1, .mtext = {'x'}};
    MUST(msgsnd(sysv_id, &message, 1, 0));
}

static void hear_msgq(void) {
    struct msgbuf message;
    MUST(msgrcv(sysv_id, &message, 1, 0, 0));
}

static void make_sem(void) {
    sysv_id = MUST(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
    atexit(remove_sem);
}

static void tell_sem(void) {
    struct sembuf up = {.sem_op = 1};
    MUST(semop(sysv_id, &up, 1));
}

static void hear_sem(void) {
    struct sembuf down = {.sem_op = -1};
    MUST(semop(sysv_id, &down, 1));
}

// Another thread of the sender does the telling, for which it waited in no way that a library could see.
static void *teller(void *unused) {
    for (int round = 0;; round++) {
        bare_wait(&told, round);
        tell_write();
    }
    return unused;
}

static void begin_thread(void) {
    pthread_t thread;
    if (!now && pthread_create(&thread, NULL, teller, NULL))
        give_up("pthread_create");
}

static void tell_thread(void) {
    __atomic_store_n(&told, (int)now + 1, __ATOMIC_RELEASE);
    bare_wake(&told);
}
