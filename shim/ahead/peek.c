#include "ahead/peek.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ahead/window.h"
#include "base/arena.h"
#include "base/passing.h"
#include "base/single.h"
#include "base/trace.h"
#include "common/flusher.h"
#include "files/readers.h"
#include "files/shared_memory.h"

struct peeks peeks = {.fd = -1};

static bool biased;       /* membarrier works */
static char *scratch;     /* where what is settled goes */
static char *look_memory; /* of the process's one thread */

static struct peek *peek_of(const struct ofd *ofd) {
    for (int i = 0; i < PEEKS; i++)
        if (peeks.one[i].ofd && peeks.one[i].ofd->inode == ofd->inode)
            return &peeks.one[i];
    return NULL;
}

static void make_current(struct peek *peek) {
    peeks.current = peek;
    atomic_store_explicit(&peeks.fd, peek ? peek->fd : -1, memory_order_relaxed);
}

static bool gains(const struct peek *peek) {
    return peek->calls > PEEK_COSTS + PEEK_SETTLE * peek->settles;
}

/* What it held is of no use any more: was it worth it? */
static void judge(struct peek *peek) {
    struct habit *habit = &peek->ofd->reading;
    peek->ofd->served += peek->calls;
    if (gains(peek))
        habit->paid++;
    else
        habit->wasted++;
    peek->calls = peek->settled_calls = peek->settles = 0;
}

/*
 * Never waits: should somebody else have read it all the same, there is less. And the number might have been reused by
 * a way that we don't see.
 */
static void take(const struct peek *peek, uint32_t bytes) {
    struct stat st;
    if (sys(SYS_fstat, peek->fd, &st) != 0 || st.st_ino != peek->ofd->inode->number ||
        st.st_dev != peek->ofd->inode->device)
        return;
    if (!stream_is_pipe(peek->ofd->stream))
        sys(SYS_recvfrom, peek->fd, scratch, bytes, MSG_DONTWAIT, NULL, NULL);
    else if (stream_used(peek->fd) >= (int)bytes)
        sys(SYS_read, peek->fd, scratch, bytes);
}

static void settle(struct thread *self, struct peek *peek) {
    uint32_t bytes = peek->at - peek->settled;
    if (!peek->ofd || !bytes)
        return;
    take(peek, bytes);
    peek->settled = peek->at;
    peek->settles++;
    uint32_t calls = peek->calls - peek->settled_calls;
    peek->settled_calls = peek->calls;
    self->stats->count[COUNT_PEEK_READS] += calls;
    self->stats->count[COUNT_PEEK_BYTES] += bytes;
    self->stats->count[COUNT_PEEKS_SETTLED]++;
    trace_peek_settle(peek->fd, calls, bytes);
}

static void drop(struct thread *self, struct peek *peek) {
    if (!peek->ofd)
        return;
    settle(self, peek);
    if (peek->calls)
        judge(peek);
    files_release(peek->ofd);
    peek->ofd = NULL;
    if (peeks.current == peek)
        make_current(NULL);
    for (int i = 0; i < PEEKS; i++)
        if (peeks.one[i].ofd)
            return;
    atomic_fetch_and(&wb_pending, ~(uint32_t)WB_PEEK);
}

/*
 * Packets (O_DIRECT in pipe(2)): each read takes one, and forgets what it doesn't take of it. Read in three parts, what
 * is none of them comes whole; packets of one byte do, too, which look the same to who reads single bytes.
 */
static long read_in_parts(int fd, char *data, long bytes) {
    long parts[] = {1, bytes - 2, 1}, done = 0;
    for (int i = 0; i < 3; i++)
        if (parts[i] > 0 && sys(SYS_read, fd, data + done, parts[i]) == parts[i])
            done += parts[i];
    return done;
}

/* tee(2) needs a pipe of our own, which exists for that moment only. */
static long peek_pipe(const struct peek *peek, uint32_t bytes) {
    int ends[2];
    passing_begins();
    long got = sys(SYS_pipe2, ends, O_CLOEXEC | O_NONBLOCK);
    if (got == 0) {
        long there = sys(SYS_tee, peek->fd, ends[1], bytes, SPLICE_F_NONBLOCK);
        got = there > 0 ? read_in_parts(ends[0], peek->data, there) : there;
        if (got != there)
            got = 0;
        sys(SYS_close, ends[0]);
        sys(SYS_close, ends[1]);
    }
    passing_ends();
    return got;
}

/* A byte that is urgent now, and skipped, may be an ordinary one later, and be taken (SIOCATMARK in socket(7)). */
static long peek_socket(const struct peek *peek, uint32_t bytes) {
    int marked = 0;
    if (sys(SYS_ioctl, peek->fd, SIOCATMARK, &marked) == 0 && marked)
        return 0;
    return sys(SYS_recvfrom, peek->fd, peek->data, bytes, MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
}

/* So many bytes are there, as far as they are worth it for reads of that size; or 0. */
static uint32_t worth(int fd, size_t n) {
    int there = stream_used(fd);
    return there < (int)(PEEK_WORTH * n) ? 0 : there > PEEK_MAX ? PEEK_MAX : (uint32_t)there;
}

/* Fills it anew. What was served of it has been settled; the rest is in the stream still, and comes again. */
static bool fill(struct thread *self, struct peek *peek, size_t n) {
    uint32_t bytes = worth(peek->fd, n);
    long got = 0;
    if (bytes)
        got = stream_is_pipe(peek->ofd->stream) ? peek_pipe(peek, bytes) : peek_socket(peek, bytes);
    input_came();
    peek->settled = peek->at = 0;
    peek->ready = 0;
    peek->end = got > 0 ? (uint32_t)got : 0;
    if (got < (long)n) {
        peek->ofd->reading.wasted++;
        return false;
    }
    if (!peek->ofd->peeked) {
        peek->ofd->peeked = true;
        files_learn_anew(); /* reads were what performed writes at once */
    }
    self->stats->count[COUNT_PEEKS]++;
    trace_peek_fill(peek->fd, got);
    return true;
}

/* One for a stream that has none: a free one, or another stream's. */
static struct peek *begin(struct thread *self, int fd, struct ofd *ofd) {
    static unsigned next;
    struct peek *peek = &peeks.one[next++ % PEEKS];
    for (int i = 0; i < PEEKS; i++)
        if (!peeks.one[i].ofd)
            peek = &peeks.one[i];
    drop(self, peek);
    if (!peek->data)
        peek->data = arena_map(PEEK_MAX, ARENA_DONTFORK);
    if (!peek->data)
        return NULL;
    atomic_fetch_add_explicit(&ofd->references, 1, memory_order_relaxed);
    *peek = (struct peek){.fd = fd, .ofd = ofd, .data = peek->data};
    atomic_fetch_or(&wb_pending, WB_PEEK);
    flusher_notice();
    return peek;
}

/* The number's stream, if it may be peeked at now. */
static struct ofd *peekable(int fd, struct fd_slot *slot) {
    mutex_lock(&files_lock);
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_relaxed);
    if (ofd && (!ofd->stream || !files_verify(fd, slot) || !readers_peekable(ofd, fd)))
        ofd = NULL;
    mutex_unlock(&files_lock);
    return ofd && !shared_memory_joined() ? ofd : NULL;
}

/* The helper thread has to come, and nothing may be learned without a call. */
static bool hindered(void) {
    return (atomic_load(&wb_hindrances) & ~(1ull << REASON_size_limit)) != 0 || window_hindered();
}

static bool have_scratch(void) {
    return scratch || (scratch = arena_map(PEEK_MAX, ARENA_DONTFORK));
}

bool peek_promises(int fd, struct ofd *ofd, size_t n, uint32_t reads, bool eager) {
    bool due, alone = readers_alone(ofd, reads, &due);
    if (!single_threaded() || hindered() || (!alone && !due))
        return peeks_exist();
    if (alone && peeks_exist())
        return true;
    if ((alone || ofd->look_after || eager) && !worth(fd, n)) { /* nor is a look at who else reads it */
        ofd->reading.wasted += alone;
        ofd->small_reads -= ofd->small_reads < PEEK_WORTH ? ofd->small_reads : PEEK_WORTH;
        return peeks_exist();
    }
    if (alone)
        return true;
    critical_enter();
    if (!look_memory)
        look_memory = arena_map(READERS_SCRATCH, ARENA_DONTFORK);
    alone = look_memory && readers_look(ofd, look_memory, eager);
    critical_leave();
    return alone;
}

static bool serve(struct peek *peek, int fd, const struct iovec *parts, int count, size_t n) {
    uint32_t at = peek->at;
    if (peek->fd != fd || n > peek->end - at)
        return false;
    for (int i = 0; i < count; at += (uint32_t)parts[i++].iov_len)
        if (!copy_in(parts[i].iov_base, peek->data + at, parts[i].iov_len))
            return false;
    peek->at = at;
    peek->calls++;
    return true;
}

/* Those of which something would be settled if this stream got a peek, or its own were filled anew. */
static bool settles(const struct peek *own) {
    for (int i = 0; i < PEEKS; i++)
        if (peeks.one[i].ofd && peeks.one[i].at != peeks.one[i].settled && (!own || own == &peeks.one[i]))
            return true;
    return false;
}

static enum peek_answer more(struct thread *self, int fd, struct fd_slot *slot, const struct iovec *parts, int count,
                             size_t n) {
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_relaxed);
    struct peek *peek = ofd ? peek_of(ofd) : NULL;
    bool due;
    if (peek && serve(peek, fd, parts, count, n)) {
        make_current(peek);
        return PEEK_SERVED;
    }
    if (wb_any_pending() && settles(peek))
        return PEEK_FLUSH;
    if (peek && (peek->fd != fd || (peek->settles >= PEEK_POOR && !gains(peek)))) {
        drop(self, peek);
        return PEEK_NONE;
    }
    if (peek) {
        settle(self, peek);
        judge(peek);
    } else if (!ofd || !readers_alone(ofd, 0, &due) || !have_scratch() || !(ofd = peekable(fd, slot)) ||
               !(peek = begin(self, fd, ofd))) {
        return PEEK_NONE;
    }
    if (!single_threaded() || hindered() || !fill(self, peek, n) || !serve(peek, fd, parts, count, n)) {
        drop(self, peek);
        return PEEK_NONE;
    }
    make_current(peek);
    return PEEK_SERVED;
}

enum peek_answer peek_more(struct thread *self, int fd, struct fd_slot *slot, const struct iovec *parts, int count,
                           size_t n) {
    critical_enter();
    biased_lock(&peeks.lock, &self->holder);
    if (biased)
        bias_learn(&peeks.lock, &self->holder);
    enum peek_answer answer = more(self, fd, slot, parts, count, n);
    biased_unlock(&peeks.lock);
    critical_leave();
    return answer;
}

/* There is something; whether the other end has gone, too, is asked once, and again after an input. */
static short polled(struct peek *peek) {
    struct pollfd one = {.fd = peek->fd, .events = POLLIN};
    struct timespec none = {0, 0};
    if (peek->ready && input_epoch_lasts(peek->asked_in))
        return peek->ready;
    input_came();
    peek->asked_in = input_epoch_now();
    bool ready = sys(SYS_ppoll, &one, 1, &none, NULL, sizeof(uint64_t)) == 1 && one.revents & POLLIN;
    peek->ready = 0;
    if (ready)
        peek->ready = one.revents;
    return peek->ready;
}

short peek_polled(struct thread *self, int fd) {
    short ready = 0;
    if (!peek_is_on(fd) || !thread_free(self))
        return 0;
    critical_enter();
    biased_lock(&peeks.lock, &self->holder);
    if (peeks.current && peeks.current->fd == fd && peeks.current->at < peeks.current->end)
        ready = polled(peeks.current);
    biased_unlock(&peeks.lock);
    critical_leave();
    return ready;
}

static void each(struct thread *self, void (*of)(struct thread *self, struct peek *peek)) {
    critical_enter();
    biased_lock(&peeks.lock, &self->holder);
    for (int i = 0; i < PEEKS; i++)
        of(self, &peeks.one[i]);
    biased_unlock(&peeks.lock);
    critical_leave();
}

/* One that costs more than it saves, as far as can be seen by now, is dropped. */
static void settle_or_drop(struct thread *self, struct peek *peek) {
    settle(self, peek);
    if (peek->ofd && peek->settles >= PEEK_POOR && !gains(peek))
        drop(self, peek);
}

void peeks_settle(struct thread *self) {
    if (peeks_exist() && thread_free(self))
        each(self, settle_or_drop);
}

void peeks_settle_amid(struct thread *self) {
    if (peeks_exist())
        each(self, settle);
}

void peeks_drop(struct thread *self) {
    if (peeks_exist() && thread_free(self))
        each(self, drop);
}

/* A number of which nothing is known may be any stream's; so may one that isn't known as one that is deferred to. */
bool peeks_drop_number(struct thread *self, int fd) {
    bool dropped = false;
    if (!peeks_exist() || !thread_free(self))
        return false;
    struct fd_slot *slot = files_slot(fd);
    const struct ofd *ofd = slot ? atomic_load_explicit(&slot->ofd, memory_order_acquire) : NULL;
    bool none = slot && slot->other == REASON_not_regular;
    critical_enter();
    biased_lock(&peeks.lock, &self->holder);
    for (int i = 0; i < PEEKS; i++)
        if (peeks.one[i].ofd && (ofd ? peeks.one[i].ofd->inode == ofd->inode : !none)) {
            drop(self, &peeks.one[i]);
            dropped = true;
        }
    biased_unlock(&peeks.lock);
    critical_leave();
    return dropped;
}

/* One that isn't read any more goes. */
static bool tick(struct thread *self, struct peek *peek) {
    if (!peek->ofd)
        return false;
    if (!peek->seen) {
        peek->seen = true;
        peek->seen_at = peek->at;
    } else if (peek->at != peek->settled) {
        settle(self, peek);
        return true;
    } else if (peek->at == peek->seen_at) {
        drop(self, peek);
    } else {
        peek->seen = false;
    }
    return false;
}

bool peeks_tick(struct thread *self) {
    bool settled = false;
    if (!peeks_exist() || !biased_trylock(&peeks.lock, &self->holder))
        return false;
    for (int i = 0; i < PEEKS; i++)
        settled |= tick(self, &peeks.one[i]);
    biased_unlock(&peeks.lock);
    return settled;
}

void peeks_start(void) {
    biased = bias_available();
}

void peeks_thread_ends(struct thread *self) {
    if (atomic_load_explicit(&peeks.lock.owner, memory_order_relaxed) != &self->holder)
        return;
    critical_enter();
    biased_lock(&peeks.lock, &self->holder);
    bias_drop(&peeks.lock, &self->holder);
    biased_unlock(&peeks.lock);
    critical_leave();
}

void peeks_stop(struct thread *self) {
    biased_lock(&peeks.lock, &self->holder);
    for (int i = 0; i < PEEKS; i++)
        drop(self, &peeks.one[i]);
    atomic_store_explicit(&peeks.lock.owner, NULL, memory_order_relaxed);
    biased_unlock(&peeks.lock);
}

/* Until then a fork touches nothing of it, which would cost a page. Only a process of one thread begins. */
static bool begun(void) {
    return scratch != NULL;
}

void peeks_fork_prepare(struct thread *self) {
    if (!begun())
        return;
    biased_lock(&peeks.lock, &self->holder);
    for (int i = 0; i < PEEKS; i++)
        drop(self, &peeks.one[i]);
}

void peeks_fork_done(bool child) {
    bool locked = begun();
    if (locked)
        biased_unlock(&peeks.lock);
    if (!child)
        return;
    if (look_memory)
        look_memory = NULL; /* as the rest, it didn't come along */
    if (!locked)
        return;
    scratch = NULL;
    for (int i = 0; i < PEEKS; i++)
        peeks.one[i].data = NULL;
    atomic_store_explicit(&peeks.lock.owner, NULL, memory_order_relaxed);
}
