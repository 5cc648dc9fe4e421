/*
 * lifecycle_loader fork COUNT: while a thread loads and unloads a library, the main thread forks again and again, and
 * each child writes a file. A child is a copy of a moment at which the thread may be in the middle of the loader.
 *
 * lifecycle_loader iterate: the loader tells a thread what is loaded, and holds its lock meanwhile. The main thread
 * makes its first writes just then; a moment later the thread, in the loader still, makes a child and writes.
 *
 * All must come to an end.
 */
#include "common.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
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

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "fork") == 0)
        fork_often(atoi(argv[2]));
    else if (argc == 2 && strcmp(argv[1], "iterate") == 0)
        write_while_iterating();
    else
        die("usage: lifecycle_loader fork COUNT | iterate");
    return 0;
}
