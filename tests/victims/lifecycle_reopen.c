/*
 * lifecycle_reopen FORKS: while threads reopen streams of their own, the main thread forks again and again, and each
 * child reopens another stream. The child has only the thread that forked: what the others were in the middle of is
 * never finished there, and nobody may wait for it. All must come to an end.
 *
 * lifecycle_reopen waiting: the same with one thread that waits in freopen for the other end of a FIFO. The child
 * writes quickly.
 */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OTHERS = 3 };

static atomic_bool over;

static void *reopen_until_over(void *unused) {
    FILE *stream = fopen("/dev/null", "we");
    while (!atomic_load(&over))
        require((stream = freopen("/dev/null", "we", stream)));
    require(fclose(stream) == 0);
    return unused;
}

static void fork_often(int forks) {
    pthread_t others[OTHERS];
    int status;
    for (int i = 0; i < OTHERS; i++)
        require(pthread_create(&others[i], NULL, reopen_until_over, NULL) == 0);
    FILE *mine = fopen("/dev/null", "we");
    require(mine);
    for (int i = forks; i > 0; i--) {
        pid_t child = fork();
        require(child >= 0);
        if (child == 0)
            _exit(freopen("/dev/null", "we", mine) == NULL);
        require(waitpid(child, &status, 0) == child && status == 0);
    }
    atomic_store(&over, true);
    for (int i = 0; i < OTHERS; i++)
        require(pthread_join(others[i], NULL) == 0);
}

static void *reopen_and_wait(void *unused) {
    FILE *stream = fopen("/dev/null", "we");
    require(stream && freopen("fifo", "we", stream));
    return unused;
}

static void fork_meanwhile(void) {
    pthread_t other;
    int status;
    require(mkfifo("fifo", 0600) == 0);
    require(pthread_create(&other, NULL, reopen_and_wait, NULL) == 0);
    usleep(50000);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        int file = open("lines", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        for (int i = 0; i < 1000; i++)
            require(write(file, "a line\n", 7) == 7);
        exit(0);
    }
    require(waitpid(child, &status, 0) == child && status == 0);
    int reader = open("fifo", O_RDONLY);
    require(reader >= 0 && pthread_join(other, NULL) == 0);
}

int main(int argc, char **argv) {
    require(argc == 2);
    if (strcmp(argv[1], "waiting") == 0)
        fork_meanwhile();
    else
        fork_often(atoi(argv[1]));
    return 0;
}
