// streams_turns WAY KIND ROUNDS SLOW_MS: a thread writes a request to a stream, and then waits, by WAY, until the
// answer is there: for another thread that is blocked in reading it and then wakes the first, or by reading it itself.
// Fails when more than a tenth of the rounds take so long: something waited for a clock. `streams_turns --list` names
// the ways.
//
// Exit status: 0 right, 1 too slow, 77 this stream can't be waited for so.

#include "streams_turns.h"

#include "streams.h"

#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>

// The reading thread reads, then wakes.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t ready, next;
static mtx_t c_lock;
static cnd_t c_changed;
static pthread_t asker;
static int inner[2];

static void wake_cond(void) {
    pthread_mutex_lock(&lock);
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}
static void wait_cond(void) {
    pthread_mutex_lock(&lock);
    while (answered == now)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}
static void wait_cond_timed(void) {
    pthread_mutex_lock(&lock);
    while (answered == now)
        pthread_cond_timedwait(&changed, &lock, FAR(CLOCK_REALTIME));
    pthread_mutex_unlock(&lock);
}
static void wait_cond_clock(void) {
    pthread_mutex_lock(&lock);
    while (answered == now)
        pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, FAR(CLOCK_MONOTONIC));
    pthread_mutex_unlock(&lock);
}
static void wake_cnd(void) {
    mtx_lock(&c_lock);
    cnd_signal(&c_changed);
    mtx_unlock(&c_lock);
}
static void wait_cnd(void) {
    mtx_lock(&c_lock);
    while (answered == now)
        cnd_wait(&c_changed, &c_lock);
    mtx_unlock(&c_lock);
}
static void wait_cnd_timed(void) {
    mtx_lock(&c_lock);
    while (answered == now)
        cnd_timedwait(&c_changed, &c_lock, FAR(CLOCK_REALTIME));
    mtx_unlock(&c_lock);
}
static void wake_sem(void) {
    sem_post(&ready);
}
static void wait_sem(void) {
    require(!sem_wait(&ready));
}
static void wait_sem_timed(void) {
    require(!sem_timedwait(&ready, FAR(CLOCK_REALTIME)));
}
static void wait_sem_clock(void) {
    require(!sem_clockwait(&ready, CLOCK_MONOTONIC, FAR(CLOCK_MONOTONIC)));
}
static void wake_barrier(void) {
    pthread_barrier_wait(&barrier);
}
static void wake_futex(void) {
    syscall(SYS_futex, &answered, FUTEX_WAKE_PRIVATE, 1);
}
static void wait_futex(void) {
    while (answered == now)
        syscall(SYS_futex, &answered, FUTEX_WAIT_PRIVATE, now, NULL);
}
static void wake_nobody(void) {}
static void wait_yield(void) {
    while (answered == now)
        sched_yield();
}
static void wait_sleep(void) {
    while (answered == now)
        usleep(100);
}
static void wake_signal(void) {
    pthread_kill(asker, SIGUSR1);
}
static void wait_signal(void) {
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    require(!sigwait(&set, &number));
}
static void wake_pipe(void) {
    require(write(inner[1], "x", 1) == 1);
}
static void wait_pipe(void) {
    char byte;
    require(read(inner[0], &byte, 1) == 1);
}

// The reading thread holds something while it reads, and the other one wants it.
static pthread_mutex_t inheriting;
static pthread_rwlock_t both = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static once_flag c_once = ONCE_FLAG_INIT;

static void take_mutex(void) {
    require(!pthread_mutex_lock(&lock));
}
static void take_mutex_timed(void) {
    require(!pthread_mutex_timedlock(&lock, FAR(CLOCK_REALTIME)));
}
static void take_mutex_clock(void) {
    require(!pthread_mutex_clocklock(&lock, CLOCK_MONOTONIC, FAR(CLOCK_MONOTONIC)));
}
static void let_mutex(void) {
    require(!pthread_mutex_unlock(&lock));
}
static void take_inheriting(void) {
    require(!pthread_mutex_lock(&inheriting));
}
static void let_inheriting(void) {
    require(!pthread_mutex_unlock(&inheriting));
}
static void take_writing(void) {
    require(!pthread_rwlock_wrlock(&both));
}
static void take_writing_timed(void) {
    require(!pthread_rwlock_timedwrlock(&both, FAR(CLOCK_REALTIME)));
}
static void take_writing_clock(void) {
    require(!pthread_rwlock_clockwrlock(&both, CLOCK_MONOTONIC, FAR(CLOCK_MONOTONIC)));
}
static void take_reading(void) {
    require(!pthread_rwlock_rdlock(&both));
}
static void take_reading_timed(void) {
    require(!pthread_rwlock_timedrdlock(&both, FAR(CLOCK_REALTIME)));
}
static void take_reading_clock(void) {
    require(!pthread_rwlock_clockrdlock(&both, CLOCK_MONOTONIC, FAR(CLOCK_MONOTONIC)));
}
static void let_both(void) {
    require(!pthread_rwlock_unlock(&both));
}
static void take_mtx(void) {
    require(mtx_lock(&c_lock) == thrd_success);
}
static void take_mtx_timed(void) {
    require(mtx_timedlock(&c_lock, FAR(CLOCK_REALTIME)) == thrd_success);
}
static void let_mtx(void) {
    require(mtx_unlock(&c_lock) == thrd_success);
}
static void take_file(void) {
    flockfile(stdin);
}
static void let_file(void) {
    funlockfile(stdin);
}
static void once_in(void) {
    take_answer();
}
static void wait_once(void) {
    pthread_once(&once, once_in);
}
static void reset_once(void) {
    once = (pthread_once_t)PTHREAD_ONCE_INIT;
}
static void wait_c_once(void) {
    call_once(&c_once, once_in);
}
static void reset_c_once(void) {
    c_once = (once_flag)ONCE_FLAG_INIT;
}

// The reading thread reads one answer, and ends.
static void *reader_once(void *unused) {
    take_answer();
    return unused;
}
static int c_reader_once(void *unused) {
    (void)unused;
    take_answer();
    return 0;
}
static pthread_t reader;
static thrd_t c_reader;

static void begin_reader(void) {
    require(!pthread_create(&reader, NULL, reader_once, NULL));
}
static void begin_c_reader(void) {
    require(thrd_create(&c_reader, c_reader_once, NULL) == thrd_success);
}
static void wait_join(void) {
    require(!pthread_join(reader, NULL));
}
static void wait_join_timed(void) {
    require(!pthread_timedjoin_np(reader, NULL, FAR(CLOCK_REALTIME)));
}
static void wait_join_clock(void) {
    require(!pthread_clockjoin_np(reader, NULL, CLOCK_MONOTONIC, FAR(CLOCK_MONOTONIC)));
}
static void wait_thrd_join(void) {
    require(thrd_join(c_reader, NULL) == thrd_success);
}

// No other thread: who asks reads the answer.
static void read_alone(void) {
    take_answer();
}
static void readv_alone(void) {
    char message[MESSAGE];
    struct iovec piece = {message, 1};
    require(readv(answers[0], &piece, 1) == 1);
    read_whole(answers[0], message + 1, sizeof message - 1);
    answered = number_of(message) + 1;
}
static void recv_alone(void) {
    char message[MESSAGE];
    require(recv(answers[0], message, sizeof message, MSG_WAITALL) == MESSAGE);
    answered = number_of(message) + 1;
}
static void fread_alone(void) {
    static FILE *stream;
    char message[MESSAGE];
    require(stream || (stream = fdopen(answers[0], "r")));
    require(fread(message, MESSAGE, 1, stream) == 1);
    answered = number_of(message) + 1;
}
static void poll_alone(void) {
    struct pollfd readable = {.fd = answers[0], .events = POLLIN};
    require(poll(&readable, 1, -1) == 1);
    take_answer();
}
static void select_alone(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(answers[0], &set);
    require(select(answers[0] + 1, &set, NULL, NULL, NULL) == 1);
    take_answer();
}
static void epoll_alone(void) {
    static int epoll;
    struct epoll_event event = {.events = EPOLLIN};
    if (!epoll)
        require((epoll = epoll_create1(0)) >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, answers[0], &event));
    require(epoll_wait(epoll, &event, 1, -1) == 1);
    take_answer();
}
static void fionread_alone(void) {
    while (!stream_fill(answers[0]))
        ;
    take_answer();
}
static void splice_alone(void) {
    char message[MESSAGE];
    require(splice(answers[0], NULL, inner[1], NULL, 1, 0) == 1 && read(inner[0], message, 1) == 1);
    read_whole(answers[0], message + 1, sizeof message - 1);
    answered = number_of(message) + 1;
}

static const struct way {
    const char *name;
    enum { WAKES, HOLDS, ONCE, JOINED, ALONE } role;
    void (*wait)(void);  // of the thread that asks
    void (*other)(void); // wakes; takes; resets; begins
    void (*release)(void);
} ways[] = {
    {"cond_wait", WAKES, wait_cond, wake_cond, NULL},
    {"cond_timedwait", WAKES, wait_cond_timed, wake_cond, NULL},
    {"cond_clockwait", WAKES, wait_cond_clock, wake_cond, NULL},
    {"cnd_wait", WAKES, wait_cnd, wake_cnd, NULL},
    {"cnd_timedwait", WAKES, wait_cnd_timed, wake_cnd, NULL},
    {"sem_wait", WAKES, wait_sem, wake_sem, NULL},
    {"sem_timedwait", WAKES, wait_sem_timed, wake_sem, NULL},
    {"sem_clockwait", WAKES, wait_sem_clock, wake_sem, NULL},
    {"barrier_wait", WAKES, wake_barrier, wake_barrier, NULL},
    {"futex", WAKES, wait_futex, wake_futex, NULL},
    {"sched_yield", WAKES, wait_yield, wake_nobody, NULL},
    {"usleep", WAKES, wait_sleep, wake_nobody, NULL},
    {"sigwait", WAKES, wait_signal, wake_signal, NULL},
    {"inner_pipe", WAKES, wait_pipe, wake_pipe, NULL},
    {"mutex_lock", HOLDS, take_mutex, take_mutex, let_mutex},
    {"mutex_timedlock", HOLDS, take_mutex_timed, take_mutex, let_mutex},
    {"mutex_clocklock", HOLDS, take_mutex_clock, take_mutex, let_mutex},
    {"mutex_inheriting", HOLDS, take_inheriting, take_inheriting, let_inheriting},
    {"rwlock_wrlock", HOLDS, take_writing, take_writing, let_both},
    {"rwlock_timedwrlock", HOLDS, take_writing_timed, take_writing, let_both},
    {"rwlock_clockwrlock", HOLDS, take_writing_clock, take_writing, let_both},
    {"rwlock_rdlock", HOLDS, take_reading, take_writing, let_both},
    {"rwlock_timedrdlock", HOLDS, take_reading_timed, take_writing, let_both},
    {"rwlock_clockrdlock", HOLDS, take_reading_clock, take_writing, let_both},
    {"mtx_lock", HOLDS, take_mtx, take_mtx, let_mtx},
    {"mtx_timedlock", HOLDS, take_mtx_timed, take_mtx, let_mtx},
    {"flockfile", HOLDS, take_file, take_file, let_file},
    {"pthread_once", ONCE, wait_once, reset_once, NULL},
    {"call_once", ONCE, wait_c_once, reset_c_once, NULL},
    {"join", JOINED, wait_join, begin_reader, NULL},
    {"timedjoin", JOINED, wait_join_timed, begin_reader, NULL},
    {"clockjoin", JOINED, wait_join_clock, begin_reader, NULL},
    {"thrd_join", JOINED, wait_thrd_join, begin_c_reader, NULL},
    {"read", ALONE, read_alone, NULL, NULL},
    {"readv", ALONE, readv_alone, NULL, NULL},
    {"recv", ALONE, recv_alone, NULL, NULL},
    {"fread", ALONE, fread_alone, NULL, NULL},
    {"poll", ALONE, poll_alone, NULL, NULL},
    {"select", ALONE, select_alone, NULL, NULL},
    {"epoll_wait", ALONE, epoll_alone, NULL, NULL},
    {"FIONREAD", ALONE, fionread_alone, NULL, NULL},
    {"splice", ALONE, splice_alone, NULL, NULL},
};

static const struct way *way;
static int rounds;

// The reading thread, where there is one for all rounds.
static void *read_answers(void *unused) {
    for (int round = 0; round < rounds; round++)
        if (way->role == WAKES) {
            take_answer();
            way->other();
        } else if (way->role == HOLDS) {
            way->other();
            take_answer();
            way->release();
            sem_wait(&next);
        } else {
            way->wait();
            sem_wait(&next);
        }
    return unused;
}

static void go_round(void) {
    if (way->role == JOINED)
        way->other();
    if (way->role != ALONE)
        await_reader();
    ask();
    way->wait();
    require(answered == now + 1);
    if (way->role == ONCE)
        way->other();
    if (way->role == HOLDS)
        way->release();
    now++;
    if (way->role == HOLDS || way->role == ONCE)
        sem_post(&next);
}

static void answer_all(void) {
    close(requests[1]);
    close(answers[0]);
    for (int round = 0; round < rounds; round++)
        send_number(answers[1], receive_number(requests[0]));
    exit(0);
}

static void prepare(void) {
    sigset_t set;
    pthread_mutexattr_t attributes;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    asker = pthread_self();
    require(!pthread_sigmask(SIG_BLOCK, &set, NULL) && !pthread_barrier_init(&barrier, NULL, 2) && !pipe(inner));
    require(!sem_init(&ready, 0, 0) && !sem_init(&next, 0, 0));
    require(mtx_init(&c_lock, mtx_timed) == thrd_success && cnd_init(&c_changed) == thrd_success);
    require(!pthread_mutexattr_init(&attributes));
    require(!pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT));
    require(!pthread_mutex_init(&inheriting, &attributes));
}

int main(int argc, char **argv) {
    pthread_t thread;
    int status, slow = 0;
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (size_t i = 0; i < COUNT_OF(ways); i++)
            puts(ways[i].name);
        return 0;
    }
    if (argc != 5)
        die("usage: streams_turns WAY KIND ROUNDS SLOW_MS");
    for (size_t i = 0; i < COUNT_OF(ways); i++)
        if (!strcmp(argv[1], ways[i].name))
            way = &ways[i];
    require(way && (rounds = atoi(argv[3])) > 0);
    alarm(HANG_SECONDS);
    prepare();
    unlink("requests");
    unlink("answers");
    open_stream(argv[2], "requests", requests);
    open_stream(argv[2], "answers", answers);
    if (way->wait == recv_alone && recv(answers[0], &status, 1, MSG_DONTWAIT) < 0 && errno == ENOTSOCK)
        return CANNOT;
    pid_t peer = fork();
    require(peer >= 0);
    if (!peer)
        answer_all();
    close(requests[0]);
    close(answers[1]);
    if (way->role < JOINED)
        require(!pthread_create(&thread, NULL, read_answers, NULL));
    while (now < rounds) {
        int64_t began = now_us();
        go_round();
        if (now_us() - began >= atoll(argv[4]) * 1000 && ++slow > rounds / 10) {
            printf("%d of %d rounds were slow\n", slow, now);
            _exit(1);
        }
    }
    if (way->role < JOINED)
        require(!pthread_join(thread, NULL));
    require(waitpid(peer, &status, 0) == peer && !status);
    return 0;
}
