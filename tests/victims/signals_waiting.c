// signals_waiting: signals that are waited for instead of handled, and calls that a handler interrupts, with writes
// pending whenever a wait begins.

#include "signals.h"

#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/time.h>

static int fd, ends[2];
static volatile sig_atomic_t rung, feed_at;

static const int numbers[] = {SIGTERM, SIGUSR1, SIGSEGV, SIGCHLD, SIGABRT, SIGPIPE, 36};

static void note_pending(void) {
    sigset_t pending;
    require(sigpending(&pending) == 0);
    note("pending %s\n", mask_text(&pending));
}

static void note_info(const siginfo_t *info) {
    note("  %s code %d value %d%s\n", signal_text(info->si_signo), info->si_code,
         info->si_code == SI_QUEUE ? info->si_value.sival_int : 0, info->si_pid == getpid() ? "" : " by a stranger");
}

static void handler(int number) {
    note("  handler of %s, mask %s\n", signal_text(number), own_mask_text());
}

static void by_signalfd(int number) {
    struct signalfd_siginfo got;
    sigset_t set = set_of(number, 0, 0);
    int from = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    require(from >= 0);
    TRY(read(from, &got, sizeof got));
    require(sigqueue(getpid(), number, (union sigval){.sival_int = 5}) == 0);
    keep_busy(fd, 3);
    TRY(poll(&(struct pollfd){.fd = from, .events = POLLIN}, 1, 1000));
    if (TRY(read(from, &got, sizeof got)) == sizeof got)
        note("  %s code %d value %d%s\n", signal_text((int)got.ssi_signo), got.ssi_code, got.ssi_int,
             (pid_t)got.ssi_pid == getpid() ? "" : " by a stranger");
    close(from);
}

static void by_every_wait(int number) {
    sigset_t set = set_of(number, 0, 0), all, old;
    struct timespec at_once = {0}, soon = {.tv_sec = 5};
    siginfo_t info;
    int got;
    sigfillset(&all);
    require(sigprocmask(SIG_BLOCK, &all, &old) == 0);
    TRY(sigtimedwait(&set, &info, &at_once));
    keep_busy(fd, 3);
    require(kill(getpid(), number) == 0 && kill(getpid(), number) == 0);
    note_pending();
    keep_busy(fd, 3);
    note("sigwait %d", sigwait(&set, &got));
    note(" %s\n", signal_text(got));
    note_pending();
    while (sigtimedwait(&set, &info, &at_once) > 0)
        note_info(&info);
    require(sigqueue(getpid(), number, (union sigval){.sival_int = 3}) == 0);
    keep_busy(fd, 3);
    TRY(sigwaitinfo(&set, &info) - number);
    note_info(&info);
    require(pthread_kill(pthread_self(), number) == 0);
    keep_busy(fd, 3);
    TRY(sigtimedwait(&set, &info, &soon) - number);
    note_info(&info);
    by_signalfd(number);
    require(raise(number) == 0);
    keep_busy(fd, 3);
    if (sigismember(&old, number) == 0 && number != SIGCHLD) {
        signal(number, SIG_IGN); // forgets it
        note_pending();
    }
    while (sigtimedwait(&set, NULL, &at_once) > 0)
        note("  one more\n");
    require(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
}

static void waits(void) {
    static void (*const dispositions[])(int) = {SIG_DFL, SIG_IGN, handler};
    for (size_t i = 0; i < COUNT_OF(dispositions); i++)
        for (size_t j = 0; j < COUNT_OF(numbers); j++) {
            signal(numbers[j], dispositions[i]);
            note("%s, %s\n", signal_text(numbers[j]), handler_text((void *)dispositions[i]));
            by_every_wait(numbers[j]);
            signal(numbers[j], SIG_DFL);
        }
}

// The mask of these calls holds only while they wait; a handler that ran in them has seen it.
static void masks_of_calls(void) {
    struct timespec limit = {.tv_sec = 5};
    sigset_t all, old, none;
    sigfillset(&all);
    sigemptyset(&none);
    install(SIGUSR1, handler, 0, set_of(SIGHUP, 0, 0));
    install(SIGTERM, handler, SA_RESTART, set_of(SIGHUP, 0, 0));
    require(sigprocmask(SIG_BLOCK, &all, &old) == 0);
    for (int i = 0; i < 2; i++) {
        sigset_t allowing = i ? none : all;
        sigdelset(&allowing, SIGUSR1);
        sigdelset(&allowing, SIGTERM);
        for (int call = 0; call < 5; call++) {
            int number = call % 2 ? SIGTERM : SIGUSR1;
            require(kill(getpid(), number) == 0);
            keep_busy(fd, 3);
            switch (call) {
            case 0:
                TRY(sigsuspend(&allowing));
                break;
            case 1:
                TRY(ppoll(NULL, 0, &limit, &allowing));
                break;
            case 2:
                TRY(pselect(0, NULL, NULL, NULL, &limit, &allowing));
                break;
            case 3: {
                int poller = epoll_create1(0);
                struct epoll_event event;
                require(poller >= 0);
                TRY(epoll_pwait(poller, &event, 1, 5000, &allowing));
                close(poller);
                break;
            }
            default:
                TRY(sigpause(number));
            }
            note("mask %s\n", own_mask_text());
        }
    }
    require(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
}

// Rings every 3 ms; from a certain time on, there's something to read.
static void ring(int number) {
    (void)number;
    if (++rung == feed_at)
        require(write(ends[1], "r", 1) == 1);
}

static void rings(bool on) {
    struct itimerval every = {{0, 3000}, {0, 3000}};
    if (!on)
        memset(&every, 0, sizeof every);
    require(setitimer(ITIMER_REAL, &every, NULL) == 0);
}

static void prepare(int flags) {
    install(SIGALRM, ring, flags, set_of(0, 0, 0));
    keep_busy(fd, 5);
    rung = 0;
    feed_at = 10;
    rings(true);
}

static void unfeed(void) {
    char byte;
    rings(false);
    while (poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 0) == 1)
        require(read(ends[0], &byte, 1) == 1);
}

static void interrupted_calls(int flags) {
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    struct timeval long_time = {.tv_sec = 5};
    struct timespec long_while = {.tv_sec = 5};
    fd_set reading;
    char byte;
    sem_t semaphore;
    require(sem_init(&semaphore, 0, 0) == 0);
    FD_ZERO(&reading);
    FD_SET(ends[0], &reading);
    prepare(flags);
    TRY(read(ends[0], &byte, 1));
    unfeed(), prepare(flags);
    TRY(poll(&one, 1, 5000));
    unfeed(), prepare(flags);
    TRY(select(ends[0] + 1, &reading, NULL, NULL, &long_time));
    unfeed(), prepare(flags);
    TRY(nanosleep(&long_while, NULL));
    unfeed(), prepare(flags);
    note("clock_nanosleep %d\n", clock_nanosleep(CLOCK_MONOTONIC, 0, &long_while, NULL));
    unfeed(), prepare(flags);
    TRY(pause());
    unfeed(), prepare(flags);
    if (!(flags & SA_RESTART))
        TRY(sem_wait(&semaphore));
    TRY(usleep(5000000));
    unfeed();
}

// As much as the pipe holds, and then the signal.
static void interrupted_write(int flags) {
    static char much[1 << 20];
    int full[2];
    require(pipe(full) == 0);
    prepare(flags);
    TRY(write(full[1], much, sizeof much));
    if (!(flags & SA_RESTART))
        TRY(write(full[1], much, sizeof much));
    rings(false);
    close(full[0]);
    close(full[1]);
}

static void restarts(void) {
    require(pipe(ends) == 0);
    for (int flags = 0; flags < 2; flags++) {
        interrupted_calls(flags ? SA_RESTART : 0);
        interrupted_write(flags ? SA_RESTART : 0);
    }
    signal(SIGALRM, ring);
    for (int on = 0; on < 2; on++) {
        char byte;
        require(siginterrupt(SIGALRM, on) == 0);
        keep_busy(fd, 5);
        rung = 0;
        rings(true);
        TRY(read(ends[0], &byte, 1));
        unfeed();
    }
    signal(SIGALRM, SIG_IGN);
    keep_busy(fd, 5);
    rings(true);
    TRY(usleep(20000));
    rings(false);
}

// To each thread its own, and who has it blocked doesn't get it.
static void *threads_signals(void *parent) {
    sigset_t set = set_of(SIGUSR1, 0, 0);
    siginfo_t info;
    note("mask of a new thread %s\n", own_mask_text());
    require(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    keep_busy(fd, 5);
    require(pthread_kill(pthread_self(), SIGUSR1) == 0);
    note_pending();
    TRY(sigwaitinfo(&set, &info) - SIGUSR1);
    note_info(&info);
    keep_busy(fd, 5);
    require(pthread_kill(*(pthread_t *)parent, SIGUSR2) == 0);
    return NULL;
}

static void threads(void) {
    pthread_t self = pthread_self(), thread;
    sigset_t set = set_of(SIGUSR2, SIGHUP, 0), old;
    int got;
    install(SIGUSR1, handler, 0, set_of(0, 0, 0));
    require(pthread_sigmask(SIG_BLOCK, &set, &old) == 0);
    require(pthread_create(&thread, NULL, threads_signals, &self) == 0);
    require(pthread_join(thread, NULL) == 0);
    note_pending();
    require(sigwait(&set, &got) == 0 && got == SIGUSR2);
    require(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
}

int main(void) {
    KNOW(handler);
    KNOW(ring);
    alarm(0);
    fd = open_busy("log", O_WRONLY | O_APPEND);
    waits();
    masks_of_calls();
    restarts();
    threads();
    close(fd);
    print_transcript();
    return 0;
}
