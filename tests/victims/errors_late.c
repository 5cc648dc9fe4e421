// errors_late DIR write|fsync|close: writes are accepted while DIR's file system has room; it is full when they are
// performed, and has room again when the program makes its next call on the file. That call must bring the error, once.

#include "bare.h"
#include "common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 700, PIECES = 300, LEFT = 8 << 10, FULL_AFTER_US = 100000, FULL_FOR_US = 600000 };

// Asked in a way that nobody could take for a reason to perform the writes: no call of libc's.
static bool is_full(const char *path) {
    struct statfs st;
    require(bare_call(SYS_statfs, path, &st, 0, 0) == 0);
    return st.f_bavail * (unsigned long)st.f_bsize <= LEFT;
}

// In another process: takes all the room there is, for a while.
static void take_room(const char *path) {
    static char block[1 << 16];
    usleep(FULL_AFTER_US);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    while (write(fd, block, sizeof block) > 0)
        ;
    while (write(fd, block, 1) > 0)
        ;
    require(ftruncate(fd, lseek(fd, 0, SEEK_END) - LEFT) == 0);
    usleep(FULL_FOR_US);
    unlink(path);
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
    char data[4096], filling[4096], piece[PIECE];
    snprintf(data, sizeof data, "%s/data", argv[1]);
    snprintf(filling, sizeof filling, "%s/filling", argv[1]);
    pid_t child = fork();
    if (!child)
        take_room(filling);
    int fd = open(data, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        require(write(fd, piece, PIECE) == PIECE);
    }
    memset(piece, '!', sizeof piece);
    while (!is_full(argv[1]))
        ;
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
    } else {
        printf("close %s\n", answer(close(fd)));
    }
    return 0;
}
