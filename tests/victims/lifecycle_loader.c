/*
 * lifecycle_loader fork COUNT: while a thread loads and unloads a library, the main thread forks again and again, and
 * each child writes a file. A child is a copy of a moment at which the thread may be in the middle of the loader.
 *
 * lifecycle_loader iterate: the loader tells a thread what is loaded, and holds its lock meanwhile. The main thread
 * makes its first writes just then; a moment later the thread, in the loader still, makes a child and writes.
 *
 * lifecycle_loader first: a thread loads a library from a pipe, and the loader holds its other lock, the one that dlsym
 * takes, until the main thread has made calls of many kinds, each for the first time.
 *
 * All must come to an end.
 */
#include "common.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* So many that they are deferred with the defaults, too. */
enum { QUICK_WRITES = 200 };

static atomic_bool over;

/* A file that is gone when it is closed. */
static int open_scratch(void) {
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    require(fd >= 0);
    return fd;
}

static void write_quickly(int fd, int count) {
    for (int i = 0; i < count; i++)
        require(pwrite(fd, "0123456789", 10, i * 10) == 10);
}

static void load_and_unload(void) {
    void *library = dlopen("libm.so.6", RTLD_NOW);
    require(library && dlclose(library) == 0);
}

static void *load_until_over(void *unused) {
    while (!atomic_load(&over))
        load_and_unload();
    return unused;
}

static void fork_often(int count) {
    int status, file = open_scratch();
    pthread_t loader;
    require(pthread_create(&loader, NULL, load_until_over, NULL) == 0);
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        require(child >= 0);
        if (child == 0) {
            write_quickly(file, QUICK_WRITES);
            _exit(0);
        }
        require(waitpid(child, &status, 0) == child && status == 0);
    }
    atomic_store(&over, true);
    require(pthread_join(loader, NULL) == 0);
}

static atomic_bool inside;

/* The first call is the one in which things happen. */
static int told_of_library(struct dl_phdr_info *library, size_t size, void *file) {
    int status;
    (void)library, (void)size;
    if (atomic_exchange(&inside, true))
        return 0;
    for (volatile int i = 0; i < 10000000; i++)
        ;
    pid_t child = fork();
    require(child >= 0);
    if (child == 0)
        _exit(0);
    require(waitpid(child, &status, 0) == child && status == 0);
    write_quickly(*(int *)file, QUICK_WRITES);
    return 0;
}

static void *iterate(void *unused) {
    int file = open_scratch();
    dl_iterate_phdr(told_of_library, &file);
    return unused;
}

static void write_while_iterating(void) {
    int file = open_scratch();
    pthread_t iterator;
    require(pthread_create(&iterator, NULL, iterate, NULL) == 0);
    while (!atomic_load(&inside))
        ;
    write_quickly(file, QUICK_WRITES);
    require(pthread_join(iterator, NULL) == 0);
}

/* Until somebody writes there, or nobody can any more. */
static void *load_from_fifo(void *unused) {
    require(!dlopen("./fifo", RTLD_NOW));
    return unused;
}

static void ignore(int number) {
    (void)number;
}

static void call_for_the_first_time(void) {
    char bytes[10] = "012345678";
    struct iovec vector = {bytes, sizeof bytes};
    struct timeval now;
    struct stat status;
    struct sigaction action = {.sa_handler = ignore};
    int pipe_ends[2], file = open_scratch();
    write_quickly(file, QUICK_WRITES);
    require(write(file, bytes, 10) == 10 && writev(file, &vector, 1) == 10 && pwritev(file, &vector, 1, 0) == 10);
    require(fsync(file) == 0 && fdatasync(file) == 0 && ftruncate(file, 1000) == 0 && fstat(file, &status) == 0);
    require(lseek(file, 0, SEEK_SET) == 0 && read(file, bytes, 10) == 10 && pread(file, bytes, 10, 5) == 10);
    require(readv(file, &vector, 1) == 10 && fcntl(file, F_GETFL) >= 0 && access("/", R_OK) == 0);
    require(gettimeofday(&now, NULL) == 0 && time(NULL) > 0 && usleep(1) == 0 && sched_yield() == 0);
    require(sigaction(SIGUSR1, &action, NULL) == 0 && pthread_kill(pthread_self(), SIGUSR1) == 0 &&
            raise(SIGUSR1) == 0);
    require(pipe(pipe_ends) == 0 && poll(NULL, 0, 0) == 0 && select(0, NULL, NULL, NULL, &(struct timeval){0}) == 0);
    require(dup2(file, pipe_ends[0]) == pipe_ends[0] && close(pipe_ends[0]) == 0 && close(pipe_ends[1]) == 0);
    require(mkdir("directory", 0700) == 0 && rename("directory", "other") == 0 && rmdir("other") == 0);
    sigjmp_buf back;
    if (sigsetjmp(back, 1) == 0)
        siglongjmp(back, 1);
    require(close(file) == 0);
}

static void call_while_loading(void) {
    pthread_t loader;
    int end;
    require((unlink("fifo") == 0 || errno == ENOENT) && mkfifo("fifo", 0600) == 0);
    require(pthread_create(&loader, NULL, load_from_fifo, NULL) == 0);
    while ((end = open("fifo", O_WRONLY | O_NONBLOCK)) < 0 && errno == ENXIO) // nobody reads it yet
        ;
    require(end >= 0);
    call_for_the_first_time();
    require(close(end) == 0 && pthread_join(loader, NULL) == 0);
    write_quickly(open_scratch(), QUICK_WRITES);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "fork") == 0)
        fork_often(atoi(argv[2]));
    else if (argc == 2 && strcmp(argv[1], "iterate") == 0)
        write_while_iterating();
    else if (argc == 2 && strcmp(argv[1], "first") == 0)
        call_while_loading();
    else
        die("usage: lifecycle_loader fork COUNT | iterate | first");
    return 0;
}
