// Threads that end with writes pending, in every way a thread ends; what they wrote is read back at once.

#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 8, LINES = 500, LINE = 16 };

static int fds[THREADS];

static void scribble(long which) {
    char line[LINE + 1];
    for (int i = 0; i < LINES; i++) {
        snprintf(line, sizeof line, "%03ld writes %04d\n", which, i);
        require(write(fds[which], line, LINE) == LINE);
    }
}

static void *work(void *which) {
    scribble((long)which);
    switch ((long)which % 3) {
    case 0:
        return which;
    case 1:
        pthread_exit(which);
    default:
        for (;;)
            pause();
    }
}

static void check(long which) {
    char name[32], line[LINE + 1], want[LINE + 1];
    struct stat status;
    snprintf(name, sizeof name, "thread.%ld", which);
    require(stat(name, &status) == 0);
    int fd = open(name, O_RDONLY);
    for (int i = 0; i < LINES; i++) {
        snprintf(want, sizeof want, "%03ld writes %04d\n", which, i);
        require(pread(fd, line, LINE, i * LINE) == LINE && memcmp(line, want, LINE) == 0);
    }
    require(status.st_size % (LINES * LINE) == 0 && close(fd) == 0);
}

// Does the cancelled thread stop at its write, as it would natively? It never gets beyond one.
static void *write_for_ever(void *unused) {
    for (;;)
        require(write(fds[0], "cancel me please", LINE) == LINE);
    return unused;
}

int main(void) {
    pthread_t threads[THREADS];
    char name[32];
    for (long i = 0; i < THREADS; i++) {
        snprintf(name, sizeof name, "thread.%ld", i);
        fds[i] = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        require(fds[i] >= 0);
    }
    for (int turn = 0; turn < 3; turn++) {
        for (long i = 0; i < THREADS; i++) {
            require(lseek(fds[i], 0, SEEK_SET) == 0);
            require(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
            if (turn == 0 && i % 3 != 2)
                require(pthread_join(threads[i], NULL) == 0);
        }
        for (long i = 0; i < THREADS; i++) {
            if (i % 3 == 2) {
                struct stat status;
                do
                    require(fstat(fds[i], &status) == 0);
                while (lseek(fds[i], 0, SEEK_CUR) < LINES * LINE);
                require(pthread_cancel(threads[i]) == 0);
            }
            if (turn != 0 || i % 3 == 2)
                require(pthread_join(threads[i], NULL) == 0);
            check(i);
        }
    }
    void *result;
    require(pthread_create(&threads[0], NULL, write_for_ever, NULL) == 0 && pthread_cancel(threads[0]) == 0);
    require(pthread_join(threads[0], &result) == 0 && result == PTHREAD_CANCELED);
    require(ftruncate(fds[0], LINES * LINE) == 0);
    return 0;
}
