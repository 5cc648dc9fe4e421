// direct_watch WAY [MILLISECONDS]: two processes and a file that one of them has open with O_DIRECT.
//
//   held, reopened   one writes blocks over and over, in order or (held_apart, reopened_apart) here and there; the
//   other
//                    looks, through a descriptor that it holds or one that it opens each time, at a block and then at
//                    one that is written earlier: it may not be older. Opening never fails
//   scattered        one writes here and there, and ends
//   overlapping      one writes two blocks at a time, each over half of the last, and ends
//   killed           one writes here and there and is killed; what is there is what it wrote up to some block
//   fresh            one reads blocks in sequence; the other changes some, closes the file and says so: whoever has
//   heard
//                    it reads what is new
//   mirrored         one writes in sequence, the other reads so, each block once before the one before it: what is read
//                    later may not be older
//
// Exit status: 0 right, 1 wrong, 77 no direct I/O here.

#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 256, STEP = 37, ROUNDS_FRESH = 30, SLOW_DISK_US = 20000000 };

static char *block;

static int open_direct(int flags) {
    int fd = open("file", flags | O_DIRECT);
    if (fd < 0 && errno == EINVAL)
        exit(77);
    require(fd >= 0);
    return fd;
}

static int64_t generation_at(int fd, int index) {
    int64_t generation;
    require(pread(fd, block, BLOCK, (off_t)index * BLOCK) == BLOCK);
    memcpy(&generation, block, sizeof generation);
    return generation;
}

static void write_block(int fd, int index, int64_t generation) {
    memcpy(block, &generation, sizeof generation);
    memcpy(block + BLOCK - sizeof generation, &generation, sizeof generation);
    require(pwrite(fd, block, BLOCK, (off_t)index * BLOCK) == BLOCK);
}

// Its blocks lie apart on the disk, where the file system lets blocks be taken out, so that one call for many of them
// is many requests to the device.
static void make_file(void) {
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
    if (fd < 0 && errno == EINVAL)
        exit(77);
    require(fd >= 0);
    for (int index = 0; index <= 2 * BLOCKS; index++)
        write_block(fd, index, 1);
    require(fsync(fd) == 0);
    for (int index = 1; index <= BLOCKS; index++)
        if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, (off_t)index * BLOCK, BLOCK) != 0)
            break;
    require(fsync(fd) == 0 && close(fd) == 0);
}

static int place(bool apart, int turn) {
    return apart ? turn * STEP % BLOCKS : turn;
}

static void write_rounds(bool apart, int64_t rounds) {
    int fd = open_direct(O_RDWR);
    for (int64_t generation = 2; generation < 2 + rounds; generation++)
        for (int turn = 0; turn < BLOCKS; turn++)
            write_block(fd, place(apart, turn), generation);
}

static void write_overlapping(int rounds) {
    int fd = open_direct(O_RDWR);
    char *two = aligned_alloc(BLOCK, 2 * BLOCK);
    for (int round = 0; round < rounds; round++)
        for (int turn = 0; turn + 1 < BLOCKS; turn++) {
            memset(two, 'a' + (turn + round) % 26, 2 * BLOCK);
            require(pwrite(fd, two, 2 * BLOCK, (off_t)turn * BLOCK) == 2 * BLOCK);
        }
    free(two);
}

static int look(bool reopen, bool apart, int64_t milliseconds) {
    uint64_t rng = (uint64_t)now_us();
    int64_t end = now_us() + milliseconds * 1000, looks = 0, highest = 0;
    int fd = -1;
    for (; now_us() < end || (highest <= 2 && now_us() < end + SLOW_DISK_US); looks++) {
        if (reopen && fd >= 0)
            require(close(fd) == 0);
        if (reopen || fd < 0)
            fd = open_direct(O_RDONLY);
        int later = 1 + (int)rng_below(&rng, BLOCKS - 1), earlier = (int)rng_below(&rng, (uint64_t)later);
        int64_t there = generation_at(fd, place(apart, later)), before = generation_at(fd, place(apart, earlier));
        if (before < there) {
            printf("block %d is of round %lld, block %d still of %lld\n", later, (long long)there, earlier,
                   (long long)before);
            return 1;
        }
        highest = before > highest ? before : highest;
    }
    printf("%lld looks, %lld rounds\n", (long long)looks, (long long)highest);
    return looks && highest > 2 ? 0 : 1;
}

static int watch(bool reopen, bool apart, int64_t milliseconds) {
    pid_t writer = fork();
    require(writer >= 0);
    if (writer == 0)
        write_rounds(apart, INT64_MAX - 2);
    int wrong = look(reopen, apart, milliseconds), status;
    require(waitpid(writer, &status, WNOHANG) == 0); // nothing has killed it
    require(kill(writer, SIGKILL) == 0 && waitpid(writer, &status, 0) == writer);
    return wrong;
}

// All blocks are of the first round again.
static void make_young(void) {
    int fd = open("file", O_WRONLY);
    char *all = calloc(BLOCKS, BLOCK);
    int64_t first = 1;
    for (size_t at = 0; at < (size_t)BLOCKS * BLOCK; at += BLOCK) {
        memcpy(all + at, &first, sizeof first);
        memcpy(all + at + BLOCK - sizeof first, &first, sizeof first);
    }
    require(fd >= 0 && pwrite(fd, all, (size_t)BLOCKS * BLOCK, 0) == (ssize_t)BLOCKS * BLOCK);
    require(fsync(fd) == 0 && close(fd) == 0);
    free(all);
}

static int kill_and_look(int64_t milliseconds) {
    uint64_t rng = (uint64_t)now_us();
    int64_t end = now_us() + milliseconds * 1000, kills = 0;
    for (; now_us() < end; kills++) {
        pid_t writer = fork();
        require(writer >= 0);
        if (writer == 0)
            write_rounds(true, INT64_MAX - 2);
        usleep(1000 + (useconds_t)rng_below(&rng, 40000));
        require(kill(writer, SIGKILL) == 0 && waitpid(writer, NULL, 0) == writer);
        int fd = open_direct(O_RDONLY);
        int64_t first = generation_at(fd, 0), last = first;
        for (int turn = 1; turn < BLOCKS; turn++) {
            int64_t generation = generation_at(fd, place(true, turn));
            if (generation != last && (last != first || generation != first - 1)) {
                printf("block %d is of round %lld, the one before it of %lld, the first of %lld\n", turn,
                       (long long)generation, (long long)last, (long long)first);
                return 1;
            }
            last = generation;
        }
        close(fd);
        make_young();
    }
    printf("%lld kills\n", (long long)kills);
    return kills == 0;
}

static int listen_and_read(void) {
    int ask[2], answer[2];
    require(pipe(ask) == 0 && pipe(answer) == 0);
    pid_t changer = fork();
    require(changer >= 0);
    if (changer == 0) {
        int index;
        close(ask[1]);
        for (int64_t generation = 2; read(ask[0], &index, sizeof index) == sizeof index; generation++) {
            int fd = open_direct(O_WRONLY);
            write_block(fd, index, generation);
            require(close(fd) == 0 && write(answer[1], "x", 1) == 1);
        }
        _exit(0);
    }
    close(ask[0]);
    int fd = open_direct(O_RDONLY), stale = 0;
    char heard;
    for (int64_t generation = 2; generation < ROUNDS_FRESH; generation++) {
        usleep(60000); // what has just been changed isn't read ahead
        int read_first = 20 + (int)(generation % 7), index = read_first + (int)(generation % 5);
        for (int i = 0; i < read_first; i++)
            generation_at(fd, i);
        require(write(ask[1], &index, sizeof index) == sizeof index && read(answer[0], &heard, 1) == 1);
        stale += generation_at(fd, index) != generation;
    }
    close(ask[1]);
    require(waitpid(changer, NULL, 0) == changer);
    printf("%d stale\n", stale);
    return stale != 0;
}

// The writer opens the file for each round, so that the reader may sometimes be alone with it.
static int mirror(int64_t milliseconds) {
    pid_t writer = fork();
    require(writer >= 0);
    if (writer == 0)
        for (int64_t generation = 2;; generation++) {
            int fd = open_direct(O_WRONLY);
            for (int index = BLOCKS - 1; index >= 0; index--)
                write_block(fd, index, generation);
            require(close(fd) == 0);
            if (generation % 8 == 0)
                usleep(100000);
        }
    int64_t end = now_us() + milliseconds * 1000, wrong = 0;
    int fd = open_direct(O_RDONLY);
    while (now_us() < end && !wrong) {
        int64_t last = 0;
        for (int index = 0; index < BLOCKS; index++) {
            int64_t generation = generation_at(fd, index);
            wrong += generation < last;
            last = generation;
        }
    }
    int status;
    require(waitpid(writer, &status, WNOHANG) == 0);
    require(kill(writer, SIGKILL) == 0 && waitpid(writer, &status, 0) == writer);
    printf("%lld older than what was read before\n", (long long)wrong);
    return wrong != 0;
}

int main(int argc, char **argv) {
    require(argc >= 2);
    const char *way = argv[1];
    int64_t milliseconds = argc > 2 ? atoi(argv[2]) : 1000;
    block = aligned_alloc(BLOCK, BLOCK);
    require(block);
    memset(block, 0, BLOCK);
    make_file();
    if (!strncmp(way, "held", 4) || !strncmp(way, "reopened", 8))
        return watch(way[0] == 'r', strstr(way, "apart") != NULL, milliseconds);
    if (!strcmp(way, "scattered"))
        return write_rounds(true, 8), 0;
    if (!strcmp(way, "overlapping"))
        return write_overlapping(8), 0;
    if (!strcmp(way, "killed"))
        return kill_and_look(milliseconds);
    return !strcmp(way, "fresh") ? listen_and_read() : mirror(milliseconds);
}
