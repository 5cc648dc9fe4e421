/*
 * A program with so much code that looking at it takes a while. Meanwhile it does what another thread, or a descriptor
 * more, would show in: the lowest free number, calls that only a program of one thread may make, fork, exec.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

static int file;

static void write_some(int count) {
    for (int i = 0; i < count; i++)
        require(write(file, "a line of some length\n", 22) == 22);
}

/* The two lowest numbers that are free: in a program of one thread always the same. */
static int lowest_numbers_wrong(void) {
    close(0);
    int lowest = open("/dev/null", O_RDONLY), next = open("/dev/null", O_RDONLY);
    close(next);
    return lowest != 0 || next != file + 1;
}

static int child_fails(void) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        write_some(500);
        execlp("true", "true", NULL);
        _exit(1);
    }
    require(waitpid(child, &status, 0) == child);
    return status;
}

int main(void) {
    enum { CODE = 256 << 20, TURNS = 400, WAITS = 400 };
    int numbers = 0, children = 0, alone = 0;
    file = open("lines", O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
    require(mmap(NULL, CODE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    for (int i = 0; i < TURNS; i++) {
        write_some(300);
        numbers += lowest_numbers_wrong();
        if (i % 100 == 50)
            children += child_fails();
        if (i % 100 == 99)
            alone += unshare(CLONE_THREAD) != 0; /* EINVAL where there are several threads */
    }
    printf("numbers %d, children %d, alone %d\n", numbers, children, alone);
    for (int i = 0; i < WAITS; i++) {
        write_some(200);
        usleep(1000);
    }
    return 0;
}
