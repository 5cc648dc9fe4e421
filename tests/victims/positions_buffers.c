// positions_buffers: small reads into memory that can't be written, wholly or in part, in the middle of good ones: what
// each is answered, what has come, and where the next one goes on.

#include "positions.h"

#include <signal.h>
#include <sys/mman.h>

enum { PART = 1 << 16 };

static volatile sig_atomic_t signals;
static char *forbidden, *constant, *shrunk; // each begins after PART good bytes; after the first two are as many again
static int fd;

static void count(int number) {
    (void)number;
    if (++signals == 10) // it would be for ever
        _exit(98);
}

static char *area_with(int protection) {
    char *area = mmap(NULL, 3 * PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(area != MAP_FAILED && mprotect(area + PART, PART, protection) == 0);
    return area + PART;
}

// The mapping of a file that was longer when it was mapped.
static char *area_shrunk(void) {
    int file = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(file >= 0 && ftruncate(file, 2 * PART) == 0);
    char *area = mmap(NULL, 2 * PART, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    require(area != MAP_FAILED && ftruncate(file, PART) == 0 && close(file) == 0);
    return area + PART;
}

// All that could be read into is looked at, before and after the call.
static void try_into(const char *what, char *buffer, size_t n, char *good, size_t good_length) {
    struct iovec halves[] = {{good, good_length < 3 ? good_length : 3}, {buffer, n}};
    note("%s, %zu\n", what, n);
    run(fd, 12, 3);
    for (int way = 0; way < 6; way++) {
        memset(good, '~', good_length);
        switch (way) {
        case 0:
            TRY(read(fd, buffer, n));
            break;
        case 1:
            TRY(pread(fd, buffer, n, 200));
            break;
        case 2:
            TRY(pread(fd, buffer, n, 200 + 5));
            break;
        case 3:
            TRY(readv(fd, halves, 2));
            break;
        case 4:
            TRY(read(fd, good, good_length));
            break;
        default:
            TRY(read(fd, buffer, n));
        }
        note("now %08x\n", checksum(good, good_length));
    }
    run(fd, 2, 3);
    if (position(fd) > LENGTH / 2)
        TRY(lseek(fd, 40, SEEK_SET));
    TRY(position(fd));
}

static void try_size(size_t n) {
    static const size_t goods[] = {1, 2, 3, 7, 8, 15, 16, 31, 33, 500, 4096};
    struct {
        const char *name;
        char *at;
    } places[] = {{"nowhere", NULL},
                  {"low", (char *)8},
                  {"the kernel's", (char *)-4096},
                  {"no address", (char *)0x1234567812345678},
                  {"forbidden", forbidden + 5},
                  {"constant", constant + 5},
                  {"beyond the end", shrunk + 5},
                  {"text", (char *)(uintptr_t) "a constant of the program's that is long enough for all of it"}};
    static char elsewhere[4096];
    for (size_t i = 0; i < COUNT_OF(places); i++)
        try_into(places[i].name, places[i].at, n, elsewhere, sizeof elsewhere);
    for (size_t i = 0; i < COUNT_OF(goods); i++) {
        if (goods[i] >= n)
            break;
        try_into("forbidden from the middle", forbidden - goods[i], n, forbidden - goods[i], goods[i]);
        try_into("constant from the middle", constant - goods[i], n, constant - goods[i], goods[i]);
        try_into("beyond the end from the middle", shrunk - goods[i], n, shrunk - goods[i], goods[i]);
        try_into("forbidden up to the middle", forbidden + PART - goods[i], n, forbidden + PART, n);
    }
    try_into("good up to the edge", forbidden - n, n, forbidden - n, n);
    if (n > 1)
        try_into("all but one byte good", forbidden - n + 1, n, forbidden - n + 1, n - 1);
}

// At the end of the file there is less to come than there is room for.
static void at_end(void) {
    for (int missing = 1; missing < 20; missing++) {
        TRY(lseek(fd, LENGTH - 200, SEEK_SET));
        run(fd, 18, 10);
        TRY(read(fd, forbidden - missing, 30));
        TRY(read(fd, forbidden - 20 - missing, 40));
        TRY(position(fd));
        TRY(read(fd, forbidden, 40));
        TRY(pread(fd, forbidden, 40, LENGTH));
        TRY(pread(fd, forbidden, 40, LENGTH + 50));
        TRY(pread(fd, forbidden, 40, LENGTH - 1));
        // Not one byte is to come, but no program could have one there.
        TRY(read(fd, (char *)-4096, 40));
        TRY(pread(fd, (char *)-4096, 40, LENGTH));
        TRY(position(fd));
    }
}

// libc reads into the buffer that it was given.
static void stream(void) {
    static char line[100];
    FILE *in = fopen("marks", "r");
    require(in && setvbuf(in, forbidden - 100, _IOFBF, 4096) == 0);
    for (int i = 0; i < 30; i++) {
        note("%d\n", fgets(line, sizeof line, in) != NULL);
        note("[%.10s] %d %d\n", line, feof(in) != 0, ferror(in) != 0);
        clearerr(in);
        TRY(position(fileno(in)));
    }
    TRY(fclose(in));
    in = fopen("marks", "r");
    require(in && setvbuf(in, NULL, _IONBF, 0) == 0);
    for (int i = 0; i < 30; i++) {
        require(fgetc(in) > 0);
        TRY(fread(forbidden - i, 1, 50, in));
        note("%d\n", ferror(in) != 0);
        clearerr(in);
        TRY(ftell(in));
    }
    TRY(fclose(in));
}

// In a handler that blocks everything a fault would be deadly.
static void handle(int number) {
    (void)number;
    for (int i = 0; i < 12; i++) {
        TRY(read(fd, forbidden - 2, 8));
        TRY(pread(fd, forbidden - i, 12, 5));
        TRY(read(fd, shrunk, 3));
        run(fd, 9, 3);
    }
}

static void in_handler(void) {
    struct sigaction action = {.sa_handler = handle};
    sigfillset(&action.sa_mask);
    require(sigaction(SIGUSR1, &action, NULL) == 0);
    run(fd, 20, 3);
    require(raise(SIGUSR1) == 0);
    run(fd, 20, 3);
    TRY(read(fd, forbidden, 8));
    TRY(position(fd));
}

// Faults are blocked, ignored, blocked by a thread that asks nobody; and let through again.
static void while_blocked(void) {
    sigset_t faults, before;
    sigemptyset(&faults);
    sigaddset(&faults, SIGSEGV);
    sigaddset(&faults, SIGBUS);
    for (int i = 0; i < 5; i++) {
        run(fd, 20, 3);
        require(sigprocmask(SIG_BLOCK, &faults, &before) == 0);
        TRY(read(fd, forbidden - 1, 8));
        run(fd, 20, 3);
        TRY(read(fd, shrunk, 8));
        require(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
        TRY(read(fd, forbidden, 8));
        run(fd, 20, 3);
        signal(i % 2 ? SIGSEGV : SIGBUS, SIG_IGN);
        TRY(read(fd, forbidden - 1, 8));
        TRY(read(fd, shrunk - 1, 8));
        run(fd, 20, 3);
        signal(i % 2 ? SIGSEGV : SIGBUS, i == 3 ? SIG_DFL : count);
        TRY(read(fd, shrunk - 1, 8));
        run(fd, 20, 3);
        TRY(position(fd));
    }
}

int main(void) {
    static const size_t sizes[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 511, 513, 4096, 16384, 16385};
    signal(SIGSEGV, count);
    signal(SIGBUS, count);
    make_marks("marks", MARKS);
    forbidden = area_with(PROT_NONE);
    constant = area_with(PROT_READ);
    fd = open_running("marks");
    for (int i = 0; i < 2; i++) { // a program that maps a file is left alone: so the second time is another matter
        shrunk = i ? area_shrunk() : area_with(PROT_NONE);
        for (size_t k = 0; k < COUNT_OF(sizes); k++)
            try_size(sizes[k]);
        TRY(lseek(fd, 0, SEEK_SET));
        at_end();
        TRY(lseek(fd, 0, SEEK_SET));
        in_handler();
        while_blocked();
        stream();
        TRY(lseek(fd, 0, SEEK_SET));
    }
    note("%d signals\n", (int)signals);
    print_transcript();
    return 0;
}
