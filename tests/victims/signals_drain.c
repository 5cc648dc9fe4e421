/*
 * signals_drain BURSTS: another process sends bursts of real-time signals with rising values. The handler takes the
 * others of a burst from the queue itself, by sigtimedwait. However they come, each value comes once, and in order,
 * while the main thread writes to two files in turn.
 */
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BURST = 4, LAST = -1 };

static sigset_t drained;
static volatile int expected = 1;
static volatile bool over;

static void take(const siginfo_t *info) {
    int value = info->si_value.sival_int;
    if (value == LAST)
        over = true;
    else if (value == expected)
        expected++;
    else
        die("%d came instead of %d", value, expected);
}

static void handle(int number, siginfo_t *info, void *context) {
    struct timespec at_once = {0, 0};
    siginfo_t next;
    (void)context;
    take(info);
    while (sigtimedwait(&drained, &next, &at_once) == number)
        take(&next);
}

/* To the main thread: a thread's own queue is apart from the process's. */
static void send_value(pid_t to, int value) {
    siginfo_t info = {.si_signo = SIGRTMIN + 1, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = value;
    /* The queue may be full for a while. */
    while (syscall(SYS_rt_tgsigqueueinfo, to, to, SIGRTMIN + 1, &info) != 0) {
        require(errno == EAGAIN);
        usleep(100);
    }
}

static _Noreturn void send_bursts(pid_t to, int bursts) {
    for (int value = 1; value <= bursts * BURST; value++) {
        send_value(to, value);
        if (value % BURST == 0)
            usleep(20);
    }
    send_value(to, LAST);
    _exit(0);
}

static int open_file(const char *name) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0);
    return fd;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_RESTART};
    int status, bursts, files[2];
    pid_t self = getpid();
    require(argc == 2);
    bursts = atoi(argv[1]);
    sigemptyset(&drained);
    sigaddset(&drained, SIGRTMIN + 1);
    require(sigaction(SIGRTMIN + 1, &action, NULL) == 0);
    files[0] = open_file("one");
    files[1] = open_file("two");
    pid_t sender = fork();
    require(sender >= 0);
    if (sender == 0)
        send_bursts(self, bursts);
    for (int i = 0; !over; i++)
        require(pwrite(files[i % 2], "0123456789", 10, i % 1000 * 10) == 10);
    require(expected == bursts * BURST + 1);
    require(waitpid(sender, &status, 0) == sender);
    return status != 0;
}
