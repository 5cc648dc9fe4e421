// A number is given back in every way there is, while the file has pending writes, and reopened as another file: no
// byte may end up in the wrong one.

#include "transcript.h"

#include <sys/syscall.h>

static int fd;
static const char *turn;

static void scribble(const char *text) {
    for (int i = 0; i < 100; i++)
        require(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static char *name_of(const char *which) {
    static char name[64];
    snprintf(name, sizeof name, "%s.%s", turn, which);
    return name;
}

static int open_next(void) {
    return open(name_of("after"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
}

static void by_close(void) {
    require(close(fd) == 0 && open_next() == fd);
}

static void by_dup2(void) {
    int next = open_next();
    require(dup2(next, fd) == fd && close(next) == 0);
}

static void by_dup3(void) {
    int next = open_next();
    require(dup3(next, fd, O_CLOEXEC) == fd && close(next) == 0);
}

static void by_close_range(void) {
    require(close_range((unsigned)fd, (unsigned)fd, 0) == 0 && open_next() == fd);
}

static void by_closefrom(void) {
    closefrom(fd);
    require(open_next() == fd);
}

static void by_fclose(void) {
    require(fclose(fdopen(fd, "w")) == 0 && open_next() == fd);
}

static void by_freopen(void) {
    FILE *stream = freopen(name_of("after"), "w", fdopen(fd, "w"));
    require(stream && fileno(stream) == fd);
}

static void by_syscall(void) {
    require(syscall(SYS_close, fd) == 0 && open_next() == fd);
}

static void by_syscall_dup2(void) {
    int next = open_next();
    require(syscall(SYS_dup3, next, fd, 0) == fd && close(next) == 0);
}

static void by_syscall_open(void) {
    require(close(fd) == 0);
    require(syscall(SYS_openat, AT_FDCWD, name_of("after"), O_WRONLY | O_CREAT | O_TRUNC, 0600) == fd);
}

static void by_mkstemp(void) {
    char name[64];
    snprintf(name, sizeof name, "%s.XXXXXX", turn);
    require(close(fd) == 0 && mkstemp(name) == fd && rename(name, name_of("after")) == 0);
}

static void by_fopen(void) {
    require(close(fd) == 0 && fileno(fopen(name_of("after"), "w")) == fd);
}

static void by_tmpfile(void) {
    require(close(fd) == 0 && fileno(tmpfile()) == fd);
}

static void by_pipe(void) {
    int ends[2];
    require(close(fd) == 0 && pipe(ends) == 0 && ends[0] == fd && close(ends[1]) == 0);
    require(open_next() == fd + 1 && dup2(fd + 1, fd) == fd && close(fd + 1) == 0);
}

// The numbers of two files change places.
static void by_swap(void) {
    int spare = dup(fd), next = open_next();
    require(dup2(next, fd) == fd && dup2(spare, next) == next && close(spare) == 0);
    require(write(next, "last words of before\n", 21) == 21);
    scribble("after, but before before is closed\n");
    require(close(next) == 0);
}

static const struct {
    const char *name;
    void (*replace)(void);
} ways[] = {
    {"close", by_close},
    {"dup2", by_dup2},
    {"dup3", by_dup3},
    {"close_range", by_close_range},
    {"closefrom", by_closefrom},
    {"fclose", by_fclose},
    {"freopen", by_freopen},
    {"syscall", by_syscall},
    {"syscall_dup2", by_syscall_dup2},
    {"syscall_open", by_syscall_open},
    {"mkstemp", by_mkstemp},
    {"fopen", by_fopen},
    {"tmpfile", by_tmpfile},
    {"pipe", by_pipe},
    {"swap", by_swap},
};

int main(void) {
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        turn = ways[i].name;
        fd = open(name_of("before"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        require(fd >= 0);
        scribble("before\n");
        ways[i].replace();
        scribble("after\n");
        // Not closed, so that every other way begins with a new number.
    }
    return 0;
}
