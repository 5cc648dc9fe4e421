// What a victim was answered, kept in memory and printed at the end: printing in between would be a barrier, behind
// which a mistake in something deferred could hide.
#pragma once

#include "common.h"

#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#ifndef TRANSCRIPT // bytes, all of them in a process whose address space a test may limit
#define TRANSCRIPT (4 << 20)
#endif
enum { UNTOUCHED = 4242 };

static char transcript[TRANSCRIPT];
static size_t transcript_length;

__attribute__((format(printf, 1, 2))) static inline void note(const char *format, ...) {
    va_list list;
    va_start(list, format);
    size_t left = TRANSCRIPT - transcript_length;
    int length = vsnprintf(transcript + transcript_length, left, format, list);
    va_end(list);
    require(length >= 0 && (size_t)length < left);
    transcript_length += (size_t)length;
}

static inline long note_result(const char *call, long result) {
    int error = errno;
    if (result == -1)
        note("%s: %s\n", call, strerrorname_np(error));
    else if (error != UNTOUCHED)
        note("%s: %ld, and errno became %d\n", call, result, error);
    else
        note("%s: %ld\n", call, result);
    return result;
}

// A call that succeeds must leave errno alone.
#define TRY(call) (errno = UNTOUCHED, note_result(#call, (long)(call)))

static inline void print_transcript(void) {
    require(write(1, transcript, transcript_length) == (ssize_t)transcript_length);
}

// Opens a file anew and brings it to where a library may defer its writes; leaves some pending.
static inline int open_busy(const char *path, int flags) {
    int fd = open(path, flags | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        die("%s", path);
    for (int i = 0; i < 100; i++)
        require(write(fd, "some small write\n", 17) == 17);
    return fd;
}
