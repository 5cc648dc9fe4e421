// What the positions_* victims share: files whose every eight bytes say where they are, and short forms of looking at
// what a descriptor gives, all kept in the transcript.
#pragma once

#define TRANSCRIPT (8 << 20)
#include "transcript.h"

#include <sys/stat.h>
#include <sys/uio.h>

enum { MARK = 8, MARKS = 25000, LENGTH = MARKS * MARK };

static inline void make_marks(const char *path, int marks) {
    FILE *file = fopen(path, "w");
    require(file);
    for (int i = 0; i < marks; i++)
        require(fprintf(file, "%07d\n", i * MARK) == MARK);
    require(fclose(file) == 0);
}

// What came, in short: the bytes themselves if they are few.
static inline void note_bytes(const void *bytes, ssize_t got) {
    if (got > 0 && got <= 2 * MARK)
        note("[%.*s]\n", (int)got, (const char *)bytes);
    else if (got > 0)
        note("%zd bytes, sum %08x\n", got, checksum(bytes, (size_t)got));
}

static inline long note_read(const char *call, const void *bytes, ssize_t got) {
    note_result(call, got);
    note_bytes(bytes, got);
    return got;
}

// A call that fills `room`, an array.
#define READ(call) (memset(room, '~', sizeof room), errno = UNTOUCHED, note_read(#call, room, (call)))

static inline off_t position(int fd) {
    return lseek(fd, 0, SEEK_CUR);
}

// As many small reads in a row as bring a library to whatever it does about such; the last one's bytes are noted.
static inline void run(int fd, int count, size_t n) {
    char bytes[4096];
    ssize_t got = 0;
    uint32_t sum = 0;
    for (int i = 0; i < count; i++) {
        got = read(fd, bytes, n);
        require(got >= 0);
        sum = sum * 31 + checksum(bytes, (size_t)got);
    }
    note("%d times %zu, sum %08x, the last: ", count, n, sum);
    note_bytes(bytes, got);
}

static inline int open_read(const char *path) {
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        die("%s", path);
    return fd;
}

// In the middle of reading it.
static inline int open_running(const char *path) {
    int fd = open_read(path);
    run(fd, 150, 5);
    return fd;
}
