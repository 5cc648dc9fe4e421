/*
 * What is followed of streams: a pipe's pages, beside the kernel that fills them; and epochs, in which nothing was
 * learned. streams [SEED]
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "behind/straight.h"
#include "check.h"
#include "common/attention.h"

static uint64_t state;

static uint32_t below(uint32_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % limit;
}

/* The kernel takes as many writes as are thought to fit, and not one more. */
static void fill_a_pipe(uint32_t largest) {
    static char bytes[20000];
    int ends[2];
    CHECK(pipe2(ends, O_NONBLOCK) == 0);
    uint32_t page = stream_page(STREAM_PIPE), pages = (uint32_t)fcntl(ends[1], F_GETPIPE_SZ) / page, taken = 0,
             filled = 0;
    for (;;) {
        uint32_t size = 1 + below(largest);
        bool begins = !filled || filled + size > page;
        ssize_t written = write(ends[1], bytes, size);
        CHECK((written == (ssize_t)size) == (!begins || taken < pages));
        if (written < 0)
            break;
        taken += begins;
        filled = stream_filled(filled, size, page);
        int used = stream_used(ends[0]);
        CHECK(used > 0 && (uint32_t)used <= taken * page);
        uint32_t known = filled;
        CHECK(stream_room(ends[1], STREAM_PIPE, largest, &known) <= (pages - taken) * page + page - filled);
        CHECK(known == filled);
    }
    CHECK(errno == EAGAIN);
    close(ends[0]);
    close(ends[1]);
}

/*
 * Large writes, too, which end anywhere; by the functions that the shells use. After some that fit, small ones fill the
 * pipe: as many as what is known of the last page lets expect.
 */
static void follow_straight_writes(void) {
    enum { SMALL = 100 };
    static char bytes[20000];
    struct inode inode = {.number = 1, .filled = STREAM_UNKNOWN};
    struct ofd ofd = {.inode = &inode};
    struct thread self = {.stats = &self.own_stats};
    struct stat st;
    enum reason reason;
    int ends[2];
    CHECK(pipe(ends) == 0 && fstat(ends[1], &st) == 0);
    ofd.stream = stream_look(ends[1], &st, &reason);
    CHECK(reason == REASON_NONE && stream_is_pipe(ofd.stream));
    uint32_t page = stream_page(STREAM_PIPE), pages = (uint32_t)fcntl(ends[1], F_GETPIPE_SZ) / page, taken = 0;
    for (int i = 0; i < 8; i++) {
        uint32_t size = below(3) ? 1 + below(300) : 1 + below(2 * page), before = i ? inode.filled : 0,
                 rest = size % page;
        bool behind = before && rest && before + rest <= page;
        if (taken + size / page + 2 > pages)
            break;
        taken += size / page + (rest && !behind);
        struct iovec one = {bytes, size};
        if (straight_write(&self, ends[1], &ofd, &one, 1, size, false) == 0)
            straight_ends(&self, &ofd, write(ends[1], bytes, size), size);
        CHECK(inode.filled != STREAM_UNKNOWN);
    }
    uint32_t expected = (page - inode.filled) / SMALL + (pages - taken) * (page / SMALL), got = 0;
    CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    while (write(ends[1], bytes, SMALL) == SMALL)
        got++;
    CHECK(got == expected);
    close(ends[0]);
    close(ends[1]);
}

static void epochs(void) {
    uint64_t epoch = input_epoch_now();
    CHECK(input_epoch_lasts(epoch));
    CHECK(input_epoch_now() == epoch);
    input_came();
    CHECK(!input_epoch_lasts(epoch));
    input_came();
    uint64_t other = input_epoch_now();
    CHECK(other != epoch && input_epoch_lasts(other) && !input_epoch_lasts(epoch));
    /* An input of the call's own begins one; with another's beside it nothing is known. */
    uint64_t next = input_epoch_next(other);
    CHECK(next && next != other && input_epoch_lasts(next) && !input_epoch_lasts(other));
    input_came();
    CHECK(input_epoch_next(next) == 0);
    uint64_t unsure = atomic_load(&input_unsure);
    epoch = input_epoch_now();
    input_epoch_rests();
    CHECK(atomic_load(&input_unsure) != unsure);
}

int main(int argc, char **argv) {
    state = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)getpid();
    printf("seed %llu\n", (unsigned long long)state);
    for (int i = 0; i < 100; i++)
        fill_a_pipe(i % 2 ? 200 : stream_page(STREAM_PIPE));
    for (int i = 0; i < 100; i++)
        follow_straight_writes();
    epochs();
    return 0;
}
