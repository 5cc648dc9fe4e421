/*
 * threads_write HOW THREADS RECORDS FILE
 *
 * So many threads write so many records each, to
 *   shared   one file by one appending descriptor
 *   append   one file by an appending descriptor of each thread
 *   region   a region of each thread in one file, by pwrite
 *   own      FILE.0, FILE.1 ...
 *   lock, atomic, turns
 *            one file, each by its own descriptor, in an order that a mutex, an atomic flag or a condition variable
 *            makes: all records together are numbered in that order, as if by one writer
 */
#include "threads.h"
#include <sched.h>

static const char *how, *file;
static unsigned threads, records;
static int shared_fd;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static atomic_flag busy = ATOMIC_FLAG_INIT;
static unsigned ticket;

static bool is(const char *name) {
    return !strcmp(how, name);
}

static void write_in_order(int fd, unsigned writer) {
    if (is("atomic")) {
        while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
            sched_yield();
        record_write(fd, 0, ticket++);
        atomic_flag_clear_explicit(&busy, memory_order_release);
        return;
    }
    pthread_mutex_lock(&lock);
    while (is("turns") && ticket % threads != writer)
        pthread_cond_wait(&moved, &lock);
    record_write(fd, 0, ticket++);
    if (is("turns"))
        pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
}

static void *work(void *argument) {
    unsigned writer = (unsigned)(uintptr_t)argument;
    char own[4096];
    int fd = shared_fd;
    bool ordered = is("lock") || is("atomic") || is("turns");
    snprintf(own, sizeof(own), is("own") ? "%s.%u" : "%s", file, writer);
    if (!is("shared") && !is("region"))
        require((fd = open(own, O_WRONLY | O_CREAT | O_APPEND, 0600)) >= 0);
    for (unsigned i = 0; i < records; i++) {
        if (ordered) {
            write_in_order(fd, writer);
        } else if (is("region")) {
            struct record record = record_make(writer, i);
            off_t offset = ((off_t)writer * records + i) * (off_t)sizeof(record);
            require(pwrite(fd, &record, sizeof(record), offset) == sizeof(record));
        } else {
            record_write(fd, writer, i);
        }
    }
    if (fd != shared_fd)
        require(!close(fd));
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t others[THREADS_MAX];
    if (argc != 5)
        die("usage: threads_write HOW THREADS RECORDS FILE");
    how = argv[1];
    threads = (unsigned)atoi(argv[2]);
    records = (unsigned)atoi(argv[3]);
    file = argv[4];
    require(threads >= 1 && threads <= THREADS_MAX);
    alarm(HANG_SECONDS);
    require((shared_fd = open(file, O_WRONLY | O_CREAT | (is("region") ? 0 : O_APPEND), 0600)) >= 0);
    for (uintptr_t i = 0; i < threads; i++)
        require(!pthread_create(&others[i], NULL, work, (void *)i));
    for (unsigned i = 0; i < threads; i++)
        require(!pthread_join(others[i], NULL));
    return 0;
}
