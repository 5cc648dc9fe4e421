// refuse_counter: threads forbid themselves to read the processor's counter (PR_SET_TSC), then write and sync one file
// together.

#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { THREADS = 4, SYNCS = 100 };

static int file;

static void *sync_often(void *unused) {
    require(prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0);
    for (int i = 0; i < SYNCS; i++)
        require(pwrite(file, "x", 1, i) == 1 && fsync(file) == 0);
    return unused;
}

int main(void) {
    pthread_t threads[THREADS];
    require((file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0);
    for (int i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, sync_often, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    return 0;
}
