// What a round of freshness is, and how its reader reads.
//
// Whatever the reader does through libc between its first reads and the message might end a window, and so hide what
// was forgotten. So the two sides speak by bare system calls, which no library sees, in all but the message itself.
#pragma once

#include "observer.h"

#include <sys/uio.h>

enum {
    DATA_SIZE = 1 << 20,
    REACH = 128 << 10, // how far beyond the reader bytes are changed
    READ_MAX = 200,    // of one read
    READS_MANY = 140,  // with which a library that waits for many reads has begun to read ahead
    READS_MAX = READS_MANY + 20,
    STREAM_BUFFER = 256,
    LARGE = 17 << 10, // more than is worth reading ahead for
    CHANGES_MAX = 6,
    MARGIN = READS_MAX * READ_MAX + REACH + (2 + 2 * CHANGES_MAX) * LARGE,
};

enum way {
    WAY_READ,
    WAY_READ_SEEK,
    WAY_PREAD,
    WAY_PREAD_BACK,
    WAY_FREAD,
    WAY_FREAD_BUFFERED,
    WAY_FGETS,
    WAY_GETC,
    WAY_READV,
    WAY_LARGE,
    WAY_DUP,
    WAYS,
};
static const char *const way_names[WAYS] = {
    [WAY_READ] = "read",   [WAY_READ_SEEK] = "read_seek",
    [WAY_PREAD] = "pread", [WAY_PREAD_BACK] = "pread_back",
    [WAY_FREAD] = "fread", [WAY_FREAD_BUFFERED] = "fread_buffered",
    [WAY_FGETS] = "fgets", [WAY_GETC] = "getc",
    [WAY_READV] = "readv", [WAY_LARGE] = "large",
    [WAY_DUP] = "dup",
};

// The same in both processes.
struct round {
    enum way way;
    size_t size;   // of each read
    int before;    // reads before the change
    int between;   // and after it, before the first place that has changed
    int64_t start; // of the first
    int changes;
    struct {
        int64_t at;
        size_t length;
        unsigned add;
    } change[CHANGES_MAX];
};

static uint64_t seed;
static int only_way = -1;
static struct round plan;
static char image[DATA_SIZE]; // the file, as each side knows it

static void plan_changes(uint64_t *rng, int64_t near) {
    bool back = plan.way == WAY_PREAD_BACK;
    plan.changes = 1 + (int)rng_below(rng, CHANGES_MAX);
    int64_t distance = (int64_t)rng_below(rng, 2 * plan.size);
    for (int i = 0; i < plan.changes; i++) {
        plan.change[i].length = 1 + rng_below(rng, plan.size);
        plan.change[i].add = 1 + (unsigned)rng_below(rng, 25);
        plan.change[i].at = back ? near - distance - (int64_t)plan.change[i].length : near + distance;
        distance += (int64_t)plan.size * 2 + (int64_t)rng_below(rng, REACH / plan.changes - 2 * READ_MAX);
    }
}

static void plan_round(void) {
    uint64_t rng = seed ^ checksum(channel->name, strlen(channel->name)) ^ (uint64_t)now << 32;
    plan.way = (enum way)(only_way >= 0 ? only_way : (int)rng_below(&rng, WAYS));
    plan.size = 1 + rng_below(&rng, plan.way == WAY_GETC ? 8 : READ_MAX);
    plan.before = now % 8 ? 2 + (int)rng_below(&rng, 22) : READS_MANY + (int)rng_below(&rng, 20);
    plan.between = (int)rng_below(&rng, 3);
    plan.start = MARGIN + (int64_t)rng_below(&rng, DATA_SIZE - 2 * MARGIN);
    int64_t run = plan.before * (int64_t)plan.size;
    int64_t near = plan.way == WAY_PREAD_BACK ? plan.start - run : plan.start + run;
    if (plan.way == WAY_FREAD_BUFFERED) // what libc has in its buffer is old natively, too
        near += 2 * STREAM_BUFFER;
    plan_changes(&rng, near);
}

static void change_image(void) {
    for (int i = 0; i < plan.changes; i++)
        for (size_t j = 0; j < plan.change[i].length; j++) {
            char *byte = &image[plan.change[i].at + (int64_t)j];
            *byte = (char)(*byte == '\n' ? 'a' : 'a' + ((unsigned)(*byte - 'a') + plan.change[i].add) % 26);
        }
}

static void bare_yield(void) {
    bare_call(SYS_sched_yield, 0, NULL, 0, 0);
}

static int line_to_writer[2], line_to_reader[2];

static void bare_say(const int line[2]) {
    long result;
    do
        result = bare_call(SYS_write, line[1], "x", 1, 0);
    while (result == -EINTR);
}

static void bare_listen(const int line[2]) {
    char byte;
    long result;
    do
        result = bare_call(SYS_read, line[0], &byte, 1, 0);
    while (result == -EINTR);
    if (result != 1)
        give_up("the other side has gone (seed %llu)", (unsigned long long)seed);
}

// The reader's.
static int data_fd = -1, second_fd; // second_fd: a duplicate
static FILE *unbuffered, *buffered;
static char stream_buffer[STREAM_BUFFER];
static int64_t position; // where the last read ended, or began if it goes backwards
static bool heard;       // of this round's changes
static bool counting;    // stale reads are counted instead of being the end
static long stale;

static void close_data(void) {
    if (data_fd < 0)
        return;
    close(data_fd);
    close(second_fd);
    fclose(unbuffered);
    fclose(buffered);
}

static void open_data(void) {
    close_data();
    data_fd = MUST(open(path_of("data"), O_RDONLY | O_CLOEXEC));
    second_fd = MUST(dup(data_fd));
    unbuffered = fopen(path_of("data"), "re");
    buffered = fopen(path_of("data"), "re");
    if (!unbuffered || !buffered)
        give_up("fopen");
    setvbuf(unbuffered, NULL, _IONBF, 0);
    setvbuf(buffered, stream_buffer, _IOFBF, sizeof stream_buffer);
}

static void check(const char *bytes, int64_t at, size_t n) {
    if (!memcmp(bytes, image + at, n))
        return;
    if (counting) {
        stale++;
        return;
    }
    size_t i = 0;
    while (bytes[i] == image[at + (int64_t)i])
        i++;
    give_up("by %s offset %lld is '%c' and should be '%c', %s the message (seed %llu)", way_names[plan.way],
            (long long)at + (long long)i, bytes[i], image[at + (int64_t)i], heard ? "after" : "before",
            (unsigned long long)seed);
}

static void expect(ssize_t got, size_t n) {
    if (got != (ssize_t)n)
        give_up("by %s at %lld: %zd instead of %zu (seed %llu): %m", way_names[plan.way], (long long)position, got, n,
                (unsigned long long)seed);
}

static void seek_to(int64_t at) {
    if (at == position)
        return;
    if (MUST(lseek(data_fd, at, SEEK_SET)) != at)
        give_up("lseek");
}

// As shells do it: more than is wanted, and back.
static ssize_t read_and_return(char *bytes, size_t n) {
    enum { MORE = 40 };
    ssize_t got = read(data_fd, bytes, n + MORE);
    expect(got, n + MORE);
    if (MUST(lseek(data_fd, -MORE, SEEK_CUR)) != position + (int64_t)n)
        give_up("by read_seek the position is wrong (seed %llu)", (unsigned long long)seed);
    return got - MORE;
}

static ssize_t read_line(char *bytes, size_t n) {
    return fgets(bytes, (int)n + 1, unbuffered) ? (ssize_t)strlen(bytes) : -1;
}

static ssize_t read_characters(char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)getc(unbuffered);
    return (ssize_t)n;
}

static ssize_t read_vector(char *bytes, size_t n) {
    struct iovec v[2] = {{bytes, n / 2}, {bytes + n / 2, n - n / 2}};
    return readv(data_fd, v, 2);
}

// One read of the file at this place, whose bytes must be the ones that they should be.
static void read_at(int64_t at) {
    static char bytes[LARGE + 1];
    size_t n = plan.size;
    ssize_t got = -1;
    FILE *from = plan.way == WAY_FREAD_BUFFERED ? buffered : unbuffered;
    bool by_stream = plan.way >= WAY_FREAD && plan.way <= WAY_GETC;
    bool by_offset = plan.way == WAY_PREAD || plan.way == WAY_PREAD_BACK;
    if (by_stream && at != position)
        MUST(fseeko(from, at, SEEK_SET));
    else if (!by_stream && !by_offset)
        seek_to(at);
    position = at;
    switch (plan.way) {
    case WAY_READ_SEEK:
        got = read_and_return(bytes, n);
        break;
    case WAY_PREAD:
    case WAY_PREAD_BACK:
        got = pread(data_fd, bytes, n, at);
        break;
    case WAY_FREAD:
    case WAY_FREAD_BUFFERED:
        got = (ssize_t)fread(bytes, 1, n, from);
        break;
    case WAY_FGETS:
        got = read_line(bytes, n);
        n = got > 0 && bytes[got - 1] == '\n' ? (size_t)got : n;
        break;
    case WAY_GETC:
        got = read_characters(bytes, n);
        break;
    case WAY_READV:
        got = heard ? read_vector(bytes, n) : read(data_fd, bytes, n);
        break;
    case WAY_LARGE:
        n = heard ? LARGE : n;
        got = read(data_fd, bytes, n);
        break;
    case WAY_DUP:
        got = read(heard ? second_fd : data_fd, bytes, n);
        break;
    default:
        got = read(data_fd, bytes, n);
    }
    expect(got, n);
    check(bytes, at, n);
    position += plan.way == WAY_PREAD_BACK ? 0 : (int64_t)n;
}

static void read_on(int times) {
    for (int i = 0; i < times; i++)
        read_at(plan.way == WAY_PREAD_BACK ? position - (int64_t)plan.size : position);
}

static void read_first(void) {
    heard = false;
    position = -1;
    read_at(plan.start);
    read_on(plan.before - 1);
}

// Each change is met by a read that begins a little before it, or at it, and gets on in the direction of reading.
static void read_changes(void) {
    bool back = plan.way == WAY_PREAD_BACK;
    heard = true;
    read_on(plan.between);
    for (int i = 0; i < plan.changes; i++) {
        int64_t at = plan.change[i].at;
        if (back ? at > position - (int64_t)plan.size : at < position)
            read_on(1);
        else
            read_at(at);
        read_on(1);
    }
}
