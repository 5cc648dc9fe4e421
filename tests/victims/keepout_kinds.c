// keepout_kinds KIND COUNT: so many writes of a kind that a library had better leave alone.

#include "common.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static char large[1 << 16];

static int open_file(int flags) {
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC | flags, 0600);
    if (fd < 0 && errno == EINVAL)
        exit(77);
    require(fd >= 0);
    return fd;
}

static void small_writes(int fd, long count) {
    for (long i = 0; i < count; i++)
        require(write(fd, "a small write\n", 14) == 14);
}

static void drained_writes(int in, int out, long count) {
    char piece[14];
    for (long i = 0; i < count; i++)
        require(write(out, "a small write\n", 14) == 14 && read(in, piece, sizeof piece) == sizeof piece);
}

// The pages of the file itself: whoever stores there must see what was written.
static void map_file(int fd, int flags) {
    require(ftruncate(fd, sizeof large) == 0);
    require(mmap(NULL, sizeof large, PROT_READ | PROT_WRITE, flags, fd, 0) != MAP_FAILED);
}

static void several_files(int writes, long count) {
    char name[32];
    for (long i = 0; i < count / writes; i++) {
        snprintf(name, sizeof name, "file.%ld", i);
        int fd = open(name, O_WRONLY | O_CREAT, 0600);
        require(fd >= 0);
        small_writes(fd, writes);
        require(close(fd) == 0);
    }
}

int main(int argc, char **argv) {
    require(argc == 3);
    const char *kind = argv[1];
    long count = atol(argv[2]);
    int ends[2];
    if (!strcmp(kind, "nothing")) {
        return 0;
    } else if (!strcmp(kind, "once")) {
        several_files(1, count);
    } else if (!strcmp(kind, "twice")) {
        several_files(2, count);
    } else if (!strcmp(kind, "rarely")) {
        int fd = open_file(0);
        for (long i = 0; i < count; i++) {
            small_writes(fd, 1);
            usleep(1000);
        }
    } else if (!strcmp(kind, "large")) {
        int fd = open_file(0);
        for (long i = 0; i < count; i++)
            require(write(fd, large, sizeof large) == sizeof large);
    } else if (!strcmp(kind, "pipe")) {
        require(pipe(ends) == 0);
        drained_writes(ends[0], ends[1], count);
    } else if (!strcmp(kind, "socket")) {
        require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        drained_writes(ends[0], ends[1], count);
    } else if (!strcmp(kind, "terminal")) {
        require(openpty(&ends[0], &ends[1], NULL, NULL, NULL) == 0);
        struct termios raw;
        require(tcgetattr(ends[1], &raw) == 0);
        cfmakeraw(&raw);
        require(tcsetattr(ends[1], TCSANOW, &raw) == 0);
        drained_writes(ends[0], ends[1], count);
    } else if (!strcmp(kind, "eventfd")) {
        int fd = eventfd(0, 0);
        for (long i = 0; i < count; i++)
            require(write(fd, &(uint64_t){1}, 8) == 8);
    } else if (!strcmp(kind, "null")) {
        small_writes(open("/dev/null", O_WRONLY), count);
    } else if (!strcmp(kind, "proc")) {
        small_writes(open("/proc/self/comm", O_WRONLY), count);
    } else if (!strcmp(kind, "sync")) {
        small_writes(open_file(O_SYNC), count);
    } else if (!strcmp(kind, "dsync")) {
        small_writes(open_file(O_DSYNC), count);
    } else if (!strcmp(kind, "rwf_dsync")) {
        int fd = open_file(0);
        for (long i = 0; i < count; i++)
            require(pwritev2(fd, &(struct iovec){"a small write\n", 14}, 1, -1, RWF_DSYNC) == 14);
    } else if (!strcmp(kind, "direct_append")) {
        int fd = open_file(O_DIRECT | O_APPEND);
        char *page = aligned_alloc(4096, 4096);
        memset(page, 'd', 4096);
        for (long i = 0; i < count; i++)
            require(write(fd, page, 4096) == 4096);
    } else if (!strcmp(kind, "scattered")) {
        int fd = open_file(0);
        for (long i = 0; i < count; i++)
            require(pwrite(fd, large, 100, i * 7919 % count * 200) == 100);
    } else if (!strcmp(kind, "mapped_private")) {
        int fd = open_file(0);
        map_file(fd, MAP_PRIVATE);
        small_writes(fd, count);
    } else if (!strcmp(kind, "mapped_shared")) {
        int fd = open_file(0);
        map_file(fd, MAP_SHARED);
        small_writes(fd, count);
    } else if (!strcmp(kind, "shared_memory")) {
        int other = open("other", O_RDWR | O_CREAT, 0600);
        map_file(other, MAP_SHARED);
        small_writes(open_file(0), count);
    } else if (!strcmp(kind, "shared_over_fork")) {
        require(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
        pid_t child = fork();
        if (!child) {
            pause();
            _exit(0);
        }
        small_writes(open_file(0), count);
        require(kill(child, SIGTERM) == 0);
    } else {
        small_writes(open_file(0), count);
    }
    return 0;
}
