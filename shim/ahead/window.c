#include "ahead/window.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ahead/flight.h"
#include "base/arena.h"
#include "base/trace.h"
#include "files/shared_memory.h"

struct window window = {.fd = -1};

_Atomic uint32_t window_call_max = WINDOW_CALL_MAX;

static bool biased; /* membarrier works */
static _Atomic bool forbidden;

/* What speaks against deferring but not against reading ahead. */
#define WRITES_ONLY                                                                                                    \
    (1ull << REASON_batch_off | 1ull << REASON_size_limit | 1ull << REASON_real_time | 1ull << REASON_no_flusher |     \
     1ull << REASON_credentials)

bool window_hindered(void) {
    return (atomic_load(&wb_hindrances) & ~WRITES_ONLY) != 0 || atomic_load(&forbidden);
}

void window_measure_calls(void) {
    static _Atomic bool measured;
    if (atomic_load_explicit(&measured, memory_order_relaxed) || atomic_exchange(&measured, true))
        return;
    uint64_t us = ticks_of_us(1), most = us ? ticks_a_call(SYS_getppid) * WINDOW_CALL_A_US / us : 0;
    most = most < WINDOW_CALL_MIN ? WINDOW_CALL_MIN : most < WINDOW_CALL_MAX ? most : WINDOW_CALL_MAX;
    atomic_store_explicit(&window_call_max, (uint32_t)most, memory_order_relaxed);
}

/* The kernel's file position is what the program's is. The number might have been reused by a way that we don't see. */
static void put_position_right(struct window *w) {
    struct stat st;
    int fd = atomic_load_explicit(&w->fd, memory_order_relaxed);
    if (w->at_position && w->moved && sys(SYS_fstat, fd, &st) == 0 && st.st_ino == w->ofd->inode->number &&
        st.st_dev == w->ofd->inode->device)
        sys(SYS_lseek, fd, w->position, SEEK_SET);
    w->moved = false;
}

static void wasted(struct thread *self, struct ofd *ofd) {
    ofd->reading.wasted++;
    self->stats->count[COUNT_WINDOWS_WASTED]++;
}

/* The bytes won't be used any more: was it worth fetching them? Counted, and the next window made after that. */
static void let_go(struct thread *self, struct window *w, enum window_end cause) {
    struct ofd *ofd = w->ofd;
    int64_t fetched = w->end - w->start;
    if (w->served == 0)
        return;
    bool used = w->served_bytes * 2 >= (uint64_t)fetched;
    if (w->served >= WINDOW_PAID)
        ofd->reading.paid++;
    else
        wasted(self, ofd);
    if (w->served >= WINDOW_PAID && used && ofd->window < WINDOW_MAX)
        ofd->window *= 2;
    else if (!used && ofd->window > WINDOW_MIN)
        ofd->window /= 2;
    self->stats->ended[used ? WINDOW_USED : cause]++;
    trace_window_end(stats_end(used ? WINDOW_USED : cause), w->served);
    self->stats->count[COUNT_READS] += w->served;
    self->stats->count[COUNT_READ_BYTES] += w->served_bytes;
    self->stats->count[COUNT_SEEKS] += w->seeks;
    w->served = 0;
    w->served_bytes = w->seeks = 0;
}

static void shut(struct thread *self, struct window *w, enum window_end cause) {
    put_position_right(w);
    let_go(self, w, cause);
    atomic_store_explicit(&w->fd, -1, memory_order_relaxed);
    atomic_store_explicit(&window_inode, NULL, memory_order_relaxed);
    atomic_fetch_and(&wb_pending, ~(uint32_t)WB_WINDOW);
    files_release(w->ofd);
    w->ofd = NULL;
}

static bool is_open(const struct window *w) {
    return w->ofd != NULL;
}

/* The OFD of the number, with a reference, if it may be read ahead in this way; else NULL. */
static struct ofd *readable(int fd, struct fd_slot *slot, bool at_position) {
    mutex_lock(&files_lock);
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_relaxed);
    if (ofd && files_verify(fd, slot) && (!ofd->direct || files_is_private(ofd)) &&
        ofd->ahead >= (at_position ? AHEAD_AT_POSITION : AHEAD_AT_OFFSET) && !ofd->inode->mapped) {
        atomic_fetch_add_explicit(&ofd->references, 1, memory_order_relaxed);
        files_check_headroom(fd, ofd->inode->file_system, 0);
        atomic_store(&window_opening, file_systems_mark());
    } else {
        ofd = NULL;
    }
    mutex_unlock(&files_lock);
    return ofd;
}

static bool open_window(struct window *w, int fd, struct fd_slot *slot, bool at_position) {
    if (!w->data)
        w->data = w->memory = arena_map((size_t)(FLIGHT_BUFFERS + 1) * WINDOW_MAX, ARENA_DONTFORK);
    struct ofd *ofd = w->data ? readable(fd, slot, at_position) : NULL;
    if (!ofd)
        return false;
    int64_t position = at_position ? sys(SYS_lseek, fd, 0, SEEK_CUR) : 0;
    if (position < 0) {
        files_release(ofd);
        return false;
    }
    w->ofd = ofd;
    w->direct = ofd->direct;
    w->at_position = at_position;
    w->moved = false;
    w->position = position;
    atomic_store(&window_inode, ofd->inode);
    atomic_store_explicit(&w->fd, fd, memory_order_relaxed);
    atomic_fetch_or(&wb_pending, WB_WINDOW);
    return true;
}

/* Has another process got memory that only this one had? It may tell the program by that what would be stale here. */
static bool overheard(void) {
    if (!shared_memory_joined())
        return false;
    wb_hinder(REASON_shared_memory);
    return true;
}

/* May the open window be filled? Looked at after it was announced: who forbids it, or writes, looks for it after that.
 */
static bool allowed(const struct window *w) {
    return !window_hindered() && atomic_load(&w->ofd->inode->pending) == 0 &&
           (!w->at_position || files_position_is_ours(w->ofd)) && !overheard();
}

/* The size of the next fill: grows while all of it is used. */
static uint32_t fill_size(struct ofd *ofd, size_t n) {
    enum { CALLS = 4 };
    if (!ofd->window)
        ofd->window = WINDOW_MIN;
    while (ofd->window < CALLS * n && ofd->window < WINDOW_MAX)
        ofd->window *= 2;
    return ofd->window;
}

static struct fetch planned(const struct window *w, size_t n, int64_t offset, int direction) {
    struct fetch fetch = {
        .ofd = w->ofd,
        .fd = atomic_load_explicit(&w->fd, memory_order_relaxed),
        .at = w->at_position ? w->position : offset,
        .n = n,
        .direction = direction,
        .size = fill_size(w->ofd, n),
        .epoch = atomic_load(&window_epoch),
        .writes = atomic_load(&window_writes),
        .expires = ticks_now() + ticks_of_us(WINDOW_AGE_US),
        .run = w->run,
    };
    int64_t end = fetch.at + (int64_t)n;
    fetch.from = direction > 0 ? fetch.at : end > fetch.size ? end - fetch.size : 0;
    if (direction < 0)
        fetch.size = end - fetch.from;
    return fetch;
}

/* `got` bytes have come: answers the read with them, and keeps the rest for the next ones. */
static ssize_t install(struct thread *self, struct window *w, const struct fetch *fetch, int64_t got, void *bytes) {
    int64_t there = fetch->from + got - fetch->at;
    size_t answered = there <= 0 ? 0 : there < (int64_t)fetch->n ? (size_t)there : fetch->n;
    if (answered == 0) /* the kernel's to say: it judges the buffer's address even if there is nothing to copy */
        return WINDOW_MISS;
    self->stats->count[COUNT_WINDOWS]++;
    self->stats->count[COUNT_WINDOW_BYTES] += (uint64_t)got;
    trace_window_fill(atomic_load_explicit(&w->fd, memory_order_relaxed), fetch->from, got);
    w->start = fetch->from;
    w->end = fetch->from + got;
    atomic_store_explicit(&w->last, fetch->at, memory_order_relaxed);
    w->direction = fetch->direction;
    w->epoch = fetch->epoch;
    w->writes = fetch->writes;
    atomic_store_explicit(&w->expires, fetch->expires, memory_order_relaxed);
    if (!copy_in(bytes, w->data + (fetch->at - fetch->from), answered))
        return WINDOW_MISS;
    w->served = 1;
    w->served_bytes = answered;
    if (w->at_position) {
        w->position += (int64_t)answered;
        w->moved = true;
    }
    return (ssize_t)answered;
}

/*
 * Does who reads this way find nothing older than what he has read before, were the file changed while it is copied?
 * The kernel copies from the front to the back, and x86-64 loads in that order. Others load in any.
 */
static bool copied_in_order(int direction) {
#if defined(__x86_64__)
    return direction > 0;
#else
    (void)direction;
    return false;
#endif
}

/*
 * The bytes that are wanted. If they weren't copied in the order in which they will be read, all of it is fetched again
 * and must be the same, for then each byte is one that was there after all others.
 */
static int64_t fetched(const struct window *w, const struct fetch *fetch) {
    char *again = w->memory + (size_t)FLIGHT_BUFFERS * WINDOW_MAX;
    int64_t got = sys(SYS_pread64, fetch->fd, w->data, fetch->size, fetch->from);
    if (copied_in_order(fetch->direction))
        return got;
    atomic_thread_fence(memory_order_seq_cst); /* nothing is loaded again before all was loaded once */
    if (got > 0 && (sys(SYS_pread64, fetch->fd, again, fetch->size, fetch->from) != got ||
                    memcmp(again, w->data, (size_t)got) != 0))
        return -EAGAIN;
    return got;
}

static int64_t fetched_directly(struct thread *self, struct window *w, struct fetch *fetch) {
    char *data = w->data;
    int64_t got = flight_fetch(self, &data, fetch);
    w->data = data;
    return got;
}

/*
 * One call answers this read and, perhaps, the next ones. It may take as long as a disk does, so the lock is given up
 * meanwhile: who needs the window closed closes it, and nobody else fetches.
 */
static ssize_t fetch_unlocked(struct thread *self, struct window *w, struct fd_slot *slot, void *bytes, size_t n,
                              int64_t offset, int direction) {
    struct fetch fetch = planned(w, n, offset, direction);
    if (!allowed(w) || window_odd(w, bytes, n, fetch.at))
        return WINDOW_MISS;
    w->fetching = true;
    w->start = w->end = fetch.at; /* nothing can be served */
    biased_unlock(&w->lock);
    atomic_thread_fence(memory_order_seq_cst); /* the kernel's loads come after the window has been announced */
    int64_t got = w->direct ? fetched_directly(self, w, &fetch) : fetched(w, &fetch);
    biased_lock(&w->lock, &self->holder);
    w->fetching = false;
    /* If it was closed, the kernel's position is that of before this read. So may the number have been. */
    if (w->ofd != fetch.ofd || atomic_load(&slot->ofd) != fetch.ofd)
        return WINDOW_MISS;
    if (w->direct && !window_hindered())
        flight_goes_on(self, w->memory, &fetch);
    if (got == -EAGAIN)
        wasted(self, w->ofd);
    return got < 0 ? WINDOW_MISS : install(self, w, &fetch, got, bytes);
}

/* Does a read at this place go on where the window ended, and has nothing been learned since it was fetched? */
static bool goes_on(const struct window *w, int64_t offset, int direction) {
    return direction > 0 && (w->at_position ? w->position : offset) == w->end && w->epoch == atomic_load(&window_epoch);
}

/* Why the open window can't serve what its reader wants next. */
static enum window_end why_not(const struct window *w) {
    if (w->writes != atomic_load(&window_writes))
        return WINDOW_WRITE;
    if (w->epoch != atomic_load(&window_epoch))
        return WINDOW_INPUT;
    return window_expired(w) ? WINDOW_OLD : WINDOW_ELSEWHERE;
}

static ssize_t serve_or_fetch(struct thread *self, struct window *w, int fd, struct fd_slot *slot, void *bytes,
                              size_t n, int64_t offset, int direction) {
    bool at_position = offset == WINDOW_AT_POSITION;
    if (window_serve(w, fd, bytes, n, offset))
        return (ssize_t)n;
    if (w->fetching)
        return WINDOW_MISS;
    bool same = is_open(w) && w->fd == fd && w->ofd == atomic_load(&slot->ofd) && w->at_position == at_position;
    w->run = same && goes_on(w, offset, direction) ? w->run + 1 : 0;
    if (same)
        let_go(self, w, why_not(w));
    else if (is_open(w))
        shut(self, w, WINDOW_INPUT);
    if (!same && !open_window(w, fd, slot, at_position))
        return WINDOW_MISS;
    ssize_t got = fetch_unlocked(self, w, slot, bytes, n, offset, direction);
    if (got == WINDOW_MISS && is_open(w))
        shut(self, w, WINDOW_INPUT);
    return got;
}

ssize_t window_fill(struct thread *self, int fd, struct fd_slot *slot, void *bytes, size_t n, int64_t offset,
                    int direction) {
    critical_enter();
    biased_lock(&window.lock, &self->holder);
    if (biased)
        bias_learn(&window.lock, &self->holder);
    ssize_t got = serve_or_fetch(self, &window, fd, slot, bytes, n, offset, direction);
    biased_unlock(&window.lock);
    critical_leave();
    return got;
}

static int64_t seek(struct window *w, int fd, int64_t offset, int whence) {
    int64_t target = offset;
    if (!is_open(w) || w->fd != fd || !w->at_position || (whence != SEEK_SET && whence != SEEK_CUR) ||
        (whence == SEEK_CUR && __builtin_add_overflow(w->position, offset, &target)) || target < w->start ||
        target > w->end)
        return WINDOW_MISS;
    w->moved |= target != w->position;
    w->position = target;
    w->seeks++;
    return target;
}

int64_t window_seek(struct thread *self, int fd, int64_t offset, int whence) {
    int64_t position;
    if (atomic_load_explicit(&window.fd, memory_order_relaxed) != fd || !thread_free(self))
        return WINDOW_MISS;
    if (window_enter(self, fd)) {
        position = seek(&window, fd, offset, whence);
        bias_leave(&self->holder);
        return position;
    }
    critical_enter();
    biased_lock(&window.lock, &self->holder);
    position = seek(&window, fd, offset, whence);
    biased_unlock(&window.lock);
    critical_leave();
    return position;
}

void window_drain(struct thread *self, const char *call) {
    if (!window.data || !thread_free(self))
        return;
    critical_enter();
    biased_lock(&window.lock, &self->holder);
    if (is_open(&window)) {
        shut(self, &window, WINDOW_INPUT);
        stats_window_closed(call);
    }
    biased_unlock(&window.lock);
    critical_leave();
}

void window_close(struct thread *self, const char *call) {
    if (unlikely(window_exists()))
        window_drain(self, call);
}

void window_forbid(void) {
    atomic_store(&forbidden, true);
}

void window_start(void) {
    biased = bias_available();
}

/* Gives up the lock, in exchange for nobody fetching until `fetching` is given back. */
static void seize(struct thread *self, struct window *w) {
    struct timespec pause = {0, 20000};
    while (w->fetching) {
        biased_unlock(&w->lock);
        sys(SYS_nanosleep, &pause, NULL);
        biased_lock(&w->lock, &self->holder);
    }
    w->fetching = true;
    biased_unlock(&w->lock);
}

static void give_back(struct thread *self, struct window *w) {
    biased_lock(&w->lock, &self->holder);
    w->fetching = false;
}

void window_settle(struct thread *self, struct ofd *ofd) {
    if (likely(ofd ? !ofd->flown : !window.data) || !thread_free(self))
        return;
    critical_enter();
    biased_lock(&window.lock, &self->holder);
    seize(self, &window);
    flight_settle(ofd);
    give_back(self, &window);
    biased_unlock(&window.lock);
    critical_leave();
}

void window_thread_ends(struct thread *self) {
    bool owner = atomic_load_explicit(&window.lock.owner, memory_order_relaxed) == &self->holder;
    if (!owner && !self->reading.ring)
        return;
    critical_enter();
    biased_lock(&window.lock, &self->holder);
    if (self->reading.ring) {
        seize(self, &window);
        flight_thread_ends(self);
        give_back(self, &window);
    }
    bias_drop(&window.lock, &self->holder);
    biased_unlock(&window.lock);
    critical_leave();
}

void window_stop(struct thread *self) {
    biased_lock(&window.lock, &self->holder);
    if (is_open(&window))
        shut(self, &window, WINDOW_INPUT);
    seize(self, &window);
    flight_settle(NULL);
    give_back(self, &window);
    atomic_store_explicit(&window.lock.owner, NULL, memory_order_relaxed);
    biased_unlock(&window.lock);
}

void window_fork_prepare(struct thread *self) {
    biased_lock(&window.lock, &self->holder);
    if (is_open(&window))
        shut(self, &window, WINDOW_INPUT);
}

void window_fork_done(bool child) {
    biased_unlock(&window.lock);
    if (child) {
        window.data = window.memory = NULL; /* which didn't come along, nor did who was fetching */
        window.fetching = false;
        flight_forked();
        atomic_store_explicit(&window.lock.owner, NULL, memory_order_relaxed);
    }
}
