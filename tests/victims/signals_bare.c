/*
 * signals_bare: what the kernel knows of the program's handlers, as long as nothing was deferred: just what the program
 * has set. It asks by an instruction of its own; prints it in the end, at once.
 *
 *   signals_bare first           handlers set in every way
 *   signals_bare again           the same after many writes, and after a clone that ends all deferring
 *   signals_bare stack           an alternate stack that is made read-only and writable in turns
 */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum { STACK = 40960, SIGNALS = 20000, LINES = 1000 };

static char said[1 << 16];
static size_t length;
#define say(...) (length += (size_t)snprintf(said + length, sizeof said - length, __VA_ARGS__))

/* Seen by nobody. */
static long call(long number, long a, long b, long c, long d) {
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return number;
#else
    return syscall(number, a, b, c, d);
#endif
}

static void simple(int number) {
    (void)number;
}

static void informed(int number, siginfo_t *info, void *context) {
    (void)number, (void)info, (void)context;
}

static const char *name_of(const void *handler) {
    if (handler == (void *)SIG_DFL || handler == (void *)SIG_IGN)
        return handler == (void *)SIG_DFL ? "default" : "ignored";
    return handler == (void *)simple ? "simple" : handler == (void *)informed ? "informed" : "another";
}

static void ask_the_kernel(void) {
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } action;
    for (int number = 1; number < 65; number++)
        if (call(SYS_rt_sigaction, number, 0, (long)&action, 8) == 0)
            say("%d %s flags %lx mask %lx\n", number, name_of(action.handler), action.flags, action.mask);
    FILE *status = fopen("/proc/self/status", "r");
    require(status);
    for (char line[256]; fgets(line, sizeof line, status);)
        if (strncmp(line, "Sig", 3) == 0 && strncmp(line, "SigQ", 4) != 0)
            say("%s", line);
    fclose(status);
}

static void set_all_ways(void) {
    struct sigaction action = {.sa_sigaction = informed, .sa_flags = SA_SIGINFO | SA_RESTART};
    signal(SIGHUP, simple);
    sigset(SIGINT, simple);
    sigignore(SIGQUIT);
    sysv_signal(SIGALRM, simple);
    sigaddset(&action.sa_mask, SIGTERM);
    require(sigaction(SIGUSR1, &action, NULL) == 0);
    require(sigaction(SIGSEGV, &action, NULL) == 0);
    action.sa_flags |= (int)(SA_ONSTACK | SA_NODEFER | SA_RESETHAND);
    require(sigaction(SIGUSR2, &action, NULL) == 0);
    require(sigaction(SIGRTMIN + 3, &action, NULL) == 0);
    siginterrupt(SIGHUP, 1);
    ask_the_kernel();
}

static int stranger(void *unused) {
    (void)unused;
    return 0;
}

static void write_and_clone(void) {
    static char stack[65536] __attribute__((aligned(16)));
    int file = open("lines", O_WRONLY | O_CREAT | O_TRUNC, 0600), status;
    set_all_ways();
    for (int i = 0; i < LINES; i++)
        require(write(file, "a line\n", 7) == 7);
    int pid = clone(stranger, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
    require(pid > 0 && waitpid(pid, &status, 0) == pid);
    ask_the_kernel();
}

static char stack[STACK] __attribute__((aligned(4096)));
static volatile int over;

static void *flip(void *unused) {
    while (!over) {
        mprotect(stack, sizeof stack, PROT_READ);
        mprotect(stack, sizeof stack, PROT_READ | PROT_WRITE);
    }
    return unused;
}

/* The frames that the kernel can't write become a SIGSEGV, which has a handler on the ordinary stack. */
static void on_a_stack_that_changes(void) {
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = simple};
    pthread_t thread;
    require(sigaction(SIGSEGV, &action, NULL) == 0 && sigaltstack(&alternate, NULL) == 0);
    action.sa_flags = SA_ONSTACK;
    require(sigaction(SIGHUP, &action, NULL) == 0);
    require(pthread_create(&thread, NULL, flip, NULL) == 0);
    for (int i = 0; i < SIGNALS; i++)
        call(SYS_tkill, getpid(), SIGHUP, 0, 0);
    over = 1;
    pthread_join(thread, NULL);
    say("survived\n");
}

int main(int argc, char **argv) {
    require(argc == 2);
    if (strcmp(argv[1], "first") == 0)
        set_all_ways();
    else if (strcmp(argv[1], "again") == 0)
        write_and_clone();
    else
        on_a_stack_that_changes();
    require(write(1, said, length) == (ssize_t)length);
    return 0;
}
