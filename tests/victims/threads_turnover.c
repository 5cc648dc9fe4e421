/*
 * threads_turnover THREADS RECORDS FILE
 *
 * So many threads, each when the one before it has ended, write so many records each, by turns to FILE.0 and FILE.1,
 * and sync one of them.
 */
#include "threads.h"

static int fds[2];
static unsigned records;

static void *work(void *writer) {
    for (unsigned i = 0; i < records; i++)
        record_write(fds[i % 2], (unsigned)(uintptr_t)writer * 2 + i % 2, i / 2);
    require(!fdatasync(fds[0]));
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread;
    char path[4096];
    if (argc != 4)
        die("usage: threads_turnover THREADS RECORDS FILE");
    records = (unsigned)atoi(argv[2]);
    alarm(HANG_SECONDS);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s.%d", argv[3], i);
        require((fds[i] = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600)) >= 0);
    }
    for (int i = 0; i < atoi(argv[1]); i++) {
        require(!pthread_create(&thread, NULL, work, (void *)(uintptr_t)i));
        require(!pthread_join(thread, NULL));
    }
    return 0;
}
