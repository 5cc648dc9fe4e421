/*
 * What is followed of streams: a pipe's pages, beside the kernel that fills them; and epochs, in which nothing was
 * learned. streams [SEED]
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "behind/straight.h"
#include "check.h"
#include "common/attention.h"

static uint64_t state;

static uint32_t below(uint32_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % limit;
}

/* A pipe's pages as they are: so many bytes are left of each, and so much of the last one was filled. */
enum { PAGES = 64 };
struct pages {
    uint32_t count, left[PAGES], filled;
};

static void take(int fd, struct pages *pages) {
    static char bytes[20000];
    ssize_t got = read(fd, bytes, 1 + below(3 * stream_page(STREAM_PIPE)));
    uint32_t gone = 0;
    if (got < 0)
        return;
    for (; got > 0 && (uint32_t)got >= pages->left[gone]; gone++)
        got -= pages->left[gone];
    pages->count -= gone;
    memmove(pages->left, pages->left + gone, pages->count * sizeof *pages->left);
    if (pages->count)
        pages->left[0] -= (uint32_t)got;
    else
        pages->filled = 0;
}

/*
 * The kernel takes as many writes as are thought to fit, and not one more; and what is said of the room is never more
 * than there is, though a reader takes something now and then, of which nobody is told.
 */
static void fill_a_pipe(uint32_t largest, bool reads) {
    static char bytes[20000];
    struct stream_end end = {.sure = true};
    struct pages pages = {0};
    int ends[2];
    CHECK(pipe2(ends, O_NONBLOCK) == 0);
    uint32_t page = stream_page(STREAM_PIPE), most = (uint32_t)fcntl(ends[1], F_GETPIPE_SZ) / page;
    CHECK(most <= PAGES);
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t size = 1 + below(largest);
        bool begins = !pages.filled || pages.filled + size > page;
        bool goes = write(ends[1], bytes, size) == (ssize_t)size;
        CHECK(goes == (!begins || pages.count < most));
        if (goes) {
            pages.left[pages.count - !begins] = begins ? size : pages.left[pages.count - 1] + size;
            pages.count += begins;
            pages.filled = stream_filled(pages.filled, size, page);
            end.filled = stream_filled(end.filled, size, page);
            end.unread += size;
        } else if (!reads) {
            break;
        }
        if (reads && (!goes || below(4) == 0))
            take(ends[0], &pages);
        if (below(3)) {
            uint32_t room = stream_room(ends[1], STREAM_PIPE, largest, &end);
            CHECK(room <= (most - pages.count) * page + (pages.filled ? page - pages.filled : 0));
            CHECK(!end.sure || end.filled == pages.filled);
            CHECK(reads || end.sure);
        }
        if (reads && below(4) == 0)
            take(ends[0], &pages);
    }
    CHECK(reads || errno == EAGAIN);
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
    struct inode inode = {.number = 1, .end.filled = STREAM_UNKNOWN};
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
        uint32_t size = below(3) ? 1 + below(300) : 1 + below(2 * page), before = i ? inode.end.filled : 0,
                 rest = size % page;
        bool behind = before && rest && before + rest <= page;
        if (taken + size / page + 2 > pages)
            break;
        taken += size / page + (rest && !behind);
        struct iovec one = {bytes, size};
        if (straight_write(&self, ends[1], &ofd, &one, 1, size, false) == 0)
            straight_ends(&self, &ofd, write(ends[1], bytes, size), size);
        CHECK(inode.end.filled != STREAM_UNKNOWN);
    }
    uint32_t expected = (page - inode.end.filled) / SMALL + (pages - taken) * (page / SMALL), got = 0;
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
    CHECK(input_epoch_next(input_epoch_now()) != 0);
    input_came();
    CHECK(!writes_are_followed());
    writes_follow();
    uint64_t unsure = atomic_load(&input_unsure);
    input_epoch_now();
    input_came();
    CHECK(writes_are_followed() && atomic_load(&input_unsure) == unsure);
    input_epoch_rests();
    CHECK(!writes_are_followed());
    writes_follow(); /* nobody knows what was written meanwhile */
    CHECK(atomic_load(&input_unsure) != unsure);
}

int main(int argc, char **argv) {
    state = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)getpid();
    printf("seed %llu\n", (unsigned long long)state);
    for (int i = 0; i < 100; i++)
        fill_a_pipe(i % 2 ? 200 : stream_page(STREAM_PIPE), i % 4 > 1);
    for (int i = 0; i < 100; i++)
        follow_straight_writes();
    epochs();
    return 0;
}
