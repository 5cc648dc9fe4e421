// signals_inside: what a handler sees, and what it can do to the code that it interrupts, for signals that the program
// sends to itself while writes are pending: the order of several, nesting, the alternate stack, the interrupted
// context.

#include "signals.h"

#include <sys/time.h>

static int fd, depth, resend;
static char *stack;
static bool wants_context;
static int change_mask;

enum { STACK = 1 << 16 };

static bool on_alternate_stack(void) {
    stack_t now;
    char here;
    require(sigaltstack(NULL, &now) == 0);
    bool inside = &here >= stack && &here < stack + STACK;
    note("%s, flags %x%s", inside ? "alternate stack" : "usual stack", (unsigned)now.ss_flags,
         now.ss_sp == stack && now.ss_size == STACK ? "" : ", not ours");
    return inside;
}

static void tell_info(int number, const siginfo_t *info) {
    bool sent = info->si_code <= 0 && info->si_code != SI_TIMER;
    note(" %s%s code %d%s errno %d value %d", signal_text(number), info->si_signo == number ? "" : ", not said",
         info->si_code, !sent || (info->si_pid == getpid() && info->si_uid == getuid()) ? "" : " by a stranger",
         info->si_errno, info->si_code == SI_QUEUE || info->si_code == SI_TIMER ? info->si_value.sival_int : 0);
}

static void show_inside(int number, const siginfo_t *info, ucontext_t *context) {
    int error = errno;
    note("%*s> ", depth * 2, "");
    on_alternate_stack();
    if (info)
        tell_info(number, info);
    note(" errno %d mask %s\n", error, own_mask_text());
    if (context && wants_context)
        note("interrupted: mask %s, stack flags %x\n", mask_text(&context->uc_sigmask),
             (unsigned)context->uc_stack.ss_flags);
    look_at(number);
    keep_busy(fd, 3);
    if (resend-- > 0) {
        depth++;
        TRY(raise(number));
        depth--;
    }
    if (context && change_mask)
        sigaddset(&context->uc_sigmask, change_mask);
    note("%*s<\n", depth * 2, "");
    errno = 1000 + depth;
}

static void plain(int number) {
    show_inside(number, NULL, NULL);
}

static void informed(int number, siginfo_t *info, void *context) {
    show_inside(number, info, context);
}

static void start_timer(timer_t *timer, int number) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number, .sigev_value.sival_int = 31};
    struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    require(timer_create(CLOCK_MONOTONIC, &event, timer) == 0 && timer_settime(*timer, 0, &soon, NULL) == 0);
}

// By the timer of POSIX; the signal stays blocked but in sigsuspend, so that it comes there.
static void by_timer(int number) {
    sigset_t blocked = set_of(number, 0, 0), old;
    timer_t timer;
    require(pthread_sigmask(SIG_BLOCK, &blocked, &old) == 0);
    start_timer(&timer, number);
    keep_busy(fd, 3);
    TRY(sigsuspend(&old));
    require(timer_delete(timer) == 0 && pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
}

static void send_in_every_way(int number) {
    siginfo_t made = {.si_signo = number, .si_code = -60, .si_pid = getpid(), .si_uid = getuid(), .si_errno = 7};
    keep_busy(fd, 5);
    TRY(raise(number));
    keep_busy(fd, 5);
    TRY(kill(getpid(), number));
    keep_busy(fd, 5);
    TRY(sigqueue(getpid(), number, (union sigval){.sival_int = 17}));
    keep_busy(fd, 5);
    TRY(pthread_kill(pthread_self(), number));
    TRY(pthread_sigqueue(pthread_self(), number, (union sigval){.sival_int = 18}));
    keep_busy(fd, 5);
    TRY(syscall(SYS_tgkill, getpid(), gettid(), number));
    TRY(syscall(SYS_tkill, gettid(), number));
    keep_busy(fd, 5);
    TRY(syscall(SYS_rt_sigqueueinfo, getpid(), number, &made));
    keep_busy(fd, 5);
    TRY(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), number, &made));
    by_timer(number);
}

static const int numbers[] = {SIGUSR1, SIGTERM, SIGSEGV, SIGBUS, SIGCHLD, SIGURG, SIGABRT, 36};

static void every_flag(void) {
    static const unsigned flags[] = {0, SA_SIGINFO, SA_SIGINFO | SA_ONSTACK, SA_SIGINFO | SA_NODEFER,
                                     SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER};
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        for (size_t j = 0; j < COUNT_OF(numbers); j++) {
            void *handler = flags[i] & SA_SIGINFO ? (void *)informed : (void *)plain;
            install(numbers[j], handler, (int)flags[i], i % 2 ? set_of(SIGUSR2, SIGSEGV, 0) : set_of(0, 0, 0));
            wants_context = j % 2;
            send_in_every_way(numbers[j]);
            signal(numbers[j], SIG_DFL);
        }
    wants_context = true;
}

static void reset_by_itself(void) {
    for (size_t j = 0; j < COUNT_OF(numbers); j++) {
        install(numbers[j], informed, (int)(SA_SIGINFO | SA_RESETHAND), set_of(0, 0, 0));
        keep_busy(fd, 5);
        TRY(raise(numbers[j]));
        look_at(numbers[j]);
        sysv_signal(numbers[j], plain);
        keep_busy(fd, 5);
        TRY(raise(numbers[j]));
        look_at(numbers[j]);
    }
}

static void nested(void) {
    for (size_t j = 0; j < COUNT_OF(numbers); j++)
        for (int flags = 0; flags < 2; flags++) {
            install(numbers[j], informed, SA_SIGINFO | (flags ? SA_NODEFER : 0), set_of(SIGHUP, 0, 0));
            resend = 3;
            keep_busy(fd, 5);
            TRY(raise(numbers[j]));
            resend = 0;
        }
}

// All of them at once when they are unblocked: each handler on top of the one before, or one after the other.
static void several(void) {
    sigset_t all, old, none;
    sigfillset(&all);
    sigemptyset(&none);
    for (int blocking = 0; blocking < 2; blocking++)
        for (int how = 0; how < 4; how++) {
            for (size_t j = 0; j < COUNT_OF(numbers); j++)
                install(numbers[j], informed, SA_SIGINFO, blocking ? all : none);
            require(sigprocmask(SIG_BLOCK, &all, &old) == 0);
            for (size_t j = 0; j < COUNT_OF(numbers); j++) {
                keep_busy(fd, 2);
                require(sigqueue(getpid(), numbers[j], (union sigval){.sival_int = (int)j}) == 0);
                require(pthread_sigqueue(pthread_self(), numbers[j], (union sigval){.sival_int = 100 + (int)j}) == 0);
            }
            keep_busy(fd, 5);
            note("several, %d %d\n", blocking, how);
            switch (how) {
            case 0:
                TRY(sigprocmask(SIG_SETMASK, &old, NULL));
                break;
            case 1:
                TRY(pthread_sigmask(SIG_SETMASK, &old, NULL));
                break;
            case 2:
                TRY(sigsuspend(&old));
                break;
            default:
                for (size_t j = 0; j < COUNT_OF(numbers); j++)
                    TRY(sigrelse(numbers[j]));
            }
            require(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
        }
}

static void queued_values(void) {
    sigset_t all, old;
    sigfillset(&all);
    install(35, informed, SA_SIGINFO, all);
    install(37, informed, SA_SIGINFO, all);
    require(sigprocmask(SIG_BLOCK, &all, &old) == 0);
    for (int i = 0; i < 20; i++) {
        require(sigqueue(getpid(), 35 + i % 2 * 2, (union sigval){.sival_int = i}) == 0);
        require(pthread_sigqueue(pthread_self(), 35 + i % 2 * 2, (union sigval){.sival_int = 100 + i}) == 0);
        keep_busy(fd, 1);
    }
    require(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
}

// The handler has a signal blocked in the code that it returns to.
static void mask_of_context(void) {
    change_mask = SIGWINCH;
    for (size_t j = 0; j < COUNT_OF(numbers); j++) {
        install(numbers[j], informed, SA_SIGINFO, set_of(SIGUSR2, 0, 0));
        keep_busy(fd, 3);
        TRY(raise(numbers[j]));
        note("afterwards: %s\n", own_mask_text());
        sigrelse(SIGWINCH);
    }
    change_mask = 0;
}

static void without_alternate_stack(void) {
    stack_t none = {.ss_flags = SS_DISABLE}, old;
    TRY(sigaltstack(&none, &old));
    install(SIGSEGV, informed, SA_SIGINFO | SA_ONSTACK, set_of(0, 0, 0));
    keep_busy(fd, 5);
    TRY(raise(SIGSEGV));
    TRY(sigaltstack(&old, NULL));
    keep_busy(fd, 5);
    TRY(raise(SIGSEGV));
    old.ss_size = 100;
    TRY(sigaltstack(&old, NULL));
}

int main(void) {
    KNOW(plain);
    KNOW(informed);
    require((stack = malloc(STACK)) != NULL);
    stack_t alternate = {.ss_sp = stack, .ss_size = STACK};
    require(sigaltstack(&alternate, NULL) == 0);
    fd = open_busy("log", O_WRONLY | O_APPEND);
    every_flag();
    reset_by_itself();
    nested();
    several();
    queued_values();
    mask_of_context();
    without_alternate_stack();
    close(fd);
    print_transcript();
    return 0;
}
