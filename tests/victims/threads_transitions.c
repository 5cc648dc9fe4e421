// threads_transitions HOW ROUNDS: one thread makes small writes all the time, and another something by which they would
// be answered otherwise, or become known, from one moment to the next. What was answered is in the file.
//
//   seal      a memfd is sealed: as many records are in it as were accepted
//   flags     O_DIRECT is put on the description and taken off again: no block is refused or lost
//   position  the other thread writes large pieces by the same descriptor: nobody writes over anybody
//   replaced  shared memory is mapped over a page that the writer counts its records in
//   made      a memfd is made and mapped, and the writer counts its records there, while processes are forked
//   fork      the page that the writer counts its records in is shared with a child that is forked
//   message   or is a memfd, sent to a process that has been there before
//   immutable the file is made so (77: this file system, or user, can't)
//   faults    what is written must first be fetched by the other thread, by a userfaultfd

#include "bare.h"
#include "passing.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, LARGE = 2000000, SMALL = 4000, LOOKS = 300 };

static int file;
static volatile bool over;
static volatile long turns; // of the writer's: so many writes were accepted, or answered
static uint64_t rng = 1;

static void linger(unsigned long steps) {
    for (volatile unsigned long i = rng_below(&rng, steps); i > 0; i--)
        ;
}

static void await_turns(long count) {
    for (long before = turns; turns < before + count;)
        bare_call(SYS_sched_yield, 0, 0, 0, 0);
}

// By now it may have made all of its turns: one that waited for another would wait for ever.
static void await_first_turn(void) {
    while (turns == 0)
        bare_call(SYS_sched_yield, 0, 0, 0, 0);
}

static pthread_t begin(void *(*function)(void *)) {
    pthread_t thread;
    over = false;
    turns = 0;
    require(pthread_create(&thread, NULL, function, NULL) == 0);
    return thread;
}

static void end(pthread_t thread) {
    over = true;
    require(pthread_join(thread, NULL) == 0);
}

static off_t size_of(int fd) {
    struct stat st;
    require(bare_call(SYS_fstat, fd, &st, 0, 0) == 0);
    return st.st_size;
}

static void *write_until_refused(void *unused) {
    ssize_t done;
    while ((done = write(file, "12345678", 8)) == 8)
        turns++;
    require(done == -1 && errno == EPERM);
    return unused;
}

static void refuse_by(void (*change)(void)) {
    pthread_t writer = begin(write_until_refused);
    await_first_turn();
    linger(3000);
    change();
    end(writer);
    if (size_of(file) != turns * 8)
        die("%ld records were accepted, and there are %ld", turns, (long)size_of(file) / 8);
}

static void add_seal(void) {
    require(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE) == 0);
}

static void seal(void) {
    file = memfd_create("records", MFD_ALLOW_SEALING);
    refuse_by(add_seal);
    close(file);
}

static int flags_before;

static void make_immutable(void) {
    int set = flags_before | FS_IMMUTABLE_FL;
    require(ioctl(file, FS_IOC_SETFLAGS, &set) == 0);
}

// A file of its own each time, that stays: a library may know its number for one that isn't to be trusted. For the same
// reason trying whether it can be, and undoing it, are nobody's business.
static void immutable(void) {
    static int round;
    char name[32];
    snprintf(name, sizeof name, "immutable.%d", round++);
    file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(file >= 0);
    if (bare_call(SYS_ioctl, file, FS_IOC_GETFLAGS, &flags_before, 0) != 0)
        exit(77);
    int set = flags_before | FS_IMMUTABLE_FL;
    if (bare_call(SYS_ioctl, file, FS_IOC_SETFLAGS, &set, 0) != 0)
        exit(77);
    require(bare_call(SYS_ioctl, file, FS_IOC_SETFLAGS, &flags_before, 0) == 0);
    refuse_by(make_immutable);
    require(bare_call(SYS_ioctl, file, FS_IOC_SETFLAGS, &flags_before, 0) == 0 && close(file) == 0);
}

static void *write_blocks(void *unused) {
    static char block[PAGE] __attribute__((aligned(PAGE)));
    memset(block, 'x', PAGE);
    int other = open("other", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (; !over && turns < 4000; turns++) {
        require(pwrite(file, block, PAGE, turns * PAGE) == PAGE);
        require(write(other, "abc", 3) == 3);
    }
    close(other);
    return unused;
}

static void flags(void) {
    static char block[PAGE];
    file = open("blocks", O_RDWR | O_CREAT | O_TRUNC, 0600);
    pthread_t writer = begin(write_blocks);
    await_first_turn();
    for (int i = 0; i < 10; i++) {
        require(fcntl(file, F_SETFL, O_DIRECT) == 0);
        linger(30000);
        require(fcntl(file, F_SETFL, 0) == 0);
        linger(30000);
    }
    end(writer);
    for (long i = 0; i < turns; i++)
        if (pread(file, block, PAGE, i * PAGE) != PAGE || block[7] != 'x')
            die("block %ld of %ld isn't there", i, turns);
    close(file);
}

static void *write_small(void *unused) {
    static char piece[SMALL];
    memset(piece, 's', SMALL);
    for (; !over; turns++) {
        require(write(file, piece, SMALL) == SMALL);
        if (turns % 5 == 0)
            linger(30000);
    }
    return unused;
}

static void position(void) {
    static char piece[LARGE];
    enum { PIECES = 20 };
    memset(piece, 'L', LARGE);
    file = open("pieces", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pthread_t writer = begin(write_small);
    for (int i = 0; i < PIECES; i++) {
        require(write(file, piece, LARGE) == LARGE);
        linger(20000);
    }
    end(writer);
    require(fsync(file) == 0);
    if (size_of(file) != turns * SMALL + PIECES * (off_t)LARGE)
        die("%ld and %d pieces make %ld bytes", turns, PIECES, (long)size_of(file));
    close(file);
}

static long *_Atomic page;

static void *write_and_count(void *unused) {
    for (long count = 1; !over; count++) {
        long *word = page;
        require(write(file, &count, sizeof count) == sizeof count);
        if (word)
            __atomic_store_n(word, count, __ATOMIC_RELEASE);
        turns = count;
    }
    return unused;
}

static void compare(const long *word) {
    long told = __atomic_load_n(word, __ATOMIC_ACQUIRE), there = (long)(size_of(file) / (off_t)sizeof told);
    if (there < told)
        die("told of %ld records, and there are %ld", told, there);
}

static long *map(void *at, int fd) {
    int flags = (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED) | (at ? MAP_FIXED : 0);
    long *word = mmap(at, PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    require(word != MAP_FAILED);
    return word;
}

static void watch(const long *word) {
    for (int i = 0; i < LOOKS; i++)
        compare(word);
}

static long *show(long *word) {
    page = word;
    await_turns(2);
    return word;
}

static void hide(long *word) {
    page = NULL;
    await_turns(2);
    require(munmap(word, PAGE) == 0);
}

static void forked(void) {
    file = open("counted", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pthread_t writer = begin(write_and_count);
    for (int i = 0; i < 100; i++) {
        int status;
        long *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        require(word != MAP_FAILED);
        show(word);
        pid_t child = fork();
        if (child == 0) {
            watch(word);
            _exit(0);
        }
        require(waitpid(child, &status, 0) == child && status == 0);
        hide(word);
    }
    end(writer);
    close(file);
}

static void watch_what_comes(int socket) {
    for (char begun; read(socket, &begun, 1) == 1;) {
        int fd = receive_descriptor(socket);
        long *word = map(NULL, fd);
        watch(word);
        require(close(fd) == 0 && munmap(word, PAGE) == 0 && write(socket, "x", 1) == 1);
    }
    _exit(0);
}

static void sent(void) {
    int ends[2], status;
    file = open("counted", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        watch_what_comes(ends[1]);
    }
    close(ends[1]);
    pthread_t writer = begin(write_and_count);
    for (int i = 0; i < 100; i++) {
        char done;
        int fd = memfd_create("page", MFD_CLOEXEC);
        require(fd >= 0 && ftruncate(fd, PAGE) == 0 && write(ends[0], "x", 1) == 1);
        long *word = show(map(NULL, fd));
        require(send_descriptor(ends[0], fd) == 1 && read(ends[0], &done, 1) == 1 && close(fd) == 0);
        hide(word);
    }
    end(writer);
    require(close(ends[0]) == 0 && waitpid(child, &status, 0) == child && status == 0);
    close(file);
}

static void replaced(void) {
    int status, shared = memfd_create("page", MFD_CLOEXEC);
    file = open("counted", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(ftruncate(shared, PAGE) == 0);
    long *word = map(NULL, -1);
    pid_t child = fork();
    if (child == 0)
        for (long *seen = map(NULL, shared); *seen != -1;)
            compare(seen);
    if (child == 0)
        _exit(0);
    page = word;
    pthread_t writer = begin(write_and_count);
    for (int i = 0; i < 150; i++) {
        await_turns(3);
        map(word, shared);
        await_turns(3);
        map(word, -1);
        linger(5000);
    }
    end(writer);
    page = NULL;
    *map(NULL, shared) = -1;
    require(waitpid(child, &status, 0) == child && status == 0 && close(shared) == 0);
    close(file);
}

static volatile int round_made, round_forked;
static volatile bool enough; // pages

static void *make_pages(void *unused) {
    for (int round = 1; !enough; round++) {
        linger(20000);
        int fd = memfd_create("page", 0);
        require(fd >= 0 && ftruncate(fd, PAGE) == 0);
        long *word = map(NULL, fd);
        page = word;
        round_made = round;
        while (round_forked < round && !enough)
            bare_call(SYS_sched_yield, 0, 0, 0, 0);
        hide(word);
        require(close(fd) == 0);
    }
    return unused;
}

// The child's: looks whether it got the memfd.
static int find_made(void) {
    struct stat st;
    for (int fd = 3; fd < 16; fd++)
        if (bare_call(SYS_fstat, fd, &st, 0, 0) == 0 && st.st_size == PAGE && st.st_nlink == 0)
            return fd;
    return -1;
}

static void look_at_made(void) {
    int fd = find_made();
    long *word = fd < 0 ? NULL : map(NULL, fd);
    if (word)
        watch(word);
    _exit(0);
}

static void made(void) {
    pthread_t maker;
    file = open("counted", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    round_made = round_forked = 0;
    enough = false;
    pthread_t writer = begin(write_and_count);
    await_first_turn();
    require(pthread_create(&maker, NULL, make_pages, NULL) == 0);
    for (int round = 1; round <= 100; round++) {
        int status;
        linger(20000);
        pid_t child = fork();
        if (child == 0)
            look_at_made();
        while (round_made < round)
            bare_call(SYS_sched_yield, 0, 0, 0, 0);
        require(waitpid(child, &status, 0) == child && status == 0);
        round_forked = round;
    }
    enough = true;
    require(pthread_join(maker, NULL) == 0);
    end(writer);
    close(file);
}

static char *fetched;

static void *write_fetched(void *unused) {
    for (int i = 0; i < 100; i++)
        require(write(file, "x", 1) == 1);
    for (int i = 0; i < 64; i++)
        require(write(file, fetched + i * PAGE, 8) == 8);
    return unused;
}

static void faults(void) {
    static char content[PAGE] __attribute__((aligned(PAGE))) = "12345678";
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (device < 0)
        exit(77);
    int events = ioctl(device, NEW_USERFAULTFD, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    require(events >= 0 && ioctl(events, UFFDIO_API, &api) == 0);
    fetched = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register all = {.range = {(uintptr_t)fetched, 64 * PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    require(fetched != MAP_FAILED && ioctl(events, UFFDIO_REGISTER, &all) == 0);
    file = open("fetched", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pthread_t writer = begin(write_fetched);
    for (int i = 0; i < 64; i++) {
        struct uffd_msg event;
        require(read(events, &event, sizeof event) == sizeof event);
        struct uffdio_copy copy = {
            .dst = event.arg.pagefault.address & ~(PAGE - 1ull), .src = (uintptr_t)content, .len = PAGE};
        require(ioctl(events, UFFDIO_COPY, &copy) == 0);
    }
    end(writer);
    require(size_of(file) == 100 + 64 * 8 && munmap(fetched, 64 * PAGE) == 0);
    close(file);
    close(events);
    close(device);
}

static const struct {
    const char *name;
    void (*run)(void);
} transitions[] = {{"seal", seal},           {"fork", forked}, {"message", sent},
                   {"immutable", immutable}, {"flags", flags}, {"position", position},
                   {"replaced", replaced},   {"made", made},   {"faults", faults}};

int main(int argc, char **argv) {
    require(argc == 3);
    for (size_t i = 0; i < COUNT_OF(transitions); i++)
        for (int round = 0; !strcmp(argv[1], transitions[i].name) && round < atoi(argv[2]); round++)
            transitions[i].run();
    return 0;
}
