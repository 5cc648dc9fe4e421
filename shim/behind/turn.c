#include "behind/turn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "ahead/peek.h"
#include "base/arena.h"
#include "base/copy.h"
#include "base/log.h"
#include "base/single.h"
#include "base/ticks.h"
#include "base/trace.h"
#include "behind/straight.h"
#include "behind/streams.h"
#include "behind/turn_sockets.h"
#include "common/flusher.h"
#include "common/late_errors.h"
#include "common/rings.h"
#include "files/shared_memory.h"
#include "files/users.h"
#include "ring/direct.h"

struct turned {
    int fd;
    struct ofd *ofd;   /* its slot has it, which no call empties before the turn has ended */
    uint32_t at, end;  /* read, and looked at */
    bool all;          /* there were no more */
    bool open;         /* it takes what is sent */
    bool asked;        /* its room was asked for in this turn */
    uint32_t sends_in; /* the last submission in which something is sent to it */
};

/* What the program did: in this order it is performed. */
struct step {
    struct turned *socket;
    uint32_t length, done;
    uint32_t start; /* a write: where it is in `bytes` */
    bool writes;
};

static struct {
    struct biased_lock lock;
    uint32_t sockets, steps; /* no sockets: there is no turn */
    uint32_t used;           /* of `bytes` */
    uint32_t hint;           /* the socket that was read or written last */
    uint32_t newest;         /* those before that were looked at before the last of which anything was read */
    uint64_t epoch;          /* in which they were looked at */
    uint64_t written_at;     /* ticks: the oldest write; 0: there is none */
    bool seen;               /* by the helper thread */
    bool stuck;              /* a socket took less than it has room for */
    struct turn_gain now, gain;
    char *peeks, *bytes, *scratch;
    struct turned socket[TURN_SOCKETS];
    struct step step[TURN_STEPS];
} turn APART;

static bool biased;           /* membarrier works */
static _Atomic uint32_t held; /* so many keep turns from beginning */
static bool begun;            /* until then a fork touches nothing of it, which would cost a page */
static bool locked;           /* for a fork */

static bool equip(void) {
    begun = true;
    if (!turn.peeks)
        turn.peeks = arena_map((size_t)(TURN_SOCKETS + 1) * TURN_PEEK, ARENA_DONTFORK);
    if (!turn.bytes)
        turn.bytes = arena_map(TURN_BYTES, ARENA_DONTFORK);
    turn.scratch = turn.peeks ? turn.peeks + (size_t)TURN_SOCKETS * TURN_PEEK : NULL;
    return turn.peeks && turn.bytes;
}

static char *peek_of(const struct turned *socket) {
    return turn.peeks + (size_t)(socket - turn.socket) * TURN_PEEK;
}

static void choose(const struct thread *self, const int *numbers, unsigned count) {
    static uint64_t turns;
    uint64_t now = ticks_now();
    turns++;
    for (unsigned i = 0; i < count && turn.sockets < TURN_SOCKETS; i++) {
        struct ofd *ofd = turn_socket(self, numbers[i], now);
        if (!ofd || ofd->turned_in == turns) /* once, whatever numbers it has */
            continue;
        ofd->turned_in = turns;
        turn.socket[turn.sockets++] = (struct turned){.fd = numbers[i], .ofd = ofd};
    }
}

/* The kernel tells it once, and told us: it is the answer to the program's next call that sends or receives. */
static void failed(struct thread *self, struct turned *socket, int error) {
    late_error_keep(socket->ofd->inode, error);
    self->stats->count[COUNT_LATE_ERRORS]++;
}

/* What came of looking at it. What is wrong with the call, or with the machine, isn't the socket's. */
static void looked(struct thread *self, struct turned *socket, int result) {
    static const int others[] = {EAGAIN, EINTR,    ENOMEM, ENOBUFS, ECANCELED,
                                 EBADF,  ENOTSOCK, EINVAL, EFAULT,  EOPNOTSUPP};
    socket->end = result > 0 ? (uint32_t)result : 0;
    socket->all = socket->end < TURN_PEEK;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (result == -others[i])
            return;
    if (result < 0)
        failed(self, socket, -result);
}

/* Without a system call, where somebody asked for that. What was looked at is there, so that none waits. */
static void ask_by_ring(struct ring *ring, struct pollfd *of, nfds_t n) {
    int32_t result;
    uint64_t tag;
    for (nfds_t i = 0; i < n; i++)
        ring_prepare_poll(ring, of[i].fd, POLLIN | (unsigned)of[i].events, i);
    ring_complete(ring);
    while (ring_take(ring, &tag, &result))
        of[tag].revents = (short)(result < 0 ? 0 : result & ~POLLIN);
}

/*
 * Does TCP take what is sent? It says so to poll(2), which costs less than a send; where the other end sends no more it
 * may be gone, and only a send shows that. On AF_UNIX who shuts down the other end for receiving isn't seen so
 * (unix_poll in net/unix/af_unix.c). Both say whether there is urgent data.
 */
static void ask(struct ring *ring) {
    struct pollfd of[TURN_SOCKETS];
    struct turned *asked[TURN_SOCKETS];
    struct timespec none = {0, 0};
    nfds_t n = 0;
    for (uint32_t i = 0; i < turn.sockets; i++)
        if (turn.socket[i].end) {
            bool tcp = turn.socket[i].ofd->stream == STREAM_TCP;
            of[n] = (struct pollfd){.fd = turn.socket[i].fd,
                                    .events = (short)(tcp ? POLLOUT | POLLPRI | POLLRDHUP : POLLPRI)};
            asked[n++] = &turn.socket[i];
        }
    if (!n)
        return;
    turn.now.made++;
    if (ring_polling(ring) & RING_POLL_QUEUE)
        ask_by_ring(ring, of, n);
    else if (sys(SYS_ppoll, of, n, &none, NULL, sizeof(uint64_t)) < 0)
        return;
    for (nfds_t i = 0; i < n; i++) {
        struct ofd *ofd = asked[i]->ofd;
        if (ofd->stream == STREAM_TCP) {
            asked[i]->open = of[i].revents == POLLOUT;
            if (asked[i]->open && ofd->turn_room < ofd->turn_least)
                ofd->turn_room = ofd->turn_least;
        }
        if (of[i].revents & POLLPRI) /* a byte that is urgent now may be an ordinary one when it is taken */
            asked[i]->end = 0;
    }
}

/*
 * All are looked at before any is asked whether it takes what is sent: so nothing that the program reads in this turn
 * can tell of an end that came after that answer.
 */
static void look(struct thread *self, struct ring *ring) {
    enum { ASKED = TURN_SOCKETS }; /* added to a socket's place in the tag of the second request */
    uint32_t n = turn.sockets;
    int32_t result;
    uint64_t tag;
    ring_drain(ring);
    for (uint32_t i = 0; i < n; i++)
        ring_prepare_receive(ring, turn.socket[i].fd, peek_of(&turn.socket[i]), TURN_PEEK, RING_PEEK, i);
    for (uint32_t i = 0; i < n; i++)
        if (turn.socket[i].ofd->stream != STREAM_TCP)
            ring_prepare_send(ring, turn.socket[i].fd, NULL, 0, ASKED + i);
    ring_complete(ring);
    self->stats->count[COUNT_RING_ENTERS]++;
    turn.now.made++;
    while (ring_take(ring, &tag, &result)) {
        struct turned *socket = &turn.socket[tag % ASKED];
        if (tag < ASKED) {
            looked(self, socket, result);
        } else {
            socket->open = result == 0;
        }
    }
    ask(ring);
}

static void forget(void) {
    turn.sockets = turn.steps = turn.used = 0;
    turn.written_at = 0;
    atomic_fetch_and(&wb_pending, ~(uint32_t)WB_TURN);
}

static bool begin(struct thread *self, const int *numbers, unsigned count, unsigned least) {
    struct ring *ring = turn.sockets == 0 && equip() ? rings_get_turner(self) : NULL;
    if (!ring)
        return false;
    turn.now = (struct turn_gain){0};
    turn.hint = turn.newest = 0;
    turn.seen = false;
    atomic_fetch_or(&wb_pending, WB_TURN); /* who changes what is looked at from here on waits for the lock */
    writes_follow();                       /* for the room that is asked for now, and known for later turns */
    choose(self, numbers, count);
    if (turn.sockets < least || shared_memory_joined() || turn_hindered() || atomic_load(&held)) {
        forget();
        return false;
    }
    turn.epoch = input_epoch_now();
    look(self, ring);
    self->stats->count[COUNT_TURNS]++;
    self->stats->count[COUNT_TURN_SOCKETS] += turn.sockets;
    trace_turn(turn.sockets);
    flusher_notice();
    return true;
}

bool turn_begin(struct thread *self, const int *numbers, unsigned count, unsigned least) {
    if (wb_any_pending())
        return false;
    peeks_drop(self); /* what was read of a stream isn't known to both */
    critical_enter();
    biased_lock(&turn.lock, &self->holder);
    if (biased)
        bias_learn(&turn.lock, &self->holder);
    bool any = begin(self, numbers, count, least);
    biased_unlock(&turn.lock);
    critical_leave();
    return any;
}

/* Programs go through them in the order in which they were told. */
static struct turned *find(int fd) {
    uint32_t index = turn.hint;
    for (uint32_t i = 0; i < turn.sockets; i++, index = index + 1 < turn.sockets ? index + 1 : 0)
        if (turn.socket[index].fd == fd) {
            turn.hint = index;
            return &turn.socket[index];
        }
    return NULL;
}

/* The step that a read or a write makes longer, or a new one; NULL: there are no more. */
static struct step *step_of(struct turned *socket, bool writes) {
    struct step *last = turn.steps ? &turn.step[turn.steps - 1] : NULL;
    if (last && last->socket == socket && last->writes == writes)
        return last;
    if (turn.steps == TURN_STEPS)
        return NULL;
    last = &turn.step[turn.steps++];
    *last = (struct step){.socket = socket, .start = turn.used, .writes = writes};
    return last;
}

/*
 * May it be said that there are no more than these? On AF_UNIX who looks sees no further than a message that carries
 * more than bytes, which whoever reads on after it does.
 */
static bool says_all(const struct turned *socket) {
    return socket->all && (socket->ofd->stream == STREAM_TCP || socket->at == 0) &&
           turn.newest <= (uint32_t)(socket - turn.socket) + 1 && input_epoch_lasts(turn.epoch);
}

static bool scatter(const struct iovec *parts, int count, const char *from, size_t n) {
    for (int i = 0; i < count && n; i++) {
        size_t some = parts[i].iov_len < n ? parts[i].iov_len : n;
        if (!copy_in(parts[i].iov_base, from, some))
            return false;
        from += some;
        n -= some;
    }
    return true;
}

static ssize_t serve(int fd, const struct iovec *parts, int count, size_t n) {
    struct turned *socket = find(fd);
    size_t there = socket ? socket->end - socket->at : 0;
    if (!there || !n || (n > there && !says_all(socket)))
        return -1;
    size_t got = n < there ? n : there;
    struct step *step = step_of(socket, false);
    if (!step || !scatter(parts, count, peek_of(socket) + socket->at, got))
        return -1;
    step->length += (uint32_t)got;
    socket->at += (uint32_t)got;
    uint32_t after = (uint32_t)(socket - turn.socket) + 1;
    turn.newest = turn.newest > after ? turn.newest : after;
    turn.now.answered++;
    return (ssize_t)got;
}

/* Only its owner gets in so; who else comes ends the turn. What is pending in a log comes first. */
static bool enter(struct thread *self) {
    return self->faults_caught && thread_free(self) && !wb_any_pending() && bias_enter(&turn.lock, &self->holder);
}

ssize_t turn_read(struct thread *self, int fd, const struct iovec *parts, int count, size_t n) {
    if (!enter(self))
        return -1;
    ssize_t got = serve(fd, parts, count, n);
    if (got > 0) {
        self->stats->count[COUNT_TURN_READS]++;
        self->stats->count[COUNT_TURN_BYTES_READ] += (uint64_t)got;
    }
    bias_leave(&self->holder);
    return got;
}

/*
 * What came of a send. What is lost is what the other end, had it gone right after, would have lost natively: then
 * there was no SIGPIPE either, and who receives next is told of it. What comes after it in the turn was written before
 * that.
 */
static int error_of(const struct turned *socket, long result) {
    struct pollfd one = {.fd = socket->fd};
    struct timespec none = {0, 0};
    if (result != -EPIPE || socket->ofd->stream != STREAM_UNIX)
        return (int)-result;
    /* the other end may only have shut itself down for receiving: then there is no more to be told */
    bool gone = sys(SYS_ppoll, &one, 1, &none, NULL, sizeof(uint64_t)) == 1 && one.revents & POLLHUP;
    return gone ? ECONNRESET : 0;
}

static void sent(struct thread *self, struct step *step, long result) {
    if (result >= 0) {
        step->done += (uint32_t)result;
    } else if (result != -EAGAIN) {
        step->done = step->length;
        int error = step->socket->open || result != -EPIPE ? error_of(step->socket, result) : 0;
        if (error)
            failed(self, step->socket, error);
        step->socket->open = false;
    }
}

/* Never waits. That there is less than was looked at can't be, for nobody else reads it. */
static void take(const struct step *step) {
    sys(SYS_recvfrom, step->socket->fd, turn.scratch, step->length, MSG_DONTWAIT, NULL, NULL);
}

/* False: the socket takes no more now. */
static bool send_directly(struct thread *self, struct step *step) {
    while (step->done < step->length) {
        struct iovec rest = {turn.bytes + step->start + step->done, step->length - step->done};
        long result = direct_send(step->socket->fd, &rest, 1);
        self->stats->count[COUNT_DIRECT_CALLS]++;
        sent(self, step, result);
        if (result == -EAGAIN)
            return false;
    }
    return true;
}

/* What is left of the steps, one by one; after one that has to wait none. */
static bool perform_directly(struct thread *self) {
    for (uint32_t i = 0; i < turn.steps; i++) {
        struct step *step = &turn.step[i];
        if (step->done == step->length)
            continue;
        if (!step->writes)
            take(step);
        else if (!send_directly(self, step))
            return false;
        step->done = step->length;
    }
    return true;
}

/*
 * The steps from `first` on that may be in one submission, in which each is done before the next and none waits: up to
 * another send to a socket that has one among them, for it mustn't go in where the first didn't; and up to a send to a
 * socket that blocks, for natively nothing would come after it before it is done.
 */
static uint32_t submission(uint32_t first) {
    static uint32_t submissions;
    submissions++;
    for (uint32_t i = first; i < turn.steps; i++) {
        struct turned *socket = turn.step[i].socket;
        if (!turn.step[i].writes)
            continue;
        if (socket->sends_in == submissions)
            return i;
        socket->sends_in = submissions;
        if (socket->ofd->reason != REASON_nonblocking)
            return i + 1;
    }
    return turn.steps;
}

static void perform_by_ring(struct thread *self, struct ring *ring, uint32_t first, uint32_t end) {
    uint64_t tag;
    int32_t result;
    ring_drain(ring);
    for (uint32_t i = first; i < end; i++) {
        struct step *step = &turn.step[i];
        struct turned *socket = step->socket;
        if (step->writes)
            ring_prepare_send(ring, socket->fd, turn.bytes + step->start, step->length, i);
        else
            ring_prepare_receive(ring, socket->fd, turn.scratch, step->length,
                                 socket->ofd->stream == STREAM_TCP ? RING_DISCARD : RING_RECEIVE, i);
    }
    ring_complete(ring);
    self->stats->count[COUNT_RING_ENTERS]++;
    turn.now.made++;
    while (ring_take(ring, &tag, &result))
        if (turn.step[tag].writes)
            sent(self, &turn.step[tag], result);
        else
            turn.step[tag].done = turn.step[tag].length;
}

static bool all_done(uint32_t end) {
    for (uint32_t i = 0; i < end; i++)
        if (turn.step[i].done < turn.step[i].length)
            return false;
    return true;
}

/* What the ring has left is tried again by plain calls; and all of it where there is no ring. */
static bool perform(struct thread *self) {
    struct ring *ring = self->turning.ring;
    if (ring && !turn.stuck && self->turning.generation == flusher_generation())
        for (uint32_t first = 0, end; first < turn.steps && all_done(first); first = end)
            perform_by_ring(self, ring, first, end = submission(first));
    if (ring)
        ring_let_go(ring);
    turn.stuck = !perform_directly(self);
    if (turn.stuck)
        return false;
    turn.steps = turn.used = 0;
    turn.written_at = 0;
    return true;
}

static void over(void) {
    turn.gain.answered += turn.now.answered;
    turn.gain.made += turn.now.made;
    forget();
}

/* Where the first step that isn't done waits. */
static int waits_for(void) {
    for (uint32_t i = 0; i < turn.steps; i++)
        if (turn.step[i].done < turn.step[i].length)
            return turn.step[i].socket->fd;
    return -1;
}

/* Is the turn the calling thread's own? Only its owner gets in by the lock's bias. */
static bool is_own(const struct thread *self) {
    return atomic_load_explicit(&turn.lock.owner, memory_order_relaxed) == &self->holder;
}

static int try(struct thread *self, bool goes_on) {
    if (!single_threaded())
        atomic_thread_fence(memory_order_seq_cst); /* after what the caller has said or changed; begin() looks at it */
    if (!turn_exists() || !thread_free(self))
        return -1;
    critical_enter();
    biased_lock(&turn.lock, &self->holder);
    int fd = !turn.sockets || perform(self) ? -1 : waits_for();
    if (turn.sockets && fd < 0 && !(goes_on && is_own(self)))
        over();
    biased_unlock(&turn.lock);
    critical_leave();
    return fd;
}

int turn_try(struct thread *self) {
    return try(self, false);
}

/* Waits with no lock held; not in a handler that came in the midst of such a wait, which goes on after it. */
static bool end(struct thread *self, bool goes_on, bool interruptibly) {
    uint32_t interrupted = self->interrupted;
    bool done = true;
    int fd = try(self, goes_on);
    if (likely(fd < 0) || thread_waits(self))
        return true;
    uint8_t outer = thread_wait_begins(self);
    for (; fd >= 0 && done; fd = done ? try(self, goes_on) : -1)
        done = streams_wait(self, fd, interrupted, interruptibly);
    thread_wait_ends(self, outer);
    return done;
}

void turn_end(struct thread *self) {
    end(self, false, false);
}

bool turn_end_interruptibly(struct thread *self) {
    return end(self, false, true);
}

void turn_perform(struct thread *self) {
    end(self, true, false);
}

bool turn_hold(struct thread *self) {
    bool several = users_followed() && !single_threaded();
    if (several)
        atomic_fetch_add(&held, 1);
    turn_end(self);
    return several;
}

void turn_release(bool hold) {
    if (hold)
        atomic_fetch_sub(&held, 1);
}

void turn_forked(bool hold) {
    if (hold)
        atomic_store(&held, 0);
}

struct turn_gain turn_gained(void) {
    struct turn_gain gain = turn.gain;
    turn.gain = (struct turn_gain){0};
    return gain;
}

static bool append(struct turned *socket, const struct iovec *parts, int count, uint32_t total) {
    char *to = turn.bytes + turn.used;
    for (int i = 0; i < count; to += parts[i++].iov_len)
        if (!copy_in(to, parts[i].iov_base, parts[i].iov_len))
            return false;
    struct step *step = step_of(socket, true);
    if (!step)
        return false;
    step->length += total;
    turn.used += total;
    socket->ofd->turn_room -= turn_cost(total);
    if (!turn.written_at)
        turn.written_at = ticks_now();
    return true;
}

/* Is what there is to be performed first? */
static bool is_due(uint32_t total) {
    return turn.steps == TURN_STEPS || turn.used + total > TURN_BYTES ||
           (turn.written_at && ticks_now() - turn.written_at > ticks_of_us(TURN_OLD_US));
}

/* There may be more room than what writable means: that is asked once in a turn, with nothing kept. */
static bool has_room(struct thread *self, struct turned *socket, uint32_t total) {
    struct ofd *ofd = socket->ofd;
    if (turn_cost(total) > ofd->turn_room && ofd->stream == STREAM_TCP && !socket->asked && perform(self)) {
        turn_ask_for_room(socket->fd, ofd);
        socket->asked = true;
    }
    return turn_cost(total) <= ofd->turn_room;
}

static bool keep(struct thread *self, int fd, const struct iovec *parts, int count, uint32_t total) {
    struct turned *socket = find(fd);
    if (!socket || !socket->open || turn.stuck || !input_epoch_lasts(turn.epoch) || !has_room(self, socket, total))
        return false;
    if (unlikely(is_due(total)) && !perform(self))
        return false;
    if (!socket->open) /* no longer */
        return false;
    if (!append(socket, parts, count, total))
        return false;
    turn.now.answered++;
    self->stats->count[COUNT_TURN_WRITES]++;
    self->stats->count[COUNT_TURN_BYTES_WRITTEN] += total;
    return true;
}

bool turn_write(struct thread *self, int fd, const struct iovec *parts, int count, size_t total) {
    if (!total || total > TURN_CALL_MAX || !enter(self))
        return false;
    bool kept = turn.sockets && keep(self, fd, parts, count, (uint32_t)total);
    bias_leave(&self->holder);
    return kept;
}

void turn_tick(struct thread *self) {
    if (!turn_exists() || !biased_trylock(&turn.lock, &self->holder))
        return;
    if (turn.sockets && turn.seen) {
        turn.stuck = !perform_directly(self);
        if (!turn.stuck)
            over();
    }
    turn.seen = true;
    biased_unlock(&turn.lock);
}

void turn_count_polling(struct thread *self) {
    if (!begun)
        return;
    critical_enter();
    biased_lock(&turn.lock, &self->holder);
    for (struct thread *thread = thread_list(); thread; thread = thread->next)
        rings_count_turner(thread);
    biased_unlock(&turn.lock);
    critical_leave();
}

void turn_start(void) {
    biased = bias_available();
}

void turn_stop(struct thread *self) {
    turn_end(self);
    biased_lock(&turn.lock, &self->holder);
    rings_turner_ends(self);
    atomic_store_explicit(&turn.lock.owner, NULL, memory_order_relaxed);
    biased_unlock(&turn.lock);
}

void turn_thread_ends(struct thread *self) {
    if (!self->turning.ring && atomic_load_explicit(&turn.lock.owner, memory_order_relaxed) != &self->holder)
        return;
    turn_end(self);
    critical_enter();
    biased_lock(&turn.lock, &self->holder);
    rings_turner_ends(self);
    bias_drop(&turn.lock, &self->holder);
    biased_unlock(&turn.lock);
    critical_leave();
}

void turn_fork_prepare(struct thread *self) {
    locked = begun || !single_threaded();
    if (locked)
        biased_lock(&turn.lock, &self->holder);
}

void turn_fork_done(bool child) {
    if (!locked)
        return;
    biased_unlock(&turn.lock);
    if (!child)
        return;
    turn.peeks = turn.bytes = turn.scratch = NULL; /* which didn't come along */
    atomic_store_explicit(&turn.lock.owner, NULL, memory_order_relaxed);
}
