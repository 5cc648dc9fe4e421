/*
 * threads_fork append|position THREADS RECORDS FORKS FILE
 *
 * While threads write to a file, the main thread forks again and again, and each child writes some records of its own
 * through the descriptor it inherited, which appends, or has a position that all of them share. There are THREADS *
 * RECORDS + FORKS * 20 records at the end.
 */
#include "threads.h"
#include <sys/wait.h>

enum { BY_CHILD = 20 };

static int fd;
static unsigned records;

static void *work(void *argument) {
    for (unsigned i = 0; i < records; i++)
        record_write(fd, (unsigned)(uintptr_t)argument, i);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t others[THREADS_MAX];
    int status;
    if (argc != 6)
        die("usage: threads_fork append|position THREADS RECORDS FORKS FILE");
    unsigned threads = (unsigned)atoi(argv[2]), forks = (unsigned)atoi(argv[4]);
    records = (unsigned)atoi(argv[3]);
    int append = strcmp(argv[1], "append") ? 0 : O_APPEND;
    alarm(HANG_SECONDS);
    require(threads >= 1 && threads <= THREADS_MAX);
    require((fd = open(argv[5], O_WRONLY | O_CREAT | append, 0600)) >= 0);
    for (uintptr_t i = 0; i < threads; i++)
        require(!pthread_create(&others[i], NULL, work, (void *)i));
    for (unsigned i = 0; i < forks; i++) {
        pid_t child = fork();
        require(child >= 0);
        if (child > 0)
            continue;
        alarm(HANG_SECONDS); /* not inherited */
        for (unsigned number = 0; number < BY_CHILD; number++)
            record_write(fd, threads + i, number);
        _exit(0);
    }
    for (unsigned i = 0; i < forks; i++)
        require(wait(&status) > 0 && status == 0);
    for (unsigned i = 0; i < threads; i++)
        require(!pthread_join(others[i], NULL));
    return 0;
}
