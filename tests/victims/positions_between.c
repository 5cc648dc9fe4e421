// positions_between handler|thread: while one call is between the program and the kernel, a signal handler or another
// thread reads the same description, from beginning to end of its turn. The test preloads a library whose reads and
// seeks call `between` before they enter the kernel, behind whatever stands before libc. A call that needs no kernel
// has nothing in between. Whatever happens, there is one position, and this program knows where it is.

#include "positions.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/sendfile.h>

enum { ROUNDS = 8, WAYS = 11 };

static void (**between)(void);
static int fd, other, out; // what is used by the interrupted call, by the one in between, and what may be written to
static off_t at;           // where the position must be
static int round_, way;
static _Atomic int asked, done;

static void is(const char *what, off_t found, off_t expected) {
    if (found != expected)
        die("round %d, way %d: %s: %ld instead of %ld", round_, way, what, (long)found, (long)expected);
}

static void are_marks(const char *bytes, size_t n, off_t from) {
    char mark[32];
    for (size_t i = 0; i < n; i++) {
        off_t place = from + (off_t)i;
        snprintf(mark, sizeof mark, "%07ld\n", (long)(place / MARK * MARK));
        if (bytes[i] != mark[place % MARK])
            die("round %d, way %d: other bytes than at %ld", round_, way, (long)from);
    }
}

static void read_on(int from, size_t n) {
    char bytes[64];
    is("read", read(from, bytes, n), (off_t)n);
    are_marks(bytes, n, at);
    at += (off_t)n;
}

static void read_in_between(void) {
    for (int i = 0; i < 25; i++)
        read_on(other, 7);
    is("seek", lseek(other, -3, SEEK_CUR), at -= 3);
    read_on(other, 7);
}

static void handle(int number) {
    (void)number;
    read_in_between();
}

// Without a call by which anybody could notice that it waits, or is waited for.
static void *serve(void *unused) {
    for (int served = 0;; served++) {
        while (atomic_load(&asked) == served)
            ;
        if (atomic_load(&asked) < 0)
            return unused;
        read_in_between();
        atomic_store(&done, served + 1);
    }
}

static void by_handler(void) {
    *between = NULL;
    require(raise(SIGUSR1) == 0);
}

static void by_thread(void) {
    *between = NULL;
    int number = atomic_fetch_add(&asked, 1) + 1;
    while (atomic_load(&done) != number)
        ;
}

// What it has got, or where it has led to, is judged by where the position is when it enters the kernel.
static void interrupted(void) {
    static char bytes[20000];
    struct iovec halves[] = {{bytes, 10}, {bytes + 10, 20}};
    switch (way) {
    case 0:
        is("read", read(fd, bytes, sizeof bytes), sizeof bytes);
        are_marks(bytes, sizeof bytes, at);
        at += (off_t)sizeof bytes;
        break;
    case 1:
        is("readv", readv(fd, halves, 2), 30);
        are_marks(bytes, 30, at);
        at += 30;
        break;
    case 2:
        is("seek", lseek(fd, 1234, SEEK_SET), 1234);
        at = 1234;
        break;
    case 3: {
        off_t found = lseek(fd, 4321, SEEK_CUR);
        is("seek", found, at += 4321);
        break;
    }
    case 4:
        is("seek", lseek(fd, -100000, SEEK_END), LENGTH - 100000);
        at = LENGTH - 100000;
        break;
    case 5: {
        off_t found = position(fd);
        is("position", found, at);
        break;
    }
    case 6:
        is("sendfile", sendfile(out, fd, NULL, 333), 333);
        at += 333;
        break;
    case 7:
        is("preadv2", preadv2(fd, halves, 2, -1, 0), 30);
        are_marks(bytes, 30, at);
        at += 30;
        break;
    case 8:
        is("copy_file_range", copy_file_range(fd, NULL, out, NULL, 333, 0), 333);
        at += 333;
        break;
    case 9: {
        ssize_t got = read(fd, bytes, 9);
        is("read", got, 9);
        are_marks(bytes, 9, at);
        at += 9;
        break;
    }
    default:
        is("pread", pread(fd, bytes, 9, 99), 9);
        are_marks(bytes, 9, 99);
    }
}

int main(int argc, char **argv) {
    pthread_t thread;
    require(argc == 2);
    bool in_thread = !strcmp(argv[1], "thread");
    between = dlsym(RTLD_DEFAULT, "between");
    require(between);
    signal(SIGUSR1, handle);
    make_marks("marks", MARKS);
    out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0600);
    fd = open_read("marks");
    int twin = dup(fd);
    require(fd >= 0 && twin >= 0 && out >= 0);
    if (in_thread)
        require(pthread_create(&thread, NULL, serve, NULL) == 0);
    for (int i = 0; i < 200; i++)
        read_on(fd, 5);
    for (round_ = 0; round_ < ROUNDS; round_++)
        for (way = 0; way < WAYS; way++) {
            other = round_ % 2 ? twin : fd;
            if (round_ % 4 < 2) // something else, so that the call that is interrupted has to enter the kernel
                require(pwrite(out, "", 1, 0) == 1);
            *between = in_thread ? by_thread : by_handler;
            interrupted();
            *between = NULL;
            for (int i = 0; i < 12; i++)
                read_on(fd, 5);
            is("position", position(fd), at);
            at = lseek(fd, 40000, SEEK_SET);
            read_on(fd, 5);
        }
    if (in_thread) {
        atomic_store(&asked, -1);
        require(pthread_join(thread, NULL) == 0);
    }
    return 0;
}
