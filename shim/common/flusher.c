#include "common/flusher.h"

#include <errno.h>
#include <string.h>

#include "base/helper.h"
#include "base/log.h"
#include "ring/ring.h"

enum {
    IDLE_TICKS = 4, /* ticks without anything pending after which it sleeps until it is noticed */
    RETRY_US = 50,  /* a log was busy */
};

enum request_kind { NOTHING, HOST_RING, BARE_RING, FORGET_FILE, FORGET_ALL, SUBMIT, SUBMIT_EACH, PASS, STOP };

static struct {
    struct helper helper;
    const struct flusher_work *work;
    uint64_t tick_us;
    _Atomic uint32_t bell; /* rung to wake it */
    _Atomic uint32_t asleep;
    struct mutex asking; /* one request at a time */
    _Atomic uint32_t request;
    uint32_t generation;
    int ring_fd, answer;
    struct ring *ring;
    uint64_t serial;
    unsigned count;
    bool leave;
} flusher FORKED;

static void ring_bell(void) {
    atomic_fetch_add(&flusher.bell, 1);
    futex_wake_all(&flusher.bell);
}

/* False: it is to end. */
static bool serve(void) {
    uint32_t request = atomic_load(&flusher.request);
    switch (request) {
    case NOTHING:
        return true;
    case HOST_RING:
        flusher.answer = ring_guest_register(flusher.ring_fd);
        break;
    case BARE_RING:
        flusher.answer = ring_bare();
        break;
    case FORGET_FILE:
        ring_forget_file(flusher.ring, flusher.serial);
        break;
    case FORGET_ALL:
        ring_forget_all(flusher.ring);
        if (flusher.leave)
            ring_guest_leave(flusher.ring);
        break;
    case SUBMIT:
        ring_guest_submit(flusher.ring, flusher.count);
        break;
    case SUBMIT_EACH:
        flusher.answer = (int)ring_guest_submit_each(flusher.ring);
        break;
    case PASS:
    case STOP:
        break;
    }
    atomic_store(&flusher.request, NOTHING);
    futex_wake_all(&flusher.request);
    return request != STOP;
}

static void sleep_until_noticed(void) {
    flusher.work->idle(&flusher.helper.thread);
    uint32_t bell = atomic_load(&flusher.bell);
    atomic_store(&flusher.asleep, 1);
    atomic_thread_fence(memory_order_seq_cst); /* who makes something pending looks whether we sleep after that */
    if (!flusher.work->pending() && atomic_load(&flusher.request) == NOTHING)
        futex_wait(&flusher.bell, bell, 0);
    atomic_store(&flusher.asleep, 0);
}

static int run(void *unused) {
    (void)unused;
    unsigned idle = 0;
    while (serve()) {
        uint32_t bell = atomic_load(&flusher.bell);
        bool done = flusher.work->perform_stale(&flusher.helper.thread);
        idle = flusher.work->pending() ? 0 : idle + 1;
        if (idle > IDLE_TICKS)
            sleep_until_noticed();
        else if (atomic_load(&flusher.request) == NOTHING)
            futex_wait(&flusher.bell, bell, done ? flusher.tick_us : RETRY_US);
    }
    return 0;
}

int flusher_start(const struct flusher_work *work, uint64_t tick_us) {
    if (flusher_running())
        return 0;
    atomic_store(&flusher.request, NOTHING);
    flusher.work = work;
    flusher.tick_us = tick_us;
    flusher.generation++;
    return helper_start(&flusher.helper, run);
}

uint32_t flusher_id(void) {
    return atomic_load_explicit(&flusher.helper.alive, memory_order_relaxed);
}

bool flusher_running(void) {
    return flusher_id() != 0;
}

static void await_answer(void) {
    uint32_t request;
    while ((request = atomic_load(&flusher.request)) != NOTHING)
        futex_wait(&flusher.request, request, 0);
}

static void ask(enum request_kind kind) {
    atomic_store(&flusher.request, kind);
    ring_bell();
    await_answer();
}

void flusher_stop(void) {
    mutex_lock(&flusher.asking);
    if (flusher_running()) {
        await_answer();
        ask(STOP);
    }
    helper_await(&flusher.helper);
    mutex_unlock(&flusher.asking);
}

void flusher_notice(void) {
    if (unlikely(atomic_load(&flusher.asleep)))
        ring_bell();
}

static int ask_for_answer(enum request_kind kind, int ring_fd) {
    if (!flusher_running())
        return -ESRCH;
    mutex_lock(&flusher.asking);
    await_answer();
    flusher.ring_fd = ring_fd;
    ask(kind);
    int answer = flusher.answer;
    mutex_unlock(&flusher.asking);
    return answer;
}

int flusher_host_ring(int ring_fd) {
    return ask_for_answer(HOST_RING, ring_fd);
}

int flusher_bare_ring(void) {
    int made = ask_for_answer(BARE_RING, -1);
    return made == -ESRCH ? ring_bare() : made;
}

/* The last argument is a file's serial number, or whether to leave. */
static void ask_to_forget(enum request_kind kind, struct ring *ring, uint64_t serial) {
    mutex_lock(&flusher.asking);
    await_answer();
    flusher.ring = ring;
    flusher.serial = serial;
    flusher.leave = serial != 0;
    if (flusher_running())
        ask(kind);
    mutex_unlock(&flusher.asking);
}

void flusher_forget_file(struct ring *ring, uint64_t serial) {
    ask_to_forget(FORGET_FILE, ring, serial);
}

void flusher_forget_all(struct ring *ring, bool leave) {
    ask_to_forget(FORGET_ALL, ring, leave);
}

void flusher_catch_up(void) {
    if (atomic_load(&flusher.request) == SUBMIT)
        serve();
}

static void submit(struct ring *ring) {
    flusher.ring = ring;
    flusher.count = ring_publish(ring);
    atomic_store(&flusher.request, SUBMIT);
    ring_bell();
}

void flusher_submit(struct ring *ring) {
    mutex_lock(&flusher.asking);
    await_answer(); /* the last submission's, which nobody waited for */
    submit(ring);
    mutex_unlock(&flusher.asking);
}

bool flusher_try_submit(struct ring *ring, uint32_t generation) {
    if (!mutex_trylock(&flusher.asking))
        return false;
    bool idle = flusher_running() && flusher.generation == generation && atomic_load(&flusher.request) == NOTHING;
    if (idle)
        submit(ring);
    mutex_unlock(&flusher.asking);
    return idle;
}

void flusher_pass(void) {
    mutex_lock(&flusher.asking);
    await_answer();
    if (flusher_running())
        ask(PASS);
    mutex_unlock(&flusher.asking);
}

unsigned flusher_submit_each(struct ring *ring) {
    mutex_lock(&flusher.asking);
    await_answer();
    flusher.ring = ring;
    flusher.answer = 0;
    if (flusher_running())
        ask(SUBMIT_EACH);
    unsigned submitted = (unsigned)flusher.answer;
    mutex_unlock(&flusher.asking);
    return submitted;
}

uint32_t flusher_generation(void) {
    return flusher.generation;
}

void flusher_forked(void) {
    memset(&flusher, 0, sizeof flusher);
}
