// direct_calls SEED ROUNDS [THREADS]: what descriptors with O_DIRECT answer to calls that are aligned, and to some that
// aren't; alone with their file or beside others that aren't direct; then the file is read from end to end. Prints
// every answer. With THREADS, so many write blocks of their own through one descriptor, and what comes of it is
// printed.

#include "transcript.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { FILE_MAX = 1 << 20, STEPS = 120, DESCRIPTORS = 3, BLOCK = 4096, BLOCKS = 2000 };

static uint64_t rng;
// What sizes and offsets are multiples of: of a page, where the file is read through the page cache, too. (Nothing is
// written through it: what comes of direct I/O on pages that are dirty isn't always the same.)
static size_t unit;
static char *memory; // aligned as much as anybody could want
static int fds[DESCRIPTORS], flags[DESCRIPTORS];

static unsigned pick(unsigned limit) {
    return (unsigned)rng_below(&rng, limit);
}

// An odd size is within a block: where the blocks of a longer piece aren't side by side on the disk the kernel goes
// piece by piece (iomap_dio_rw), and may have done the first before it refuses the last.
static size_t some_size(void) {
    return pick(25) ? unit << pick(4) : pick(2) ? pick((unsigned)unit) | 1 : unit - 24;
}

static off_t some_offset(off_t *next, size_t size) {
    off_t at = pick(4) ? *next : (off_t)pick(FILE_MAX / (unsigned)unit) * (off_t)unit;
    if (!pick(40))
        at += 1 + pick(500);
    *next = at + (off_t)size;
    if (*next >= FILE_MAX)
        *next = 0;
    return at;
}

static char *some_memory(void) {
    return memory + (pick(40) ? (size_t)pick(8) * 512 : pick(512));
}

// What was read. Behind it the kernel may have left anything, to the end of the block.
static void note_bytes(char *bytes, size_t size, long got) {
    size_t there = got > 0 ? (size_t)got : 0;
    if (there)
        note("    %08x\n", checksum(bytes, there));
    memset(bytes + there, 'm', size - there);
}

static void one_call(off_t *next) {
    int fd = fds[pick(DESCRIPTORS)];
    size_t size = some_size();
    char *bytes = some_memory();
    off_t at = some_offset(next, size);
    struct stat st;
    switch (pick(27)) {
    case 0 ... 11:
        rng_fill(&rng, bytes, 64);
        TRY(pwrite(fd, bytes, size, at));
        break;
    case 12 ... 15:
        rng_fill(&rng, bytes, 64);
        TRY(write(fd, bytes, size));
        break;
    case 16:
        TRY(writev(fd, (struct iovec[]){{bytes, size}, {memory, unit}}, 2));
        break;
    case 17 ... 19:
        note_bytes(bytes, size, TRY(pread(fd, bytes, size, at)));
        break;
    case 20:
        note_bytes(bytes, size, TRY(read(fd, bytes, size)));
        break;
    case 21:
        TRY(lseek(fd, at, SEEK_SET));
        break;
    case 22:
        require(fstat(fd, &st) == 0);
        note("    %lld bytes\n", (long long)st.st_size);
        break;
    case 23:
        TRY(fdatasync(fd));
        break;
    case 24:
        if (!pick(4))
            TRY(ftruncate(fd, at));
        break;
    case 25:
        note("    owner %d, lease %d\n", fcntl(fd, F_GETOWN), fcntl(fd, F_GETLEASE));
        break;
    default:
        // No buffer. Not where that would fill a hole: what the blocks held before may be read afterwards, on ext4.
        TRY(pwrite(fd, memory, size, at));
        TRY(pwrite(fd, (char *)1, size, at));
    }
}

// Reads and writes that go on where the last one ended, as most programs do.
static void in_sequence(off_t at) {
    size_t size = unit << pick(4);
    int fd = fds[pick(DESCRIPTORS)], kind = (int)pick(4);
    TRY(lseek(fd, at, SEEK_SET));
    for (unsigned i = pick(60); i > 0; i--, at += (off_t)size) {
        char *bytes = memory + !pick(30);
        size_t n = pick(30) ? size : unit - 1;
        rng_fill(&rng, memory, 64);
        if (kind == 0)
            TRY(pwrite(fd, bytes, n, at));
        else if (kind == 1)
            TRY(write(fd, bytes, n));
        else if (kind == 2)
            note_bytes(bytes, n, TRY(pread(fd, bytes, n, at)));
        else
            note_bytes(bytes, n, TRY(read(fd, bytes, n)));
    }
}

// A block of the file is another from now on; sometimes a child does it.
static void change_one(off_t at) {
    bool by_child = pick(2);
    pid_t child = by_child ? fork() : 0;
    rng_fill(&rng, memory, BLOCK);
    require(child >= 0);
    if (child == 0) {
        int fd = open("file", O_WRONLY | O_DIRECT);
        require(fd >= 0 && pwrite(fd, memory, BLOCK, at) == BLOCK && close(fd) == 0);
    }
    if (by_child && child == 0)
        _exit(0);
    if (by_child)
        require(waitpid(child, NULL, 0) == child);
}

// Reads through the whole file, once in a while after a change to what is still to come.
static void through_the_file(void) {
    int fd = open("file", O_RDONLY | O_DIRECT), changes = (int)pick(3);
    bool at_position = pick(2);
    size_t size = unit << pick(3);
    require(fd >= 0);
    usleep(60000);
    long got = (long)size;
    for (off_t at = 0; got == (long)size; at += (off_t)size) {
        if (changes > 0 && !pick(100)) {
            change_one((at + (off_t)pick(FILE_MAX / 2)) / BLOCK * BLOCK);
            changes--;
        }
        got = at_position ? TRY(read(fd, memory, size)) : TRY(pread(fd, memory, size, at));
        note_bytes(memory, size, got);
    }
    TRY(close(fd));
}

static bool is_buffered(int kind) {
    return kind >= 0 && !(kind & O_DIRECT);
}

static void open_all(void) {
    static const int kinds[][DESCRIPTORS] = {
        {O_RDWR | O_DIRECT, -1, -1},
        {O_WRONLY | O_DIRECT, -1, -1},
        {O_RDONLY | O_DIRECT, -1, -1},
        {O_RDWR | O_DIRECT, O_RDONLY, O_RDONLY | O_DIRECT},
        {O_WRONLY | O_DIRECT, O_WRONLY | O_APPEND | O_DIRECT, O_RDONLY},
        {O_RDONLY | O_DIRECT, O_RDONLY | O_DIRECT, O_RDONLY},
    };
    const int *kind = kinds[pick(COUNT_OF(kinds))];
    for (int i = 0; i < DESCRIPTORS; i++) {
        flags[i] = kind[i];
        fds[i] = kind[i] < 0 ? dup(fds[0]) : open("file", kind[i] | O_CREAT, 0600);
        if (fds[i] < 0 && errno == EINVAL)
            exit(77);
        require(fds[i] >= 0);
    }
    unit = is_buffered(kind[1]) || is_buffered(kind[2]) || pick(2) ? BLOCK : 512;
    if (kind[1] < 0 && !(kind[0] & O_ACCMODE))
        usleep(60000); // only read: and what has just been changed isn't read ahead
    note("opened %x %x %x\n", flags[0], flags[1], flags[2]);
}

static void *write_blocks(void *argument) {
    uintptr_t number = (uintptr_t)argument;
    char *block = aligned_alloc(BLOCK, BLOCK);
    for (off_t i = 0; i < BLOCKS; i++) {
        snprintf(memset(block, 0, BLOCK), BLOCK, "block %lld of thread %zu", (long long)i, (size_t)number);
        require(pwrite(fds[0], block, BLOCK, ((off_t)number * BLOCKS + i) * BLOCK) == BLOCK);
    }
    free(block);
    return NULL;
}

static void by_threads(unsigned threads) {
    pthread_t others[threads];
    fds[0] = open("file", O_RDWR | O_CREAT | O_DIRECT, 0600);
    require(fds[0] >= 0);
    for (uintptr_t i = 0; i < threads; i++)
        require(pthread_create(&others[i], NULL, write_blocks, (void *)i) == 0);
    for (unsigned i = 0; i < threads; i++)
        require(pthread_join(others[i], NULL) == 0);
}

int main(int argc, char **argv) {
    require(argc >= 3);
    rng = strtoull(argv[1], NULL, 0);
    memory = aligned_alloc(BLOCK, 2 * FILE_MAX);
    require(memory);
    memset(memory, 'm', 2 * FILE_MAX);
    if (argc > 3) {
        by_threads((unsigned)atoi(argv[3]));
        return 0;
    }
    for (int round = atoi(argv[2]); round > 0; round--) {
        off_t next = 0;
        open_all();
        for (int step = 0; step < STEPS; step++)
            if (pick(12))
                one_call(&next);
            else
                in_sequence((off_t)pick(FILE_MAX / (unsigned)unit) * (off_t)unit);
        for (int i = 0; i < DESCRIPTORS; i++)
            TRY(close(fds[i]));
        through_the_file();
    }
    print_transcript();
    return 0;
}
