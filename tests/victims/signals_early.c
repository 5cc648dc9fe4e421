/*
 * signals_early: before anything is deferred, handlers jump out of calls that change numbers, mappings, limits and
 * dispositions, and make threads and processes, while another thread makes the same calls. None may be left behind
 * waiting for what the one that jumped away held.
 *
 *   signals_early ROUNDS
 */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVERY_US = 100, WAYS = 8 };

static __thread sigjmp_buf away;
static __thread volatile sig_atomic_t may_jump;
static volatile unsigned jumps;
static volatile int over;

static void handle(int number) {
    (void)number;
    if (!may_jump)
        return;
    may_jump = 0;
    jumps++;
    siglongjmp(away, 1);
}

static void some_call(unsigned which) {
    struct rlimit limit;
    void *memory;
    int fd;
    switch (which % WAYS) {
    case 0:
        close(open("/dev/null", O_RDONLY));
        break;
    case 1:
        fd = open("/dev/null", O_RDONLY);
        close(dup(fd));
        close(fd);
        break;
    case 2:
        memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        mprotect(memory, 4096, PROT_READ);
        munmap(memory, 4096);
        break;
    case 3:
        getrlimit(RLIMIT_NOFILE, &limit);
        setrlimit(RLIMIT_NOFILE, &limit);
        break;
    case 4:
        signal(SIGUSR2, handle);
        break;
    case 5:
        fd = open("/dev/null", O_WRONLY);
        fcntl(fd, F_SETFL, O_APPEND);
        close(fd);
        break;
    case 6:
        fd = memfd_create("early", 0);
        close(fd);
        break;
    default:
        dup2(0, 50);
        close(50);
    }
}

static void make_calls(unsigned seed) {
    if (sigsetjmp(away, 1))
        return;
    may_jump = 1;
    for (unsigned i = 0; i < 20; i++)
        some_call(seed + i);
    may_jump = 0;
}

static void *other_thread(void *unused) {
    for (unsigned i = 0; !over; i++)
        some_call(i);
    return unused;
}

static void fork_one(void) {
    pid_t pid = fork();
    if (pid == 0) {
        for (unsigned i = 0; i < WAYS; i++)
            some_call(i);
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        require(errno == EINTR);
    require(status == 0);
}

int main(int argc, char **argv) {
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
    struct itimerval often = {{0, EVERY_US}, {0, EVERY_US}}, never = {0};
    struct rlimit many = {200000, 200000};
    sigset_t set, before;
    pthread_t thread;
    setrlimit(RLIMIT_NOFILE, &many); /* what a jump leaves open */
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigaddset(&set, SIGUSR2);
    signal(SIGALRM, handle);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    require(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned i = 0; i < rounds; i++) {
        make_calls(i);
        if (i % 100 == 0)
            fork_one();
    }
    setitimer(ITIMER_REAL, &never, NULL);
    over = 1;
    require(pthread_join(thread, NULL) == 0);
    require(jumps > 0);
    return 0;
}
