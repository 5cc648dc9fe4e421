// keepout_reads KIND COUNT: so many reads of a kind that a library had better leave alone; `plain` and `stream` are of
// the other.

#include "common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SIZE = 4 << 20, SMALL = 50 };

static char room[1 << 16];

static int open_file(const char *name) {
    int fd = open(name, O_RDONLY);
    require(fd >= 0);
    return fd;
}

static void small_reads(int fd, long count) {
    for (long i = 0; i < count; i++)
        require(read(fd, room, SMALL) == SMALL);
}

static void random_reads(int fd, long count, bool by_seek) {
    uint64_t rng = 1;
    for (long i = 0; i < count; i++) {
        off_t at = (off_t)rng_below(&rng, SIZE - 4096);
        require(by_seek ? lseek(fd, at, SEEK_SET) == at && read(fd, room, 4096) == 4096
                        : pread(fd, room, SMALL, at) == SMALL);
    }
}

static void passed_on(int in, int out, long count) {
    for (long i = 0; i < count; i++)
        require(write(out, room, SMALL) == SMALL && read(in, room, SMALL) == SMALL);
}

static void again_and_again(const char *name, long count) {
    int fd = open_file(name);
    for (long i = 0; i < count; i++)
        require(pread(fd, room, SMALL, 0) > 0);
}

int main(int argc, char **argv) {
    require(argc == 3);
    const char *kind = argv[1];
    long count = atol(argv[2]);
    int ends[2];
    if (!strcmp(kind, "random")) {
        random_reads(open_file("large"), count, false);
    } else if (!strcmp(kind, "seeking")) {
        random_reads(open_file("large"), count, true);
    } else if (!strcmp(kind, "whole")) {
        int fd = open_file("large");
        while (read(fd, room, sizeof room) > 0)
            ;
    } else if (!strcmp(kind, "over_the_limit")) {
        int fd = open_file("large");
        while (read(fd, room, (16 << 10) + 1) > 0)
            ;
    } else if (!strcmp(kind, "vectors")) {
        int fd = open_file("large");
        struct iovec halves[] = {{room, SMALL}, {room + SMALL, SMALL}};
        for (long i = 0; i < count; i++)
            require(readv(fd, halves, 2) == 2 * SMALL);
    } else if (!strcmp(kind, "few")) {
        for (long i = 0; i < count / 5; i++) {
            int fd = open_file("large");
            small_reads(fd, 5);
            require(close(fd) == 0);
        }
    } else if (!strcmp(kind, "stream")) {
        FILE *in = fopen("in", "r");
        uint32_t sum = 0;
        require(in);
        for (int c; (c = getc(in)) != EOF;)
            sum = sum * 31 + (uint32_t)c;
        printf("%u\n", sum);
    } else if (!strcmp(kind, "polling")) {
        again_and_again("large", count);
    } else if (!strcmp(kind, "alternately")) {
        int one = open_file("large"), other = open_file("other");
        for (long i = 0; i < count / 2; i++) {
            small_reads(one, 1);
            small_reads(other, 1);
        }
    } else if (!strcmp(kind, "pipe")) {
        require(pipe(ends) == 0);
        passed_on(ends[0], ends[1], count);
    } else if (!strcmp(kind, "socket")) {
        require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        passed_on(ends[0], ends[1], count);
    } else if (!strcmp(kind, "null")) {
        small_reads(open_file("/dev/zero"), count);
    } else if (!strcmp(kind, "proc")) {
        again_and_again("/proc/self/status", count);
    } else if (!strcmp(kind, "sys")) {
        again_and_again("/sys/kernel/notes", count);
    } else if (!strcmp(kind, "inherited")) {
        small_reads(0, count);
    } else if (!strcmp(kind, "mapped")) {
        int fd = open_file("large");
        require(mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED);
        small_reads(fd, count);
    } else if (!strcmp(kind, "shared_memory")) {
        int other = open("shared", O_RDWR | O_CREAT, 0600);
        require(ftruncate(other, 4096) == 0);
        require(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0) != MAP_FAILED);
        small_reads(open_file("large"), count);
    } else if (!strcmp(kind, "direct")) {
        int fd = open("large", O_RDWR | O_DIRECT);
        void *page = NULL;
        if (fd < 0)
            exit(77);
        require(posix_memalign(&page, 4096, 4096) == 0);
        for (long i = 0; i < count; i++)
            require(read(fd, page, 4096) == 4096);
    } else {
        small_reads(open_file("large"), count);
    }
    return 0;
}
