// direct_sharing WAY: direct I/O on a file that others touch, too, or by a program that wants of it what a library
// might.
//
//   toggled     reads a file, puts O_DIRECT on its descriptor, and reads on; another process opens it for writing
//   meanwhile mixed       writes of 512 and 7680 bytes in turns inherited   a child has the description, too, while
//   blocks are written and read in sequence settings    F_SETSIG and O_ASYNC are on the descriptor, and stay there
//   unreadable  writes from memory that is for writing only, and that nobody has touched
//   for_ever    writes blocks over and over until it is killed
//
// Exit status: 0 right, 1 wrong, 77 no direct I/O here.

#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 600 };

static char *block;

static int open_file(int flags) {
    int fd = open("file", flags, 0600);
    if (fd < 0 && errno == EINVAL)
        exit(77);
    require(fd >= 0);
    return fd;
}

static void write_blocks(int fd, int count) {
    for (off_t i = 0; i < count; i++) {
        snprintf(block, BLOCK, "block %lld", (long long)i);
        require(pwrite(fd, block, BLOCK, i * BLOCK) == BLOCK);
    }
}

static void read_blocks(int fd, int count) {
    for (off_t i = 0; i < count; i++)
        require(pread(fd, block, BLOCK, i * BLOCK) == BLOCK);
}

static pid_t start(void (*what)(void)) {
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        what();
        _exit(0);
    }
    return pid;
}

static void open_for_ever(void) {
    for (;;)
        require(close(open_file(O_RDWR)) == 0);
}

static void wait_for_ever(void) {
    for (;;)
        pause();
}

static void toggle(void) {
    pid_t other = start(open_for_ever);
    for (int round = 0; round < 40; round++) {
        int fd = open_file(O_RDONLY);
        read_blocks(fd, 20);
        require(fcntl(fd, F_SETFL, O_DIRECT) == 0 || (kill(other, SIGKILL), exit(77), 0));
        read_blocks(fd, 100);
        require(close(fd) == 0);
    }
    require(kill(other, SIGKILL) == 0 && waitpid(other, NULL, 0) == other);
}

static void write_mixed(int fd) {
    for (off_t i = 0; i < BLOCKS; i++)
        require(pwrite(fd, block, 512, i * 8192) == 512 && pwrite(fd, block, 7680, i * 8192 + 512) == 7680);
}

static void share(void) {
    int fd = open_file(O_RDWR | O_DIRECT);
    pid_t other = start(wait_for_ever);
    write_blocks(fd, BLOCKS);
    require(kill(other, SIGKILL) == 0 && waitpid(other, NULL, 0) == other && close(fd) == 0);
    usleep(100000);
    fd = open_file(O_RDONLY | O_DIRECT);
    other = start(wait_for_ever);
    read_blocks(fd, BLOCKS);
    require(kill(other, SIGKILL) == 0 && waitpid(other, NULL, 0) == other);
}

static int keep_settings(void) {
    int fd = open_file(O_RDWR | O_DIRECT);
    require(fcntl(fd, F_SETSIG, SIGRTMIN) == 0);
    write_blocks(fd, BLOCKS);
    int number = fcntl(fd, F_GETSIG);
    require(close(fd) == 0);
    usleep(100000);
    int readable = open_file(O_RDONLY | O_DIRECT | O_ASYNC);
    read_blocks(readable, BLOCKS);
    return number == SIGRTMIN && fcntl(readable, F_GETFL) & O_ASYNC ? 0 : 1;
}

static int write_unreadable(void) {
    int fd = open_file(O_RDWR | O_DIRECT), written = 0;
    write_blocks(fd, BLOCKS);
    char *memory = mmap(NULL, BLOCK, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED);
    for (off_t i = 0; i < 100; i++)
        written += pwrite(fd, memory, BLOCK, i * BLOCK) == BLOCK;
    write_blocks(fd, BLOCKS);
    memory = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(mprotect(memory, BLOCK, PROT_WRITE) == 0);
    for (off_t i = 0; i < 100; i++)
        written += pwrite(fd, memory, BLOCK, i * BLOCK) == BLOCK;
    printf("%d of 200 written\n", written);
    return 0;
}

int main(int argc, char **argv) {
    require(argc == 2);
    const char *way = argv[1];
    block = aligned_alloc(BLOCK, 2 * BLOCK);
    require(block);
    memset(block, 'd', 2 * BLOCK);
    int fd = open_file(O_RDWR | O_CREAT | O_DIRECT);
    if (!strcmp(way, "for_ever"))
        for (;;)
            write_blocks(fd, BLOCKS);
    if (!strcmp(way, "mixed"))
        return write_mixed(fd), 0;
    write_blocks(fd, BLOCKS);
    require(fsync(fd) == 0 && close(fd) == 0);
    usleep(100000); // a file that has just been changed isn't read ahead
    if (!strcmp(way, "toggled"))
        return toggle(), 0;
    if (!strcmp(way, "inherited"))
        return share(), 0;
    return !strcmp(way, "settings") ? keep_settings() : write_unreadable();
}
