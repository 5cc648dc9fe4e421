// freshness_sharing ROUNDS: one thread reads a file all the time while another makes a page that it shares with a
// child, forks, and ends all that again. The child changes the file and says so by the page: from then on each byte of
// the file is a new one. What was read ahead while memory was just beginning to be shared must not be shown.

#include "bare.h"
#include "common.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DATA_SIZE = 256 << 10, RECORD_SIZE = 64, PAGE = 4096, READS = 30 };

static int *_Atomic page; // shared with the child of the round that is on, which writes the number of the round
static volatile bool over;
static int seen; // rounds that the reader has heard of
static volatile int done;
static volatile long reads; // by now

// Sleeping leaves the processor to the child.
static void await_reader(int round) {
    for (int value; (value = __atomic_load_n(&seen, __ATOMIC_ACQUIRE)) < round;)
        bare_call(SYS_futex, &seen, FUTEX_WAIT_PRIVATE, value, NULL);
}

// On a single processor it might never come to read in between.
static void let_it_read(void) {
    for (long before = reads; reads < before + READS;)
        bare_call(SYS_sched_yield, 0, 0, 0, 0);
}

static void *read_all_the_time(void *unused) {
    int fd = open("data", O_RDONLY), record[RECORD_SIZE / sizeof(int)];
    for (off_t at = 0; !over; at = (at + RECORD_SIZE) % DATA_SIZE) {
        int *word = page, said = word ? __atomic_load_n(word, __ATOMIC_ACQUIRE) : 0;
        require(pread(fd, record, sizeof record, at) == sizeof record);
        reads++;
        if (said == 0)
            continue;
        if (record[0] != said)
            die("round %d: the record at %ld is of round %d", said, (long)at, record[0]);
        __atomic_store_n(&seen, said, __ATOMIC_RELEASE);
        bare_call(SYS_futex, &seen, FUTEX_WAKE_PRIVATE, 1, NULL);
        while (done < said)
            bare_call(SYS_sched_yield, 0, 0, 0, 0);
    }
    return unused;
}

// The child's.
static void change(int fd, int *word, int round) {
    static int data[DATA_SIZE / sizeof(int)];
    for (size_t i = 0; i < COUNT_OF(data); i++)
        data[i] = round;
    require(pwrite(fd, data, sizeof data, 0) == sizeof data);
    __atomic_store_n(word, round, __ATOMIC_RELEASE);
    _exit(0);
}

static void share(int fd, int round) {
    let_it_read();
    int status = 0, *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(word != MAP_FAILED);
    page = word;
    pid_t child = fork();
    if (child == 0)
        change(fd, word, round);
    await_reader(round);
    page = NULL;
    done = round;
    require(waitpid(child, &status, 0) == child && status == 0 && munmap(word, PAGE) == 0);
}

int main(int argc, char **argv) {
    static char zeros[DATA_SIZE];
    pthread_t reader;
    int fd = open("data", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(argc == 2 && write(fd, zeros, sizeof zeros) == sizeof zeros);
    require(pthread_create(&reader, NULL, read_all_the_time, NULL) == 0);
    for (int round = 1; round <= atoi(argv[1]); round++)
        share(fd, round);
    over = true;
    require(pthread_join(reader, NULL) == 0);
    return 0;
}
