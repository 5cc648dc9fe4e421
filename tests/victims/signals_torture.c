// signals_torture HOW VALUES: main writes records in every way, under two timers of several kHz and the signals of a
// thread and a process, each of which also queues so many numbered values; the handlers write records, too, and some
// of them fork a child that does. HOW: `plain`, `nested` (handlers interrupt each other), `jump` (every tenth jumps
// out of what it interrupts), `stack` (the handlers have one of their own).

#include "signals_torture.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/uio.h>

enum { FROM_PROCESS = 36, FROM_THREAD = 37, FROM_SELF = 38, TICK = 39, STACK = 1 << 17 };

static int appended, plain, slots, values;
static FILE *stream;
static bool jumping;
static volatile sig_atomic_t jumpable;
static volatile sig_atomic_t busy, in_stream, depth;
static volatile int expected[3];
static pid_t queuer;
static sigset_t mask_of_main;
static sigjmp_buf back;
static const char *volatile wrong;
static char *stack;

static bool main_appends(unsigned number) {
    return number % 5 <= 1;
}

static bool main_plain(unsigned number) {
    return number % 5 == 2;
}

static bool main_slots(unsigned number) {
    return number % 5 == 3;
}

static bool main_streams(unsigned number) {
    return number % 5 == 4;
}

static bool handler_appends(unsigned number) {
    return number % 3 == 0;
}

static bool handler_plain(unsigned number) {
    return number % 3 == 1;
}

static bool handler_slots(unsigned number) {
    return number % 3 == 2;
}

static bool nobody(unsigned number) {
    (void)number;
    return false;
}

static void write_as_main(unsigned number) {
    char record[RECORD];
    make_record(record, (struct claim){'m', number, number, number});
    struct iovec parts[] = {{record, 7}, {record + 7, RECORD - 7}};
    ssize_t result;
    errno = UNTOUCHED;
    switch (number % 5) {
    case 0:
        result = write(appended, record, RECORD);
        break;
    case 1:
        result = writev(appended, parts, 2);
        break;
    case 2:
        result = write(plain, record, RECORD);
        break;
    case 3:
        result = pwrite(slots, record, RECORD, 2 * (off_t)number * RECORD);
        break;
    default:
        in_stream = 1;
        result = fwrite(record, 1, RECORD, stream) == RECORD && fflush(stream) == 0 ? RECORD : -1;
        in_stream = 0;
    }
    if (result != RECORD || (errno != UNTOUCHED && number % 5 != 4))
        die("record %u: %ld", number, (long)result);
    returned[number] = 1;
    busy = 0;
}

static void write_as_child(struct claim claim) {
    char record[RECORD];
    claim.who = 'c';
    make_record(record, claim);
    _exit(write(appended, record, RECORD) != RECORD);
}

static void write_as_handler(struct claim claim) {
    char record[RECORD];
    make_record(record, claim);
    ssize_t result = handler_appends(claim.number) ? write(appended, record, RECORD)
                     : handler_plain(claim.number)
                         ? write(plain, record, RECORD)
                         : pwrite(slots, record, RECORD, (2 * (off_t)claim.number + 1) * RECORD);
    if (result != RECORD)
        wrong = "a handler's write";
    if (!handler_appends(claim.number) || claim.number % CHILD_SHARE)
        return;
    pid_t child = fork();
    if (!child)
        write_as_child(claim);
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || status)
        wrong = "a handler's child";
}

static void take_value(int number, const siginfo_t *info) {
    int which = number - FROM_PROCESS;
    if (info->si_code != SI_QUEUE || info->si_pid != (which ? getpid() : queuer))
        wrong = "a value's origin";
    if (info->si_value.sival_int != expected[which]++)
        wrong = which == 0 ? "the process's values" : which == 1 ? "the thread's values" : "its own values";
}

static void handle(int number, siginfo_t *info, void *context) {
    int error = errno;
    struct claim claim = {'h', 0, begun, begun - (unsigned)(busy != 0)};
    ucontext_t *frame = context;
    if (stack && ((char *)&claim < stack || (char *)&claim >= stack + STACK))
        wrong = "the stack of a handler";
    if (info->si_signo != number)
        wrong = "a signal's number";
    if (!nesting && memcmp(&frame->uc_sigmask, &mask_of_main, 8) != 0)
        wrong = "the interrupted mask";
    if (number >= FROM_PROCESS && number <= FROM_SELF)
        take_value(number, info);
    if (number == FROM_PROCESS && info->si_value.sival_int % 10 == 0)
        sigqueue(getpid(), FROM_SELF, (union sigval){.sival_int = info->si_value.sival_int / 10});
    if (depth < 5 && handled < MOST - 10 && begun < MOST - 10) {
        depth++;
        sigset_t all, old;
        sigfillset(&all);
        // A number is taken by one handler at a time.
        sigprocmask(SIG_BLOCK, &all, &old);
        claim.number = handled++;
        if (!nesting)
            sigprocmask(SIG_SETMASK, &old, NULL);
        write_as_handler(claim);
        sigprocmask(SIG_SETMASK, &old, NULL);
        depth--;
    }
    errno = error;
    if (jumpable && !in_stream && handled % 10 == 0)
        siglongjmp(back, 1);
}

static void wait_a_little(uint64_t *state) {
    struct timespec pause = {.tv_nsec = 1000 + (long)rng_below(state, 200000)};
    nanosleep(&pause, NULL);
}

static void *send_from_thread(void *main_thread) {
    pthread_t receiver = *(pthread_t *)main_thread;
    uint64_t state = 1;
    for (int value = 0; value < values;) {
        for (uint64_t burst = rng_below(&state, 5) + 1; burst && value < values; burst--)
            if (pthread_sigqueue(receiver, FROM_THREAD, (union sigval){.sival_int = value}) == 0)
                value++;
        if (value % 3 == 0)
            pthread_kill(receiver, SIGUSR1);
        if (value % 3 == 1)
            kill(getpid(), SIGUSR2);
        wait_a_little(&state);
    }
    return NULL;
}

static void send_from_process(pid_t receiver) {
    uint64_t state = 2;
    for (int value = 0; value < values && getppid() == receiver;) {
        for (uint64_t burst = rng_below(&state, 5) + 1; burst && value < values; burst--)
            if (sigqueue(receiver, FROM_PROCESS, (union sigval){.sival_int = value}) == 0)
                value++;
        if (value % 4 == 0)
            kill(receiver, SIGHUP);
        if (value % 4 == 1)
            kill(receiver, SIGSEGV);
        wait_a_little(&state);
    }
    _exit(0);
}

static timer_t start_timer(int number, long interval) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
    struct itimerspec every = {{0, interval}, {0, interval}};
    timer_t timer;
    if (number == SIGKILL) // a hang's end
        every = (struct itimerspec){.it_value.tv_sec = HANG_SECONDS};
    require(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &every, NULL) == 0);
    return timer;
}

static bool all_received(void) {
    return expected[0] == values && expected[1] == values && expected[2] == (values + 9) / 10;
}

static void write_until_received(void) {
    sigsetjmp(back, 1);
    jumpable = jumping;
    while (!all_received() && !wrong && begun < MOST - 10) {
        unsigned number = begun;
        busy = 1; // first: begun - busy is what has certainly been answered
        begun = number + 1;
        write_as_main(number);
    }
    jumpable = 0;
}

static const int numbers[] = {FROM_PROCESS, FROM_THREAD, FROM_SELF, TICK, SIGALRM, SIGUSR1, SIGUSR2, SIGHUP, SIGSEGV};

static void set_handlers(int flags) {
    sigset_t mask;
    sigemptyset(&mask);
    if (!nesting)
        sigfillset(&mask);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        install(numbers[i], handle, SA_SIGINFO | SA_RESTART | flags, mask);
}

int main(int argc, char **argv) {
    static pthread_t self;
    pthread_t thread;
    sigset_t all;
    struct itimerval often = {{0, 300}, {0, 300}}, never = {0};
    require(argc == 3);
    nesting = !strcmp(argv[1], "nested");
    jumping = !strcmp(argv[1], "jump");
    values = atoi(argv[2]);
    self = pthread_self();
    pid_t receiver = getpid();
    sigfillset(&all);
    require(sigprocmask(SIG_BLOCK, &all, &mask_of_main) == 0);
    if ((queuer = fork()) == 0)
        send_from_process(receiver);
    appended = open("appended", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    plain = open("plain", O_RDWR | O_CREAT | O_TRUNC, 0600);
    slots = open("slots", O_RDWR | O_CREAT | O_TRUNC, 0600);
    static char buffer[4096]; /* not from malloc, whose lock a handler's fork would wait for, natively too */
    stream = fopen("stream", "w");
    require(appended >= 0 && plain >= 0 && slots >= 0 && stream);
    require(setvbuf(stream, buffer, _IOFBF, sizeof buffer) == 0);
    if (!strcmp(argv[1], "stack")) {
        require((stack = malloc(STACK)) != NULL);
        require(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = STACK}, NULL) == 0);
    }
    set_handlers(!strcmp(argv[1], "stack") ? SA_ONSTACK : 0);
    require(pthread_create(&thread, NULL, send_from_thread, &self) == 0);
    start_timer(SIGKILL, 0);
    timer_t timer = start_timer(TICK, 400000);
    require(setitimer(ITIMER_REAL, &often, NULL) == 0);
    require(sigprocmask(SIG_SETMASK, &mask_of_main, NULL) == 0);
    write_until_received();
    require(setitimer(ITIMER_REAL, &never, NULL) == 0 && timer_delete(timer) == 0);
    require(pthread_join(thread, NULL) == 0 && (wrong || waitpid(queuer, NULL, 0) == queuer));
    require(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
    if (wrong)
        die("%s: wrong, values %d %d %d of %d", wrong, expected[0], expected[1], expected[2], values);
    if (!all_received())
        die("values %d %d %d of %d", expected[0], expected[1], expected[2], values);
    require(fclose(stream) == 0);
    check_stream("appended", main_appends, handler_appends, true);
    check_stream("plain", main_plain, handler_plain, false);
    check_stream("stream", main_streams, nobody, false);
    check_slots("slots", main_slots, handler_slots);
    return 0;
}
