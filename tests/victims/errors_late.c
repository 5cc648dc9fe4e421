// errors_late DIR write|fsync|close|other|replaced|refused|unknown|passing: writes are accepted while DIR, a tmpfs, has
// room; it is full when they are performed, and has room again when the program makes its next call on the file. That
// call must bring the error, once: also if it is made by another description, which nothing was done with, or by one
// that was written by, after the number was given to something else.

#include "bare.h"
#include "common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 700, PIECES = 300, LEFT = 8 << 10 };

static int to_child[2], to_parent[2]; // pipes: written, and full; then: performed

// Asked in a way that nobody could take for a reason to perform the writes: no call of libc's.
static bool is_full(const char *path) {
    struct statfs st;
    require(bare_call(SYS_statfs, path, &st, 0, 0) == 0);
    return st.f_bavail * (unsigned long)st.f_bsize <= LEFT;
}

static void await(const int line[2]) {
    char byte;
    require(bare_call(SYS_read, line[0], &byte, 1, 0) == 1);
}

static bool resize(const char *tmpfs, unsigned long size) {
    char option[64];
    snprintf(option, sizeof option, "size=%lu", size);
    return mount("tmpfs", tmpfs, NULL, MS_REMOUNT, option) == 0;
}

// In another process: takes all the room there is, until it is told again. In one call: for who fills it by writing, on
// a busy machine, the delay is over before it is full.
static void take_room(const char *tmpfs) {
    struct statfs st;
    await(to_child);
    do // what is performed in the background may need more meanwhile
        require(statfs(tmpfs, &st) == 0);
    while (!resize(tmpfs, (unsigned long)st.f_bsize * (st.f_blocks - st.f_bfree) + LEFT) && errno == EINVAL);
    require(write(to_parent[1], "f", 1) == 1);
    await(to_child);
    require(resize(tmpfs, (unsigned long)st.f_bsize * st.f_blocks));
    _exit(0);
}

static const char *answer(long result) {
    return result < 0 ? strerrorname_np(errno) : "fine";
}

// The first so many bytes that were accepted, then the piece that came after the error, and nothing between or behind.
static bool is_whole(const char *path) {
    static char have[PIECES * PIECE + PIECE];
    int fd = open(path, O_RDONLY);
    long size = read(fd, have, sizeof have);
    close(fd);
    for (long i = 0; i < size; i++)
        if (have[i] != (i < size - PIECE ? 'a' + i / PIECE % 26 : '!'))
            return false;
    return size > PIECE;
}

int main(int argc, char **argv) {
    require(argc == 3);
    char data[4096], piece[PIECE];
    snprintf(data, sizeof data, "%s/data", argv[1]);
    require(pipe(to_child) == 0 && pipe(to_parent) == 0);
    pid_t child = fork();
    if (!child)
        take_room(argv[1]);
    close(to_parent[1]); // so that its death is noticed
    int fd = open(data, O_WRONLY | O_CREAT | O_TRUNC, 0600), other = open(data, O_WRONLY);
    require(strcmp(argv[2], "replaced") != 0 || pwrite(other, "a", 1, 0) == 1);
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        require(write(fd, piece, PIECE) == PIECE);
    }
    memset(piece, '!', sizeof piece);
    require(bare_call(SYS_write, to_child[1], "w", 1, 0) == 1);
    await(to_parent);
    require(is_full(argv[1]));
    require(write(to_child[1], "p", 1) == 1); // by libc: before it the writes are performed
    require(waitpid(child, NULL, 0) == child);
    if (!strcmp(argv[2], "write")) {
        printf("write %s, ", answer(write(fd, piece, PIECE)));
        printf("again %s, ", answer(write(fd, piece, PIECE)));
        printf("%s\n", is_whole(data) ? "whole" : "torn");
        close(fd);
    } else if (!strcmp(argv[2], "fsync")) {
        printf("fsync %s, ", answer(fsync(fd)));
        printf("again %s\n", answer(fsync(fd)));
        close(fd);
    } else if (!strcmp(argv[2], "other")) {
        printf("other %s, ", answer(fsync(other)));
        printf("again %s\n", answer(fsync(other)));
        close(fd);
    } else if (!strcmp(argv[2], "refused")) { // what would have closed it isn't done
        require(dup2(9999, fd) == -1 && errno == EBADF);
        printf("refused %s, ", answer(fsync(fd)));
        printf("again %s\n", answer(fsync(fd)));
    } else if (!strcmp(argv[2], "unknown")) {
        require(dup2(0, fd) == fd);
        printf("unknown %s, ", answer(fsync(other)));
        printf("again %s\n", answer(fsync(other)));
    } else if (!strcmp(argv[2], "passing")) { // a number whose next writes would be left alone
        printf("passing %s, ", answer(pwrite(other, "a", 1, 0)));
        printf("again %s\n", answer(pwrite(other, "a", 1, 0)));
    } else if (!strcmp(argv[2], "replaced")) {
        require(dup2(0, fd) == fd);
        printf("replaced %s\n", answer(close(other)));
    } else {
        printf("close %s\n", answer(close(fd)));
    }
    return 0;
}
