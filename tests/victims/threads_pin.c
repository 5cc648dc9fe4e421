/*
 * threads_pin FILE
 *
 * Again and again a thread writes to a locked file, another one closes the only descriptor, opens the file anew, and
 * must get the lock at once: nothing else may hold on to what was closed.
 */
#include "threads.h"
#include <sys/file.h>

enum { ROUNDS = 50 };

static atomic_int fd = -1, written;

static void *write_records(void *unused) {
    for (int round = 1; round <= ROUNDS; round++) {
        int mine;
        while ((mine = atomic_load(&fd)) < 0)
            ;
        for (unsigned i = 0; i < 50 * BURST; i++)
            record_write(mine, 0, i);
        atomic_store(&fd, -1);
        atomic_store(&written, round);
    }
    return unused;
}

int main(int argc, char **argv) {
    pthread_t writer;
    if (argc != 2)
        die("usage: threads_pin FILE");
    alarm(HANG_SECONDS);
    require(!pthread_create(&writer, NULL, write_records, NULL));
    for (int round = 1; round <= ROUNDS; round++) {
        int mine = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
        require(mine >= 0 && !flock(mine, LOCK_EX | LOCK_NB));
        atomic_store(&fd, mine);
        while (atomic_load(&written) < round)
            ;
        require(!close(mine));
    }
    require(!pthread_join(writer, NULL));
    return 0;
}
