/*
 * The least that a preloaded library can be that coalesces small writes and reads ahead: of one descriptor each,
 * without threads, signals, forks, other readers, limits or errors. To measure against; wrong for any program but
 * writer and reader.
 *
 *   cc -O2 -shared -fPIC -o least.so tests/bench/least.c
 *   LD_PRELOAD=./least.so build/bench/writer 64 1000000 FILE
 */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIZE = 128 << 10, LARGE = 4096 };

static _Alignas(4096) char written[SIZE], fetched[SIZE];
static struct {
    size_t at, end;
    int fd;
} out = {.fd = -1}, in = {.fd = -1};

static void flush(void) {
    if (out.end)
        syscall(SYS_write, out.fd, written, out.end);
    out.end = 0;
}

ssize_t write(int fd, const void *bytes, size_t n) {
    if (n > LARGE)
        return syscall(SYS_write, fd, bytes, n);
    if (fd != out.fd || out.end + n > SIZE) {
        flush();
        out.fd = fd;
    }
    memcpy(written + out.end, bytes, n);
    out.end += n;
    return (ssize_t)n;
}

static ssize_t read_more(int fd, void *bytes, size_t n) {
    if (n > LARGE)
        return syscall(SYS_read, fd, bytes, n);
    size_t left = fd == in.fd ? in.end - in.at : 0;
    memmove(fetched, fetched + in.at, left);
    ssize_t got = syscall(SYS_read, fd, fetched + left, SIZE - left);
    if (got < 0)
        return got;
    in.fd = fd;
    in.end = left + (size_t)got;
    in.at = n < in.end ? n : in.end;
    memcpy(bytes, fetched, in.at);
    return (ssize_t)in.at;
}

ssize_t read(int fd, void *bytes, size_t n) {
    if (fd != in.fd || in.end - in.at < n)
        return read_more(fd, bytes, n);
    memcpy(bytes, fetched + in.at, n);
    in.at += n;
    return (ssize_t)n;
}

int close(int fd) {
    if (fd == out.fd)
        flush();
    return (int)syscall(SYS_close, fd);
}
