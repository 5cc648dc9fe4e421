// signals_asleep FILE ROUNDS: writes a little, and then sleeps for a moment by one of the calls that a signal would
// end. Nobody sends one. Now and then it makes a call for which a library may have to end what it has begun.

#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/sem.h>
#include <unistd.h>

static const struct timespec moment = {0, 1000};
static sigset_t signals;
static int epoll, semaphore;

static int by_sigtimedwait(void) {
    return sigtimedwait(&signals, NULL, &moment);
}

static int by_epoll(void) {
    struct epoll_event event;
    return epoll_pwait2(epoll, &event, 1, &moment, NULL);
}

static int by_semaphore(void) {
    struct sembuf down = {0, -1, 0};
    return semtimedop(semaphore, &down, 1, &moment);
}

int main(int argc, char **argv) {
    int (*const sleeps[])(void) = {by_sigtimedwait, by_epoll, by_semaphore};
    require(argc == 3);
    int fd = open(argv[1], O_WRONLY | O_APPEND);
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    epoll = epoll_create1(0);
    semaphore = semget(IPC_PRIVATE, 1, 0600);
    require(fd >= 0 && epoll >= 0 && semaphore >= 0);
    int interrupted = 0, rounds = atoi(argv[2]);
    for (int i = 0; i < rounds; i++) {
        for (int k = 0; k < 3; k++)
            require(write(fd, "a piece\n", 8) == 8);
        if (i % 4096 == 0)
            require(ftruncate(fd, 0) == 0);
        if (i % 500 == 0)
            require(setgid(getgid()) == 0);
        interrupted += sleeps[(size_t)i % COUNT_OF(sleeps)]() < 0 && errno == EINTR;
    }
    semctl(semaphore, 0, IPC_RMID);
    if (interrupted)
        die("%d of %d calls were interrupted", interrupted, rounds);
    return 0;
}
