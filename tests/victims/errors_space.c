// errors_space DIR PIECE [fill]: writes pieces to a file in DIR, whose file system is small, until a write, fsync or
// close fails. With `fill`, another process takes what is left of the space while writes are pending. Whatever was
// accepted must be in the file, unless an error has told otherwise.

#include "common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 1 << 29 };

static const char *first_error;
static int first_errno;

static bool failed(const char *call, bool failure) {
    if (failure && !first_error) {
        first_error = call;
        first_errno = errno;
    }
    return failure;
}

// The pattern tells a piece that is missing or out of place.
static void make_piece(char *piece, size_t size, long at) {
    for (size_t i = 0; i < size; i++, at++)
        piece[i] = (char)('a' + (at + at / 251) % 26);
}

static void run(const char *program, const char *of) {
    pid_t child = vfork();
    if (!child) {
        execlp(program, program, "if=/dev/zero", of, "bs=64k", "status=none", (char *)NULL);
        _exit(127);
    }
    require(child > 0 && waitpid(child, NULL, 0) == child);
}

static long write_until_error(int fd, size_t size, long accepted, long most) {
    static char piece[1 << 16];
    while (accepted < most) {
        make_piece(piece, size, accepted);
        ssize_t result = write(fd, piece, size);
        if (failed("write", result < 0))
            break;
        accepted += result;
    }
    return accepted;
}

static long bytes_that_are_right(int fd) {
    static char have[1 << 16], want[1 << 16];
    long at = 0;
    for (ssize_t part; (part = pread(fd, have, sizeof have, at)) > 0; at += part) {
        make_piece(want, (size_t)part, at);
        for (ssize_t i = 0; i < part; i++)
            if (have[i] != want[i])
                return at + i;
    }
    return at;
}

int main(int argc, char **argv) {
    require(argc >= 3);
    char path[4096], of[4100];
    size_t size = (size_t)atol(argv[2]);
    snprintf(path, sizeof path, "%s/data", argv[1]);
    snprintf(of, sizeof of, "of=%s/filling", argv[1]);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0);
    long accepted = 0;
    if (argc > 3) {
        accepted = write_until_error(fd, size, accepted, 300 * (long)size);
        run("dd", of);
    }
    accepted = write_until_error(fd, size, accepted, MOST);
    failed("fsync", fsync(fd) < 0);
    int copy = open(path, O_RDONLY);
    require(copy >= 0);
    failed("close", close(fd) < 0);
    long right = bytes_that_are_right(copy);
    struct stat status;
    require(fstat(copy, &status) == 0);
    printf("accepted %ld, size %ld, %s: %s\n", accepted, (long)status.st_size, first_error ? first_error : "no error",
           first_error ? strerrorname_np(first_errno) : "");
    if (right != status.st_size)
        die("wrong from byte %ld on", right);
    if (right < accepted && !first_error)
        die("%ld bytes were accepted and lost without a word", accepted - right);
    return 0;
}
