/*
 * threads_delay HOW BURSTS FILE
 *
 * Bursts of records, and after each the process computes for a while without a call:
 *   main     the main thread writes and computes
 *   exit     a thread writes and ends, the main thread computes
 *   detached the same, a detached thread that ends by pthread_exit
 */
#include "threads.h"

static int fd;
static unsigned number;
static atomic_uint bursts_done;

static void burst(void) {
    for (int i = 0; i < BURST; i++)
        record_write(fd, 0, number++);
    atomic_fetch_add(&bursts_done, 1);
}

static void *work(void *detached) {
    burst();
    if (detached)
        pthread_exit(NULL);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4)
        die("usage: threads_delay HOW BURSTS FILE");
    bool detached = !strcmp(argv[1], "detached"), alone = !strcmp(argv[1], "main");
    unsigned bursts = (unsigned)atoi(argv[2]);
    alarm(HANG_SECONDS);
    require((fd = open(argv[3], O_WRONLY | O_CREAT | O_APPEND, 0600)) >= 0);
    for (unsigned i = 0; i < bursts; i++) {
        pthread_t thread;
        if (alone) {
            burst();
        } else {
            require(!pthread_create(&thread, NULL, work, detached ? &fd : NULL));
            if (detached)
                require(!pthread_detach(thread));
            while (atomic_load(&bursts_done) == i)
                ;
        }
        compute_ms(600);
        if (!alone && !detached)
            require(!pthread_join(thread, NULL));
    }
    return 0;
}
