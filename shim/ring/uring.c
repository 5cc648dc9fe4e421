#include "ring/uring.h"

#include <sys/mman.h>

#include "base/kernel.h"
#include "base/sys.h"

static void *map(int fd, size_t size, uint64_t what) {
    return (void *)sys(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
}

static void set_pointers(struct io_uring *ring, const struct io_uring_params *made) {
    struct io_uring_sq *sq = &ring->sq;
    struct io_uring_cq *cq = &ring->cq;
    char *start = sq->ring_ptr;
    sq->khead = (unsigned *)(start + made->sq_off.head);
    sq->ktail = (unsigned *)(start + made->sq_off.tail);
    sq->kring_mask = (unsigned *)(start + made->sq_off.ring_mask);
    sq->kring_entries = (unsigned *)(start + made->sq_off.ring_entries);
    sq->kflags = (unsigned *)(start + made->sq_off.flags);
    sq->kdropped = (unsigned *)(start + made->sq_off.dropped);
    sq->array = (unsigned *)(start + made->sq_off.array);
    sq->ring_mask = *sq->kring_mask;
    sq->ring_entries = *sq->kring_entries;
    cq->khead = (unsigned *)(start + made->cq_off.head);
    cq->ktail = (unsigned *)(start + made->cq_off.tail);
    cq->kring_mask = (unsigned *)(start + made->cq_off.ring_mask);
    cq->kring_entries = (unsigned *)(start + made->cq_off.ring_entries);
    cq->koverflow = (unsigned *)(start + made->cq_off.overflow);
    cq->kflags = (unsigned *)(start + made->cq_off.flags);
    cq->cqes = (struct io_uring_cqe *)(start + made->cq_off.cqes);
    cq->ring_mask = *cq->kring_mask;
    cq->ring_entries = *cq->kring_entries;
}

/* Both queues in one mapping (Linux 5.4): what the library asks of a ring is newer. */
static int map_queues(struct io_uring *ring, const struct io_uring_params *made) {
    size_t requests = made->sq_off.array + made->sq_entries * sizeof *ring->sq.array;
    size_t completions = made->cq_off.cqes + made->cq_entries * sizeof *ring->cq.cqes;
    if (!(made->features & IORING_FEAT_SINGLE_MMAP))
        return -EINVAL;
    ring->sq.ring_sz = ring->cq.ring_sz = requests > completions ? requests : completions;
    ring->sq.ring_ptr = ring->cq.ring_ptr = map(ring->ring_fd, ring->sq.ring_sz, IORING_OFF_SQ_RING);
    if (SYS_IS_ERROR(ring->sq.ring_ptr))
        return (int)(long)ring->sq.ring_ptr;
    ring->sq.sqes = map(ring->ring_fd, made->sq_entries * sizeof *ring->sq.sqes, IORING_OFF_SQES);
    if (!SYS_IS_ERROR(ring->sq.sqes))
        return 0;
    sys(SYS_munmap, ring->sq.ring_ptr, ring->sq.ring_sz);
    return (int)(long)ring->sq.sqes;
}

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params) {
    long fd = sys(SYS_io_uring_setup, entries, params);
    if (fd < 0)
        return (int)fd;
    *ring = (struct io_uring){
        .ring_fd = (int)fd, .enter_ring_fd = (int)fd, .flags = params->flags, .features = params->features};
    int error = map_queues(ring, params);
    if (error)
        sys(SYS_close, fd);
    else
        set_pointers(ring, params);
    return error;
}

void io_uring_queue_exit(struct io_uring *ring) {
    sys(SYS_munmap, ring->sq.sqes, ring->sq.ring_entries * sizeof *ring->sq.sqes);
    sys(SYS_munmap, ring->sq.ring_ptr, ring->sq.ring_sz);
    sys(SYS_close, ring->ring_fd);
}

int io_uring_ring_dontfork(struct io_uring *ring) {
    size_t requests = ring->sq.ring_entries * sizeof *ring->sq.sqes;
    long error = sys(SYS_madvise, ring->sq.sqes, requests, MADV_DONTFORK);
    return error ? (int)error : (int)sys(SYS_madvise, ring->sq.ring_ptr, ring->sq.ring_sz, MADV_DONTFORK);
}

static int register_op(struct io_uring *ring, unsigned operation, const void *argument, unsigned count) {
    return (int)sys(SYS_io_uring_register, ring->ring_fd, operation, argument, count);
}

int io_uring_register_buffers(struct io_uring *ring, const struct iovec *buffers, unsigned count) {
    return register_op(ring, IORING_REGISTER_BUFFERS, buffers, count);
}

int io_uring_register_files_sparse(struct io_uring *ring, unsigned count) {
    const struct {
        uint32_t count, flags;
        uint64_t reserved, data, tags;
    } table = {.count = count, .flags = 1}; /* IORING_RSRC_REGISTER_SPARSE */
    return register_op(ring, IORING_REGISTER_FILES2, &table, sizeof table);
}

int io_uring_register_files_update(struct io_uring *ring, unsigned slot, const int *files, unsigned count) {
    const struct io_uring_files_update update = {.offset = slot, .fds = (uintptr_t)files};
    return register_op(ring, IORING_REGISTER_FILES_UPDATE, &update, count);
}

int io_uring_register_restrictions(struct io_uring *ring, struct io_uring_restriction *allowed, unsigned count) {
    return register_op(ring, IORING_REGISTER_RESTRICTIONS, allowed, count);
}

int io_uring_enable_rings(struct io_uring *ring) {
    return register_op(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* 1, and enter_ring_fd is its number then, of the calling thread alone. */
int io_uring_register_ring_fd(struct io_uring *ring) {
    struct io_uring_rsrc_update update = {.offset = -1U, .data = (uint64_t)ring->ring_fd};
    int done = register_op(ring, IORING_REGISTER_RING_FDS, &update, 1);
    ring->registered = done == 1;
    if (ring->registered)
        ring->enter_ring_fd = (int)update.offset;
    return done;
}

static int enter(const struct io_uring *ring, unsigned submit, unsigned wait) {
    unsigned flags = wait ? IORING_ENTER_GETEVENTS : 0;
    if (ring->registered)
        flags |= IORING_ENTER_REGISTERED_RING;
    return (int)sys(SYS_io_uring_enter, ring->enter_ring_fd, submit, wait, flags, NULL, 0);
}

/* The slots' numbers are in the array already (ring_set_up). */
int io_uring_submit_and_wait(struct io_uring *ring, unsigned wait) {
    struct io_uring_sq *sq = &ring->sq;
    unsigned count = sq->sqe_tail - sq->sqe_head;
    sq->sqe_head = sq->sqe_tail;
    __atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
    return enter(ring, count, wait);
}

int io_uring_wait_cqe(struct io_uring *ring, struct io_uring_cqe **cqe) {
    while (io_uring_peek_cqe(ring, cqe) != 0) {
        int error = enter(ring, 0, 1);
        if (error < 0)
            return error;
    }
    return 0;
}
