/* Waits for several descriptors: what they say is the beginning of a turn. */
#include "entry/data/turns.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/earlier.h"
#include "base/single.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/own_calls.h"
#include "entry/life/survey.h"
#include "policy/policy.h"

enum config_turns turns_are(long call) {
    static _Atomic int found = TURNS_AUTO;
    int known = atomic_load_explicit(&found, memory_order_relaxed);
    if (config.turns != TURNS_AUTO)
        return (enum config_turns)config.turns;
    if (known == TURNS_AUTO && wb_may_ask()) {
        uint64_t dear = ticks_of_us(POLICY_TURN_CALL_NS) / 1000;
        known = dear && ticks_a_call(call) >= dear ? TURNS_ON : TURNS_OFF;
        atomic_store_explicit(&found, known, memory_order_relaxed);
    }
    return (enum config_turns)known;
}

/*
 * epoll tells a program its own word for a descriptor: which number had which is known from epoll_ctl. Hints: a number
 * that isn't readable, or isn't a socket, is looked at in vain, or not at all.
 */
enum { WATCHES = 1 << 16, SEEN_OFTEN = 8 };
struct watch {
    _Atomic uint64_t data;
    _Atomic int epoll;
    _Atomic uint32_t seen; /* readable, so many times when it was looked for */
};
static struct watches {
    struct watch of[WATCHES];
    _Atomic int by_data[WATCHES];
} * _Atomic watches;

static struct watches *watches_made(void) {
    struct watches *made = atomic_load_explicit(&watches, memory_order_acquire), *none = NULL;
    if (made)
        return made;
    made = arena_map(sizeof *made, ARENA_INHERIT);
    if (made && !atomic_compare_exchange_strong(&watches, &none, made)) {
        arena_unmap(made, sizeof *made);
        made = none;
    }
    return made;
}

static unsigned place_of(int epoll, uint64_t data) {
    return (unsigned)(((data ^ (uint64_t)epoll << 48) * 0x9E3779B97F4A7C15u) >> 48);
}

static void watch(int epoll, int fd, uint64_t data, bool anew) {
    struct watches *all = (unsigned)fd < WATCHES ? watches_made() : NULL;
    if (!all)
        return;
    atomic_store_explicit(&all->of[fd].data, data, memory_order_relaxed);
    atomic_store_explicit(&all->of[fd].epoll, epoll, memory_order_relaxed);
    if (anew)
        atomic_store_explicit(&all->of[fd].seen, 0, memory_order_relaxed);
    atomic_store_explicit(&all->by_data[place_of(epoll, data)], fd, memory_order_relaxed);
}

/* The number that an event is of, or -1. */
static int watched(const struct watches *all, int epoll, uint64_t data) {
    int fd = atomic_load_explicit(&all->by_data[place_of(epoll, data)], memory_order_relaxed);
    return atomic_load_explicit(&all->of[fd].data, memory_order_relaxed) == data &&
                   atomic_load_explicit(&all->of[fd].epoll, memory_order_relaxed) == epoll
               ? fd
               : -1;
}

/* What a number is costs some calls to find out: only for one that has come often. */
static const struct ofd *known_or_often(int fd) {
    struct watches *all = watches_made();
    const struct ofd *ofd = known_ofd(fd);
    struct fd_slot *slot = ofd || (unsigned)fd >= WATCHES || !all ? NULL : files_slot_make(fd);
    if (!slot || slot->other)
        return ofd;
    bool often = atomic_fetch_add_explicit(&all->of[fd].seen, 1, memory_order_relaxed) >= SEEN_OFTEN;
    return often || config.eager ? looked_up(fd, slot) : NULL;
}

static bool hindered(void) {
    if (atomic_load_explicit(&wb_hindrances, memory_order_relaxed) & 1ull << REASON_looking)
        own_calls_passed();
    return turn_hindered() || window_hindered();
}

/* From now on it is noted who uses which number: for when there are several threads. */
static void follow_users(void) {
    if (!users_followed() && users_follow())
        atomic_fetch_or(&wb_pending, WB_USERS);
}

/*
 * The thread that turns are for, and what is known of them. Another one comes in its place when it has waited so often
 * that the first seems to have stopped waiting.
 */
static struct thread *_Atomic loop;
static _Atomic uint32_t others; /* waits since its last one */
static struct turn_habit habit;

static bool is_loop(struct thread *self) {
    enum { GIVEN_UP = 256 };
    struct thread *owner = atomic_load_explicit(&loop, memory_order_relaxed);
    if (likely(owner == self)) {
        if (atomic_load_explicit(&others, memory_order_relaxed))
            atomic_store_explicit(&others, 0, memory_order_relaxed);
        return true;
    }
    if (owner && atomic_fetch_add_explicit(&others, 1, memory_order_relaxed) < GIVEN_UP)
        return false;
    if (!atomic_compare_exchange_strong(&loop, &owner, self))
        return false;
    atomic_store_explicit(&others, 0, memory_order_relaxed);
    habit = (struct turn_habit){0};
    return true;
}

static void begin(const int *numbers, unsigned count) {
    struct thread *self = attached_self();
    const struct ofd *first = NULL;
    if (!thread_free(self) || !thread_attached(self))
        return;
    for (unsigned i = 0; i < count; i++) {
        const struct ofd *ofd = known_or_often(numbers[i]);
        if (ofd && ofd->stream && !first)
            first = ofd;
    }
    if (!first || activate(first->inode) != REASON_NONE || hindered() || !handlers_are_ours(self) ||
        !faults_reach_us(self))
        return;
    turn_begin(self, numbers, count, config.eager ? 1 : POLICY_TURN_LEAST);
}

/* The thread's processor time, in nanoseconds. */
static uint64_t own_time(void) {
    struct timespec t = {0, 0};
    sys(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void surveyed(int ready) {
    if (unlikely(survey_wanted))
        survey_wait(ready);
}

/* So many are ready: shall a turn be tried? */
static bool promises(long call, int ready) {
    if (ready < 1 || turns_are(call) != TURNS_ON || config.no_streams || hindered())
        return false;
    if (ready >= POLICY_TURN_LEAST || config.eager)
        follow_users();
    struct thread *self = attached_self();
    if (!thread_free(self) || !thread_attached(self) || !is_loop(self))
        return false;
    struct turn_gain gain = turn_gained();
    if (gain.made)
        policy_turned(&habit, gain.answered, gain.made);
    if (policy_turns_due(&habit))
        policy_turns_took(&habit, own_time());
    return policy_turn(&habit, (unsigned)ready, config.eager);
}

static void turn_of(const int *numbers, unsigned count) {
    int saved = errno;
    if (count)
        begin(numbers, count);
    errno = saved;
}

/* What the kernel has just written is read as it is. */
static int waited(int epoll, const struct epoll_event *events, int ready) {
    const struct watches *all = atomic_load_explicit(&watches, memory_order_acquire);
    int numbers[TURN_SOCKETS];
    unsigned count = 0;
    surveyed(ready);
    if (!all || (!single_threaded() && !users_only(thread_self(), epoll)) || !promises(SYS_epoll_ctl, ready))
        return ready;
    for (int i = 0; i < ready && count < TURN_SOCKETS; i++) {
        int fd = (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == EPOLLIN
                     ? watched(all, epoll, events[i].data.u64)
                     : -1;
        if (fd >= 0)
            numbers[count++] = fd;
    }
    turn_of(numbers, count);
    return ready;
}

int polled_turn(long call, struct pollfd *fds, unsigned long n, int ready) {
    int numbers[TURN_SOCKETS];
    unsigned count = 0;
    surveyed(ready);
    if (!promises(call, ready))
        return ready;
    for (unsigned long i = 0; i < n && count < TURN_SOCKETS; i++)
        if ((fds[i].revents & (POLLIN | POLLERR | POLLHUP)) == POLLIN && fds[i].fd >= 0)
            numbers[count++] = fds[i].fd;
    turn_of(numbers, count);
    return ready;
}

/* select(2) doesn't tell who has an error, which would be taken by who looks. Of `count` leaves those without. */
static unsigned without_error(int *numbers, unsigned count) {
    struct pollfd of[TURN_SOCKETS];
    struct timespec none = {0, 0};
    unsigned left = 0;
    for (unsigned i = 0; i < count; i++)
        of[i] = (struct pollfd){.fd = numbers[i], .events = POLLIN};
    if (!count || sys(SYS_ppoll, of, count, &none, NULL, sizeof(uint64_t)) <= 0)
        return 0;
    for (unsigned i = 0; i < count; i++)
        if (of[i].revents == POLLIN)
            numbers[left++] = of[i].fd;
    return left;
}

static int selected(int n, const fd_set *readable, int ready) {
    int numbers[TURN_SOCKETS];
    unsigned count = 0;
    surveyed(ready);
    if (!readable || !promises(SYS_pselect6, ready))
        return ready;
    const unsigned long *words = (const unsigned long *)readable;
    enum { BITS = 8 * sizeof *words };
    for (int fd = 0; fd < n && count < TURN_SOCKETS; fd++)
        if (words[(unsigned)fd / BITS] >> (unsigned)fd % BITS & 1)
            numbers[count++] = fd;
    turn_of(numbers, without_error(numbers, count));
    return ready;
}

enum { PARTS = 16 };

bool turn_goes_on_slowly(int fd) {
    const struct ofd *ofd = known_ofd(fd);
    struct thread *self = thread_self();
    return ofd && ofd->stream && thread_free(self) && wb_flush_all(self, FLUSH_BARRIER, WB_DONT_WAIT) && turn_exists();
}

/* The caller's vector in a turn, and how many bytes it has; 0: there are none, or it is odd, or there is no turn. */
static size_t parts_of(int fd, struct iovec *parts, const struct iovec *vector, int count) {
    size_t total = 0;
    if (!turn_goes_on(fd) || count < 1 || count > PARTS || !thread_self()->faults_caught ||
        !thread_free(thread_self()) || !copy_in(parts, vector, (size_t)count * sizeof *parts))
        return 0;
    for (int i = 0; i < count; total += parts[i++].iov_len)
        if (turn_buffer_odd(parts[i].iov_base, parts[i].iov_len))
            return 0;
    return total;
}

size_t turn_keeps_vector(int fd, const struct iovec *vector, int count) {
    struct iovec parts[PARTS];
    size_t total = parts_of(fd, parts, vector, count);
    return total && turn_write(thread_self(), fd, parts, count, total) ? total : 0;
}

ssize_t turn_serves_vector(int fd, const struct iovec *vector, int count) {
    struct iovec parts[PARTS];
    size_t total = parts_of(fd, parts, vector, count);
    return total ? turn_read(thread_self(), fd, parts, count, total) : -1;
}

static int epoll_made(int epoll) {
    number_taken(epoll);
    if (epoll >= 0 && turns_are(SYS_epoll_ctl) == TURNS_ON) {
        follow_users();
        users_born(epoll); /* who waits by it takes nothing */
    }
    return epoll;
}

EXPORT int epoll_create(int size) {
    return epoll_made(CALL(epoll_create, (size)));
}

EXPORT int epoll_create1(int flags) {
    return epoll_made(CALL(epoll_create1, (flags)));
}

EXPORT int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    announce("epoll_ctl");
    int result = CALL(epoll_ctl, (epoll, operation, fd, event));
    if (result == 0 && event && operation != EPOLL_CTL_DEL && turns_are(SYS_epoll_ctl) == TURNS_ON)
        watch(epoll, fd, event->data.u64, operation == EPOLL_CTL_ADD);
    return result;
}

static void waits_for(int epoll) {
    number_used(epoll);
    users_wait(thread_self());
}

/* Two threads that wait by the same one are told of the same descriptors, until these are read. */
EXPORT int epoll_wait(int fd, struct epoll_event *events, int n, int limit) {
    waits_for(fd);
    announce("epoll_wait");
    return waited(fd, events, CALL(epoll_wait, (fd, events, n, limit)));
}

EXPORT int epoll_pwait(int fd, struct epoll_event *events, int n, int limit, const sigset_t *mask) {
    waits_for(fd);
    announce("epoll_pwait");
    return waited(fd, events, CALL(epoll_pwait, (fd, events, n, limit, mask)));
}

extern int epoll_pwait2(int fd, struct epoll_event *events, int n, const struct timespec *limit, const sigset_t *mask);
EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int n, const struct timespec *limit, const sigset_t *mask) {
    waits_for(fd);
    announce("epoll_pwait2");
    return waited(fd, events, CALL(epoll_pwait2, (fd, events, n, limit, mask)));
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *limit, const sigset_t *mask) {
    users_wait(thread_self());
    announce("ppoll");
    return polled_turn(SYS_ppoll, fds, n, CALL(ppoll, (fds, n, limit, mask)));
}

#define SELECT(name)                                                                                                   \
    EXPORT int name(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *limit) {                                   \
        users_wait(thread_self());                                                                                     \
        announce(#name);                                                                                               \
        return selected(n, r, CALL(name, (n, r, w, e, limit)));                                                        \
    }

extern int __select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *limit);

SELECT(select)
SELECT(__select)

EXPORT int pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *limit, const sigset_t *mask) {
    users_wait(thread_self());
    announce("pselect");
    return selected(n, r, CALL(pselect, (n, r, w, e, limit, mask)));
}
