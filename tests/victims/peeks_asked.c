/*
 * peeks_asked: what is asked around small reads of a pipe: is it a terminal, where is its position, is there more,
 * which signals are blocked; also in handlers, in contexts, and after those.
 */
#include <fcntl.h>
#include <poll.h>
#include <ucontext.h>

#include "common.h"

static int ends[2];
static ucontext_t context, back;
static char stack[64 << 10];

static void read_some(int count) {
    char byte;
    for (int i = 0; i < count; i++)
        require(read(ends[0], &byte, 1) == 1);
}

static void say(const char *when) {
    sigset_t set;
    errno = 4242;
    require(sigprocmask(SIG_BLOCK, NULL, &set) == 0);
    printf("%s: errno %d, blocked", when, errno);
    for (int number = 1; number < 32; number++)
        if (sigismember(&set, number))
            printf(" %d", number);
    puts("");
}

static void ask(const char *when) {
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    read_some(3);
    for (int whence = 0; whence < 7; whence++) {
        errno = 4242;
        long position = lseek(ends[0], 0, whence);
        printf("%s: lseek %d is %ld, errno %d\n", when, whence, position, errno);
    }
    errno = 4242;
    int terminal = isatty(ends[0]);
    printf("%s: isatty %d, errno %d\n", when, terminal, errno);
    int ready = poll(&one, 1, 0);
    printf("%s: poll %d, %#x\n", when, ready, (unsigned)one.revents);
    read_some(2);
    say(when);
}

static void handler(int number, siginfo_t *info, void *interrupted) {
    (void)number;
    (void)info;
    say("in the handler");
    read_some(3);
    say("in the handler, after reads");
    sigaddset(&((ucontext_t *)interrupted)->uc_sigmask, SIGWINCH);
}

static void in_context(void) {
    say("in the context");
    read_some(3);
    say("in the context, after reads");
}

static void change(int how, int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    require(sigprocmask(how, &set, NULL) == 0);
}

int main(void) {
    static char bytes[4000];
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    require(pipe(ends) == 0 && write(ends[1], bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes));
    sigaddset(&action.sa_mask, SIGUSR2);
    require(sigaction(SIGUSR1, &action, NULL) == 0);
    read_some(200);
    ask("at first");
    change(SIG_BLOCK, SIGCHLD);
    ask("one blocked");
    require(raise(SIGUSR1) == 0);
    ask("after the handler");
    change(SIG_UNBLOCK, SIGWINCH);
    close(ends[1]);
    ask("nobody writes any more");
    require(getcontext(&context) == 0);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = sizeof(stack);
    context.uc_link = &back;
    sigaddset(&context.uc_sigmask, SIGUSR1);
    makecontext(&context, in_context, 0);
    require(swapcontext(&back, &context) == 0);
    ask("after the context");
    return 0;
}
