// dying WAY [FD]: writes numbered records to several files, through write and stdio, and dies by WAY at once; where
// that is no death, goes on for a little and returns 3. `dying --list FAMILY` names the ways. FD: where to say
// beforehand at which address the progress is.

#include "dying_signals.h"

static void *store(void *unused) {
    *(volatile char *)nowhere = 1;
    return unused;
}

static void *store_and_wait(void *unused) {
    write_records(RECORDS);
    return store(unused);
}

static void start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    require(pthread_create(&thread, NULL, body, argument) == 0);
}

static void fault_in_thread(void) {
    start(store_and_wait, NULL);
    for (;;)
        pause();
}

static atomic_int under_way;

static void *write_for_ever(void *argument) {
    size_t mine = (size_t)argument;
    char record[RECORD];
    int fd = open(names[mine], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0);
    atomic_fetch_add(&under_way, 1);
    for (;;) {
        record_of(record, progress.answered[mine]);
        require(write(fd, record, RECORD) == RECORD);
        atomic_signal_fence(memory_order_seq_cst);
        progress.answered[mine]++;
    }
}

static void start_writers(void) {
    for (size_t i = 0; i < THREADS; i++)
        start(write_for_ever, (void *)(COUNT_OF(names) - THREADS + i));
    while (atomic_load(&under_way) < THREADS)
        sched_yield();
}

static void fault_among_threads(void) {
    start_writers();
    write_records(RECORDS);
    *(volatile char *)nowhere = 1;
}

static void raise_among_threads(void) {
    start_writers();
    write_records(RECORDS);
    raise(number);
}

static void *raise_there(void *unused) {
    pthread_kill(pthread_self(), number);
    return unused;
}

static void raise_in_thread(void) {
    write_records(RECORDS);
    start(raise_there, NULL);
    for (;;)
        pause();
}

// Functions that end the process.

static void by_abort(void) {
    write_records(RECORDS);
    abort();
}

static void abort_ignored(void) {
    signal(SIGABRT, SIG_IGN);
    by_abort();
}

static void abort_blocked(void) {
    sigset_t all;
    sigfillset(&all);
    require(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
    by_abort();
}

static void some_words(int signal_number) {
    (void)signal_number;
    write_records(20);
}

static void abort_handled(void) {
    signal(SIGABRT, some_words);
    by_abort();
}

static void by_assert(void) {
    write_records(RECORDS);
    assert(nowhere != NULL);
}

extern void __stack_chk_fail(void);

static void by_stack_check(void) {
    write_records(RECORDS);
    __stack_chk_fail();
}

static void by_free(void) {
    char *twice = malloc(100);
    char *volatile again = twice;
    write_records(RECORDS);
    free(twice);
    free(again);
}

// What dies is the child, with what its parent had written.
static void in_child(void) {
    write_records(RECORDS / 2);
    pid_t child = fork();
    if (!child) {
        write_records(RECORDS / 2);
        raise(number);
        _exit(1);
    }
    int status;
    require(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == number);
    signal(number, SIG_DFL);
    raise(number);
}

// Ways that wait for a signal from outside.

static void waiting(void) {
    write_records(RECORDS);
    spin();
}

static void writing(void) {
    for (;;)
        write_record();
}

static void writing_by_threads(void) {
    start_writers();
    writing();
}

struct way {
    const char *name, *family;
    void (*run)(void);
    int numbers[12]; // of signals, or what else the way needs
};

#define EVERY                                                                                                          \
    { 1, 2, 3, 6, 9, 10, 11, 13, 14, 15, 16, 31 }

static const struct way ways[] = {
    {"null_store", "fault", null_store, {0}},
    {"null_load", "fault", null_load, {0}},
    {"forbidden_store", "fault", forbidden_store, {0}},
    {"forbidden_load", "fault", forbidden_load, {0}},
    {"shrunk_load", "fault", shrunk_load, {0}},
    {"no_address", "fault", no_address, {0}},
    {"wild_jump", "fault", wild_jump, {0}},
    {"null_jump", "fault", null_jump, {0}},
    {"division", "fault", division, {0}},
    {"illegal", "fault", illegal, {0}},
    {"breakpoint", "fault", breakpoint, {0}},
    {"privileged", "fault", privileged, {0}},
    {"in_memcpy", "fault", in_memcpy, {0}},
    {"in_fwrite", "fault", in_fwrite, {0}},
    {"in_printf", "fault", in_printf, {0}},
    {"in_fread", "fault", in_fread, {0}},
    {"in_strlen", "fault", in_strlen, {0}},
    {"in_qsort", "fault", in_qsort, {0}},
    {"fault_in_thread", "fault", fault_in_thread, {0}},
    {"fault_in_handler", "fault", fault_in_handler, {0}},
    {"fault_in_fault_handler", "fault", fault_in_fault_handler, {0}},
    {"fault_twice", "fault", fault_twice, {0}},
    {"overflow_with_stack", "fault", overflow_with_stack, {0}},
    {"overflow_with_handler", "fault", overflow_with_handler, {0}},
    {"blocked_fault", "fault", blocked_fault, {0}},
    {"ignored_fault", "fault", ignored_fault, {0}},
    {"ignored_trap", "fault", ignored_trap, {0}},
    {"overflow", "overflow", overflow, {0}},
    {"raise", "sent", by_raise, EVERY},
    {"raise", "sent", by_raise, {4, 5, 7, 8, 12, 24, 25, 26, 27, 29, 30, 34}},
    {"raise", "sent", by_raise, {40, 64}},
    {"kill", "sent", by_kill, EVERY},
    {"sigqueue", "sent", by_sigqueue, EVERY},
    {"tgkill", "sent", by_tgkill, {5, 8, 11, 15, 36}},
    {"group", "sent", by_group, {1, 2, 15}},
    {"queueinfo", "sent", by_queueinfo, {7, 11, 15, 36}},
    {"raise_in_thread", "sent", raise_in_thread, {6, 10, 11, 15}},
    {"unblocking", "sent", by_unblocking, {1, 6, 11, 15, 40}},
    {"sigsuspend", "sent", by_sigsuspend, {1, 6, 11, 15, 40}},
    {"handler", "sent", by_handler, {2, 7, 11, 15, 50}},
    {"reset", "sent", by_reset, {2, 6, 7, 11, 15, 50}},
    {"in_child", "sent", in_child, {11, 15}},
    {"blocked", "survived", blocked, {1, 6, 7, 11, 15, 20, 40}},
    {"ignored", "survived", ignored, {1, 6, 7, 11, 15, 20, 21, 40}},
    {"raise", "survived", by_raise, {17, 18, 23, 28}},
    {"alarm", "made", by_alarm, {0}},
    {"virtual", "made", by_virtual, {SIGVTALRM, SIGPROF}},
    {"timer", "made", by_timer, {SIGTERM, SIGSEGV, 36}},
    {"size_limit", "made", by_size_limit, {0}},
    {"pipe", "made", by_pipe, {0}},
    {"stream", "made", by_stream, {0}},
    {"socket", "made", by_socket, {0}},
    {"abort", "made", by_abort, {0}},
    {"abort_ignored", "made", abort_ignored, {0}},
    {"abort_blocked", "made", abort_blocked, {0}},
    {"abort_handled", "made", abort_handled, {0}},
    {"assert", "made", by_assert, {0}},
    {"stack_check", "made", by_stack_check, {0}},
    {"free_twice", "made", by_free, {0}},
    {"cpu_limit", "long", by_cpu_limit, {0}},
    {"stop", "stopped", by_raise, {19, 20, 21, 22}},
    {"stop_kill", "stopped", by_kill, {19, 20}},
    {"fault_among_threads", "threads", fault_among_threads, {0}},
    {"raise_among_threads", "threads", raise_among_threads, {6, 11, 15}},
    {"waiting", "outside", waiting, {0}},
    {"writing", "outside", writing, {0}},
    {"writing_by_threads", "outside", writing_by_threads, {0}},
};

static int list(const char *family) {
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        if (strcmp(family, ways[i].family) != 0)
            continue;
        if (!*ways[i].numbers)
            puts(ways[i].name);
        for (size_t j = 0; j < COUNT_OF(ways[i].numbers) && ways[i].numbers[j]; j++)
            printf("%s:%d\n", ways[i].name, ways[i].numbers[j]);
    }
    return 0;
}

static const struct way *find(char *argument) {
    char *colon = strchr(argument, ':');
    if (colon) {
        number = atoi(colon + 1);
        *colon = '\0';
    }
    for (size_t i = 0; i < COUNT_OF(ways); i++)
        if (!strcmp(ways[i].name, argument))
            return &ways[i];
    die("no way: %s", argument);
}

int main(int argc, char **argv) {
    require(argc > 1);
    if (!strcmp(argv[1], "--list"))
        return list(argv[2]);
    const struct way *way = find(argv[1]);
    page_size = sysconf(_SC_PAGESIZE);
    if (argc == 3) {
        struct progress *address = &progress;
        int fd = atoi(argv[2]);
        require(write(fd, &address, sizeof address) == sizeof address && close(fd) == 0);
    }
    log_fd = open(names[0], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    table_fd = open(names[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    flushed = fopen(names[2], "w");
    unbuffered = fopen(names[3], "w");
    require(log_fd >= 0 && table_fd >= 0 && flushed && unbuffered && setvbuf(unbuffered, NULL, _IONBF, 0) == 0);
    way->run();
    write_records(100);
    return 3;
}
