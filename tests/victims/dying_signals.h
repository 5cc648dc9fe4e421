// The ways to die of a signal that the process sends to itself, or has sent.
#pragma once

#include "dying_faults.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static void by_raise(void) {
    write_records(RECORDS);
    raise(number);
}

static void by_kill(void) {
    write_records(RECORDS);
    kill(getpid(), number);
}

static void by_group(void) {
    setpgid(0, 0);
    write_records(RECORDS);
    kill(0, number);
}

static void by_sigqueue(void) {
    write_records(RECORDS);
    sigqueue(getpid(), number, (union sigval){.sival_int = 77});
}

static void by_tgkill(void) {
    write_records(RECORDS);
    syscall(SYS_tgkill, getpid(), gettid(), number);
}

static void by_queueinfo(void) {
    siginfo_t info = {.si_signo = number, .si_code = -99, .si_errno = 5};
    write_records(RECORDS);
    syscall(SYS_rt_sigqueueinfo, getpid(), number, &info);
}

static void by_unblocking(void) {
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, number);
    require(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    raise(number);
    write_records(RECORDS);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void by_sigsuspend(void) {
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, number);
    require(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    raise(number);
    write_records(RECORDS);
    sigsuspend(&old);
}

static void by_handler(void) {
    signal(number, last_words);
    write_records(RECORDS);
    raise(number);
}

static void by_reset(void) {
    struct sigaction action = {.sa_handler = last_words, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    require(sigaction(number, &action, NULL) == 0);
    write_records(RECORDS);
    raise(number);
}

static void blocked(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    require(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    write_records(RECORDS);
    raise(number);
    kill(getpid(), number);
}

static void ignored(void) {
    signal(number, SIG_IGN);
    write_records(RECORDS);
    raise(number);
    kill(getpid(), number);
}

static void by_alarm(void) {
    struct itimerval soon = {.it_value.tv_usec = 1000};
    write_records(RECORDS);
    require(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    spin();
}

static void by_virtual(void) {
    struct itimerval soon = {.it_value.tv_usec = 20000};
    write_records(RECORDS);
    require(setitimer(number == SIGPROF ? ITIMER_PROF : ITIMER_VIRTUAL, &soon, NULL) == 0);
    spin();
}

static void by_timer(void) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number, .sigev_value.sival_int = 12};
    struct itimerspec soon = {.it_value.tv_nsec = 20000000};
    timer_t timer;
    require(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0);
    write_records(RECORDS);
    require(timer_settime(timer, 0, &soon, NULL) == 0); /* not before: writing may take a slow machine longer */
    spin();
}

// Until the process has used a second.
static void by_cpu_limit(void) {
    require(setrlimit(RLIMIT_CPU, &(struct rlimit){1, 3}) == 0);
    for (clock_t limit = CLOCKS_PER_SEC / 2; clock() < limit;)
        ;
    write_records(RECORDS);
    spin();
}

static void by_size_limit(void) {
    require(setrlimit(RLIMIT_FSIZE, &(struct rlimit){RECORDS * RECORD, RECORDS * RECORD}) == 0);
    write_records(RECORDS);
    require(write(log_fd, "one more\n", 9) == 9);
}

static void by_pipe(void) {
    int ends[2];
    require(pipe(ends) == 0 && close(ends[0]) == 0);
    write_records(RECORDS);
    TEMP_FAILURE_RETRY(write(ends[1], "x", 1));
}

static void by_stream(void) {
    int ends[2];
    require(pipe(ends) == 0 && close(ends[0]) == 0);
    FILE *out = fdopen(ends[1], "w");
    require(out);
    fprintf(out, "nobody reads this\n");
    write_records(RECORDS);
    fflush(out);
}

static void by_socket(void) {
    int ends[2];
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && close(ends[0]) == 0);
    write_records(RECORDS);
    send(ends[1], "x", 1, 0);
}
