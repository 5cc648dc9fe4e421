/* What a fork does to the library: to what is pending, windows, locks and threads, in the parent and in the child. */
#include "entry/processes/fork.h"

#include "ahead/window.h"
#include "base/live.h"
#include "base/passing.h"
#include "base/put_off.h"
#include "base/signals.h"
#include "base/single.h"
#include "behind/group_sync.h"
#include "entry/data/sharing.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/survey.h"
#include "files/shared_memory.h"

/*
 * Locks are taken from the outermost to the innermost, and given back in both processes. A handler that interrupted
 * the library and forks gets a child that doesn't defer.
 *
 * Each page that a fork writes costs a copy. So a process of one thread, ours not running and nobody counting, takes no
 * lock, for nobody else could have one; and if nothing was ever made ready in it, there is nothing for the child to
 * forget: a shell that forks all day.
 */
enum preparation { UNPREPARED, PLAIN, ALONE, LOCKED };
static __thread uint8_t prepared BESIDE;
static __thread bool turns_held BESIDE;

/* When it forks, and forks again, and defers nothing in between, the helper thread only makes forking dearer. */
static void rest_between_forks(void) {
    enum { IDLE_FORKS = 2 };
    static uint64_t batches;
    static unsigned idle;
    idle = wb_batches() == batches ? idle + 1 : 0;
    batches = wb_batches();
    if (idle >= IDLE_FORKS)
        rest();
}

static enum preparation how_to_prepare(void) {
    if (!single_threaded() || activated() || wb_any_pending() || stats_wanted || shared_memory_any_alone() ||
        atomic_load_explicit(&wb_hindrances, memory_order_relaxed) & 1ull << REASON_disabled)
        return LOCKED;
    return was_ever_ready() ? ALONE : PLAIN;
}

static void lock_for_fork(struct thread *self) {
    activation_fork_prepare();
    window_fork_prepare(self);
    wb_fork_prepare(self);
    peeks_fork_prepare(self);
    turn_fork_prepare(self);
    files_fork_prepare();
    sharing_fork_prepare();
    thread_fork_prepare();
    stats_fork_prepare();
    signals_fork_prepare();
}

/* By the second time: who forks once doesn't gain. */
static void find_ways_out(void) {
    enum { FORKS = 2 };
    static unsigned forks;
    if (likely(forks == FORKS) || ++forks < FORKS)
        return;
    jumps_find();
    exit_find();
}

/* What has to wait for a stream waits before any lock is taken. */
static void fork_flush(void) {
    if (wb_any_pending())
        announce("fork");
}

void fork_prepare(void) {
    fork_flush();
    struct thread *self = attached_self();
    prepared = UNPREPARED;
    turns_held = false;
    if (thread_amid(self) || self->vfork_child || !thread_attached(self))
        return;
    if (activated())
        rest_between_forks();
    find_ways_out();
    window_close(self, "fork");
    peeks_drop(self);
    turns_held = turn_hold(self);
    wb_rehearsal_ends();
    files_passed_on();
    if ((prepared = how_to_prepare()) == PLAIN)
        return; /* and if a handler makes something ready before the fork, fork_done sees it */
    critical_enter();
    prepared = how_to_prepare() == LOCKED ? LOCKED : ALONE; /* no handler changes that any more */
    if (prepared == LOCKED)
        lock_for_fork(self);
}

static void unlock_after_fork(struct thread *self, bool child) {
    signals_fork_done(child);
    stats_fork_done(child);
    thread_fork_done(child);
    sharing_fork_done();
    files_fork_done();
    wb_fork_done(self, child);
    if (child) {
        visits_forked();
        group_sync_forked();
        survey_forked();
        live_forked();
        if (!(atomic_load(&wb_hindrances) & 1ull << REASON_seccomp))
            live_restart();
        thread_count_in_sight();
    }
    turn_fork_done(child);
    peeks_fork_done(child);
    window_fork_done(child);
    activation_fork_done(child);
}

/* The child of a fork that nobody was prepared for: locks may be taken for ever, so it does nothing. */
static void go_without(void) {
    put_off_forked();
    stats_move(NULL);
    wb_hinder(REASON_disabled);
}

static void end_fork(bool child) {
    enum preparation done = prepared;
    prepared = PLAIN; /* for a fork that this one has interrupted, in a handler */
    if (child)
        passing_forked();
    if (done == UNPREPARED || (done == PLAIN && was_ever_ready())) {
        if (child)
            go_without();
        return;
    }
    files_passed_on(); /* again, before there can be a window: what another thread opened after the first time, too */
    if (done == ALONE && child)
        lock_for_fork(thread_self());
    if (done == LOCKED || (done == ALONE && child))
        unlock_after_fork(thread_self(), child);
    if (done != PLAIN)
        critical_leave();
}

static void fork_done(bool child) {
    end_fork(child);
    (child ? turn_forked : turn_release)(turns_held);
    turns_held = false;
}

void fork_parent(void) {
    fork_done(false);
}

void fork_child(void) {
    fork_done(true);
}

/*
 * fork() takes the lock of libc's list of streams after our handlers ran. A thread that flushes all streams holds it
 * while it writes, which takes our locks: so here it comes before them too. It is recursive.
 */
extern void _IO_list_lock(void);
extern void _IO_list_unlock(void);
extern void _IO_list_resetlock(void);
static bool streams_locked;

static void libc_forks(void) {
    bool lock = !single_threaded();
    fork_flush();
    if (lock)
        _IO_list_lock();
    fork_prepare();
    streams_locked = lock;
}

static void libc_forked_parent(void) {
    bool unlock = streams_locked;
    fork_parent();
    if (unlock)
        _IO_list_unlock();
}

static void libc_forked_child(void) {
    fork_child();
    if (streams_locked)
        _IO_list_resetlock();
}

extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object);
extern void *__dso_handle; /* what libc knows this library by */

bool forks_are_told(void) {
    __typeof__(&__register_atfork) tell = LIBC(__register_atfork);
    return tell && tell(libc_forks, libc_forked_parent, libc_forked_child, __dso_handle) == 0;
}
