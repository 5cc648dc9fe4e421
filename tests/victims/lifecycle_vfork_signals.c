/*
 * lifecycle_vfork_signals WAY: a signal meets a process that waits in vfork for its child, which runs in the same
 * memory. Another thread has written to the file.
 *
 *   dies     the signal is deadly: what the thread wrote is in the file, and the process dies of it
 *   handler  a handler runs in the parent before vfork has returned there, and tells an observer, who looks at once
 *   jump     a handler jumps out of vfork, and then the parent tells the observer
 */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORD = 10, RECORDS = 100, EXPECTED = RECORD * RECORDS };

static const char *way;
static int file, told[2];
static sigjmp_buf before_vfork;
static atomic_bool begin, written;

static void *write_records(void *unused) {
    while (!atomic_load(&begin))
        ;
    for (int i = 0; i < RECORDS; i++)
        require(write(file, "0123456789", RECORD) == RECORD);
    atomic_store(&written, true);
    return unused;
}

/* Without a call: in the child of vfork, too, which shares the memory. */
static void have_records_written(void) {
    atomic_store(&begin, true);
    while (!atomic_load(&written))
        ;
}

/* Tells, and then computes: nothing that anybody could take for a reason to perform what is pending. */
static void tell(void) {
    require(write(told[1], "!", 1) == 1);
    for (volatile int i = 0; i < 30000000; i++)
        ;
}

static void handle(int number) {
    (void)number;
    if (strcmp(way, "jump") == 0)
        siglongjmp(before_vfork, 1);
    tell();
}

static _Noreturn void child_of_vfork(pid_t parent) {
    struct timespec while_parent_acts = {.tv_nsec = 50000000};
    if (strcmp(way, "jump") != 0)
        have_records_written();
    /* To the very thread that waits: any other would take it at once. */
    tgkill(parent, parent, strcmp(way, "dies") == 0 ? SIGTERM : SIGUSR1);
    nanosleep(&while_parent_acts, NULL);
    _exit(0);
}

static _Noreturn void parent_of_vfork(void) {
    pid_t self = getpid();
    pthread_t writer;
    /* The library is at work before vfork. */
    for (int i = 0; i < 10; i++)
        require(write(file, "x", 1) == 1);
    require(lseek(file, 0, SEEK_SET) == 0 && ftruncate(file, 0) == 0);
    require(pthread_create(&writer, NULL, write_records, NULL) == 0);
    signal(SIGUSR1, handle);
    if (sigsetjmp(before_vfork, 1) == 0) {
        pid_t child = vfork();
        if (child == 0)
            child_of_vfork(self);
        require(child > 0);
    } else {
        have_records_written();
        tell();
    }
    while (strcmp(way, "dies") == 0)
        pause();
    _exit(0);
}

int main(int argc, char **argv) {
    char byte;
    int status;
    struct stat st;
    require(argc == 2);
    way = argv[1];
    require(pipe(told) == 0);
    file = open("records", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(file >= 0);
    pid_t parent = fork();
    require(parent >= 0);
    if (parent == 0)
        parent_of_vfork();
    if (strcmp(way, "dies") != 0) {
        require(read(told[0], &byte, 1) == 1);
        require(fstat(file, &st) == 0);
        require(waitpid(parent, &status, 0) == parent && status == 0);
    } else {
        require(waitpid(parent, &status, 0) == parent);
        require(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        require(fstat(file, &st) == 0);
    }
    if (st.st_size != EXPECTED)
        die("%s: %ld of %d bytes are there", way, (long)st.st_size, EXPECTED);
    return 0;
}
