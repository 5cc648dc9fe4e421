/*
 * threads_close FILE
 *
 * A thread writes to a file that is locked, another one closes the only descriptor, which also lets go of the lock,
 * and the process computes on.
 */
#include "threads.h"
#include <sys/file.h>

static int fd;
static atomic_bool written, closed;

static void *write_records(void *unused) {
    for (unsigned i = 0; i < 50 * BURST; i++) // several buffers full: where a ring is used, the file is registered
        record_write(fd, 0, i);
    atomic_store(&written, true);
    while (!atomic_load(&closed))
        ;
    compute_ms(1000);
    return unused;
}

static void *close_file(void *unused) {
    while (!atomic_load(&written))
        ;
    require(!close(fd));
    atomic_store(&closed, true);
    compute_ms(1000);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t writer, closer;
    if (argc != 2)
        die("usage: threads_close FILE");
    alarm(HANG_SECONDS);
    require((fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600)) >= 0);
    require(!flock(fd, LOCK_EX));
    require(!pthread_create(&writer, NULL, write_records, NULL));
    require(!pthread_create(&closer, NULL, close_file, NULL));
    require(!pthread_join(writer, NULL) && !pthread_join(closer, NULL));
    return 0;
}
