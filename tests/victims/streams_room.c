/*
 * streams_room HOW: a pipe that nobody reads any more is written to until a write waits, in turns by two descriptions
 * that the process has of it, or by two threads. No more is taken than the pipe holds, and that stays as much.
 */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

enum { SIZE = 700, WARM = 400, IN_A_ROW = 10, MOST = 1000 };

static int ends[2], other;
static char record[SIZE];
static atomic_long written, turn;
static atomic_bool over;
static bool by_threads;

static void *write_in_turns(void *number) {
    long mine = (long)(intptr_t)number;
    while (!over) {
        if (by_threads && turn != mine)
            continue;
        for (int i = 0; i < IN_A_ROW && !over; i++) {
            ssize_t n = write(turn ? other : ends[1], record, SIZE);
            if (n == SIZE && ++written < MOST)
                continue;
            require(n == SIZE || errno == EINTR || n > 0);
            over = true;
        }
        turn = !turn;
    }
    return NULL;
}

static void interrupt(int signal_number) {
    (void)signal_number;
}

static pthread_t writers[2];

static void *interrupt_often(void *unused) {
    while (!over) {
        usleep(200000);
        for (int i = 0; i < 1 + by_threads; i++)
            pthread_kill(writers[i], SIGALRM);
    }
    return unused;
}

/* Reads what makes it a quick writer, and by two descriptions a record of each more, and then no more. */
static void read_some(int stop) {
    char bytes[4096];
    long left = SIZE * (2L * WARM + (by_threads ? 0 : 2));
    while (left > 0) {
        ssize_t n = read(ends[0], bytes, left < 4096 ? (size_t)left : sizeof bytes);
        require(n > 0);
        left -= n;
    }
    require(read(stop, bytes, 1) == 0);
    _exit(0);
}

/* A moment in which nothing happens, and no call is made. */
static void spin(void) {
    for (volatile int left = 200000; left; left--)
        ;
}

int main(int argc, char **argv) {
    int stop[2], there = 0;
    char path[64];
    if (argc != 2)
        return 99;
    by_threads = strcmp(argv[1], "threads") == 0;
    require(pipe(ends) == 0 && pipe(stop) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
    other = by_threads ? ends[1] : open(path, O_WRONLY);
    long size = fcntl(ends[1], F_GETPIPE_SZ);
    require(other >= 0 && size > 0);
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        close(stop[1]);
        read_some(stop[0]);
    }
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = interrupt}, NULL);
    for (int i = 0; i < 2 * WARM; i++)
        require(write(i < WARM ? ends[1] : other, record, SIZE) == SIZE);
    usleep(20000);
    pthread_t ticker;
    writers[0] = pthread_self();
    if (by_threads) {
        turn = -1;
        for (intptr_t thread = 0; thread < 2; thread++)
            require(pthread_create(&writers[thread], NULL, write_in_turns, (void *)thread) == 0);
        usleep(20000);
        turn = 0;
    } else {
        require(write(ends[1], record, SIZE) == SIZE);
        spin();
        require(write(other, record, SIZE) == SIZE);
        spin();
    }
    require(pthread_create(&ticker, NULL, interrupt_often, NULL) == 0);
    if (!by_threads)
        write_in_turns((void *)0);
    for (int thread = 0; by_threads && thread < 2; thread++)
        require(pthread_join(writers[thread], NULL) == 0);
    require(pthread_join(ticker, NULL) == 0);
    require(ioctl(ends[0], FIONREAD, &there) == 0);
    bool more = there > size || fcntl(ends[1], F_GETPIPE_SZ) != size || written * SIZE > size;
    printf("%s than the pipe held\n", more ? "more" : "no more");
    close(stop[1]);
    require(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    return 0;
}
