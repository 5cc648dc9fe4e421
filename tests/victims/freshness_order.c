// freshness_order forth|back MILLISECONDS DIR: a writer counts, in one word of a file and then in another, all the
// time. A reader that reads the second word, and after that the first one, further on in the file or further back, must
// not find less there: the file is a message about itself.

#pragma GCC diagnostic ignored "-Wunused-function" // not everything that the observer has makes sense here
#pragma GCC diagnostic ignored "-Wunused-variable"

#include "observer.h"

enum { WORDS_SIZE = 16 << 10, RECORD_SIZE = 64 };

static bool back;

static off_t place(bool first) {
    return first != back ? WORDS_SIZE - 8 * RECORD_SIZE : 8 * RECORD_SIZE;
}

static void write_word(int fd, bool first, long value) {
    if (syscall(SYS_pwrite64, fd, &value, sizeof value, place(first)) != sizeof value)
        give_up("pwrite");
}

static void count(void) {
    MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
    int fd = MUST(open(path_of("words"), O_RDWR));
    for (long value = 1;; value++) {
        write_word(fd, true, value);
        write_word(fd, false, value);
    }
}

static long read_record(int fd, off_t at) {
    long record[RECORD_SIZE / sizeof(long)];
    if (pread(fd, record, sizeof record, at) != sizeof record)
        give_up("pread");
    return record[0];
}

static void look_once(int fd) {
    off_t step = back ? -RECORD_SIZE : RECORD_SIZE;
    for (int i = 3; i > 0; i--)
        read_record(fd, place(false) - i * step);
    long second = read_record(fd, place(false)), first = read_record(fd, place(true));
    if (first < second)
        give_up("after %ld there is %ld", second, first);
}

int main(int argc, char **argv) {
    static char zeros[WORDS_SIZE];
    require(argc == 4 && realpath(argv[3], dir));
    back = !strcmp(argv[1], "back");
    int fd = MUST(open(path_of("words"), O_RDWR | O_CREAT, 0600));
    MUST(write(fd, zeros, sizeof zeros));
    close(fd);
    if (!(observer = MUST(fork())))
        count();
    fd = MUST(open(path_of("words"), O_RDONLY));
    for (int64_t end = now_us() + atol(argv[2]) * 1000; now_us() < end; now++) {
        getppid(); // whatever was read ahead is of no use any more
        look_once(fd);
    }
    MUST(kill(observer, SIGKILL));
    return 0;
}
