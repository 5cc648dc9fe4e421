/*
 * streams_delay HOW KIND ROUNDS LIMIT_MS
 *
 * A writer sends ten quick records to another process, and then
 *   computes  makes no call
 *   files     goes on with quick writes to a file
 *   waits     waits by a call that no library sees
 * until the reader has them all. Fails where that took longer since the last record was written.
 */
#include "bare.h"
#include "streams.h"
#include "threads.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { RECORDS = 10, REGION = 1 << 16 };

/* Rounds that the reader has got. Memory that the writer could write to would be a way to tell somebody something. */
static volatile int *got;

static void map_got(int protection) {
    int fd = open("got", protection & PROT_WRITE ? O_RDWR : O_RDONLY);
    require(fd >= 0 && (got = mmap(NULL, sizeof(*got), protection, MAP_SHARED, fd, 0)) != MAP_FAILED && !close(fd));
}

static int receive_rounds(int fd, int rounds, int64_t limit) {
    struct record records[RECORDS];
    int64_t worst = 0;
    map_got(PROT_READ | PROT_WRITE);
    for (int round = 0; round < rounds; round++) {
        for (size_t done = 0; done < sizeof(records);) {
            ssize_t length = read(fd, (char *)records + done, sizeof(records) - done);
            require(length > 0);
            done += (size_t)length;
        }
        int64_t delay = now_us() - records[RECORDS - 1].stamp;
        worst = delay > worst ? delay : worst;
        for (unsigned i = 0; i < RECORDS; i++)
            require(records[i].check == record_check(&records[i]) &&
                    records[i].number == (unsigned)round * RECORDS + i);
        *got = round + 1;
        bare_call(SYS_futex, got, FUTEX_WAKE, 1, NULL);
    }
    printf("seen after %lld us at most\n", (long long)worst);
    return worst > limit;
}

static void write_rounds(const char *how, int fd, int file, int rounds) {
    off_t at = 0;
    map_got(PROT_READ);
    for (int round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < RECORDS; i++)
            record_write(fd, 0, (unsigned)round * RECORDS + i);
        while (*got == round)
            if (!strcmp(how, "files"))
                require(pwrite(file, "a small record.\n", 16, at = (at + 16) % REGION) == 16);
            else if (!strcmp(how, "waits"))
                bare_call(SYS_futex, got, FUTEX_WAIT, round, NULL);
    }
}

int main(int argc, char **argv) {
    int ends[2], status;
    if (argc != 5)
        die("usage: streams_delay computes|files|waits KIND ROUNDS LIMIT_MS");
    int rounds = atoi(argv[3]), file = open("got", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(file >= 0 && !ftruncate(file, sizeof(*got)) && !close(file));
    require((file = open("file", O_WRONLY | O_CREAT, 0600)) >= 0);
    unlink("stream");
    open_stream(argv[2], "stream", ends);
    alarm(HANG_SECONDS);
    pid_t reader = fork();
    require(reader >= 0);
    if (!reader) {
        close(ends[1]);
        exit(receive_rounds(ends[0], rounds, atoll(argv[4]) * 1000));
    }
    close(ends[0]);
    write_rounds(argv[1], ends[1], file, rounds);
    require(waitpid(reader, &status, 0) == reader);
    return status != 0;
}
