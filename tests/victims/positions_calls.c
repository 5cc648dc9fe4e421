// positions_calls: one process reads in every way that moves a file position or depends on it, small reads before and
// after each, and notes what it was answered.

#include "positions.h"

#include <dirent.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>

static char room[64 << 10];

// One position for all of them, in an order that has no system.
static void mixture(void) {
    uint64_t rng = 1;
    int fd = open_running("marks");
    for (int i = 0; i < 3000; i++) {
        size_t n = 1 + rng_below(&rng, 40);
        off_t at = (off_t)rng_below(&rng, LENGTH + 100);
        struct iovec halves[] = {{room, n}, {room + n, 7}};
        switch (rng_below(&rng, 16)) {
        case 0:
            READ(readv(fd, halves, 2));
            break;
        case 1:
            READ(pread(fd, room, n, at));
            break;
        case 2:
            READ(preadv2(fd, halves, 2, -1, 0));
            break;
        case 3:
            READ(preadv(fd, halves, 2, at));
            break;
        case 4:
            TRY(lseek(fd, at, SEEK_SET));
            break;
        case 5:
            TRY(lseek(fd, -(off_t)n, SEEK_CUR));
            break;
        case 6:
            TRY(lseek(fd, (off_t)n, SEEK_CUR));
            break;
        case 7:
            TRY(position(fd));
            break;
        case 8:
            READ(read(fd, room, 20000));
            break;
        default:
            for (size_t k = 0; k < n; k++)
                READ(read(fd, room, 1 + k));
        }
    }
    TRY(close(fd));
}

// Small steps back and forth, as shells make them.
static void steps(void) {
    int fd = open_running("marks");
    for (int i = 0; i < 300; i++) {
        READ(read(fd, room, 128));
        TRY(lseek(fd, -120, SEEK_CUR));
        if (i % 50 == 0)
            TRY(position(fd));
    }
    for (int i = 0; i < 300; i++) {
        READ(read(fd, room, 24));
        TRY(lseek(fd, -32, SEEK_CUR));
    }
    for (int i = 0; i < 40; i++) {
        READ(read(fd, room, 8));
        TRY(lseek(fd, 40 + i * 8, SEEK_SET));
    }
    for (off_t at = LENGTH; at > LENGTH - 4000; at -= 13)
        READ(pread(fd, room, 13, at));
    run(fd, 20, 3);
    TRY(close(fd));
}

static void try_seek(int fd, off_t offset, int whence) {
    run(fd, 12, 3);
    note("%lld from %d\n", (long long)offset, whence);
    TRY(lseek(fd, offset, whence));
    TRY(position(fd));
    READ(read(fd, room, 5));
    READ(read(fd, room, 5));
    TRY(lseek(fd, 100, SEEK_SET));
}

static void seeks(int fd) {
    static const off_t offsets[] = {0,          1,
                                    2000,       -1,
                                    -5,         -100000,
                                    LENGTH - 3, LENGTH,
                                    LENGTH + 1, 1 << 30,
                                    5ll << 30,  INT32_MAX,
                                    INT64_MAX,  INT64_MAX - 1,
                                    INT64_MIN,  INT64_MIN + 1,
                                    1ll << 44,  (1ll << 44) - 4096,
                                    1ll << 62,  -(1ll << 40)};
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 5, 77, -1, INT_MAX};
    for (size_t i = 0; i < COUNT_OF(offsets); i++)
        for (size_t k = 0; k < COUNT_OF(whences); k++)
            try_seek(fd, offsets[i], whences[k]);
}

static void sparse(void) {
    int fd = open("sparse", O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0 && pwrite(fd, "four GiB and a bit", 18, (4ll << 30) - 9) == 18);
    require(pwrite(fd, "six", 3, 6ll << 30) == 3 && close(fd) == 0);
    fd = open_read("sparse");
    run(fd, 20, 7);
    TRY(lseek(fd, (4ll << 30) - 100, SEEK_SET));
    run(fd, 100, 2);
    TRY(position(fd));
    TRY(lseek(fd, (4ll << 30) - 12, SEEK_SET));
    for (int i = 0; i < 20; i++)
        READ(read(fd, room, 3));
    TRY(lseek(fd, -3, SEEK_CUR));
    READ(pread(fd, room, 5, (4ll << 30) - 2));
    READ(pread(fd, room, 5, 4ll << 30));
    TRY(lseek(fd, 0, SEEK_DATA));
    TRY(lseek(fd, -6, SEEK_END));
    for (int i = 0; i < 9; i++)
        READ(read(fd, room, 2));
    seeks(fd);
    TRY(close(fd));
    unlink("sparse");
}

static void offsets(void) {
    static const off_t bad[] = {-1,        -2,     INT64_MIN, INT64_MAX, INT64_MAX - 3, INT64_MAX - (16 << 10),
                                1ll << 44, LENGTH, LENGTH - 1};
    int fd = open_running("marks");
    struct iovec one = {room, 10};
    volatile size_t all = SIZE_MAX; // not for the compiler to see
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        note("at %lld\n", (long long)bad[i]);
        for (int k = 0; k < 3; k++) {
            READ(pread(fd, room, 10, bad[i]));
            READ(pread(fd, room, 0, bad[i]));
            READ(preadv(fd, &one, 1, bad[i]));
            READ(read(fd, room, 3));
        }
    }
    READ(read(fd, room, 0));
    READ(read(fd, NULL, 0));
    READ(read(fd, room, all));
    TRY(position(fd));
    TRY(close(fd));
}

static void kinds(void) {
    static const int flags[] = {O_RDWR, O_RDWR | O_APPEND,    O_RDONLY | O_APPEND,   O_WRONLY,
                                O_PATH, O_RDONLY | O_NOATIME, O_RDONLY | O_NONBLOCK, O_RDONLY | O_SYNC};
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        make_marks("other", 3000);
        int fd = open("other", flags[i]);
        note("flags %o\n", (unsigned)flags[i]);
        require(fd >= 0);
        for (int k = 0; k < 200; k++) {
            READ(read(fd, room, 6));
            READ(pread(fd, room, 6, k * 6));
            if (k % 20 == 7)
                TRY(write(fd, "written", 7));
            if (k % 20 == 9)
                TRY(pwrite(fd, "pwritten", 8, k * 6 + 8));
            if (k % 20 == 13)
                TRY(lseek(fd, -9, SEEK_CUR));
            if (k % 20 == 17)
                TRY(lseek(fd, k * 6 + 30, SEEK_SET));
        }
        TRY(position(fd));
        TRY(close(fd));
    }
    int directory = open_read(".");
    for (int k = 0; k < 20; k++) {
        READ(read(directory, room, 6));
        READ(pread(directory, room, 6, 0));
    }
    TRY(close(directory));
    READ(read(directory, room, 6));
    READ(read(-1, room, 6));
    READ(read(INT_MAX, room, 6));
}

// Flags that change in mid-run: an O_DIRECT read of a few bytes is refused, or not, as the file system likes.
static void flags_change(void) {
    int fd = open_running("marks");
    TRY(fcntl(fd, F_SETFL, O_APPEND));
    run(fd, 20, 5);
    int direct = (int)TRY(fcntl(fd, F_SETFL, O_DIRECT));
    for (int i = 0; i < 20; i++) {
        READ(read(fd, room, 5));
        READ(pread(fd, room, 5, 3));
        TRY(lseek(fd, i * 4096, SEEK_SET));
        READ(pread(fd, room, 5, i * 4096));
    }
    TRY(position(fd));
    if (direct == 0)
        TRY(fcntl(fd, F_SETFL, 0));
    for (int i = 0; i < 20; i++)
        READ(read(fd, room, 5));
    TRY(fcntl(fd, F_GETFL));
    TRY(close(fd));
}

// The same position under several numbers, and numbers that come to mean something else.
static void numbers(void) {
    int fd = open_running("marks"), twin = dup(fd), far = fcntl(fd, F_DUPFD, 100),
        high = fcntl(fd, F_DUPFD_CLOEXEC, 700);
    for (int i = 0; i < 40; i++) {
        READ(read(fd, room, 5));
        READ(read(twin, room, 6));
        run(far, 10, 3);
        TRY(lseek(high, 2, SEEK_CUR));
        READ(read(high, room, 5));
        TRY(position(fd));
    }
    run(twin, 20, 3);
    TRY(close(twin));
    TRY(position(fd));
    run(fd, 20, 3);
    int other = open_running("other");
    TRY(dup2(other, fd));
    run(fd, 20, 3);
    TRY(position(other));
    run(far, 20, 3);
    TRY(dup3(far, other, O_CLOEXEC));
    run(other, 20, 3);
    TRY(position(far));
    TRY(dup2(far, far));
    run(far, 20, 3);
    TRY(position(high));
    TRY(close(far));
    far = open_read("marks"); // the number of something that was closed a while ago
    run(far, 20, 3);
    TRY(position(other));
    run(other, 20, 3);
    TRY(close_range((unsigned)high, ~0u, 0));
    run(other, 20, 3);
    READ(read(high, room, 3));
    int again = open_read("marks");
    run(again, 20, 3);
    TRY(close_range((unsigned)again, ~0u, CLOSE_RANGE_CLOEXEC));
    run(again, 20, 3);
    closefrom(3);
    READ(read(again, room, 3));
    READ(read(fd, room, 3));
    again = open_read("marks");
    run(again, 20, 3);
    closefrom(again);
    TRY(position(again));
}

// What is told of the position by others than lseek.
static void note_told(int fd) {
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *info = fopen(path, "r");
    require(info && fgets(text, sizeof text, info));
    note("fdinfo %s", text);
    fclose(info);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_RDONLY), unread = 0;
    require(own >= 0);
    run(own, 20, 3); // a description of its own
    TRY(position(own));
    TRY(close(own));
    run(fd, 10, 3);
    TRY(ioctl(fd, FIONREAD, &unread));
    note("unread %d\n", unread);
}

static void looks(void) {
    int fd = open_running("marks"), target = open("target", O_RDWR | O_CREAT | O_TRUNC, 0600), ends[2];
    struct stat st;
    require(target >= 0 && pipe(ends) == 0);
    for (int i = 0; i < 5; i++) {
        note_told(fd);
        run(fd, 10, 3);
        TRY(sendfile(target, fd, NULL, 1000 + (size_t)i));
        run(fd, 10, 3);
        TRY(copy_file_range(fd, NULL, target, NULL, 500 + (size_t)i, 0));
        run(fd, 10, 3);
        TRY(splice(fd, NULL, ends[1], NULL, 300 + (size_t)i, 0));
        run(fd, 10, 3);
        READ(read(ends[0], room, 1000));
        run(fd, 10, 3);
        TRY(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
        run(fd, 10, 3);
        TRY(readahead(fd, 0, 4096));
        run(fd, 10, 3);
        TRY(fstat(fd, &st));
        TRY(fsync(fd));
        TRY(isatty(fd));
        run(fd, 10, 3);
        TRY(isatty(fd));
        TRY(ftruncate(fd, 5));
        TRY(write(fd, "no", 2));
        run(fd, 10, 3);
        TRY(isatty(ends[0]));
        run(fd, 10, 3);
        TRY(isatty(-1));
        TRY(isatty(999));
        TRY(position(ends[0]));
    }
    TRY(lseek(target, 0, SEEK_SET));
    READ(read(target, room, 9000));
    TRY(close(ends[0]));
    TRY(close(ends[1]));
    TRY(close(target));
    TRY(close(fd));
}

// Others write what one reads, in this process.
static void growth(void) {
    int out = open("growing", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600), fd = open_read("growing");
    for (int i = 0; i < 400; i++) {
        char line[32];
        int length = snprintf(line, sizeof line, "line %d\n", i);
        READ(read(fd, room, 6));
        TRY(write(out, line, (size_t)length));
        READ(read(fd, room, 6));
        if (i % 10 == 0)
            READ(read(fd, room, 6));
        if (i % 100 == 50) {
            run(fd, 10, 1);
            TRY(ftruncate(out, position(fd) - 5));
            READ(read(fd, room, 6));
            TRY(position(fd));
        }
        if (i % 100 == 70) {
            TRY(lseek(fd, -40, SEEK_CUR));
            run(fd, 3, 2);
            TRY(pwrite(out, "over", 4, 0));
            TRY(truncate("growing", 20));
            TRY(lseek(fd, 0, SEEK_SET));
            run(fd, 10, 3);
            int over = open("growing", O_WRONLY);
            TRY(pwrite(over, "OVERWRITTEN", 11, 8));
            TRY(close(over));
            TRY(lseek(fd, 0, SEEK_SET));
            run(fd, 10, 3);
        }
    }
    run(fd, 200, 4);
    TRY(lseek(fd, -5, SEEK_END));
    READ(read(fd, room, 100));
    READ(read(fd, room, 100));
    TRY(close(out));
    TRY(close(fd));
}

static void mapped(void) {
    int fd = open_running("other"), out = open("other", O_RDWR);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, out, 0);
    require(map != MAP_FAILED);
    TRY(lseek(fd, 0, SEEK_SET));
    run(fd, 10, 3);
    memcpy(map + 30, "stored", 6);
    READ(read(fd, room, 6));
    memcpy(map + 36, "stored again", 12);
    READ(read(fd, room, 12));
    TRY(munmap(map, 4096));
    run(fd, 10, 3);
    TRY(position(fd));
    TRY(close(out));
    TRY(close(fd));
}

// No memory to be had: whatever isn't needed is done without.
static void tight(void) {
    struct rlimit tight, before;
    int fd = open_read("marks");
    require(getrlimit(RLIMIT_AS, &before) == 0);
    tight = before;
    tight.rlim_cur = 1 << 20;
    require(setrlimit(RLIMIT_AS, &tight) == 0);
    run(fd, 150, 5);
    require(setrlimit(RLIMIT_AS, &before) == 0);
    run(fd, 150, 5);
    TRY(position(fd));
    TRY(close(fd));
}

int main(void) {
    make_marks("marks", MARKS);
    make_marks("other", MARKS);
    tight();
    mixture();
    steps();
    int fd = open_running("marks");
    seeks(fd);
    close(fd);
    sparse();
    offsets();
    kinds();
    flags_change();
    numbers();
    looks();
    growth();
    mapped();
    print_transcript();
    return 0;
}
