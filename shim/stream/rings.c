#include "stream/rings.h"

#include "base/config.h"
#include "base/sys.h"
#include "stream/flusher.h"

enum { ABANDONED_MAX = 8 }; /* rings, after which a thread does without */

static bool forbidden;
static _Atomic unsigned refused; /* kinds of polling that the kernel, or a device, doesn't grant */

void rings_forbid(void) {
    forbidden = true;
}

static bool polls(const struct ring *ring, unsigned kind) {
    return ring && ring_polling(ring) & kind;
}

static bool is_main_thread(void) {
    return sys(SYS_gettid) == sys(SYS_getpid);
}

static unsigned polling_wanted(bool direct) {
    unsigned wanted =
        (config.sqpoll && is_main_thread() ? RING_POLL_QUEUE : 0) | (config.iopoll && direct ? RING_POLL_DEVICE : 0);
    return wanted & ~atomic_load(&refused);
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

void rings_count_polling(struct thread *thread) {
    if (polls(thread->ring, RING_POLL_QUEUE))
        thread->stats->count[COUNT_POLLING_US] += ring_poller_us(thread->ring);
}

void rings_end_polling(struct thread *self) {
    if (!polls(self->ring, RING_POLL_QUEUE))
        return;
    rings_count_polling(self);
    ring_end(self->ring);
    self->ring = NULL;
}

/* The files in it are let go, and it isn't used again. */
static void leave(struct thread *self) {
    if (self->ring_generation == flusher_generation())
        flusher_forget_all(self->ring, true);
    rings_end_polling(self);
    if (self->ring)
        ring_abandon(self->ring);
    self->ring = NULL;
}

void rings_thread_ends(struct thread *self) {
    if (self->ring)
        leave(self);
}

/* Not when its guest has gone, or a device refuses what it was made for. */
static bool of_use(const struct thread *self) {
    return self->ring_generation == flusher_generation() &&
           !(polls(self->ring, RING_POLL_DEVICE) && atomic_load(&refused) & RING_POLL_DEVICE);
}

struct ring *rings_get(struct thread *self, struct wb_log *log, bool direct) {
    if (self->ring && !of_use(self)) {
        leave(self);
        self->no_ring = ++self->abandoned_rings == ABANDONED_MAX;
    }
    if (self->ring)
        return direct || !polls(self->ring, RING_POLL_DEVICE) ? self->ring : NULL;
    if (self->no_ring || forbidden)
        return NULL;
    struct iovec buffers[2] = {{log->piece[0].data, WB_PIECE_MAX}, {log->piece[1].data, WB_PIECE_MAX}};
    unsigned polling;
    int error;
    do {
        polling = polling_wanted(direct);
        error = ring_create(&self->ring, buffers, 2, polling, flusher_host_ring);
        if (error && polling)
            refuse(polling & RING_POLL_DEVICE ? RING_POLL_DEVICE : RING_POLL_QUEUE, -error);
    } while (error && polling);
    if (error) {
        stats_fallback("ring", -error);
        self->no_ring = true;
        return NULL;
    }
    self->ring_generation = flusher_generation();
    self->stats->count[COUNT_RINGS]++;
    return self->ring;
}
