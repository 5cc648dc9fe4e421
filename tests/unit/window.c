// The window between threads: what several threads read through one descriptor, each byte exactly once, while others
// close the window and learn; and a change that one thread was told of is never missed by another. Meant for
// ThreadSanitizer too: nobody goes in by bias then, whose fence it can't see.
#include "ahead/window.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORDS = 200000, READERS = 3, RECORD = 5, CHANGES = 20000 };

static int fd;
static char path[] = "/var/tmp/uringshim-window.XXXXXX";
static _Atomic unsigned delivered[WORDS];
static _Atomic bool done;
static _Atomic uint64_t announced, failures;

static struct thread *attach(void) {
    struct thread *self = thread_attach();
    if (!self)
        abort();
    self->faults_caught = true; // nothing bad is handed over here
    return self;
}

// As the shells do it (entry/data/read.h).
static ssize_t read_through(struct thread *self, void *bytes, size_t n, int64_t offset) {
    if (window_read(self, fd, bytes, n, offset))
        return (ssize_t)n;
    ssize_t got = window_fill(self, fd, files_slot(fd), bytes, n, offset, 1);
    if (got != WINDOW_MISS)
        return got;
    window_close(self, "read");
    got = offset < 0 ? read(fd, bytes, n) : pread(fd, bytes, n, offset);
    input_came();
    return got;
}

static void *read_all(void *unused) {
    struct thread *self = attach();
    uint64_t record[RECORD];
    ssize_t got;
    while ((got = read_through(self, record, sizeof record, WINDOW_AT_POSITION)) > 0)
        for (ssize_t i = 0; i < got / (ssize_t)sizeof *record; i++)
            if (record[i] >= WORDS || atomic_fetch_add(&delivered[record[i]], 1) != 0)
                atomic_fetch_add(&failures, 1);
    return unused;
}

static void *disturb(void *unused) {
    struct thread *self = attach();
    for (unsigned i = 0; !atomic_load(&done); i++) {
        if (i % 3 == 0)
            window_close(self, "other");
        else if (i % 3 == 1)
            input_came();
        else
            window_seek(self, fd, 0, SEEK_CUR);
        usleep(20);
    }
    return unused;
}

// Told by memory of what this thread learned by a call.
static void *change(void *unused) {
    struct thread *self = attach();
    int own = open(path, O_WRONLY | O_CLOEXEC);
    for (uint64_t i = 1; i <= CHANGES; i++) {
        for (off_t at = 0; at < 4096; at += 512) {
            window_close(self, "pwrite");
            if (pwrite(own, &i, sizeof i, at) != sizeof i)
                abort();
            input_came();
        }
        atomic_store(&announced, i);
    }
    close(own);
    return unused;
}

// The window is open when the threads start; which one of them closes it, and when, is open too.
static void exactly_once(struct thread *self) {
    pthread_t readers[READERS], other;
    uint64_t word;
    for (uint64_t i = 0; i < 100; i++)
        if (read_through(self, &word, sizeof word, WINDOW_AT_POSITION) != sizeof word || word != i)
            atomic_fetch_add(&failures, 1);
        else
            atomic_fetch_add(&delivered[i], 1);
    pthread_create(&other, NULL, disturb, NULL);
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_all, NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    atomic_store(&done, true);
    pthread_join(other, NULL);
    for (int i = 0; i < WORDS; i++)
        if (atomic_load(&delivered[i]) != 1)
            atomic_fetch_add(&failures, 1);
}

static void never_stale(struct thread *self) {
    pthread_t other;
    pthread_create(&other, NULL, change, NULL);
    while (atomic_load(&announced) < CHANGES)
        for (off_t at = 0; at < 4096; at += 512) {
            uint64_t before = atomic_load(&announced), seen = 0;
            if (read_through(self, &seen, sizeof seen, at) != sizeof seen || seen < before)
                atomic_fetch_add(&failures, 1);
        }
    pthread_join(other, NULL);
    window_close(self, "end");
}

int main(int argc, char **argv) {
    (void)argv;
    int file = mkstemp(path);
    for (uint64_t i = 0; i < WORDS; i++)
        if (write(file, &i, sizeof i) != sizeof i)
            abort();
    close(file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    thread_start();
    struct thread *self = attach();
    wb_unhinder(REASON_unready);
    if (argc == 1)
        window_start(); // with any argument, nobody goes in by bias
    struct fd_slot *slot = files_slot_make(fd);
    files_opened(files_slot_make(fd));
    if (!files_ofd(fd, slot))
        abort();
    exactly_once(self);
    never_stale(self);
    uint64_t served = self->stats->count[COUNT_READS];
    unlink(path);
    if (atomic_load(&failures) || served == 0)
        printf("%lu failures, %lu reads by windows\n", (unsigned long)atomic_load(&failures), (unsigned long)served);
    return atomic_load(&failures) != 0 || served == 0;
}
