// lifecycle_cancelable: threads that may be cancelled between any two instructions are, while they change just that, or
// cancel each other, or write through numbers that come and go, or change a signal's action or a limit, or make
// processes, or return. Each time the process goes on working: another thread writes small records meanwhile, of which
// none is lost.

#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 4, PROCESSES = 12, BLOCK = 4096, BLOCKS = 300, NUMBER = 700, RECORD = 8 };

static int file, records, own_records, direct = -1;
static atomic_long own_written;
static char *block;
static atomic_bool ready, over;
static volatile sig_atomic_t handled;
static pthread_t undisturbed;

static void may_be_cancelled(void) {
    require(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
    ready = true;
}

static void *change_type(void *unused) {
    int old;
    for (may_be_cancelled();;) {
        pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old);
        pthread_setcanceltype(old, &old);
    }
    return unused;
}

static void *cancel_another(void *unused) {
    for (may_be_cancelled();;)
        pthread_cancel(undisturbed);
    return unused;
}

static void *replace_numbers(void *unused) {
    for (may_be_cancelled();;) {
        dup2(file, NUMBER);
        (void)!write(NUMBER, "0123456789", 10);
        close(NUMBER);
    }
    return unused;
}

static void *change_action(void *unused) {
    for (may_be_cancelled();;)
        signal(SIGUSR2, SIG_IGN);
    return unused;
}

static void *set_limit(void *unused) {
    struct rlimit limit;
    for (may_be_cancelled();;)
        if (getrlimit(RLIMIT_FSIZE, &limit) == 0)
            setrlimit(RLIMIT_FSIZE, &limit);
    return unused;
}

// Whatever they find pending they have to perform, or wait for.
static void *disturb(void *unused) {
    struct stat st;
    char some[RECORD];
    for (may_be_cancelled();;) {
        (void)!fstat(records, &st);
        (void)!fsync(records);
        (void)!pread(records, some, sizeof some, 0);
        (void)!pwrite(file, some, sizeof some, 0);
    }
    return unused;
}

static void record(int fd, long number) {
    char text[RECORD + 1];
    snprintf(text, sizeof text, "%07u\n", (unsigned)number % 10000000);
    require(write(fd, text, RECORD) == RECORD);
}

// At least n, in order, and nothing else.
static void check_records(int fd, long n) {
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = malloc((size_t)size + 1);
    require(text && size >= n * RECORD && size % RECORD == 0 && pread(fd, text, (size_t)size, 0) == size);
    for (long i = 0; i < size / RECORD; i++)
        require(atol(text + i * RECORD) == i);
    free(text);
}

static void *write_records(void *unused) {
    for (may_be_cancelled();;) {
        record(own_records, own_written);
        own_written++;
    }
    return unused;
}

static void *change_action_meanwhile(void *going_on) {
    while (*(atomic_bool *)going_on)
        signal(SIGUSR2, SIG_IGN);
    return NULL;
}

// What is locked by another thread at that moment isn't in the child.
static void *make_processes(void *unused) {
    pthread_t other;
    atomic_bool going_on = true;
    int status;
    require(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL) == 0);
    require(pthread_create(&other, NULL, change_action_meanwhile, &going_on) == 0);
    may_be_cancelled();
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(HANG_SECONDS);
            signal(SIGUSR2, SIG_DFL);
            _exit(0);
        }
        require(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
    going_on = false;
    require(pthread_join(other, NULL) == 0);
    return unused;
}

static void handle(int signal) {
    handled = signal;
}

static void *work_and_return(void *unused) {
    if (direct >= 0)
        for (int i = 0; i < BLOCKS; i++)
            require(pread(direct, block, BLOCK, i * BLOCK) == BLOCK);
    for (int i = 0; i < 100; i++)
        require(write(file, "0123456789", 10) == 10);
    require(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
    require(raise(SIGUSR1) == 0 && handled == SIGUSR1);
    handled = 0;
    ready = true;
    while (!over)
        ;
    return unused;
}

/* libc cancels in destructors of thread-local data, too, of which some run after the library's own. */
static pthread_key_t late;

static void work_late(void *unused) {
    (void)unused;
    for (ready = true;;) {
        signal(SIGUSR2, SIG_IGN);
        (void)!pwrite(file, "0123456789", 10, 0);
    }
}

static void *return_to_a_destructor(void *unused) {
    require(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
    require(pthread_setspecific(late, &late) == 0 && write(file, "0123456789", 10) == 10);
    return unused;
}

/* One that ended so that libc hasn't seen it, and whose memory has gone. */
static void *vanish(void *unused) {
    (void)unused;
    require(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
    syscall(SYS_exit, 0);
    return NULL;
}

static void make_one_vanish(void) {
    enum { STACK = 1 << 20 };
    pthread_attr_t attributes;
    pthread_t thread;
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(stack != MAP_FAILED && pthread_attr_init(&attributes) == 0);
    require(pthread_attr_setstack(&attributes, stack, STACK) == 0);
    require(pthread_create(&thread, &attributes, vanish, NULL) == 0 && pthread_join(thread, NULL) == 0);
    require(munmap(stack, STACK) == 0);
}

static void *stay(void *unused) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    while (!over)
        usleep(1000);
    return unused;
}

// Everything that others could have left locked.
static void work_on(void) {
    struct sigaction action;
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    require(fd >= 0);
    for (int i = 0; i < 10; i++)
        require(write(fd, "0123456789", 10) == 10 && write(file, "0123456789", 10) == 10);
    require(fsync(fd) == 0 && close(fd) == 0 && sigaction(SIGUSR1, NULL, &action) == 0);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0)
        _exit(0);
    require(waitpid(child, NULL, 0) == child);
}

static void cancel_once(void *(*function)(void *), unsigned delay) {
    pthread_t thread;
    long written = 0;
    ready = false;
    own_written = 0;
    require((records = open(".", O_TMPFILE | O_RDWR, 0600)) >= 0);
    require((own_records = open(".", O_TMPFILE | O_RDWR, 0600)) >= 0);
    require(pthread_create(&thread, NULL, function, NULL) == 0);
    while (!ready)
        ;
    over = function == work_and_return;
    for (volatile unsigned i = 0; i < delay; i++)
        if (i % 64 == 0)
            record(records, written++);
    require(pthread_cancel(thread) == 0 && pthread_join(thread, NULL) == 0);
    check_records(records, written);
    check_records(own_records, own_written);
    require(close(records) == 0 && close(own_records) == 0);
    work_on();
}

// The first cancellation is another one than those that follow: so several processes, most of them with one
// round only.
static int processes(void *(*function)(void *)) {
    int hung = 0, status;
    for (int i = 0; i < PROCESSES && !hung; i++) {
        pid_t child = fork();
        require(child >= 0);
        if (child == 0) {
            alarm(HANG_SECONDS);
            srand((unsigned)i);
            require(pthread_create(&undisturbed, NULL, stay, NULL) == 0);
            if (i % 3 == 2)
                make_one_vanish();
            for (int round = 0; round < (i < 2 ? ROUNDS : 1); round++)
                cancel_once(function, (unsigned)rand() % 100000);
            over = true;
            require(pthread_join(undisturbed, NULL) == 0);
            exit(0);
        }
        require(waitpid(child, &status, 0) == child);
        hung += status != 0;
    }
    return hung;
}

int main(void) {
    static void *(*const functions[])(void *) = {change_type,   cancel_another,        replace_numbers, change_action,
                                                 set_limit,     make_processes,        work_and_return, disturb,
                                                 write_records, return_to_a_destructor};
    int hung = 0;
    require(pthread_key_create(&late, work_late) == 0);
    require((file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0);
    require(signal(SIGUSR1, handle) != SIG_ERR);
    require(posix_memalign((void **)&block, BLOCK, BLOCK) == 0);
    for (int i = 0; i < BLOCKS; i++)
        require(write(file, block, BLOCK) == BLOCK);
    require(fsync(file) == 0 && usleep(100000) == 0);
    direct = open("file", O_RDONLY | O_DIRECT);
    for (size_t i = 0; i < COUNT_OF(functions) && !hung; i++) {
        hung = processes(functions[i]);
        if (hung)
            fprintf(stderr, "way %zu hung\n", i);
    }
    return hung != 0;
}
