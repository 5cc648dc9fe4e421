// threads_sync WAY THREADS ROUNDS [FILE]: threads that each append a block to a file and sync it, over and over.
//
//   one        all through one descriptor
//   marked     as own, and by bare system calls each fdatasync has a getuid before it, each fsync a geteuid,
//              and both a getgid after it
//   own        each through its own, every other one with fsync instead of fdatasync
//   handler    as own, while a timer's handler syncs, too, and now and then jumps out of the thread's own sync
//   cancel     as own, and the threads are cancelled in the midst of it
//   fork       as own, and children of the first thread do the same, one after another
//   failing    each writes a block of its own to a file on a disk that is full or broken, then all sync: prints how
//   many
//              were told of an error, and how many of them on a second try
#include "bare.h"
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 4096, THREADS_MAX = 64 };

static const char *way, *name = "file";
static int rounds, threads, common_fd;
static atomic_int calls, first_errors, second_errors;
static pthread_barrier_t barrier;
static _Thread_local sigjmp_buf jump;
static _Thread_local volatile sig_atomic_t syncing, sync_fd = -1;

static int open_file(void) {
    int fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    require(fd >= 0);
    return fd;
}

static __attribute__((noinline)) void append_and_sync(int fd, bool whole) {
    char block[BLOCK];
    memset(block, 'b', sizeof block);
    require(write(fd, block, sizeof block) == sizeof block);
    if (!strcmp(way, "marked"))
        bare_call(whole ? SYS_geteuid : SYS_getuid, 0, NULL, 0, 0);
    require((whole ? fsync : fdatasync)(fd) == 0);
    if (!strcmp(way, "marked"))
        bare_call(SYS_getgid, 0, NULL, 0, 0);
    atomic_fetch_add(&calls, 1);
}

static void on_timer(int signal) {
    int saved = errno;
    (void)signal;
    if (sync_fd >= 0)
        require(fdatasync(sync_fd) == 0);
    errno = saved;
    if (syncing && atomic_load(&calls) % 3 == 0)
        siglongjmp(jump, 1);
}

static __attribute__((noinline)) void one_round(int fd, bool whole, bool may_jump) {
    if (sigsetjmp(jump, 1) == 0) {
        syncing = may_jump;
        append_and_sync(fd, whole);
    }
    syncing = 0;
}

static void *work(void *argument) {
    bool handler = !strcmp(way, "handler");
    int fd = !strcmp(way, "one") ? common_fd : open_file();
    sync_fd = handler ? fd : -1;
    for (int round = 0; round < rounds; round++)
        one_round(fd, (uintptr_t)argument % 2, handler);
    return NULL;
}

static void work_in_children(void) {
    for (int child = 0; child < 10; child++) {
        pid_t pid = fork();
        require(pid >= 0);
        if (pid == 0) {
            alarm(HANG_SECONDS);
            pthread_t other;
            rounds = 5;
            require(pthread_create(&other, NULL, work, (void *)1) == 0);
            work((void *)2);
            require(pthread_join(other, NULL) == 0);
            _exit(0);
        }
        int status;
        require(waitpid(pid, &status, 0) == pid && status == 0);
    }
}

static void *write_and_fail(void *argument) {
    char block[BLOCK];
    int fd = open(name, O_WRONLY);
    require(fd >= 0);
    memset(block, 'f', sizeof block);
    for (int round = 0; round < rounds; round++) {
        require(pwrite(fd, block, sizeof block, (off_t)(uintptr_t)argument * BLOCK) == sizeof block);
        pthread_barrier_wait(&barrier);
        if (!argument)
            atomic_fetch_add(&first_errors, fsync(fd) != 0);
        pthread_barrier_wait(&barrier);
        if ((uintptr_t)argument % 2 == 0) { // opened after the error was told, it has none to tell
            require(close(fd) == 0 && (fd = open(name, O_WRONLY)) >= 0);
        }
        pthread_barrier_wait(&barrier);
        atomic_fetch_add(&second_errors, fsync(fd) != 0);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t others[THREADS_MAX];
    require(argc >= 4);
    way = argv[1];
    threads = atoi(argv[2]);
    rounds = atoi(argv[3]);
    if (argc > 4)
        name = argv[4];
    bool failing = !strcmp(way, "failing");
    require(threads > 0 && threads <= THREADS_MAX && pthread_barrier_init(&barrier, NULL, (unsigned)threads) == 0);
    if (!failing)
        common_fd = open_file();
    if (!strcmp(way, "handler")) {
        timer_t timer;
        struct itimerspec often = {{0, 2000000}, {0, 2000000}};
        signal(SIGUSR1, on_timer);
        require(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1},
                             &timer) == 0 &&
                timer_settime(timer, 0, &often, NULL) == 0);
    }
    for (uintptr_t i = 0; i < (uintptr_t)threads; i++)
        require(pthread_create(&others[i], NULL, failing ? write_and_fail : work, (void *)i) == 0);
    if (!strcmp(way, "fork"))
        work_in_children();
    if (!strcmp(way, "cancel")) {
        usleep(30000);
        for (int i = 0; i < threads; i += 2)
            require(pthread_cancel(others[i]) == 0);
    }
    for (int i = 0; i < threads; i++)
        require(pthread_join(others[i], NULL) == 0);
    struct stat st;
    if (failing)
        printf("%d errors, then %d\n", first_errors, second_errors);
    else if (!strcmp(way, "one") || !strcmp(way, "own"))
        require(stat(name, &st) == 0 && st.st_size == (off_t)threads * rounds * BLOCK);
    return 0;
}
