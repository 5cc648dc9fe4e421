#include "common/rings.h"

#include <errno.h>

#include "base/config.h"
#include "base/sys.h"
#include "common/flusher.h"

enum { ABANDONED_MAX = 8 }; /* rings, after which a thread does without */

static _Atomic bool forbidden;
static _Atomic unsigned refused;   /* kinds of polling that the kernel, or a device, doesn't grant */
static _Atomic bool without_table; /* the kernel has no use for registered files */

void rings_forbid(void) {
    atomic_store(&forbidden, true);
}

static bool polls(const struct ring *ring, unsigned kind) {
    return ring && ring_polling(ring) & kind;
}

static bool is_main_thread(void) {
    return sys(SYS_gettid) == sys(SYS_getpid);
}

static unsigned queue_polling_wanted(void) {
    return config.sqpoll && is_main_thread() ? RING_POLL_QUEUE & ~atomic_load(&refused) : 0;
}

static unsigned polling_wanted(bool direct) {
    return queue_polling_wanted() | (config.iopoll && direct ? RING_POLL_DEVICE & ~atomic_load(&refused) : 0);
}

static void refuse(unsigned kind, int error) {
    if (atomic_fetch_or(&refused, kind) & kind)
        return;
    stats_fallback(kind == RING_POLL_DEVICE ? "iopoll" : "sqpoll", error);
}

void rings_forbid_queue_polling(void) {
    atomic_fetch_or(&refused, RING_POLL_QUEUE);
}

bool rings_refused_device_polling(struct ring *ring, int error) {
    if (!polls(ring, RING_POLL_DEVICE))
        return false;
    refuse(RING_POLL_DEVICE, error);
    return true;
}

static void count_polling(struct thread *thread, struct ring *ring) {
    if (polls(ring, RING_POLL_QUEUE))
        thread->stats->count[COUNT_POLLING_US] += ring_poller_us(ring);
}

void rings_count_polling(struct thread *thread) {
    count_polling(thread, thread->writing.ring);
}

void rings_count_turner(struct thread *thread) {
    count_polling(thread, thread->turning.ring);
}

static void end_polling(struct thread *self, struct thread_ring *ended) {
    if (!polls(ended->ring, RING_POLL_QUEUE))
        return;
    count_polling(self, ended->ring);
    ring_end(ended->ring, flusher_bare_ring);
    ended->ring = NULL;
}

void rings_end_polling(struct thread *self) {
    end_polling(self, &self->writing);
}

/* The files in it are let go, and it isn't used again. */
static void leave(struct thread *self, struct thread_ring *left) {
    if (left->generation == flusher_generation())
        flusher_forget_all(left->ring, true);
    end_polling(self, left);
    if (left->ring)
        ring_abandon(left->ring);
    left->ring = NULL;
}

static void give_up(struct thread *self, struct thread_ring *left) {
    leave(self, left);
    left->refused = ++left->abandoned == ABANDONED_MAX;
}

void rings_thread_ends(struct thread *self) {
    if (self->writing.ring)
        leave(self, &self->writing);
}

void rings_reader_ends(struct thread *self) {
    if (self->reading.ring)
        leave(self, &self->reading);
}

void rings_turner_ends(struct thread *self) {
    if (self->turning.ring)
        leave(self, &self->turning);
}

/* Not when its guest has gone, or a device refuses what it was made for. */
static bool of_use(const struct thread_ring *kept) {
    return kept->generation == flusher_generation() &&
           !(polls(kept->ring, RING_POLL_DEVICE) && atomic_load(&refused) & RING_POLL_DEVICE);
}

/* It would say the same to every thread: that it is too old, made without rings, or told not to grant any. */
static bool is_final(int error) {
    return error == -EINVAL || error == -ENOSYS || error == -EPERM;
}

/* What came of ring_create. */
static struct ring *made(struct thread *self, struct thread_ring *ring, int error) {
    if (error) {
        stats_fallback("ring", -error);
        ring->refused = true;
        if (is_final(error))
            rings_forbid();
        return NULL;
    }
    ring->generation = flusher_generation();
    self->stats->count[COUNT_RINGS]++;
    return ring->ring;
}

/* May a ring that is there, or would be made now, be used for that? */
static bool suits(const struct ring *ring, bool direct) {
    bool any = ring ? ring_has_table(ring) && !polls(ring, RING_POLL_DEVICE) : !atomic_load(&without_table);
    return direct || any;
}

struct ring *rings_get(struct thread *self, const struct iovec *buffers, unsigned count, bool direct) {
    struct thread_ring *writing = &self->writing;
    if (writing->ring && !of_use(writing))
        give_up(self, writing);
    if (writing->ring)
        return suits(writing->ring, direct) ? writing->ring : NULL;
    bool again = true;
    int error = 0;
    while (again) {
        if (writing->refused || atomic_load(&forbidden) || !suits(NULL, direct))
            return NULL;
        unsigned polling = polling_wanted(direct);
        enum ring_use use = atomic_load(&without_table) ? RING_TO_WRITE_AT_ONCE : RING_TO_WRITE;
        error = ring_create(&writing->ring, use, buffers, count, polling, flusher_host_ring);
        if (error == -EOPNOTSUPP && use == RING_TO_WRITE) {
            atomic_store(&without_table, true);
            stats_fallback("registered_files", -error);
        } else if (error && polling) {
            refuse(polling & RING_POLL_DEVICE ? RING_POLL_DEVICE : RING_POLL_QUEUE, -error);
        } else {
            again = false;
        }
    }
    return made(self, writing, error);
}

struct ring *rings_get_reader(struct thread *self, void *memory, size_t bytes) {
    struct thread_ring *reading = &self->reading;
    if (reading->ring && !of_use(reading))
        give_up(self, reading);
    if (reading->ring || reading->refused || atomic_load(&forbidden))
        return reading->ring;
    struct iovec buffer = {memory, bytes};
    return made(self, reading, ring_create(&reading->ring, RING_TO_READ, &buffer, 1, 0, flusher_host_ring));
}

struct ring *rings_get_turner(struct thread *self) {
    struct thread_ring *turning = &self->turning;
    if (turning->ring && !of_use(turning))
        give_up(self, turning);
    if (turning->ring || turning->refused || atomic_load(&forbidden))
        return turning->ring;
    unsigned polling = queue_polling_wanted();
    int error = ring_create(&turning->ring, RING_TO_TURN, NULL, 0, polling, flusher_host_ring);
    if (error && polling) {
        refuse(RING_POLL_QUEUE, -error);
        error = ring_create(&turning->ring, RING_TO_TURN, NULL, 0, 0, flusher_host_ring);
    }
    return made(self, turning, error);
}
