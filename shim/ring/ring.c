#include "ring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/passing.h"
#include "base/stats.h"
#include "base/sys.h"
#include "base/ticks.h"
#include "ring/pollers.h"
#include "ring/uring.h"

/* io_uring_register(2): the "fd" is an index of this thread's registered rings (Linux 6.3; not in liburing 2.3) */
#define USE_REGISTERED_RING (1u << 31)
#define REGISTERS_BY_INDEX (1u << 13) /* IORING_FEAT_REG_REG_RING */
/* io_uring_setup(2), IORING_SETUP_NO_SQARRAY: not in liburing 2.3 */
#define NO_ARRAY (1u << 16)

struct ring {
    struct io_uring uring;
    enum ring_use use;
    int guest; /* the helper thread's index of this ring */
    unsigned polling;
    long poller; /* the id of the kernel's thread that polls the queue */
    uint64_t poller_us;
    bool fixed_buffers;
    unsigned buffer_count;
    struct iovec buffers[4];
    uint32_t clock; /* for the least recently used slot */
    struct {
        uint64_t serial; /* of the file in the slot, or 0 */
        uint32_t used;
    } files[RING_FILES];
};

/* No wait for a polling thread to begin or to end is longer. One that the kernel were to forget does nothing, either.
 */
enum { LONGEST_MS = 1000 };

/* As long as this the owner of a ring with a polling thread waits without a system call. */
enum { SPIN_US = 1000 };

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

static int register_op(int index, unsigned operation, void *argument, unsigned count) {
    return (int)sys(SYS_io_uring_register, index, operation | USE_REGISTERED_RING, argument, count);
}

/*
 * Requests are submitted in the order of their slots: the kernel reads the slots' numbers in an array. Newer liburings
 * ask for none of their own accord (Linux 6.6), and then have no address of it. We don't ask: older ones would write it
 * where the kernel has other things.
 */
int ring_set_up(struct io_uring *uring, unsigned entries, unsigned polling) {
    struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL,
                                     .sq_thread_idle = RING_POLL_IDLE_MS};
    params.flags |= polling & RING_POLL_QUEUE ? IORING_SETUP_SQPOLL : IORING_SETUP_COOP_TASKRUN;
    params.flags |= polling & RING_POLL_DEVICE ? IORING_SETUP_IOPOLL : 0;
    int error = io_uring_queue_init_params(entries, uring, &params);
    if (error == -EINVAL && params.flags & IORING_SETUP_COOP_TASKRUN) { /* Linux 5.19; it only saves interruptions */
        params.flags &= ~IORING_SETUP_COOP_TASKRUN;
        error = io_uring_queue_init_params(entries, uring, &params);
    }
    if (error || params.flags & NO_ARRAY || !uring->sq.array)
        return error;
    for (unsigned i = 0; i < params.sq_entries; i++)
        uring->sq.array[i] = i;
    return 0;
}

/*
 * A file that has left the table must be let go at once, or else the program's last close of it wouldn't be the last.
 * Before Linux 6.4 that took a second (io_rsrc_node_ref_zero in io_uring/rsrc.c). A pipe tells: its reader meets the
 * end when the writer is let go.
 */
static int try_table(struct io_uring *uring) {
    int ends[2], none = -1;
    char byte;
    long error = sys(SYS_pipe2, ends, O_CLOEXEC | O_NONBLOCK);
    if (error)
        return (int)error;
    bool there = io_uring_register_files_update(uring, 0, &ends[1], 1) == 1;
    sys(SYS_close, ends[1]);
    bool gone = there && io_uring_register_files_update(uring, 0, &none, 1) == 1;
    gone = gone && sys(SYS_read, ends[0], &byte, 1) == 0;
    sys(SYS_close, ends[0]);
    return gone ? 0 : -EOPNOTSUPP;
}

int ring_make_table(struct io_uring *uring) {
    static _Atomic bool tried;
    if (!(uring->features & REGISTERS_BY_INDEX))
        return -EOPNOTSUPP;
    int error = io_uring_register_files_sparse(uring, RING_FILES);
    if (error)
        return error == -EINVAL ? -EOPNOTSUPP : error; /* others are this process's limits */
    if (atomic_load_explicit(&tried, memory_order_relaxed))
        return 0;
    error = try_table(uring);
    atomic_store_explicit(&tried, error == 0, memory_order_relaxed);
    return error;
}

int ring_restrict(struct io_uring *uring, enum ring_use use) {
    enum { MOST = 8 };
    struct io_uring_restriction allowed[MOST] = {
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_RING_FDS},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_RING_FDS},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_BUFFERS},
    };
    static const struct {
        unsigned count;
        struct io_uring_restriction list[MOST - 3];
    } more[] = {
        [RING_TO_WRITE] = {5,
                           {{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE},
                            {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE_FIXED},
                            {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
                            {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
                             .sqe_flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK},
                            {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_FILES_UPDATE}}},
        [RING_TO_WRITE_AT_ONCE] = {3,
                                   {{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE},
                                    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE_FIXED},
                                    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP}}},
        [RING_TO_READ] = {2,
                          {{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ},
                           {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ_FIXED}}},
        [RING_TO_TURN] = {4,
                          {{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_RECV},
                           {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_SEND},
                           {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD},
                           {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP}}},
    };
    memcpy(allowed + 3, more[use].list, more[use].count * sizeof *allowed);
    return io_uring_register_restrictions(uring, allowed, 3 + more[use].count);
}

/* Everything between set-up and hiding: the ring's descriptor is open. */
static int ring_equip(struct ring *ring, const struct pollers *before, int (*host)(int ring_fd)) {
    struct io_uring *uring = &ring->uring;
    int error = io_uring_ring_dontfork(uring);
    if (!error && ring_has_table(ring))
        error = ring_make_table(uring);
    if (error)
        return error;
    error = ring->buffer_count ? io_uring_register_buffers(uring, ring->buffers, ring->buffer_count) : 0;
    ring->fixed_buffers = error == 0;
    if (error)
        stats_fallback("fixed_buffers", -error);
    if ((error = ring_restrict(uring, ring->use)) != 0 || (error = io_uring_enable_rings(uring)) != 0)
        return error;
    if (ring->polling & RING_POLL_QUEUE && !(ring->poller = pollers_made_since(before)))
        return -ESRCH;
    ring->guest = host(uring->ring_fd);
    return ring->guest < 0 ? ring->guest : 0;
}

/* Gives up the calling thread's number of a ring; where numbers don't do for that, by the descriptor of some ring. */
static void leave(const struct ring *ring, int index, int some_ring_fd) {
    struct io_uring_rsrc_update update = {.offset = (uint32_t)index};
    if (ring->uring.features & REGISTERS_BY_INDEX)
        register_op(index, IORING_UNREGISTER_RING_FDS, &update, 1);
    else if (some_ring_fd >= 0)
        sys(SYS_io_uring_register, some_ring_fd, IORING_UNREGISTER_RING_FDS, &update, 1);
}

int ring_create(struct ring **out, enum ring_use use, const struct iovec *buffers, unsigned count, unsigned polling,
                int (*host)(int ring_fd)) {
    struct ring *ring = arena_map(sizeof *ring, ARENA_DONTFORK);
    if (!ring)
        return -ENOMEM;
    struct pollers before = {.count = 0};
    if (polling & RING_POLL_QUEUE) {
        passing_begins();
        before = pollers_now();
        passing_ends();
    }
    passing_begins();
    int error = ring_set_up(&ring->uring, use == RING_TO_TURN ? RING_TURN_ENTRIES : RING_ENTRIES, polling);
    if (error) {
        passing_ends();
        arena_unmap(ring, sizeof *ring);
        return error;
    }
    error = io_uring_register_ring_fd(&ring->uring);
    if (error != 1) {
        io_uring_queue_exit(&ring->uring);
        passing_ends();
        arena_unmap(ring, sizeof *ring);
        return error < 0 ? error : -EINVAL;
    }
    ring->use = use;
    ring->polling = polling;
    ring->buffer_count = count;
    memcpy(ring->buffers, buffers, count * sizeof *buffers);
    error = ring_equip(ring, &before, host);
    long poller = 0;
    if (error && polling & RING_POLL_QUEUE) { /* nor may its thread live on */
        poller = ring->poller || error == -ESRCH ? ring->poller : pollers_made_since(&before);
        leave(ring, ring->uring.enter_ring_fd, ring->uring.ring_fd);
    }
    sys(SYS_close, ring->uring.ring_fd);
    passing_ends();
    if (error) {
        ring_abandon(ring);
        if (poller)
            pollers_await_end(poller);
        return error;
    }
    log_debug("ring made; registered as number", ring->uring.enter_ring_fd);
    *out = ring;
    return 0;
}

void ring_abandon(struct ring *ring) {
    struct io_uring_sq *sq = &ring->uring.sq;
    struct io_uring_cq *cq = &ring->uring.cq;
    register_op(ring->uring.enter_ring_fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
    sys(SYS_munmap, sq->sqes, *sq->kring_entries * sizeof *sq->sqes);
    sys(SYS_munmap, sq->ring_ptr, sq->ring_sz);
    if (cq->ring_ptr != sq->ring_ptr)
        sys(SYS_munmap, cq->ring_ptr, cq->ring_sz);
    arena_unmap(ring, sizeof *ring);
}

int ring_guest_register(int ring_fd) {
    struct io_uring_rsrc_update update = {.offset = -1U, .data = (uint64_t)ring_fd};
    long done = sys(SYS_io_uring_register, ring_fd, IORING_REGISTER_RING_FDS, &update, 1);
    return done == 1 ? (int)update.offset : done < 0 ? (int)done : -EINVAL;
}

int ring_bare(void) {
    struct io_uring_params params = {.flags = 0};
    return (int)sys(SYS_io_uring_setup, 1, &params);
}

static void leave_by_lent(const struct ring *ring, int index, int (*lend)(void)) {
    if (ring->uring.features & REGISTERS_BY_INDEX) {
        leave(ring, index, -1);
        return;
    }
    passing_begins();
    int lent = lend();
    leave(ring, index, lent);
    if (lent >= 0)
        sys(SYS_close, lent);
    passing_ends();
}

void ring_guest_leave(struct ring *ring) {
    leave_by_lent(ring, ring->guest, ring_bare);
}

void ring_end(struct ring *ring, int (*lend)(void)) {
    long poller = ring->poller;
    leave_by_lent(ring, ring->uring.enter_ring_fd, lend);
    ring_abandon(ring);
    pollers_await_end(poller);
}

bool ring_has_table(const struct ring *ring) {
    return ring->use == RING_TO_WRITE;
}

unsigned ring_polling(const struct ring *ring) {
    return ring->polling;
}

uint64_t ring_poller_us(struct ring *ring) {
    uint64_t before = ring->poller_us, now = pollers_used_us(ring->poller);
    ring->poller_us = now ? now : before;
    return ring->poller_us - before;
}

/* As the owner, or as the guest, whose index of the ring that is. */
static int file_update(int index, unsigned slot, int fd) {
    struct io_uring_files_update update = {.offset = slot, .fds = (uint64_t)(uintptr_t)&fd};
    int done = register_op(index, IORING_REGISTER_FILES_UPDATE, &update, 1);
    return done == 1 ? 0 : done < 0 ? done : -EINVAL;
}

int ring_file(struct ring *ring, uint64_t serial, int fd, uint64_t *evicted) {
    unsigned oldest = 0;
    *evicted = 0;
    if (!ring_has_table(ring))
        return fd;
    ring->clock++;
    for (unsigned i = 0; i < RING_FILES; i++) {
        if (ring->files[i].serial == serial) {
            ring->files[i].used = ring->clock;
            return (int)i;
        }
        if (ring->files[i].used < ring->files[oldest].used)
            oldest = i;
    }
    int error = file_update(ring->uring.enter_ring_fd, oldest, fd);
    if (error)
        return error;
    *evicted = ring->files[oldest].serial;
    ring->files[oldest].serial = serial;
    ring->files[oldest].used = ring->clock;
    return (int)oldest;
}

static void slot_empty(struct ring *ring, unsigned slot) {
    file_update(ring->guest, slot, -1);
    ring->files[slot].serial = 0;
    ring->files[slot].used = 0;
}

bool ring_has_file(const struct ring *ring, uint64_t serial) {
    for (unsigned i = 0; i < RING_FILES; i++)
        if (ring->files[i].serial == serial)
            return true;
    return false;
}

void ring_forget_file(struct ring *ring, uint64_t serial) {
    for (unsigned i = 0; i < RING_FILES; i++)
        if (ring->files[i].serial == serial)
            slot_empty(ring, i);
}

void ring_forget_all(struct ring *ring) {
    for (unsigned i = 0; i < RING_FILES; i++)
        if (ring->files[i].serial)
            slot_empty(ring, i);
}

bool ring_room(const struct ring *ring, unsigned count) {
    return io_uring_sq_space_left(&ring->uring) >= count;
}

static int fixed_index(const struct ring *ring, const void *buffer) {
    for (unsigned i = 0; ring->fixed_buffers && i < ring->buffer_count; i++) {
        const char *base = ring->buffers[i].iov_base;
        if (base <= (const char *)buffer && (const char *)buffer < base + ring->buffers[i].iov_len)
            return (int)i;
    }
    return -1;
}

void ring_prepare_write(struct ring *ring, int file, const void *buffer, uint32_t length, int64_t offset,
                        enum ring_how how, uint64_t tag) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    int index = fixed_index(ring, buffer);
    if (index >= 0)
        io_uring_prep_write_fixed(sqe, file, buffer, length, (uint64_t)offset, index);
    else
        io_uring_prep_write(sqe, file, buffer, length, (uint64_t)offset);
    sqe->flags |= (ring_has_table(ring) ? IOSQE_FIXED_FILE : 0) | (how == RING_LINKED ? IOSQE_IO_LINK : 0);
    sqe->rw_flags = how == RING_NOWAIT ? RWF_NOWAIT : 0;
    sqe->user_data = tag;
}

void ring_prepare_stream(struct ring *ring, int fd, const void *buffer, uint32_t length, bool signals, bool linked,
                         uint64_t tag) {
    ring_prepare_write(ring, fd, buffer, length, -1, linked ? RING_LINKED : RING_PLAIN, tag);
    struct io_uring_sqe *sqe = &ring->uring.sq.sqes[(ring->uring.sq.sqe_tail - 1) & *ring->uring.sq.kring_mask];
    sqe->flags &= (uint8_t)~IOSQE_FIXED_FILE;
    sqe->rw_flags = RWF_NOWAIT | (signals ? 0 : RWF_NOSIGNAL);
}

void ring_prepare_read(struct ring *ring, int fd, void *buffer, uint32_t length, int64_t offset, uint64_t tag) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    int index = fixed_index(ring, buffer);
    if (index >= 0)
        io_uring_prep_read_fixed(sqe, fd, buffer, length, (uint64_t)offset, index);
    else
        io_uring_prep_read(sqe, fd, buffer, length, (uint64_t)offset);
    sqe->rw_flags = RWF_NOWAIT;
    sqe->user_data = tag;
}

void ring_prepare_receive(struct ring *ring, int fd, void *buffer, uint32_t length, enum ring_receive how,
                          uint64_t tag) {
    static const int flags[] = {[RING_PEEK] = MSG_PEEK, [RING_RECEIVE] = 0, [RING_DISCARD] = MSG_TRUNC};
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    io_uring_prep_recv(sqe, fd, buffer, length, MSG_DONTWAIT | flags[how]);
    sqe->user_data = tag;
}

void ring_prepare_send(struct ring *ring, int fd, const void *buffer, uint32_t length, uint64_t tag) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    io_uring_prep_send(sqe, fd, buffer, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    sqe->user_data = tag;
}

void ring_prepare_poll(struct ring *ring, int fd, unsigned events, uint64_t tag) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    io_uring_prep_poll_add(sqe, fd, events);
    sqe->user_data = tag;
}

void ring_prepare_sync(struct ring *ring, int file, bool data_only, uint64_t tag) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    io_uring_prep_fsync(sqe, file, data_only ? IORING_FSYNC_DATASYNC : 0);
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = tag;
}

static long enter(int index, unsigned submit, unsigned wait) {
    unsigned flags = IORING_ENTER_REGISTERED_RING | (wait ? IORING_ENTER_GETEVENTS : 0);
    return sys(SYS_io_uring_enter, index, submit, wait, flags, NULL, 0);
}

/*
 * How many are new is counted here: the kernel's head may not show yet that it took the ones before, though these have
 * completed (io_submit_sqes in io_uring/io_uring.c stores it last of all).
 */
unsigned ring_publish(struct ring *ring) {
    struct io_uring_sq *sq = &ring->uring.sq;
    unsigned count = sq->sqe_tail - sq->sqe_head;
    sq->sqe_head = sq->sqe_tail;
    __atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
    return count;
}

/* Until the kernel has taken all of them: it may be short of memory for a moment, and nobody else will submit them. */
void ring_guest_submit(struct ring *ring, unsigned count) {
    long done;
    do {
        done = enter(ring->guest, count, 0);
        count -= done > 0 ? (unsigned)done : 0;
    } while (count && done != 0 && done != -EBADF && done != -EINVAL);
}

/* Publishes what was prepared, one by one, as long as it is handed over and hasn't failed then. How many were. */
static unsigned submit_each(struct ring *ring, bool (*hand_over)(struct ring *ring)) {
    struct io_uring_sq *sq = &ring->uring.sq;
    unsigned submitted = 0;
    int32_t result = 0;
    while (sq->sqe_head != sq->sqe_tail && result >= 0) {
        uint64_t tag = sq->sqes[sq->sqe_head & *sq->kring_mask].user_data;
        __atomic_store_n(sq->ktail, ++sq->sqe_head, __ATOMIC_RELEASE);
        if (!hand_over(ring)) { /* the kernel hasn't taken it, and must not find it later */
            __atomic_store_n(sq->ktail, --sq->sqe_head, __ATOMIC_RELEASE);
            break;
        }
        submitted++;
        if (!ring_completed(ring, tag, &result))
            result = 0;
    }
    return submitted;
}

static bool enter_one(struct ring *ring) {
    long done;
    do
        done = enter(ring->guest, 1, 0);
    while (done < 0 && done != -EBADF && done != -EINVAL);
    return done == 1;
}

unsigned ring_guest_submit_each(struct ring *ring) {
    return submit_each(ring, enter_one);
}

/* The kernel's thread looks at the queue once more between saying that it sleeps and doing so: hence the fence. */
static bool wake_poller(struct ring *ring) {
    struct io_uring *uring = &ring->uring;
    atomic_thread_fence(memory_order_seq_cst);
    if (!(__atomic_load_n(uring->sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP))
        return false;
    sys(SYS_io_uring_enter, uring->enter_ring_fd, 0, 0, IORING_ENTER_REGISTERED_RING | IORING_ENTER_SQ_WAKEUP, NULL, 0);
    return true;
}

bool ring_submit(struct ring *ring) {
    ring_publish(ring);
    return wake_poller(ring);
}

/* The head moves on when a request is under way, or has failed and completed (io_submit_sqes in io_uring/io_uring.c).
 */
static bool poller_takes(struct ring *ring) {
    struct io_uring_sq *sq = &ring->uring.sq;
    uint64_t began = ticks_now();
    wake_poller(ring);
    while (__atomic_load_n(sq->khead, __ATOMIC_ACQUIRE) != *sq->ktail) {
        if (ticks_now() - began < ticks_of_us(SPIN_US))
            relax();
        else if (!wake_poller(ring))
            sys(SYS_sched_yield);
    }
    return true;
}

unsigned ring_submit_each(struct ring *ring) {
    return submit_each(ring, poller_takes);
}

/*
 * It lets go of them as task work, which it does between completing them and taking the next request (io_sq_thread in
 * io_uring/sqpoll.c).
 */
void ring_let_go(struct ring *ring) {
    if (!(ring->polling & RING_POLL_QUEUE))
        return;
    io_uring_prep_nop(io_uring_get_sqe(&ring->uring));
    ring_submit_each(ring);
    for (ring_wait(ring, 1); io_uring_cq_ready(&ring->uring) == 0; ring_wait(ring, 1))
        ;
    ring_drain(ring);
}

void ring_drop(struct ring *ring) {
    ring->uring.sq.sqe_tail = ring->uring.sq.sqe_head;
}

bool ring_wait(struct ring *ring, unsigned wait) {
    uint64_t began = ticks_now();
    while (ring->polling & RING_POLL_QUEUE && ticks_now() - began < ticks_of_us(SPIN_US)) {
        if (io_uring_cq_ready(&ring->uring) >= wait)
            return false;
        relax();
    }
    enter(ring->uring.enter_ring_fd, 0, wait);
    return true;
}

/*
 * Then its thread may not have let go of the files yet. It says that there is room in the queue again only after the
 * completions are there (io_submit_sqes in io_uring/io_uring.c), and who prepares the next ones relies on it.
 */
static void complete_by_poller(struct ring *ring, unsigned count) {
    const struct io_uring_sq *sq = &ring->uring.sq;
    wake_poller(ring);
    while (io_uring_cq_ready(&ring->uring) < count)
        ring_wait(ring, count);
    while (__atomic_load_n(sq->khead, __ATOMIC_ACQUIRE) != sq->sqe_tail)
        sys(SYS_sched_yield);
}

/* What the kernel doesn't take it must not find later. */
void ring_complete(struct ring *ring) {
    struct io_uring_sq *sq = &ring->uring.sq;
    unsigned count = ring_publish(ring), left = count;
    if (ring->polling & RING_POLL_QUEUE) {
        complete_by_poller(ring, count);
        return;
    }
    while (io_uring_cq_ready(&ring->uring) < count) {
        long done = enter(ring->uring.enter_ring_fd, left, count);
        if (done > 0)
            left -= (unsigned)done;
        if (done >= 0 || done == -EINTR || done == -EAGAIN || done == -EBUSY)
            continue;
        sq->sqe_head -= left;
        sq->sqe_tail = sq->sqe_head;
        __atomic_store_n(sq->ktail, sq->sqe_head, __ATOMIC_RELEASE);
        count -= left;
        left = 0;
    }
}

bool ring_completed(const struct ring *ring, uint64_t tag, int32_t *result) {
    const struct io_uring_cq *cq = &ring->uring.cq;
    unsigned head = __atomic_load_n(cq->khead, __ATOMIC_RELAXED);
    unsigned tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
    for (; head != tail; head++) {
        const struct io_uring_cqe *cqe = &cq->cqes[head & *cq->kring_mask];
        if (cqe->user_data == tag) {
            *result = cqe->res;
            return true;
        }
    }
    return false;
}

bool ring_take(struct ring *ring, uint64_t *tag, int32_t *result) {
    struct io_uring_cqe *cqe;
    if (io_uring_cq_ready(&ring->uring) == 0 || io_uring_peek_cqe(&ring->uring, &cqe) != 0)
        return false;
    *tag = cqe->user_data;
    *result = cqe->res;
    io_uring_cqe_seen(&ring->uring, cqe);
    return true;
}

void ring_drain(struct ring *ring) {
    io_uring_cq_advance(&ring->uring, io_uring_cq_ready(&ring->uring));
}
