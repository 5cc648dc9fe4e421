// What is read ahead of a direct file while it is under way: used only as long as the file and the number are what they
// were. Each change is made between two fetches, where it always counts.
#include "ahead/flight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/config.h"
#include "common/attention.h"
#include "common/flusher.h"

enum { BLOCK = 4096, PARTS = 16, JUMPS = 500, LONG_ENOUGH_US = 100000 };

static char path[] = "/var/tmp/uringshim-flight.XXXXXX", other_path[] = "/var/tmp/uringshim-flight.XXXXXX";
static char *memory, *data;
static struct thread *self;
static int fd, failures;

#define require(condition) ((condition) ? (void)0 : (printf("%d: %s (%d)\n", __LINE__, #condition, errno), exit(99)))
#define expect(condition) ((condition) ? (void)0 : (failures++, (void)printf("%d: not %s\n", __LINE__, #condition)))

static bool perform_stale(struct thread *thread) {
    return thread != NULL;
}

static void idle(struct thread *thread) {
    (void)thread;
}

static bool pending(void) {
    return false;
}

// Block i of it holds i, and the file's number of changes so far.
static void fill(int file, int64_t changes, int first, int blocks) {
    int64_t block[BLOCK / sizeof(int64_t)];
    for (int i = first; i < first + blocks; i++) {
        for (size_t word = 0; word < BLOCK / sizeof(int64_t); word++)
            block[word] = word % 2 ? i : changes;
        require(pwrite(file, block, BLOCK, (off_t)i * BLOCK) == BLOCK);
    }
    require(fsync(file) == 0);
}

static int opened(char *name, int flags) {
    int file = open(name, flags);
    if (file < 0 && errno == EINVAL) {
        unlink(path);
        unlink(other_path);
        exit(77);
    }
    require(file >= 0);
    return file;
}

static int made(char *name) {
    int file = mkstemp(name);
    require(file >= 0);
    fill(file, 1, 0, PARTS * FLIGHT_PART / BLOCK);
    close(file);
    return opened(name, O_RDONLY | O_DIRECT);
}

static struct ofd *classified(void) {
    struct fd_slot *slot = files_slot_make(fd);
    files_opened(files_slot_make(fd));
    struct ofd *ofd = files_ofd(fd, slot);
    require(ofd);
    return ofd;
}

// The window after `part` others of the one `ofd`: how much came, or an error.
static int64_t fetch(struct ofd *ofd, int part) {
    struct fetch fetch = {.ofd = ofd,
                          .fd = fd,
                          .at = (int64_t)part * FLIGHT_PART,
                          .n = BLOCK,
                          .direction = 1,
                          .from = (int64_t)part * FLIGHT_PART,
                          .size = FLIGHT_PART};
    int64_t got = flight_fetch(self, &data, &fetch);
    flusher_pass(); // if it is busy, nothing is submitted
    flight_goes_on(self, memory, &fetch);
    return got;
}

// Is what was fetched the part of the file, as it was after so many changes?
static bool is_part(int part, int64_t changes) {
    for (int i = 0; i < FLIGHT_PART / (int)sizeof(int64_t); i++) {
        int64_t word;
        memcpy(&word, data + (size_t)i * sizeof word, sizeof word);
        if (word != (i % 2 ? part * (FLIGHT_PART / BLOCK) + i / (BLOCK / (int)sizeof word) : changes))
            return false;
    }
    return true;
}

static uint64_t ring_reads(void) {
    return self->stats->count[COUNT_RING_READS];
}

// Parts 0 to `last` are fetched one after the other, and more are under way then.
static void read_on(struct ofd *ofd, int last, int64_t changes) {
    uint64_t before = ring_reads();
    usleep(LONG_ENOUGH_US); // what has just been changed isn't read ahead
    for (int part = 0; part <= last; part++) {
        expect(fetch(ofd, part) == FLIGHT_PART);
        expect(is_part(part, changes));
    }
    expect(ring_reads() == before + (uint64_t)last + FLIGHT_PARTS);
}

static void change(int64_t changes, int part) {
    int file = opened(path, O_WRONLY);
    fill(file, changes, part * (FLIGHT_PART / BLOCK), FLIGHT_PART / BLOCK);
    close(file);
}

int main(void) {
    static const struct flusher_work work = {pending, perform_stale, idle};
    if (syscall(SYS_io_uring_setup, 0, NULL) < 0 && (errno == ENOSYS || errno == EPERM))
        return 77;
    config.engine = ENGINE_RING;
    require(thread_start());
    require((self = thread_attach()) != NULL);
    require(flusher_start(&work, 1000) == 0);
    require((data = memory = arena_map((size_t)FLIGHT_BUFFERS * FLIGHT_PART, ARENA_DONTFORK)) != NULL);
    int other = made(other_path);
    fd = made(path);
    struct ofd *ofd = classified();

    read_on(ofd, 9, 1);
    uint64_t before = ring_reads(); // to the end, and not beyond
    for (int part = 10; part < PARTS; part++) {
        expect(fetch(ofd, part) == FLIGHT_PART);
        expect(is_part(part, 1));
    }
    expect(ring_reads() == before + PARTS - 10 - FLIGHT_PARTS);
    expect(fetch(ofd, PARTS) == 0);

    // Somebody changes it: what was under way before isn't shown.
    read_on(ofd, 3, 1);
    change(2, 4);
    expect(fetch(ofd, 4) == -EAGAIN);
    change(1, 4);

    // It goes on somewhere else.
    read_on(ofd, 3, 1);
    expect(fetch(ofd, 9) == FLIGHT_PART);
    expect(is_part(9, 1));
    expect(fetch(ofd, 2) == FLIGHT_PART);
    expect(is_part(2, 1));

    // And again and again, while what isn't wanted any more is still to land.
    usleep(LONG_ENOUGH_US);
    uint64_t place = 1;
    for (int i = 0; i < JUMPS; i++) {
        place = place * 6364136223846793005u + 1442695040888963407u;
        int part = (int)(place >> 33) % (PARTS - 2);
        for (int next = part; next <= part + i % 3; next++) {
            expect(fetch(ofd, next) == FLIGHT_PART);
            expect(is_part(next, 1));
        }
    }

    // The number is another file, by a way that nobody saw.
    read_on(ofd, 3, 1);
    int kept = dup(fd);
    require(dup2(other, fd) == fd);
    expect(fetch(ofd, 4) == -EAGAIN);
    require(dup2(kept, fd) == fd && close(kept) == 0);

    // A real-time thread could keep the helper from its processor: nothing is under way, nor is what was.
    read_on(ofd, 3, 1);
    before = ring_reads();
    wb_hinder(REASON_real_time);
    for (int part = 4; part < 8; part++) {
        expect(fetch(ofd, part) == FLIGHT_PART);
        expect(is_part(part, 1));
    }
    expect(ring_reads() == before);
    wb_unhinder(REASON_real_time);

    // Settled: nothing of it holds the file.
    read_on(ofd, 3, 1);
    expect(ofd->flown);
    flight_settle(ofd);
    expect(!ofd->flown);
    require(close(fd) == 0);
    int alone = opened(path, O_RDONLY);
    expect(fcntl(alone, F_SETLEASE, F_WRLCK) == 0);

    unlink(path);
    unlink(other_path);
    flusher_stop();
    return failures != 0;
}
