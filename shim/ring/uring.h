/*
 * liburing's names for the few calls that are needed: liburing itself where it was there and new enough when this was
 * built (2.2), or else ours (uring.c), after io_uring_setup(2), io_uring_enter(2), io_uring_register(2) and
 * io_uring(7). Which one the Makefile decides. Where the kernel can't make such a ring both say so.
 */
#ifndef URINGSHIM_RING_URING_H
#define URINGSHIM_RING_URING_H

#ifndef OWN_URING
#include <liburing.h>
#else

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* The kernel's: sizes and numbers as in its <linux/io_uring.h>, as far as they are used. */
struct io_uring_sqe {
    uint8_t opcode, flags;
    uint16_t ioprio;
    int32_t fd;
    uint64_t off, addr;
    uint32_t len;
    union {
        uint32_t rw_flags, fsync_flags;
    };
    uint64_t user_data;
    uint16_t buf_index, personality;
    uint32_t file_index;
    uint64_t addr3, pad;
};

struct io_uring_cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

struct io_sqring_offsets {
    uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
    uint64_t resv2;
};

struct io_cqring_offsets {
    uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
    uint64_t resv2;
};

struct io_uring_params {
    uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv[3];
    struct io_sqring_offsets sq_off;
    struct io_cqring_offsets cq_off;
};

struct io_uring_restriction {
    uint16_t opcode;
    union {
        uint8_t register_op, sqe_op, sqe_flags;
    };
    uint8_t resv;
    uint32_t resv2[3];
};

struct io_uring_files_update {
    uint32_t offset, resv;
    uint64_t fds;
};

struct io_uring_rsrc_update {
    uint32_t offset, resv;
    uint64_t data;
};

_Static_assert(sizeof(struct io_uring_sqe) == 64 && sizeof(struct io_uring_cqe) == 16, "queues");
_Static_assert(sizeof(struct io_uring_params) == 120 && sizeof(struct io_uring_restriction) == 16, "arguments");

enum {
    IORING_OP_NOP = 0,
    IORING_OP_FSYNC = 3,
    IORING_OP_POLL_ADD = 6,
    IORING_OP_READ_FIXED = 4,
    IORING_OP_WRITE_FIXED = 5,
    IORING_OP_READ = 22,
    IORING_OP_WRITE = 23,
    IORING_OP_SEND = 26,
    IORING_OP_RECV = 27,
};
enum { IOSQE_FIXED_FILE = 1 << 0, IOSQE_IO_LINK = 1 << 2 };
enum { IORING_FSYNC_DATASYNC = 1 << 0 };
enum {
    IORING_SETUP_IOPOLL = 1 << 0,
    IORING_SETUP_SQPOLL = 1 << 1,
    IORING_SETUP_CLAMP = 1 << 4,
    IORING_SETUP_R_DISABLED = 1 << 6,
    IORING_SETUP_SUBMIT_ALL = 1 << 7,
    IORING_SETUP_COOP_TASKRUN = 1 << 8,
};
enum { IORING_FEAT_SINGLE_MMAP = 1 << 0 };
enum {
    IORING_ENTER_GETEVENTS = 1 << 0,
    IORING_ENTER_SQ_WAKEUP = 1 << 1,
    IORING_ENTER_REGISTERED_RING = 1 << 4,
};
enum { IORING_SQ_NEED_WAKEUP = 1 << 0 };
enum { IORING_OFF_SQ_RING = 0, IORING_OFF_SQES = 0x10000000 };
enum {
    IORING_REGISTER_BUFFERS = 0,
    IORING_UNREGISTER_BUFFERS = 1,
    IORING_REGISTER_FILES_UPDATE = 6,
    IORING_REGISTER_RESTRICTIONS = 11,
    IORING_REGISTER_ENABLE_RINGS = 12,
    IORING_REGISTER_FILES2 = 13,
    IORING_REGISTER_RING_FDS = 20,
    IORING_UNREGISTER_RING_FDS = 21,
};
enum {
    IORING_RESTRICTION_REGISTER_OP = 0,
    IORING_RESTRICTION_SQE_OP = 1,
    IORING_RESTRICTION_SQE_FLAGS_ALLOWED = 2,
    IORING_RESTRICTION_SQE_FLAGS_REQUIRED = 3,
};

/* liburing's. `k…` is the kernel's and ours; sqe_head and sqe_tail are ours alone: what is prepared lies between them.
 */
struct io_uring_sq {
    unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *kdropped, *array;
    struct io_uring_sqe *sqes;
    unsigned sqe_head, sqe_tail, ring_mask, ring_entries;
    size_t ring_sz;
    void *ring_ptr;
};

struct io_uring_cq {
    unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *koverflow;
    struct io_uring_cqe *cqes;
    unsigned ring_mask, ring_entries;
    size_t ring_sz;
    void *ring_ptr;
};

struct io_uring {
    struct io_uring_sq sq;
    struct io_uring_cq cq;
    unsigned flags, features;
    int ring_fd, enter_ring_fd; /* the second is the ring's number if it is registered, or the same */
    bool registered;
};

/* Each returns a value >= 0, or -errno. */
int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
void io_uring_queue_exit(struct io_uring *ring);
int io_uring_ring_dontfork(struct io_uring *ring);
int io_uring_register_buffers(struct io_uring *ring, const struct iovec *buffers, unsigned count);
int io_uring_register_files_sparse(struct io_uring *ring, unsigned count);
int io_uring_register_files_update(struct io_uring *ring, unsigned slot, const int *files, unsigned count);
int io_uring_register_restrictions(struct io_uring *ring, struct io_uring_restriction *allowed, unsigned count);
int io_uring_enable_rings(struct io_uring *ring);
int io_uring_register_ring_fd(struct io_uring *ring);
int io_uring_submit_and_wait(struct io_uring *ring, unsigned wait);
int io_uring_wait_cqe(struct io_uring *ring, struct io_uring_cqe **cqe);

static inline unsigned io_uring_sq_space_left(const struct io_uring *ring) {
    const struct io_uring_sq *sq = &ring->sq;
    return *sq->kring_entries - (sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE));
}

static inline struct io_uring_sqe *io_uring_get_sqe(struct io_uring *ring) {
    struct io_uring_sq *sq = &ring->sq;
    return io_uring_sq_space_left(ring) ? &sq->sqes[sq->sqe_tail++ & *sq->kring_mask] : NULL;
}

static inline void uring_prepare(struct io_uring_sqe *sqe, int opcode, int fd, const void *bytes, unsigned length,
                                 uint64_t offset, int buffer) {
    *sqe = (struct io_uring_sqe){.opcode = (uint8_t)opcode,
                                 .fd = fd,
                                 .off = offset,
                                 .addr = (uintptr_t)bytes,
                                 .len = length,
                                 .buf_index = (uint16_t)buffer};
}

static inline void io_uring_prep_nop(struct io_uring_sqe *sqe) {
    uring_prepare(sqe, IORING_OP_NOP, -1, NULL, 0, 0, 0);
}

static inline void io_uring_prep_read(struct io_uring_sqe *sqe, int fd, void *bytes, unsigned n, uint64_t offset) {
    uring_prepare(sqe, IORING_OP_READ, fd, bytes, n, offset, 0);
}

static inline void io_uring_prep_read_fixed(struct io_uring_sqe *sqe, int fd, void *bytes, unsigned n, uint64_t offset,
                                            int buffer) {
    uring_prepare(sqe, IORING_OP_READ_FIXED, fd, bytes, n, offset, buffer);
}

static inline void io_uring_prep_write(struct io_uring_sqe *sqe, int fd, const void *bytes, unsigned n,
                                       uint64_t offset) {
    uring_prepare(sqe, IORING_OP_WRITE, fd, bytes, n, offset, 0);
}

static inline void io_uring_prep_write_fixed(struct io_uring_sqe *sqe, int fd, const void *bytes, unsigned n,
                                             uint64_t offset, int buffer) {
    uring_prepare(sqe, IORING_OP_WRITE_FIXED, fd, bytes, n, offset, buffer);
}

static inline void io_uring_prep_recv(struct io_uring_sqe *sqe, int fd, void *bytes, size_t n, int flags) {
    uring_prepare(sqe, IORING_OP_RECV, fd, bytes, (unsigned)n, 0, 0);
    sqe->rw_flags = (uint32_t)flags;
}

static inline void io_uring_prep_send(struct io_uring_sqe *sqe, int fd, const void *bytes, size_t n, int flags) {
    uring_prepare(sqe, IORING_OP_SEND, fd, bytes, (unsigned)n, 0, 0);
    sqe->rw_flags = (uint32_t)flags;
}

static inline void io_uring_prep_poll_add(struct io_uring_sqe *sqe, int fd, unsigned events) {
    uring_prepare(sqe, IORING_OP_POLL_ADD, fd, NULL, 0, 0, 0);
    sqe->rw_flags = events; /* poll32_events, on a little-endian machine */
}

static inline void io_uring_prep_fsync(struct io_uring_sqe *sqe, int fd, unsigned flags) {
    uring_prepare(sqe, IORING_OP_FSYNC, fd, NULL, 0, 0, 0);
    sqe->fsync_flags = flags;
}

static inline unsigned io_uring_cq_ready(const struct io_uring *ring) {
    return __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE) - *ring->cq.khead;
}

/* The kernel may write over them then. */
static inline void io_uring_cq_advance(struct io_uring *ring, unsigned count) {
    __atomic_store_n(ring->cq.khead, *ring->cq.khead + count, __ATOMIC_RELEASE);
}

static inline void io_uring_cqe_seen(struct io_uring *ring, struct io_uring_cqe *cqe) {
    (void)cqe;
    io_uring_cq_advance(ring, 1);
}

static inline int io_uring_peek_cqe(struct io_uring *ring, struct io_uring_cqe **cqe) {
    if (io_uring_cq_ready(ring) == 0)
        return -EAGAIN;
    *cqe = &ring->cq.cqes[*ring->cq.khead & *ring->cq.kring_mask];
    return 0;
}

#endif
#endif
