// threads_second FILE [WAY]: reads FILE byte by byte; before that another thread is made, by create, thrd or timer,
// that does nothing. Prints how many bytes there were.
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <threads.h>
#include <unistd.h>

static pthread_mutex_t taken = PTHREAD_MUTEX_INITIALIZER;

static void *wait_for_ever(void *unused) {
    return pthread_mutex_lock(&taken), unused;
}

static int wait_too(void *unused) {
    return wait_for_ever(unused) != NULL;
}

static void notified(union sigval value) {
    (void)value;
}

// libc makes a thread for these by itself.
static void make_timer(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = notified};
    timer_t timer;
    require(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
}

int main(int argc, char **argv) {
    const char *way = argc > 2 ? argv[2] : "";
    pthread_t thread;
    thrd_t other;
    char byte;
    int count = 0, fd = open(argv[1], O_RDONLY);
    pthread_mutex_lock(&taken);
    if (strcmp(way, "create") == 0)
        require(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    else if (strcmp(way, "thrd") == 0)
        require(thrd_create(&other, wait_too, NULL) == thrd_success);
    else if (strcmp(way, "timer") == 0)
        make_timer();
    while (read(fd, &byte, 1) == 1)
        count++;
    printf("%d\n", count);
    return 0;
}
