/*
 * The operations of random_ops with signals. They come at points that the program determines, so that what their
 * handlers do has one place in the order of things; those that come anywhere do what has one result anywhere.
 */
#pragma once

#include "random_ops_files.h"
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

/* What the handler is to do. */
static __thread struct signal_plan {
    struct worker *w;
    struct space *s;
    sigjmp_buf jump;
    int operations, again, bytes_to;
    bool leave;
    volatile sig_atomic_t caught;
} plan;

static void act(int number) {
    struct worker *w = plan.w;
    bool outer = w->in_handler;
    note(w, "caught %d", number);
    require(plan.caught++ < 1000); /* it was no fault */
    if (plan.again-- > 0)
        CALL(w, raise(number)); /* at once or on return, as the flags have it */
    w->in_handler = true;
    for (int i = 0; i < plan.operations; i++)
        perform(w, plan.s);
    w->in_handler = outer;
    if (plan.bytes_to >= 0)
        CALL(w, write(plan.bytes_to, "s", 1));
    if (plan.leave)
        siglongjmp(plan.jump, 1);
}

static void act_informed(int number, siginfo_t *info, void *context) {
    (void)context;
    note(plan.w, "from %d %d", info->si_code, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
    act(number);
}

/* Each thread has some of its own. */
static int any_signal(struct worker *w) {
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM,  SIGINT, SIGHUP,
                                  SIGSEGV, SIGBUS,  SIGWINCH, SIGFPE, SIGQUIT};
    if (alone() && one_in(w, 2))
        return signals[below(w, COUNT_OF(signals))];
    return SIGRTMIN + 2 * w->number + (int)below(w, 2);
}

static void note_action(struct worker *w, int number) {
    struct sigaction now;
    require(!sigaction(number, NULL, &now));
    const char *what = now.sa_handler == SIG_DFL   ? "default"
                       : now.sa_handler == SIG_IGN ? "ignored"
                       : now.sa_handler == act     ? "act"
                                                   : "other";
    if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == act_informed)
        what = "act_informed";
    unsigned mask = 0;
    for (int i = 1; i < 32; i++)
        mask |= (unsigned)(sigismember(&now.sa_mask, i) == 1) << i;
    note(w, "action %d %s %x %x", number, what, (unsigned)now.sa_flags, mask);
}

static void note_mask(struct worker *w) {
    sigset_t mask, pending;
    unsigned long blocked = 0, waiting = 0;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    sigpending(&pending);
    for (int i = 1; i < 64; i++) {
        blocked |= (unsigned long)(sigismember(&mask, i) == 1) << i;
        waiting |= (unsigned long)(i != SIGCHLD && sigismember(&pending, i) == 1) << i;
    }
    note(w, "mask %lx %lx", blocked, waiting);
}

/* Installs a handler in one of the ways there are. Returns the flags it has. */
static int install(struct worker *w, struct space *s, int number) {
    plan.w = w;
    plan.s = s;
    plan.operations = (int)below(w, 4);
    plan.leave = one_in(w, 4);
    plan.again = 0;
    plan.bytes_to = -1;
    plan.caught = 0;
    struct sigaction action = {.sa_handler = act};
    int how = (int)below(w, 8);
    sighandler_t old;
    errno = SENTINEL;
    if (how < 3) {
        old = how == 0 ? signal(number, act) : how == 1 ? sysv_signal(number, act) : ssignal(number, act);
        note(w, "signal %d %d %d", old == act, old == SIG_DFL, errno);
    } else {
        static const int flags[] = {SA_RESTART, SA_NODEFER, SA_RESETHAND, SA_ONSTACK};
        for (size_t i = 0; i < COUNT_OF(flags); i++)
            action.sa_flags |= one_in(w, 2) ? flags[i] : 0;
        if (one_in(w, 2)) {
            action.sa_flags |= SA_SIGINFO;
            action.sa_sigaction = act_informed;
        }
        if (one_in(w, 3))
            sigfillset(&action.sa_mask);
        CALL(w, sigaction(number, &action, NULL));
    }
    require(!sigaction(number, NULL, &action));
    if (!(action.sa_flags & SA_RESETHAND) && one_in(w, 4))
        plan.again = 1;
    return action.sa_flags;
}

static void send_self(struct worker *w, int number) {
    switch (below(w, alone() ? 6 : 3)) {
    case 0:
        CALL(w, raise(number));
        break;
    case 1:
        CALL(w, pthread_kill(pthread_self(), number));
        break;
    case 2:
        CALL(w, syscall(SYS_tgkill, getpid(), gettid(), number));
        break;
    case 3:
        CALL(w, sigqueue(getpid(), number, (union sigval){.sival_int = 77}));
        break;
    default:
        CALL(w, kill(getpid(), number));
    }
}

static void wait_for(struct worker *w, const sigset_t *open) {
    struct timespec never = {30, 0};
    struct epoll_event event;
    int queue;
    switch (below(w, 4)) {
    case 0:
        CALL(w, sigsuspend(open));
        break;
    case 1:
        CALL(w, ppoll(NULL, 0, &never, open));
        break;
    case 2:
        CALL(w, pselect(0, NULL, NULL, NULL, &never, open));
        break;
    default:
        queue = epoll_create1(EPOLL_CLOEXEC);
        CALL(w, epoll_pwait(queue, &event, 1, 30000, open));
        close(queue);
    }
}

/* A signal sent by the thread to itself, taken at once, or later where it says. */
static void op_signal(struct worker *w, struct space *s) {
    int number = any_signal(w), times = 1;
    int flags = install(w, s, number);
    sigset_t all, before, only;
    sigemptyset(&only);
    sigaddset(&only, number);
    if (flags & SA_ONSTACK)
        require(!sigaltstack(&(stack_t){.ss_sp = w->alternative, .ss_size = 256 * 1024}, NULL));
    note_action(w, number);
    put(w, WRITE, any_fd(w, s), 30, 0);
    if (sigsetjmp(plan.jump, 1) == 0) {
        if (one_in(w, 2)) {
            send_self(w, number);
        } else {
            if (one_in(w, 2))
                sigfillset(&all);
            else
                all = only;
            require(!pthread_sigmask(SIG_BLOCK, &all, &before));
            times += !(flags & SA_RESETHAND) && number >= SIGRTMIN && one_in(w, 3);
            for (int i = 0; i < times; i++)
                send_self(w, number);
            op_burst(w, s);
            note_mask(w);
            if (one_in(w, 4) && times == 1) /* taken without a handler */
                CALL(w, sigtimedwait(&only, NULL, &(struct timespec){30, 0}));
            else if (one_in(w, 2))
                wait_for(w, &before);
            require(!pthread_sigmask(SIG_SETMASK, &before, NULL));
        }
    } else {
        w->in_handler = false;
        note(w, "jumped");
    }
    put(w, WRITE, any_fd(w, s), 30, 0);
    note(w, "caught %d", (int)plan.caught);
    note_action(w, number);
    note_mask(w);
    if (one_in(w, 2))
        CALL_POINTER(w, signal(number, one_in(w, 4) ? SIG_IGN : SIG_DFL));
}

/* A timer's signal, waited for: SIGALRM, which is also what ends a program that hangs. */
static void op_alarm(struct worker *w, struct space *s) {
    const struct itimerval soon = {.it_value = {0, 1000}}, never = {.it_value = {0, 0}};
    sigset_t blocked, before;
    int ends[2];
    char byte = 0;
    if (!alone())
        return;
    int flags = install(w, s, SIGALRM);
    bool once = flags & SA_RESETHAND;
    plan.leave = false;
    plan.again = 0; /* it would come after the handler is gone */
    plan.operations = plan.operations > 1;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    require(!pthread_sigmask(SIG_BLOCK, &blocked, &before));
    require(!setitimer(ITIMER_REAL, &soon, NULL));
    op_burst(w, s);
    wait_for(w, &before);
    if (!once && one_in(w, 2)) { /* a read that the handler interrupts, or gives something to read */
        struct sigaction action = {.sa_handler = act, .sa_flags = SA_RESTART};
        require(!pipe2(ends, O_CLOEXEC));
        plan.bytes_to = ends[1];
        require(!sigaction(SIGALRM, &action, NULL));
        require(!setitimer(ITIMER_REAL, &soon, NULL));
        put(w, WRITE, any_fd(w, s), 30, 0);
        require(!pthread_sigmask(SIG_SETMASK, &before, NULL));
        CALL(w, read(ends[0], &byte, 1));
        close(ends[0]);
        close(ends[1]);
    }
    require(!setitimer(ITIMER_REAL, &never, NULL));
    signal(SIGALRM, SIG_DFL);
    require(!pthread_sigmask(SIG_SETMASK, &before, NULL));
    alarm(HANG_SECONDS);
    note(w, "byte %d", byte);
}

/* A signal that comes anywhere, from a timer of this thread: its handler has a file of its own, and perhaps leaves. */
static __thread struct {
    int fd;
    bool leave;
    volatile sig_atomic_t done;
    sigjmp_buf jump;
} apart;

static void act_apart(int number) {
    char record[100];
    int saved = errno;
    memset(record, 'r', sizeof(record));
    (void)number;
    for (int i = 0; i < 5; i++)
        require(write(apart.fd, record, sizeof(record)) == sizeof(record));
    require(pwrite(apart.fd, "p", 1, 50) == 1);
    require(lseek(apart.fd, 0, SEEK_CUR) % 500 == 0);
    apart.done = 1;
    errno = saved;
    if (apart.leave)
        siglongjmp(apart.jump, 1);
}

static void write_until_interrupted(struct worker *w, timer_t timer, int fd, size_t size, off_t offset) {
    const struct itimerspec soon = {.it_value = {0, 20000 + (long)below(w, 600000)}};
    if (sigsetjmp(apart.jump, 1))
        return;
    require(!timer_settime(timer, 0, &soon, NULL));
    for (size_t i = 0; !apart.done; i = (i + 1) % (4096 / size))
        require(pwrite(fd, w->data + i * size, size, offset + (off_t)(i * size)) == (ssize_t)size);
}

static void op_interrupted(struct worker *w, struct space *s) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 2 * w->number};
    struct sigaction action = {.sa_handler = act_apart, .sa_flags = one_in(w, 2) ? SA_RESTART | SA_NODEFER : 0};
    struct name name = file_name(s, FILES);
    struct stat found;
    timer_t timer;
    int fd = open(any_name(w, s).text, O_WRONLY);
    apart.fd = open(name.text, O_CREAT | O_WRONLY, 0600);
    if (fd < 0 || apart.fd < 0 || fstat(fd, &found) || !S_ISREG(found.st_mode)) {
        close(fd);
        close(apart.fd);
        return;
    }
    apart.leave = one_in(w, 2);
    apart.done = 0;
    size_t size = 1 + below(w, 200);
    off_t offset = (off_t)below(w, AREA);
    rng_fill(&w->rng, w->data, 4096);
    require(lseek(apart.fd, 0, SEEK_END) >= 0);
    event._sigev_un._tid = gettid();
    require(!sigaction(event.sigev_signo, &action, NULL));
    require(!timer_create(CLOCK_MONOTONIC, &event, &timer));
    /* The same bytes again and again: it doesn't matter where it ends, once all were written. */
    for (size_t i = 0; i < 4096 / size; i++)
        require(pwrite(fd, w->data + i * size, size, offset + (off_t)(i * size)) == (ssize_t)size);
    write_until_interrupted(w, timer, fd, size, offset);
    require(apart.done);
    require(!timer_delete(timer));
    put(w, WRITE, any_fd(w, s), 30, 0);
    note_data(w, CALL(w, pread(any_fd(w, s), w->data, 4096, offset)));
    CALL(w, fstat(apart.fd, &found));
    note_stat(w, &found);
    close(fd);
    close(apart.fd);
    signal(event.sigev_signo, SIG_DFL);
}

/* A real fault: the handler writes, and leaves or mends what was wrong. */
static char *faulting;

static void act_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    note(plan.w, "fault %d %d", number, info->si_code);
    plan.w->in_handler = true;
    for (int i = 0; i < plan.operations; i++)
        perform(plan.w, plan.s);
    plan.w->in_handler = false;
    if (plan.leave)
        siglongjmp(plan.jump, 1);
    require(!mprotect(faulting, 1, PROT_READ | PROT_WRITE));
}

static void touch_faulting(struct worker *w) {
    if (sigsetjmp(plan.jump, 1) == 0)
        *(volatile char *)faulting = 1;
    else
        note(w, "jumped");
}

/* Of a page that may not be written, or of a file's that is gone: only the first can be mended. */
static void op_fault(struct worker *w, struct space *s) {
    struct sigaction action = {.sa_sigaction = act_fault, .sa_flags = SA_SIGINFO | (one_in(w, 2) ? SA_NODEFER : 0)};
    struct sigaction old;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!alone())
        return;
    int number = one_in(w, 4) ? SIGBUS : SIGSEGV;
    plan.w = w;
    plan.s = s;
    plan.operations = 1 + (int)below(w, 2);
    plan.leave = number == SIGBUS || one_in(w, 2);
    require(!sigaction(number, &action, &old));
    faulting = w->edge + page;
    if (number == SIGBUS) {
        int fd = open(file_name(s, FILES + 1).text, O_RDWR | O_CREAT, 0600);
        require(fd >= 0 && !ftruncate(fd, 100));
        faulting = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        require(faulting != MAP_FAILED && !ftruncate(fd, 0) && !close(fd)); // here: what comes now may close it, too
    }
    op_burst(w, s);
    touch_faulting(w);
    w->in_handler = false;
    put(w, WRITE, any_fd(w, s), 30, 0);
    if (number == SIGBUS)
        require(!munmap(faulting, page));
    require(!mprotect(w->edge + page, page, PROT_NONE));
    require(!sigaction(number, &old, NULL));
}

/* SIGPIPE and SIGXFSZ come from within a write; the handler only notes them. */
static void act_noting(int number) {
    plan.caught = number;
}

static void op_signal_of_write(struct worker *w, struct space *s) {
    int ends[2];
    if (!alone())
        return;
    plan.caught = 0;
    if (one_in(w, 2)) {
        sighandler_t old = signal(SIGPIPE, one_in(w, 4) ? SIG_IGN : act_noting);
        require(!pipe2(ends, O_CLOEXEC));
        close(ends[0]);
        put(w, WRITE, any_fd(w, s), 30, 0);
        CALL(w, write(ends[1], "lost", 4));
        close(ends[1]);
        signal(SIGPIPE, old);
    } else {
        sighandler_t old = signal(SIGXFSZ, act_noting);
        op_size_limit(w, s);
        signal(SIGXFSZ, old);
    }
    note(w, "of write %d", (int)plan.caught);
}
