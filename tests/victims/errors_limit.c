// errors_limit HOW: writes small pieces over RLIMIT_FSIZE. HOW: `ignored`, `counted` or `deadly` is what SIGXFSZ does;
// `midway` sets the limit in mid-run, `prlimit` by the other call, `raised` raises it again, `positioned` uses pwrite,
// in `vforked` a vfork child raises its own.

#include "transcript.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { LIMIT = 100001, PIECE = 64 };

static volatile sig_atomic_t signals;

static void count(int number) {
    signals += number == SIGXFSZ;
}

static void set_limit(rlim_t bytes) {
    struct rlimit limit = {bytes, RLIM_INFINITY};
    require(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    require(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void set_limit_otherwise(rlim_t bytes) {
    struct rlimit limit;
    require(prlimit(0, RLIMIT_FSIZE, NULL, &limit) == 0);
    limit.rlim_cur = bytes;
    require(prlimit(getpid(), RLIMIT_FSIZE, &limit, NULL) == 0);
}

// Pieces until one fails.
static void fill(int fd) {
    char piece[PIECE];
    memset(piece, 'p', sizeof piece);
    long result, pieces = 0;
    while ((result = write(fd, piece, sizeof piece)) == sizeof piece && pieces < 4 * LIMIT / PIECE)
        pieces++;
    note("after %ld pieces: ", pieces);
    note_result("write", (errno = result < 0 ? errno : UNTOUCHED, result));
    TRY(write(fd, piece, sizeof piece));
    note("%d signals, position %ld\n", (int)signals, (long)lseek(fd, 0, SEEK_CUR));
}

static void fill_by_position(int fd) {
    char piece[PIECE];
    memset(piece, 'p', sizeof piece);
    for (off_t at = 0; at < 2 * LIMIT; at += 1000) {
        note("at %ld: ", (long)at);
        TRY(pwrite(fd, piece, sizeof piece, at));
    }
    TRY(pwrite(fd, piece, sizeof piece, LIMIT - 1));
    TRY(pwrite(fd, piece, sizeof piece, LIMIT));
    TRY(pwrite(fd, piece, 0, LIMIT));
    TRY(ftruncate(fd, LIMIT + 1));
    TRY(ftruncate(fd, LIMIT));
    note("%d signals\n", (int)signals);
}

// A child's limits are its own, though it uses its parent's memory.
static void raise_in_child(void) {
    int status;
    pid_t child = vfork();
    if (child == 0) {
        const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
        _exit(setrlimit(RLIMIT_FSIZE, &none) != 0);
    }
    require(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv) {
    require(argc == 2);
    const char *how = argv[1];
    if (!strcmp(how, "deadly") && fork()) {
        int status;
        require(wait(&status) > 0);
        note("the child's status is %x\n", (unsigned)status);
        print_transcript();
        return 0;
    }
    if (!strcmp(how, "ignored"))
        signal(SIGXFSZ, SIG_IGN);
    else if (strcmp(how, "deadly") != 0)
        signal(SIGXFSZ, count);
    bool midway = !strcmp(how, "midway") || !strcmp(how, "prlimit") || !strcmp(how, "vforked");
    if (!midway)
        set_limit(LIMIT);
    int fd = open_busy("limited", O_RDWR), other = open_busy("other", O_WRONLY | O_APPEND);
    if (!strcmp(how, "prlimit"))
        set_limit_otherwise(LIMIT);
    else if (midway)
        set_limit(LIMIT);
    if (!strcmp(how, "vforked"))
        raise_in_child();
    if (!strcmp(how, "positioned")) {
        fill_by_position(fd);
    } else {
        fill(fd);
        fill(other);
    }
    if (!strcmp(how, "raised")) {
        set_limit(2 * LIMIT);
        fill(fd);
        set_limit(LIMIT / 2);
        fill(fd);
        fill(other);
    }
    TRY(fsync(fd));
    TRY(close(fd));
    TRY(close(other));
    print_transcript();
    return 0;
}
