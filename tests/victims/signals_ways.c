// signals_ways: sets dispositions in every way there is, and asks for them in every way, before the first write, while
// writes are pending, and with a pause in between. Nothing is ever sent.

#include "signals.h"

extern sighandler_t bsd_signal(int number, sighandler_t handler);
extern sighandler_t __sysv_signal(int number, sighandler_t handler);

static void one(int number) {
    (void)number;
}

static void two(int number) {
    (void)number;
}

static void three(int number, siginfo_t *info, void *context) {
    (void)number, (void)info, (void)context;
}

// A restorer of its own, as a runtime brings that makes its system calls itself.
extern void own_restorer(void);
#if defined(__x86_64__)
__asm__(".text\nown_restorer:\n    mov $15, %eax\n    syscall\n");
#else
__asm__(".text\nown_restorer:\n    mov x8, #139\n    svc #0\n");
#endif

static int numbers[] = {SIGSEGV, SIGBUS, SIGTERM, SIGUSR1, SIGCHLD, SIGURG, SIGTSTP, SIGABRT, SIGFPE, SIGPIPE, 34, 64};

static void by_sigaction(int number) {
    static const unsigned flags[] = {
        0,
        SA_RESTART,
        SA_NODEFER,
        SA_RESETHAND,
        SA_ONSTACK,
        SA_NOCLDSTOP,
        SA_NOCLDWAIT,
        SA_SIGINFO,
        SA_SIGINFO | SA_RESTART | SA_ONSTACK,
        SA_SIGINFO | SA_NODEFER | SA_RESETHAND,
    };
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        struct sigaction action = {.sa_flags = (int)flags[i], .sa_mask = set_of(SIGUSR2, SIGSEGV, 40)}, old;
        if (flags[i] & SA_SIGINFO)
            action.sa_sigaction = three;
        else
            action.sa_handler = i % 2 ? one : two;
        if (i % 4 == 3)
            sigfillset(&action.sa_mask);
        require(sigaction(number, &action, &old) == 0);
        note_action("before", number, &old);
        look_at(number);
    }
    // What makes no sense, but is kept.
    struct sigaction odd = {.sa_handler = SIG_IGN, .sa_flags = SA_SIGINFO | SA_RESTART};
    require(sigaction(number, &odd, NULL) == 0);
    look_at(number);
    odd = (struct sigaction){.sa_handler = SIG_DFL, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
    sigfillset(&odd.sa_mask);
    struct sigaction *volatile place = &odd;
    require(sigaction(number, place, place) == 0);
    note_action("in place", number, &odd);
    look_at(number);
}

#define SET(call) (note(#call ": %s\n", handler_text((void *)(call))), look_at(number))

static void by_signal(int number) {
    SET(signal(number, one));
    SET(signal(number, two));
    SET(bsd_signal(number, one));
    SET(ssignal(number, two));
    SET(sysv_signal(number, one));
    SET(__sysv_signal(number, two));
    SET(signal(number, SIG_IGN));
    SET(bsd_signal(number, SIG_DFL));
    SET(sysv_signal(number, one));
    SET(signal(number, SIG_DFL));
}

static void by_siginterrupt(int number) {
    TRY(siginterrupt(number, 1));
    look_at(number);
    SET(signal(number, one));
    SET(bsd_signal(number, two));
    TRY(siginterrupt(number, 0));
    look_at(number);
    SET(signal(number, one));
    install(number, three, SA_SIGINFO | SA_NODEFER, set_of(SIGUSR1, 0, 0));
    TRY(siginterrupt(number, 1));
    look_at(number);
    TRY(siginterrupt(number, 0));
    look_at(number);
}

static void by_system_v(int number) {
    SET(sigset(number, one));
    SET(sigset(number, SIG_HOLD));
    note("mask %s\n", own_mask_text());
    SET(sigset(number, SIG_HOLD));
    SET(sigset(number, two));
    note("mask %s\n", own_mask_text());
    TRY(sighold(number));
    note("mask %s\n", own_mask_text());
    TRY(sigrelse(number));
    note("mask %s\n", own_mask_text());
    TRY(sigignore(number));
    look_at(number);
    SET(sigset(number, SIG_DFL));
}

static void by_system_call(int number) {
    struct kernel_action old, action = {(void *)three, SA_SIGINFO | 0x04000000 | SA_NODEFER, own_restorer, 1 << 9};
    TRY(syscall(SYS_rt_sigaction, number, &action, &old, 8));
    note_raw_action("before", number, &old);
    look_at(number);
    TRY(syscall(SYS_rt_sigaction, number, NULL, &old, 8));
    note("its restorer is %s\n", old.restorer == (void *)own_restorer ? "its own" : "a stranger");
    TRY(syscall(SYS_rt_sigaction, number, &action, NULL, 4));
    TRY(syscall(SYS_rt_sigaction, number, (void *)8, NULL, 8));
    TRY(syscall(SYS_rt_sigaction, number, NULL, (void *)8, 8));
    look_at(number);
    action = (struct kernel_action){SIG_DFL, 0, NULL, 0};
    TRY(syscall(SYS_rt_sigaction, number, &action, NULL, 8));
    look_at(number);
}

static void wrong(void) {
    static const int refused[] = {-1, 0, SIGKILL, SIGSTOP, 32, 33, 65, 1000};
    struct sigaction action = {.sa_handler = one}, old;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        int number = refused[i];
        note("%d\n", number);
        TRY(sigaction(number, &action, NULL));
        TRY(sigaction(number, NULL, &old));
        TRY(sigaction(number, NULL, NULL));
        TRY(signal(number, one));
        TRY(bsd_signal(number, one));
        TRY(sysv_signal(number, one));
        TRY(sigset(number, one));
        TRY(sigignore(number));
        TRY(sighold(number));
        TRY(sigrelse(number));
        TRY(siginterrupt(number, 1));
        TRY(raise(number == 0 || number > 64 || number < 0 ? number : 0));
    }
    TRY(signal(SIGUSR1, SIG_ERR));
    TRY(bsd_signal(SIGSEGV, SIG_ERR));
    TRY(sysv_signal(SIGSEGV, SIG_ERR));
    TRY(sigset(SIGSEGV, SIG_ERR));
    TRY(sigprocmask(77, &action.sa_mask, NULL));
    TRY(sigprocmask(77, NULL, &old.sa_mask));
    note("pthread_sigmask: %d\n", pthread_sigmask(77, &action.sa_mask, NULL));
}

static void every_way(void (*between)(void)) {
    static void (*const ways[])(int) = {by_sigaction, by_signal, by_siginterrupt, by_system_v, by_system_call};
    for (size_t way = 0; way < COUNT_OF(ways); way++)
        for (size_t i = 0; i < COUNT_OF(numbers); i++) {
            between();
            ways[way](numbers[i]);
        }
    wrong();
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        look_at(numbers[i]);
}

static int fd;

static void nothing(void) {}

static void write_some(void) {
    keep_busy(fd, 3);
}

int main(void) {
    KNOW(one);
    KNOW(two);
    KNOW(three);
    every_way(nothing);
    // Set before, looked at after.
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        install(numbers[i], i % 2 ? (void *)one : (void *)SIG_DFL, (int)SA_RESETHAND, set_of(SIGINT, numbers[i], 0));
    fd = open_busy("log", O_WRONLY | O_APPEND);
    keep_busy(fd, 200);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        look_at(numbers[i]);
    every_way(write_some);
    install(SIGSEGV, SIG_IGN, 0, set_of(0, 0, 0));
    keep_busy(fd, 10);
    look_at(SIGSEGV);
    close(fd);
    print_transcript();
    return 0;
}
