// lifecycle_numbers [ROUND]: a thread puts a pipe onto free numbers, again and again, or closes them and opens a file
// there, while another writes to a file for the first time; the number is the pipe's or the file's until the program
// closes it, what isn't open can't be closed, and what is in the pipe stays there. Programs one after the other, each
// with another call.

#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROUNDS = 14, WAYS = 7, MAPPINGS = 10000, WRITES = 3000 };

static _Atomic int ready;
static _Atomic bool done;
static int pipes[2], number, gone, others;

// Many mappings: /proc/self/maps is long.
static void map_much(void) {
    size_t page = 4096;
    char *memory = mmap(NULL, MAPPINGS * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED);
    for (size_t i = 0; i < MAPPINGS; i += 2)
        require(mprotect(memory + i * page, page, PROT_NONE) == 0);
}

static void put_once(int way, int at) {
    struct stat st, of_pipe;
    require(fstat(pipes[0], &of_pipe) == 0);
    int put = way == 0   ? dup2(pipes[0], at)
              : way == 1 ? dup3(pipes[0], at, O_CLOEXEC)
                         : (int)syscall(SYS_dup3, pipes[0], at, 0);
    require(put == at);
    for (int i = 0; i < 20; i++)
        others += fstat(at, &st) != 0 || st.st_ino != of_pipe.st_ino;
    gone += close(at) != 0;
}

// Numbers that aren't open: then a file is there that has nothing to do with anybody else.
static void close_and_open(int way, int at) {
    struct stat st;
    char byte;
    for (int i = 0; i < 50; i++) {
        if (way == 5)
            require(close_range((unsigned)at, (unsigned)at + 10, 0) == 0);
        else if (way == 6)
            closefrom(at);
        else
            others += (way == 3 ? close(at) : (int)syscall(SYS_close, at)) == 0;
    }
    int fd = open("/proc/self/comm", O_RDONLY);
    require(fd >= 0);
    for (int i = 0; i < 20; i++)
        gone += fstat(fd, &st) != 0;
    gone += pread(fd, &byte, 1, 0) != 1;
    gone += close(fd) != 0;
}

static void *put_often(void *way) {
    ready++;
    while (ready < 2)
        ;
    for (int i = 0; !done; i++)
        (*(int *)way < 3 ? put_once : close_and_open)(*(int *)way, number + i % 2);
    return NULL;
}

int main(int argc, char **argv) {
    int round = argc > 1 ? atoi(argv[1]) : 1, filling = 0, left = 0;
    pthread_t thread;
    char bytes[4096] = {0}, next[16];
    int way = round % WAYS;
    map_much();
    int fd = open("numbers", O_RDWR | O_CREAT | O_TRUNC, 0644);
    require(fd >= 0 && pipe(pipes) == 0);
    for (; filling < 65536; filling += (int)sizeof bytes)
        require(write(pipes[1], bytes, sizeof bytes) == (ssize_t)sizeof bytes);
    number = dup(2);
    require(close(number) == 0 && pthread_create(&thread, NULL, put_often, &way) == 0);
    ready++;
    while (ready < 2)
        ;
    for (int i = 0; i < WRITES; i++)
        require(write(fd, bytes, 100) == 100);
    done = true;
    require(pthread_join(thread, NULL) == 0 && close(fd) == 0 && ioctl(pipes[0], FIONREAD, &left) == 0);
    if (gone || others || left != filling) {
        printf("round %d: gone %d times, another file %d times, %d bytes left of %d\n", round, gone, others, left,
               filling);
        return 1;
    }
    if (round == ROUNDS)
        return puts("right") < 0;
    require(close(pipes[0]) == 0 && close(pipes[1]) == 0);
    snprintf(next, sizeof next, "%d", round + 1);
    execl("/proc/self/exe", argv[0], next, (char *)NULL);
    return 1;
}
