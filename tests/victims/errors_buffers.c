// errors_buffers: buffers and vectors that can't be read, wholly or in part, of every size and in every way, with
// writes pending: what each call is answered, and by their bytes, what of it was written.

#include "transcript.h"

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PART = 1 << 17 };

static volatile sig_atomic_t signals;
static char *forbidden, *shrunk; // each begins after PART readable bytes; after `forbidden` there are as many again
static int fd;

static void count(int number) {
    (void)number;
    if (++signals == 10) // it would be for ever
        _exit(98);
}

// Readable, not, readable.
static void make_forbidden(void) {
    char *area = mmap(NULL, 3 * PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(area != MAP_FAILED);
    for (int i = 0; i < 3 * PART; i++)
        area[i] = (char)('a' + i % 23);
    require(mprotect(area + PART, PART, PROT_NONE) == 0);
    forbidden = area + PART;
}

// A file that was longer when it was mapped.
static void make_shrunk(void) {
    static char fill[PART];
    int file = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
    memset(fill, 'f', sizeof fill);
    require(file >= 0 && write(file, fill, PART) == PART && ftruncate(file, 2 * PART) == 0);
    char *area = mmap(NULL, 2 * PART, PROT_READ, MAP_PRIVATE, file, 0);
    require(area != MAP_FAILED && ftruncate(file, PART) == 0 && close(file) == 0);
    shrunk = area + PART;
}

static const char *page(int protection) {
    char *place = mmap(NULL, PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(place != MAP_FAILED);
    memset(place, 'p', PART);
    require(mprotect(place, PART, protection) == 0);
    return place;
}

static void write_good(void) {
    for (int i = 0; i < 3; i++)
        require(write(fd, "good\n", 5) == 5);
}

// By every call, each time with something pending.
static void try_buffer(const char *what, const void *buffer, size_t size) {
    struct iovec one = {(void *)(uintptr_t)buffer, size};
    struct iovec three[] = {{"before ", 7}, one, {" after", 6}};
    note("%s, %zu\n", what, size);
    write_good();
    TRY(write(fd, buffer, size));
    write_good();
    TRY(pwrite(fd, buffer, size, 1 << 20));
    write_good();
    TRY(writev(fd, &one, 1));
    TRY(writev(fd, three, 3));
    write_good();
    TRY(pwritev(fd, three, 3, 3 << 20));
    note("at %ld\n", (long)lseek(fd, 0, SEEK_CUR));
}

static void try_size(size_t size) {
    static const size_t readable[] = {1, 8, 16, 31, 500, 4096, 5000};
    try_buffer("nowhere", NULL, size);
    try_buffer("low", (void *)8, size);
    try_buffer("the kernel's", (void *)-4096, size);
    try_buffer("no address", (void *)0x1234567812345678, size);
    try_buffer("forbidden", forbidden + 5, size);
    try_buffer("beyond the end", shrunk + 5, size);
    for (size_t i = 0; i < COUNT_OF(readable) && readable[i] < size; i++) {
        try_buffer("forbidden from the middle", forbidden - readable[i], size);
        try_buffer("beyond the end from the middle", shrunk - readable[i], size);
        if (size < PART)
            try_buffer("forbidden up to the middle", forbidden + PART - readable[i], size);
    }
    try_buffer("forbidden at the last byte", forbidden - size + 1, size);
    try_buffer("beyond the end at the last byte", shrunk - size + 1, size);
    try_buffer("readable up to the edge", forbidden - size, size);
    try_buffer("readable up to the end", shrunk - size, size);
}

static void buffers(void) {
    static const size_t sizes[] = {1,  2,  3,  4,   7,   8,   9,   15,   16,   17,   31,    32,    33,
                                   63, 64, 65, 100, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        try_size(sizes[i]);
    try_buffer("much of nowhere", NULL, 1 << 20);
    try_buffer("much from the middle", forbidden - 70000, 1 << 20);
    try_buffer("much from the end", shrunk - 70000, 1 << 20);
    try_buffer("all of it", forbidden, SSIZE_MAX);
    try_buffer("more than all", forbidden, (size_t)SSIZE_MAX + 1);
    try_buffer("nothing of nowhere", NULL, 0);
    try_buffer("nothing of the forbidden", forbidden, 0);
    try_buffer("only to be written", page(PROT_WRITE), 100);
    try_buffer("only to be executed", page(PROT_EXEC), 100);
}

// Each place in turn bad: nowhere, forbidden, half so, empty, endless.
static void vectors(void) {
    enum { LENGTH = 12 };
    for (int bad = 0; bad < 6; bad++)
        for (int at = 0; at < LENGTH; at++) {
            struct iovec vector[LENGTH];
            for (int i = 0; i < LENGTH; i++)
                vector[i] = (struct iovec){forbidden - 100 + i, 5 + (size_t)i};
            vector[at] = bad == 0   ? (struct iovec){NULL, 7}
                         : bad == 1 ? (struct iovec){forbidden, 7}
                         : bad == 2 ? (struct iovec){forbidden - 3, 7}
                         : bad == 3 ? (struct iovec){NULL, 0}
                         : bad == 4 ? (struct iovec){forbidden - 9, SSIZE_MAX}
                                    : (struct iovec){forbidden - 9, SIZE_MAX};
            note("bad %d at %d\n", bad, at);
            write_good();
            TRY(writev(fd, vector, LENGTH));
            write_good();
            TRY(pwritev(fd, vector, LENGTH, 5 << 20));
            TRY(pwritev2(fd, vector, LENGTH, -1, 0));
            TRY(writev(fd, vector, at));
            TRY(writev(fd, vector, at + 1));
        }
}

static void bad_arrays(void) {
    static struct iovec many[IOV_MAX + 1];
    struct iovec *edge = (struct iovec *)(void *)forbidden;
    struct iovec halves[] = {{forbidden - 10, SSIZE_MAX - 2}, {forbidden - 10, 3}};
    static const int counts[] = {0, 1, 2, 7, 8, 9, 16, 1023, 1024, 1025, 100000, INT_MAX, -1, INT_MIN};
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = (struct iovec){"m", 1};
    for (int i = 1; i <= 20; i++)
        edge[-i] = (struct iovec){"edge ", 5};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        int n = counts[i];
        note("%d\n", n);
        write_good();
        TRY(writev(fd, NULL, n));
        TRY(writev(fd, (struct iovec *)8, n));
        TRY(writev(fd, edge, n));
        TRY(writev(fd, edge - 1, n));
        TRY(writev(fd, edge - 9, n));
        TRY(pwritev(fd, edge - 9, n, 7 << 20));
        TRY(pwritev2(fd, edge - 9, n, -1, 0));
        write_good();
        if (n <= (int)COUNT_OF(many))
            TRY(writev(fd, many, n));
        if (n <= (int)COUNT_OF(many))
            TRY(pwritev(fd, many, n, 9 << 20));
        TRY(writev(-1, edge, n));
        TRY(writev(-1, many, n < (int)COUNT_OF(many) ? n : 0));
    }
    halves[0].iov_base = halves[1].iov_base = forbidden;
    TRY(writev(fd, halves, 2));
    halves[1].iov_len = 2;
    TRY(writev(fd, halves, 2));
    halves[0] = (struct iovec){"good again", 10};
    halves[1].iov_len = (size_t)SSIZE_MAX + 1;
    TRY(writev(fd, halves, 2));
    memset(edge - 20, 'e', 20 * sizeof *edge); // addresses would differ from run to run
}

// What stdio hands on without looking at it.
static void stream(void) {
    FILE *unbuffered = fopen("unbuffered", "w");
    require(unbuffered && setvbuf(unbuffered, NULL, _IONBF, 0) == 0);
    for (int i = 0; i < 200; i++)
        require(fprintf(unbuffered, "good %d\n", i) > 0);
    TRY(fwrite(forbidden, 1, 8192, unbuffered));
    note("error %d\n", ferror(unbuffered) != 0);
    clearerr(unbuffered);
    TRY(fwrite(shrunk, 1, 8192, unbuffered));
    TRY(fwrite(forbidden - 4096, 1, 8192, unbuffered));
    note("error %d\n", ferror(unbuffered) != 0);
    clearerr(unbuffered);
    require(fprintf(unbuffered, "good again\n") > 0);
    TRY(fflush(unbuffered));
    TRY(ftell(unbuffered));
    TRY(fclose(unbuffered));
}

// In a handler that blocks everything a fault would be deadly.
static void handle(int number) {
    (void)number;
    TRY(write(fd, "a record", 8));
    TRY(write(fd, forbidden, 8));
    TRY(write(fd, "another", 7));
    TRY(write(fd, shrunk, 300));
}

static void in_handler(void) {
    struct sigaction action = {.sa_handler = handle};
    sigfillset(&action.sa_mask);
    require(sigaction(SIGUSR1, &action, NULL) == 0);
    TRY(write(fd, "before", 6));
    require(raise(SIGUSR1) == 0);
    TRY(write(fd, forbidden, 8));
    TRY(write(fd, "after", 5));
}

// By every call that sets one.
static void set_disposition(unsigned way, int number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } raw = {.handler = handler};
    switch (handler == count ? way % 2 : way % 3) { // the raw call wants a way to return
    case 0:
        require(signal(number, handler) != SIG_ERR);
        return;
    case 1:
        require(sigaction(number, &action, NULL) == 0);
        return;
    default:
        require(syscall(SYS_rt_sigaction, number, &raw, NULL, sizeof raw.mask) == 0);
    }
}

static void in_vfork_child(void (*handler)(int)) {
    pid_t child = vfork();
    if (child == 0) {
        signal(SIGSEGV, handler);
        signal(SIGBUS, handler);
        _exit(0);
    }
    require(child > 0 && waitpid(child, NULL, 0) == child);
}

// Either of the two faults ignored, both, none; one after the other, and a vfork child's own.
static void dispositions(void) {
    static void (*const handlers[])(int) = {SIG_IGN, SIG_DFL, count};
    for (unsigned i = 0; i < 200; i++) {
        unsigned pick = i * 2654435761u >> 8;
        int number = pick & 1 ? SIGSEGV : SIGBUS;
        void (*handler)(int) = handlers[(pick >> 1) % 3];
        set_disposition(pick >> 4, number, handler);
        if (i % 10 == 9)
            in_vfork_child(i % 20 == 9 ? SIG_IGN : SIG_DFL);
        note("%d, %s\n", number, handler == SIG_IGN ? "ignored" : handler == SIG_DFL ? "deadly" : "caught");
        write_good();
        TRY(write(fd, forbidden, 8));
        TRY(write(fd, shrunk, 8));
    }
    signal(SIGSEGV, count);
    signal(SIGBUS, count);
    for (int i = 0; i < 100; i++)
        write_good();
}

int main(void) {
    signal(SIGSEGV, count);
    signal(SIGBUS, count);
    make_forbidden();
    make_shrunk();
    static const int flags[] = {O_RDWR, O_WRONLY | O_APPEND};
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        fd = open_busy(i ? "appended" : "positioned", flags[i]);
        buffers();
        vectors();
        bad_arrays();
        in_handler();
        dispositions();
        TRY(fsync(fd));
        TRY(close(fd));
    }
    stream();
    note("%d signals\n", (int)signals);
    print_transcript();
    return 0;
}
