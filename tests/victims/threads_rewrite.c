/*
 * threads_rewrite ROUNDS (less than 256)
 *
 * One thread reads a file by small pieces over and over, at its position and at offsets, while another truncates it and
 * writes it anew with a higher number in each record. The writer says by memory alone which number is complete: no
 * record may be older than what was when its read began.
 */
#include "threads.h"

enum { RECORDS = 600 };

static _Atomic uint32_t complete;
static int rounds;

/* A record is one number, eight times: each byte by itself is old or new. */
static void *rewrites(void *unused) {
    unsigned char record[8];
    int fd = open("records", O_WRONLY);
    require(fd >= 0);
    for (uint32_t number = 1; number <= (uint32_t)rounds; number++) {
        require(number % 2 || ftruncate(fd, 0) == 0);
        memset(record, (int)number, sizeof record);
        for (uint32_t i = 0; i < RECORDS; i++)
            require(pwrite(fd, record, sizeof record, (off_t)(i * sizeof record)) == sizeof record);
        atomic_store(&complete, number);
    }
    close(fd);
    return unused;
}

static void check(uint32_t before, const unsigned char *record, ssize_t got) {
    require(got == 0 || got == 8);
    for (ssize_t i = 0; i < got; i++)
        if (record[i] < before)
            die("%u after %u was complete", record[i], before);
}

int main(int argc, char **argv) {
    pthread_t writer;
    unsigned char record[8];
    require(argc == 2 && (rounds = atoi(argv[1])) > 0 && rounds < 256);
    int fd = open("records", O_RDWR | O_CREAT | O_TRUNC, 0600), in = open("records", O_RDONLY);
    require(fd >= 0 && in >= 0 && !pthread_create(&writer, NULL, rewrites, NULL));
    for (uint32_t before = 0; before < (uint32_t)rounds;) {
        require(lseek(in, 0, SEEK_SET) == 0);
        for (int i = 0; i < RECORDS; i++) {
            before = atomic_load(&complete);
            check(before, record, read(in, record, sizeof record));
            if (i % 50 == 0)
                for (int k = 0; k < 20; k++) {
                    before = atomic_load(&complete);
                    check(before, record, pread(fd, record, sizeof record, (i + k) % RECORDS * 8));
                }
        }
    }
    require(!pthread_join(writer, NULL));
    return 0;
}
