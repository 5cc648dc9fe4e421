// errors_far WAY…: a quick writer whose position is moved to just before the largest file size, in some way: what is
// written there is short, and then refused. Prints what it was told.
//
//   lseek      by the number itself
//   before     by a number that was made by dup before anything was written
//   after      by one that was made after that
//   child      by a child of fork, which has the position as well
//   stream     by a stream of stdio on another number
//   number     by the number of lseek(2)
//   end        the file is made that long, and is opened with O_APPEND

#include "common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORD = 64, RECORDS = 20000, LEFT = 10 };

// Another process finds that out, for this one is not to have been there.
static off_t most(void) {
    off_t low = 0, high = INT64_MAX;
    int answer[2];
    require(pipe(answer) == 0);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        int fd = open("far", O_RDWR | O_CREAT, 0600);
        while (low < high) {
            off_t middle = low + (high - low) / 2 + 1;
            if (lseek(fd, middle, SEEK_SET) == middle)
                low = middle;
            else
                high = middle - 1;
        }
        require(write(answer[1], &low, sizeof low) == sizeof low);
        _exit(0);
    }
    require(read(answer[0], &low, sizeof low) == sizeof low && waitpid(child, NULL, 0) == child);
    require(close(answer[0]) == 0 && close(answer[1]) == 0);
    return low;
}

static void move(const char *way, int fd, int before, FILE *stream, off_t to) {
    if (strcmp(way, "lseek") == 0) {
        require(fsync(fd) == 0 && lseek(fd, to, SEEK_SET) == to); /* with nothing pending */
    } else if (strcmp(way, "before") == 0) {
        require(lseek(before, to, SEEK_SET) == to);
    } else if (strcmp(way, "after") == 0) {
        int after = dup(fd);
        require(lseek(after, to, SEEK_SET) == to && close(after) == 0);
    } else if (strcmp(way, "child") == 0) {
        pid_t child = fork();
        if (child == 0)
            _exit(lseek(fd, to, SEEK_SET) != to);
        require(waitpid(child, NULL, 0) == child);
    } else if (strcmp(way, "stream") == 0) {
        require(fseeko(stream, to, SEEK_SET) == 0);
    } else if (strcmp(way, "number") == 0) {
        require(syscall(SYS_lseek, fd, to, SEEK_SET) == to);
    } else {
        require(ftruncate(fd, to) == 0);
    }
}

int main(int argc, char **argv) {
    char record[RECORD];
    off_t end = most();
    memset(record, 'r', sizeof record);
    for (int i = 1; i < argc; i++) {
        bool appends = strcmp(argv[i], "end") == 0;
        int fd = open("far", O_RDWR | O_CREAT | O_TRUNC | (appends ? O_APPEND : 0), 0600), before = dup(fd);
        FILE *stream = fdopen(dup(fd), "r+");
        require(fd >= 0 && before >= 0 && stream);
        for (int j = 0; j < RECORDS; j++)
            require(write(fd, record, RECORD) == RECORD);
        move(argv[i], fd, before, stream, end - LEFT);
        printf("%s:", argv[i]);
        for (int j = 0; j < 4; j++) {
            errno = 0;
            long done = write(fd, record, RECORD);
            printf(" %ld %s", done, strerrorname_np(errno));
        }
        printf(", close %s\n", close(fd) ? strerrorname_np(errno) : "fine");
        require(close(before) == 0 && fclose(stream) == 0 && unlink("far") == 0);
    }
    return 0;
}
