// surface_cancel: threads that are cancelled in a blocking read, in a loop of writes, in stdio and in computing, by
// either type of cancellation; their cleanup handlers write, and everything that had been answered is in the files.

#include "machine.h"
#include "transcript.h"

#include <pthread.h>
#include <sys/stat.h>

static int fd, ends[2];
static volatile unsigned answered, cleaned;
static volatile int started;

static void clean_up(void *text) {
    require(write(fd, text, 16) == 16);
    cleaned++;
}

static void *in_read(void *unused) {
    char byte;
    pthread_cleanup_push(clean_up, "cleaned reading\n");
    for (int i = 0; i < 100; i++)
        require(write(fd, "before the wait\n", 16) == 16);
    answered += 100;
    started = 1;
    require(read(ends[0], &byte, 1) != 1);
    pthread_cleanup_pop(0);
    return unused;
}

static void *in_writes(void *unused) {
    pthread_cleanup_push(clean_up, "cleaned writing\n");
    for (;;) {
        require(write(fd, "sixteen and all\n", 16) == 16);
        answered++;
        started = 1;
    }
    pthread_cleanup_pop(0);
    return unused;
}

static void *in_disabled_writes(void *unused) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cleanup_push(clean_up, "cleaned at last\n");
    for (int i = 0; i < 2000; i++) {
        require(write(fd, "not disturbed..\n", 16) == 16);
        answered++;
        started = 1;
    }
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    for (;;)
        pthread_testcancel();
    pthread_cleanup_pop(0);
    return unused;
}

// Allowed to be cancelled anywhere, it calls nothing.
static void *in_computing(void *unused) {
    pthread_cleanup_push(clean_up, "cleaned at once\n");
    for (int i = 0; i < 100; i++)
        require(write(fd, "before counting\n", 16) == 16);
    answered += 100;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    started = 1;
    for (;;)
        __asm__ volatile(RELAX);
    pthread_cleanup_pop(0);
    return unused;
}

static void *in_sleep(void *unused) {
    FILE *stream = fdopen(dup(fd), "a");
    pthread_cleanup_push(clean_up, "cleaned asleep.\n");
    for (int i = 0; i < 100; i++)
        require(fwrite("through a stream", 16, 1, stream) == 1 && fflush(stream) == 0);
    answered += 100;
    started = 1;
    for (;;)
        usleep(1000000);
    pthread_cleanup_pop(0);
    return unused;
}

static off_t size_of(void) {
    struct stat status;
    require(fstat(fd, &status) == 0);
    return status.st_size;
}

int main(void) {
    static void *(*const bodies[])(void *) = {in_read, in_writes, in_disabled_writes, in_computing, in_sleep};
    require(pipe(ends) == 0);
    fd = open("log", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    require(fd >= 0);
    for (int i = 0; i < 200; i++)
        require(write(fd, "warming up here\n", 16) == 16);
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < COUNT_OF(bodies); i++) {
            pthread_t thread;
            void *result;
            off_t before = size_of();
            answered = cleaned = 0;
            started = 0;
            require(pthread_create(&thread, NULL, bodies[i], NULL) == 0);
            while (!started)
                usleep(10);
            require(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0);
            require(result == PTHREAD_CANCELED && cleaned == 1);
            off_t records = (size_of() - before) / 16, least = answered + cleaned;
            // A write that was cancelled may be in the file or not.
            if (records < least || records > least + 1)
                die("body %zu: %ld records, %ld answered", i, (long)records, (long)least);
        }
    require(unlink("log") == 0); // how far each has come is chance
    return 0;
}
