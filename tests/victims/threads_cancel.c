/*
 * threads_cancel ROUNDS FILE
 *
 * A thread does nothing but write until it is cancelled, which must happen in write. What write had returned for is in
 * the file then, and at most one record that it had not yet returned for.
 */
#include "threads.h"

static int fd;
static atomic_uint done;

static void *write_records(void *unused) {
    for (;;) {
        record_write(fd, 0, atomic_load(&done));
        atomic_fetch_add(&done, 1);
    }
    return unused;
}

int main(int argc, char **argv) {
    uint64_t rng = 1;
    if (argc != 3)
        die("usage: threads_cancel ROUNDS FILE");
    alarm(HANG_SECONDS);
    require((fd = open(argv[2], O_RDWR | O_CREAT | O_APPEND, 0600)) >= 0);
    for (int i = 0; i < atoi(argv[1]); i++) {
        pthread_t writer;
        void *result;
        struct stat found;
        unsigned enough = atomic_load(&done) + 1 + (unsigned)rng_below(&rng, 1000);
        require(!pthread_create(&writer, NULL, write_records, NULL));
        while (atomic_load(&done) < enough)
            ;
        require(!pthread_cancel(writer) && !pthread_join(writer, &result) && result == PTHREAD_CANCELED);
        require(!fstat(fd, &found) && found.st_size % (off_t)sizeof(struct record) == 0);
        unsigned there = (unsigned)((size_t)found.st_size / sizeof(struct record));
        if (there != atomic_load(&done) && there != atomic_load(&done) + 1)
            die("round %d: %u records returned, %u are there", i, atomic_load(&done), there);
        atomic_store(&done, there);
    }
    return 0;
}
