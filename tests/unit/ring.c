// A ring as liburing makes it, and as liburing from 2.6 on does: without an array of slots' numbers, of which it then
// has no address. Exit status 77: this kernel can't do that.
#include "ring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/kernel.h"
#include "base/sys.h"
#include "check.h"
#include "ring/uring.h"

enum { NO_ARRAY = 1 << 16, RECORD = 100, RECORDS = 5 * RING_ENTRIES / 2 };

static bool newer;

static void *map(int fd, size_t size, off_t what) {
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
    CHECK(start != MAP_FAILED);
    return start;
}

static void fill(struct io_uring *ring, int fd, const struct io_uring_params *made) {
    const struct io_sqring_offsets *sq = &made->sq_off;
    const struct io_cqring_offsets *cq = &made->cq_off;
    size_t size = cq->cqes + made->cq_entries * sizeof(struct io_uring_cqe);
    char *start = map(fd, size, IORING_OFF_SQ_RING);
    *ring = (struct io_uring){.flags = made->flags, .ring_fd = fd, .enter_ring_fd = fd, .features = made->features};
    ring->sq.khead = (void *)(start + sq->head);
    ring->sq.ktail = (void *)(start + sq->tail);
    ring->sq.kring_mask = (void *)(start + sq->ring_mask);
    ring->sq.kring_entries = (void *)(start + sq->ring_entries);
    ring->sq.ring_mask = *ring->sq.kring_mask;
    ring->sq.ring_entries = *ring->sq.kring_entries;
    ring->sq.kflags = (void *)(start + sq->flags);
    ring->sq.kdropped = (void *)(start + sq->dropped);
    ring->sq.sqes = map(fd, made->sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    ring->cq.khead = (void *)(start + cq->head);
    ring->cq.ktail = (void *)(start + cq->tail);
    ring->cq.kring_mask = (void *)(start + cq->ring_mask);
    ring->cq.kring_entries = (void *)(start + cq->ring_entries);
    ring->cq.ring_mask = *ring->cq.kring_mask;
    ring->cq.ring_entries = *ring->cq.kring_entries;
    ring->cq.koverflow = (void *)(start + cq->overflow);
    ring->cq.kflags = (void *)(start + cq->flags);
    ring->cq.cqes = (void *)(start + cq->cqes);
    ring->sq.ring_ptr = ring->cq.ring_ptr = start;
    ring->sq.ring_sz = ring->cq.ring_sz = size;
}

// The linker puts this before liburing's.
int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params) {
    if (!newer)
        return __real_io_uring_queue_init_params(entries, ring, params);
    params->flags |= NO_ARRAY;
    long fd = sys(SYS_io_uring_setup, entries, params);
    if (fd == -EINVAL)
        exit(77);
    CHECK(fd >= 0);
    fill(ring, (int)fd, params);
    return 0;
}

// More requests than the ring has slots, in several rounds; each must be the one that was prepared.
static void write_all(struct ring *ring, int file, char *buffer) {
    unsigned done = 0;
    for (unsigned at = 0; at < RECORDS;) {
        unsigned count = 0, taken = 0;
        for (; at < RECORDS && count < RING_ENTRIES - 3; at++, count++) {
            char *record = buffer + (size_t)at * RECORD;
            memset(record, 'a' + (int)(at % 26), RECORD);
            CHECK(ring_room(ring, 1));
            ring_prepare_write(ring, file, record, RECORD, (int64_t)at * RECORD, RING_LINKED, at);
        }
        CHECK(ring_publish(ring) == count);
        ring_guest_submit(ring, count);
        while (taken < count) {
            uint64_t tag;
            int32_t result;
            ring_wait(ring, 1);
            while (ring_take(ring, &tag, &result)) {
                CHECK(tag == done++ && result == RECORD);
                taken++;
            }
        }
    }
}

static void try_one(void) {
    enum { BYTES = RECORDS * RECORD };
    static char back[BYTES];
    struct iovec buffer = {.iov_len = 1 << 16};
    struct ring *ring;
    uint64_t evicted;
    int file = open(".", O_TMPFILE | O_RDWR, 0600);
    buffer.iov_base = mmap(NULL, buffer.iov_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(file >= 0 && buffer.iov_base != MAP_FAILED && BYTES <= buffer.iov_len);
    int error = ring_create(&ring, RING_TO_WRITE, &buffer, 1, 0, ring_guest_register);
    if (error == -EPERM || error == -ENOSYS || error == -EINVAL || error == -EOPNOTSUPP)
        exit(77);
    CHECK(error == 0 && ring_has_table(ring));
    int slot = ring_file(ring, 1, file, &evicted);
    CHECK(slot >= 0);
    write_all(ring, slot, buffer.iov_base);
    CHECK(pread(file, back, BYTES, 0) == BYTES && memcmp(back, buffer.iov_base, BYTES) == 0);
    ring_forget_all(ring);
    ring_guest_leave(ring);
    ring_abandon(ring);
    close(file);
}

// Files by their numbers: what was submitted is under way, and when it has landed nothing holds the file any more,
// which the lock tells that its description has. False: direct I/O isn't done so here.
static bool try_at_once(unsigned polling) {
    enum { BLOCK = 4096, BLOCKS = 3, BYTES = BLOCK * BLOCKS };
    static char back[BYTES];
    char path[] = "ring.XXXXXX";
    struct iovec buffer = {.iov_len = 1 << 16};
    struct ring *ring;
    uint64_t evicted, tag;
    int32_t result;
    int other = mkstemp(path), file = open(path, O_RDWR);
    unlink(path);
    buffer.iov_base = mmap(NULL, buffer.iov_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(other >= 0 && file >= 0 && buffer.iov_base != MAP_FAILED && write(file, back, BYTES) == BYTES);
    CHECK(flock(file, LOCK_EX) == 0 && flock(other, LOCK_EX | LOCK_NB) != 0 && fsync(file) == 0);
    posix_fadvise(file, 0, BYTES, POSIX_FADV_DONTNEED); // what is in memory is in direct I/O's way
    if (fcntl(file, F_SETFL, O_DIRECT) != 0)
        return false;
    memset(buffer.iov_base, 'r', BYTES);
    int error = ring_create(&ring, RING_TO_WRITE_AT_ONCE, &buffer, 1, polling, ring_guest_register);
    if (error == -EPERM || error == -ENOSYS || error == -EINVAL)
        exit(77);
    CHECK(error == 0 && !ring_has_table(ring));
    CHECK(ring_file(ring, 1, file, &evicted) == file && !ring_has_file(ring, 1));
    for (unsigned i = 0; i < BLOCKS; i++)
        ring_prepare_write(ring, file, (char *)buffer.iov_base + i * BLOCK, BLOCK, i * BLOCK, RING_NOWAIT, i);
    unsigned started = polling ? ring_submit_each(ring) : ring_guest_submit_each(ring), landed = 0;
    ring_drop(ring);
    for (; landed < started; landed++) {
        while (!ring_take(ring, &tag, &result))
            ring_wait(ring, 1);
        CHECK(tag < BLOCKS && (result == BLOCK || result == -EAGAIN || result == -EOPNOTSUPP));
        if (result < 0)
            break;
    }
    ring_let_go(ring);
    close(file);
    CHECK(flock(other, LOCK_EX | LOCK_NB) == 0);
    CHECK(landed < BLOCKS || (read(other, back, BYTES) == BYTES && memcmp(back, buffer.iov_base, BYTES) == 0));
    close(other);
    munmap(buffer.iov_base, buffer.iov_len);
    ring_guest_leave(ring);
    if (polling)
        ring_end(ring, ring_bare);
    else
        ring_abandon(ring);
    return landed == BLOCKS;
}

int main(void) {
    int done = try_at_once(0);
    for (int round = 0; round < 20; round++) // more rings than a thread can have, were they not left
        done += try_at_once(RING_POLL_QUEUE);
    printf("written at once: %d of 21\n", done);
    fflush(stdout);
    for (int round = 0; round < 4; round++) {
        newer = round % 2;
        try_one();
    }
    puts("ok");
    return 0;
}
