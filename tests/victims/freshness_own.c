// freshness_own PART: a process reads a file in small pieces and changes it itself, in every way there is. It prints
// what it read, and where it was; natively and under the library that must be the same. `freshness_own` names the
// parts.

#include "bare.h"
#include "transcript.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { SMALL = 48, FILE_SIZE = 300000 };

static void make_file(const char *path, int64_t size) {
    static char bytes[FILE_SIZE];
    uint64_t rng = 5;
    rng_fill(&rng, bytes, sizeof bytes);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0 && write(fd, bytes, (size_t)size) == size);
    close(fd);
}

static int open_again(const char *path, int flags) {
    int fd = open(path, flags);
    require(fd >= 0);
    return fd;
}

static void note_bytes(const char *how, const char *bytes, ssize_t got) {
    note("%s %zd %08x\n", how, got, got > 0 ? checksum(bytes, (size_t)got) : 0);
}

// Enough reads that a library has read ahead, before and after each change.
static void read_some(int fd, int times) {
    char bytes[SMALL];
    for (int i = 0; i < times; i++) {
        memset(bytes, 0, sizeof bytes);
        note_bytes("read", bytes, read(fd, bytes, sizeof bytes));
    }
}

static void pread_some(int fd, off_t at, int times) {
    char bytes[SMALL];
    for (int i = 0; i < times; i++)
        note_bytes("pread", bytes, pread(fd, bytes, sizeof bytes, at + i * SMALL));
}

static void note_position(int fd) {
    note("at %lld\n", (long long)lseek(fd, 0, SEEK_CUR));
}

// Both kinds of window, and what follows them in the file.
static void read_around(int fd, void (*change)(int64_t at)) {
    for (int64_t i = 0; i < 60; i++) {
        int64_t at = i * 2000;
        TRY(lseek(fd, at, SEEK_SET));
        read_some(fd, 5);
        change(at + 5 * SMALL + i % 7 * 100);
        read_some(fd, 20);
        pread_some(fd, at, 5);
        change(at + 5 * SMALL + i % 5 * 100);
        pread_some(fd, at + 5 * SMALL, 20);
        note_position(fd);
    }
}

static int writer;

static void change_by_pwrite(int64_t at) {
    char bytes[100];
    uint64_t rng = (uint64_t)at;
    rng_fill(&rng, bytes, sizeof bytes - 8);
    require(pwrite(writer, bytes, 80, at) == 80);
}

static void change_by_write(int64_t at) {
    require(lseek(writer, at, SEEK_SET) == at);
    for (int i = 0; i < 10; i++)
        require(write(writer, &at, sizeof at) == sizeof at);
}

static void change_by_pwritev(int64_t at) {
    struct iovec v[2] = {{&at, 3}, {&at, sizeof at}};
    require(pwritev(writer, v, 2, at) == 11);
}

static void change_by_large(int64_t at) {
    static char bytes[70000];
    memset(bytes, (int)(at >> 4), sizeof bytes);
    require(pwrite(writer, bytes, sizeof bytes, at) == sizeof bytes);
}

static void change_by_append(int64_t at) {
    require(write(writer, &at, sizeof at) == sizeof at);
    struct stat status;
    require(fstat(writer, &status) == 0);
    note("%lld bytes\n", (long long)status.st_size);
}

static void change_by_stdio(int64_t at) {
    static FILE *stream;
    if (!stream)
        stream = fdopen(dup(writer), "r+");
    fseeko(stream, at, SEEK_SET);
    fprintf(stream, "written at %lld", (long long)at);
    fflush(stream);
}

static void change_by_fallocate(int64_t at) {
    TRY(fallocate(writer, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, 300));
}

static void change_by_copy(int64_t at) {
    off_t from = 200000, to = at;
    TRY(copy_file_range(writer, &from, writer, &to, 200, 0));
}

static void change_by_truncate(int64_t at) {
    TRY(ftruncate(writer, at + 50));
    TRY(truncate("file", at + 40000));
}

static const struct {
    const char *name;
    void (*change)(int64_t at);
} changes[] = {
    {"pwrite", change_by_pwrite},       {"write", change_by_write},          {"pwritev", change_by_pwritev},
    {"large", change_by_large},         {"append", change_by_append},        {"stdio", change_by_stdio},
    {"fallocate", change_by_fallocate}, {"copy_file_range", change_by_copy}, {"truncate", change_by_truncate},
};

// Through another descriptor, under another name, under another name of another link, and through the reader's own.
static void by_change(void (*change)(int64_t at)) {
    static const char *const names[] = {"file", "./file", "link"};
    int flags = change == change_by_append ? O_RDWR | O_APPEND : O_RDWR;
    require(link("file", "link") == 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        make_file("file", FILE_SIZE);
        int fd = open_again("file", O_RDONLY);
        writer = open_again(names[i], flags);
        read_around(fd, change);
        close(writer);
        close(fd);
    }
    make_file("file", FILE_SIZE);
    writer = open_again("file", flags);
    read_around(writer, change);
    close(writer);
}

// A store into a mapping is no call at all.
static char *mapping;

static void change_by_store(int64_t at) {
    memset(mapping + at, (int)(at >> 3), 90);
}

static void by_store(void) {
    int fd = open_again("file", O_RDONLY);
    read_some(fd, 30);
    writer = open_again("file", O_RDWR);
    mapping = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);
    require(mapping != MAP_FAILED);
    read_around(fd, change_by_store);
}

// What sees the kernel's position sees it where the program has read to.
static void by_position(void) {
    char bytes[SMALL], large[20000];
    int fd = open_again("file", O_RDONLY), out = open("out", O_RDWR | O_CREAT, 0600), other;
    require(out >= 0);
    for (int i = 0; i < 40; i++) {
        read_some(fd, 7);
        TRY(sendfile(out, fd, NULL, 100));
        note_position(fd);
        read_some(fd, 7);
        TRY(copy_file_range(fd, NULL, out, NULL, 100, 0));
        read_some(fd, 7);
        note_bytes("large", large, read(fd, large, 17000));
        read_some(fd, 5);
        struct iovec v[2] = {{bytes, 5}, {large, 30}};
        note_bytes("readv", large, readv(fd, v, 2));
        read_some(fd, 5);
        other = dup(fd);
        read_some(other, 5);
        read_some(fd, 3);
        note_position(other);
        read_some(fd, 3);
        close(fd);
        read_some(other, 3);
        require(dup2(other, fd) == fd);
        read_some(fd, 3);
        close(other);
        TRY(lseek(fd, -500, SEEK_CUR));
        read_some(fd, 5);
        TRY(lseek(fd, 100 * i, SEEK_SET));
        read_some(fd, 3);
        TRY(lseek(fd, -1000000, SEEK_CUR));
        TRY(lseek(fd, 0, 77));
        TRY(lseek(fd, i * 3, SEEK_DATA));
        read_some(fd, 3);
        TRY(lseek(fd, 4000 * (i + 1), SEEK_SET));
    }
}

static void read_as_child(int fd) {
    pid_t child = fork();
    if (child) {
        require(child > 0 && waitpid(child, NULL, 0) == child);
        return;
    }
    for (int i = 0; i < 5; i++) {
        char bytes[SMALL];
        require(read(fd, bytes, sizeof bytes) >= 0);
    }
    _exit(0);
}

// A position that another process has, too: before the fork it is ours, and after it never again.
static void by_fork(void) {
    int fd = open_again("file", O_RDONLY);
    for (int i = 0; i < 30; i++) {
        read_some(fd, 10);
        read_as_child(fd);
        read_some(fd, 10);
        note_position(fd);
        if (i % 10 == 5) {
            close(fd);
            fd = open_again("file", O_RDONLY);
        }
    }
}

// The child goes on reading while the parent waits, each by its turn.
static void by_turns(void) {
    int fd = open_again("file", O_RDONLY), there[2], back[2];
    char byte;
    require(pipe(there) == 0 && pipe(back) == 0);
    read_some(fd, 10);
    pid_t child = fork();
    for (int i = 0; i < 50; i++)
        if (child) {
            read_some(fd, 3);
            require(write(there[1], "x", 1) == 1 && read(back[0], &byte, 1) == 1);
        } else {
            char bytes[SMALL];
            require(read(there[0], &byte, 1) == 1);
            for (int j = 0; j < 4; j++)
                require(read(fd, bytes, sizeof bytes) == sizeof bytes);
            require(write(back[1], "x", 1) == 1);
        }
    if (!child)
        _exit(0);
    require(waitpid(child, NULL, 0) == child);
    note_position(fd);
}

// Two processes take records from one position, and say nothing to each other: each record goes to one of them.
static void by_queue(void) {
    uint32_t taken[2] = {0, 0}, others[2];
    char bytes[SMALL];
    int fd = open_again("file", O_RDONLY), line[2];
    require(pipe(line) == 0);
    read_some(fd, 10);
    pid_t child = fork();
    if (child)
        require(read(line[0], bytes, 1) == 1); // both begin at once
    else
        require(write(line[1], "x", 1) == 1);
    for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0; taken[0]++)
        for (int i = 0; i < 20; i++)
            taken[1] += checksum(bytes, (size_t)got);
    if (!child) {
        require(write(line[1], taken, sizeof taken) == sizeof taken);
        _exit(0);
    }
    require(read(line[0], others, sizeof others) == sizeof others && waitpid(child, NULL, 0) == child);
    note("%u records, %08x\n", taken[0] + others[0], taken[1] + others[1]);
}

// tail -f: the end is never taken for granted.
static void by_growth(void) {
    int fd = open_again("file", O_RDONLY);
    writer = open_again("file", O_WRONLY | O_APPEND);
    TRY(lseek(fd, FILE_SIZE - 5 * SMALL - 11, SEEK_SET));
    read_some(fd, 8);
    for (int64_t i = 0; i < 200; i++) {
        for (int64_t j = 0; j < i % 20; j++)
            require(write(writer, &j, sizeof j) == sizeof j);
        read_some(fd, 4);
        pread_some(fd, FILE_SIZE + i * 20 - 3 * SMALL, 5);
        if (i % 50 == 49)
            TRY(ftruncate(writer, FILE_SIZE));
    }
    TRY(lseek(fd, FILE_SIZE * 2, SEEK_SET));
    read_some(fd, 3);
    note_position(fd);
}

static void by_name(void) {
    for (int i = 0; i < 20; i++) {
        make_file("file", 5000 + i);
        int fd = open_again("file", O_RDONLY);
        read_some(fd, 10);
        make_file("next", 9000 + i);
        TRY(rename("next", "file"));
        read_some(fd, 10);
        close(fd);
        fd = open_again("file", O_RDONLY);
        TRY(lseek(fd, 4900, SEEK_SET));
        read_some(fd, 10);
        close(fd);
    }
}

static void *volatile nowhere = (void *)16;

static void by_odd_reads(void) {
    char bytes[SMALL];
    int fd = open_again("file", O_RDONLY), closed = dup(fd), blind = open_again("file", O_WRONLY);
    close(closed);
    for (int i = 0; i < 30; i++) {
        read_some(fd, 4);
        TRY(read(fd, bytes, 0));
        TRY(pread(fd, bytes, 0, 5));
        TRY(pread(fd, bytes, 10, -1));
        TRY(read(fd, nowhere, 10));
        TRY(pread(fd, nowhere, 10, 100 + i));
        TRY(read(closed, bytes, 10));
        TRY(read(blind, bytes, 10));
        TRY(read(-1, bytes, 10));
        note_position(fd);
        pread_some(fd, FILE_SIZE - 10 * SMALL - i, 12);
        for (int j = 0; j < 12; j++)
            note_bytes("back", bytes,
                       pread(fd, bytes, sizeof bytes, 5 * SMALL + i - j * 20 < 0 ? 0 : 5 * SMALL - j * 20 + i));
    }
}

// Beyond 4 GiB, and in holes.
static void by_distance(void) {
    int64_t far = (int64_t)5 << 30;
    int fd = open_again("file", O_RDONLY);
    writer = open_again("file", O_RDWR);
    require(pwrite(writer, "far away", 8, far) == 8);
    for (int i = 0; i < 40; i++) {
        TRY(lseek(fd, far - 10 * SMALL + i, SEEK_SET));
        read_some(fd, 5);
        require(pwrite(writer, &i, sizeof i, far - 3 * SMALL + i * 2) == sizeof i);
        read_some(fd, 8);
        pread_some(fd, far / 2 + i * 100, 8);
        require(pwrite(writer, &i, sizeof i, far / 2 + i * 100 + 5 * SMALL) == sizeof i);
        pread_some(fd, far / 2 + i * 100, 12);
    }
}

// One thread writes, the other one reads; a mutex tells.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int turn;
enum { TURNS = 1000 };

static bool take_turn(int mine, int number) {
    pthread_mutex_lock(&mutex);
    bool is_mine = turn == 2 * number + mine;
    pthread_mutex_unlock(&mutex);
    return is_mine;
}

static void give_turn(void) {
    pthread_mutex_lock(&mutex);
    turn++;
    pthread_mutex_unlock(&mutex);
}

static void *write_by_turns(void *unused) {
    for (int i = 0; i < TURNS; i++) {
        while (!take_turn(1, i))
            sched_yield();
        int64_t at = i % 500 * (int64_t)SMALL * 3 + i % 11 * 20;
        require(pwrite(writer, &i, sizeof i, at + 2 * SMALL) == sizeof i);
        if (i % 3)
            require(pwrite(writer, &i, sizeof i, at + 2 * SMALL + (int)sizeof i) == sizeof i);
        give_turn();
    }
    return unused;
}

static void by_thread(void) {
    pthread_t thread;
    int fd = open_again("file", O_RDONLY);
    writer = open_again("link", O_RDWR);
    require(pthread_create(&thread, NULL, write_by_turns, NULL) == 0);
    for (int i = 0; i < TURNS; i++) {
        while (!take_turn(0, i))
            sched_yield();
        int64_t at = i % 500 * (int64_t)SMALL * 3;
        pread_some(fd, at, 3);
        give_turn();
        while (!take_turn(0, i + 1))
            sched_yield();
        pread_some(fd, at + 2 * SMALL, 10);
    }
    require(pthread_join(thread, NULL) == 0);
}

// Whoever has no turn may read whatever he likes in the meantime, but not what the writer has replaced before his last
// turn.
static volatile bool over;
static volatile int written;

static void *count_up(void *unused) {
    for (int i = 1; i <= 8000; i++) {
        require(pwrite(writer, &i, sizeof i, 4000) == sizeof i);
        __atomic_store_n(&written, i, __ATOMIC_RELEASE);
        if (i % 100 == 0)
            usleep(1);
    }
    over = true;
    return unused;
}

static void by_count(void) {
    pthread_t thread;
    int fd = open_again("file", O_RDONLY);
    writer = open_again("file", O_RDWR);
    require(pwrite(writer, "\0\0\0\0", 4, 4000) == 4);
    require(pthread_create(&thread, NULL, count_up, NULL) == 0);
    while (!over) {
        char bytes[SMALL];
        for (int at = 4000 - 5 * SMALL; at < 4000; at += SMALL)
            require(pread(fd, bytes, SMALL, at) == SMALL);
        int before = __atomic_load_n(&written, __ATOMIC_ACQUIRE), found;
        require(pread(fd, &found, sizeof found, 4000) == sizeof found);
        if (found < before)
            die("%d was written and %d is read", before, found);
    }
    require(pthread_join(thread, NULL) == 0);
}

// What was read ahead too long ago isn't shown to whoever has asked for the time since then, nor for long to whoever
// hasn't. The file is changed, and the time passes, by bare system calls, which no library sees.
enum { AGE_US = 100000, READS_UNTIMED = 8 };

static void bare_change(int64_t at, int64_t size) {
    static char bytes[FILE_SIZE];
    static uint64_t rng = 11;
    rng_fill(&rng, bytes, (size_t)size);
    require(bare_call(SYS_pwrite64, writer, bytes, size, at) == size);
}

static void ask_nobody(void) {}

static void ask_clock_gettime(void) {
    struct timespec t;
    require(clock_gettime(CLOCK_REALTIME, &t) == 0);
}

static void ask_gettimeofday(void) {
    struct timeval t;
    require(gettimeofday(&t, NULL) == 0);
}

static void ask_time(void) {
    require(time(NULL) > 0);
}

static void ask_times(void) {
    struct tms used;
    require(times(&used) > 0);
}

static void ask_timespec_get(void) {
    struct timespec t;
    require(timespec_get(&t, TIME_UTC) == TIME_UTC);
}

static void by_age(void) {
    static void (*const ask[])(void) = {ask_clock_gettime, ask_gettimeofday, ask_time,
                                        ask_times,         ask_timespec_get, ask_nobody};
    int fd = open_again("file", O_RDONLY);
    writer = open_again("file", O_RDWR);
    for (size_t i = 0; i < COUNT_OF(ask); i++)
        for (int by_offset = 0; by_offset < (i % 5 ? 1 : 2); by_offset++) { // both kinds of window with two of them
            int64_t at = (int64_t)(2 * i + by_offset) * 20000;
            char bytes[SMALL];
            TRY(lseek(fd, at, SEEK_SET));
            read_some(fd, by_offset ? 0 : 10);
            pread_some(fd, at, by_offset ? 10 : 0);
            bare_change(at + 10 * SMALL, 50 * SMALL);
            bare_call(SYS_nanosleep, &(struct timespec){.tv_nsec = AGE_US * 1000L}, NULL, 0, 0);
            at += 10 * SMALL;
            ask[i]();
            for (int j = 0; ask[i] == ask_nobody && j < READS_UNTIMED; j++, at += SMALL)
                require((by_offset ? pread(fd, bytes, SMALL, at) : read(fd, bytes, SMALL)) == SMALL);
            read_some(fd, by_offset ? 0 : 20);
            pread_some(fd, at, by_offset ? 20 : 0);
        }
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
    {"store", by_store},       {"position", by_position}, {"fork", by_fork},   {"turns", by_turns},
    {"queue", by_queue},       {"growth", by_growth},     {"name", by_name},   {"odd_reads", by_odd_reads},
    {"distance", by_distance}, {"thread", by_thread},     {"count", by_count}, {"age", by_age},
};

int main(int argc, char **argv) {
    alarm(HANG_SECONDS);
    if (argc == 2)
        make_file("file", FILE_SIZE);
    for (size_t i = 0; i < COUNT_OF(changes); i++)
        if (argc == 1)
            puts(changes[i].name);
        else if (!strcmp(argv[1], changes[i].name))
            by_change(changes[i].change);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (argc == 1)
            puts(parts[i].name);
        else if (!strcmp(argv[1], parts[i].name)) {
            if (strcmp(argv[1], "name") != 0)
                require(link("file", "link") == 0);
            parts[i].run();
        }
    if (argc == 2) {
        print_transcript();
        unlink("link");
        require(truncate("file", FILE_SIZE) == 0);
    }
    return 0;
}
