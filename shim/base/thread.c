#include "base/thread.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/arena.h"
#include "base/live.h"
#include "base/real.h"
#include "base/single.h"

struct thread thread_nobody = {.stats = &thread_nobody.own_stats};
static struct thread first_thread FORKED; /* so that a program's only thread costs no mapping */

__thread uintptr_t thread_self_offset __attribute__((tls_model("initial-exec")));

void (*thread_at_exit)(struct thread *self);

static struct mutex lock;
static struct pool pool = {.size = sizeof(struct thread)};
static struct thread *_Atomic all;
static struct thread *unused; /* linked by `log`, which an unused structure doesn't need */
static pthread_key_t key;
static bool key_made, started;
static _Atomic bool strangers;
static _Atomic bool confined;

static __thread bool ends BESIDE; /* the program's destructors for thread-local data may still run */

/* A thread that returns may still be cancelled here, and would leave what it is at half done. */
static void at_thread_end(void *argument) {
    struct thread *self = argument;
    critical_hold_cancellation();
    ends = true;
    if (thread_at_exit)
        thread_at_exit(self);
    stats_collect(self->stats);
    thread_hide();
    thread_become(&thread_nobody);
    mutex_lock(&lock);
    self->log = (struct wb_log *)unused;
    unused = self;
    mutex_unlock(&lock);
    critical_release_cancellation();
}

static __typeof__(&pthread_setspecific) set_specific;

/* Before glibc 2.34 threads have a library of their own: without it the first thread is the only one, to the end. */
static void find_threads(void *(*find)(const char *name)) {
    __typeof__(&pthread_key_create) make_key = find("pthread_key_create");
    set_specific = find("pthread_setspecific");
    key_made = make_key && set_specific && make_key(&key, at_thread_end) == 0;
    started = key_made || !make_key;
}

/* That library stays. */
static void *come_later(const char *name) {
    bool stays;
    return real_libc_later(name, &stays);
}

bool thread_start(void) {
    find_threads(real_libc);
    return started;
}

void thread_library_loaded(void) {
    if (likely(key_made || !started))
        return;
    find_threads(come_later);
    if (key_made && thread_attached(thread_self()))
        set_specific(key, thread_self());
}

static void reset(struct thread *thread) {
    atomic_store_explicit(&thread->holder.inside, 0, memory_order_relaxed);
    thread->log = NULL;
    thread->writing = thread->reading = thread->turning = (struct thread_ring){0};
    thread->vfork_child = thread->handlers_ours = false;
    thread->waiting = 0;
    thread->look_in = thread->looked_in = 0;
    thread->sections = NULL;
    thread_mask_changed(thread);
}

/* Its counters go where they can be watched, if there is a place; once it has one it keeps it. */
static void count_in_sight(struct thread *thread) {
    if (thread->stats && thread->stats != &thread->own_stats)
        return;
    struct stats *place = live_place();
    thread->stats = place ? place : &thread->own_stats;
}

void thread_strangers_come(void) {
    atomic_store(&strangers, true);
}

bool thread_off;

void thread_stay_off(void) {
    thread_off = true;
    thread_nobody.vfork_child = true;
}

void thread_confined(void) {
    struct thread *self = thread_self();
    if (self->vfork_child)
        self->vfork_confined = true;
    else
        atomic_store(&confined, true);
}

bool thread_is_confined(void) {
    const struct thread *self = thread_self();
    return atomic_load(&confined) || (self->vfork_child && self->vfork_confined);
}

struct thread *thread_attach(void) {
    if (!started || atomic_load_explicit(&strangers, memory_order_relaxed))
        return NULL;
    mutex_lock(&lock);
    struct thread *self = unused;
    bool another = atomic_load_explicit(&all, memory_order_relaxed);
    if (self) {
        unused = (struct thread *)self->log;
    } else {
        self = !another ? &first_thread : key_made ? pool_get(&pool) : NULL;
        if (self) {
            self->stats = &self->own_stats; /* whoever goes through the list looks there */
            self->next = atomic_load_explicit(&all, memory_order_relaxed);
            atomic_store_explicit(&all, self, memory_order_release);
        }
    }
    mutex_unlock(&lock);
    if (another)
        single_no_longer();
    if (!self)
        return NULL;
    reset(self);
    count_in_sight(self);
    thread_become(self);
    if (likely(key_made))
        set_specific(key, self);
    return self;
}

struct thread *thread_list(void) {
    return atomic_load_explicit(&all, memory_order_acquire);
}

/*
 * Who cancels looks whether there has been such a thread after it has said CRITICAL_CANCELLING; and a thread looks
 * whether that was said after it has said that it is one. So one of the two makes sure that it owns no lock.
 */
static _Atomic bool any_cancelable;

static void show_sections(struct thread *self, const union critical *sections, int number) {
    mutex_lock(&lock);
    self->sections = sections;
    self->number = number;
    mutex_unlock(&lock);
}

static void set_hidden(struct thread *self) {
    critical_cancelable = CANCELABLE_HIDDEN;
    atomic_fetch_or(&critical_blocks, CRITICAL_HIDDEN);
    bias_end(&self->holder);
}

static void set_shown(struct thread *self) {
    critical_cancelable = CANCELABLE_SHOWN;
    show_sections(self, &critical, (int)sys(SYS_gettid));
    atomic_store(&any_cancelable, true);
    if (atomic_load(&critical_blocks) & CRITICAL_CANCELLING)
        bias_end(&self->holder);
}

/* Without a structure, or a barrier for those who are cancelled, it can't be waited for. */
void thread_set_cancelable(bool cancelable) {
    struct thread *self = thread_self();
    if (cancelable == (critical_cancelable != CANCELABLE_NOT) || thread_is_confined())
        return;
    if (cancelable && (ends || !thread_attached(self) || !bias_available())) {
        set_hidden(self);
    } else if (cancelable) {
        set_shown(self);
    } else {
        if (critical_cancelable == CANCELABLE_SHOWN)
            show_sections(self, NULL, 0);
        critical_cancelable = CANCELABLE_NOT;
    }
}

/* Where calls are forbidden it isn't waited for, nor blocks. */
void thread_hide(void) {
    struct thread *self = thread_self();
    if (critical_cancelable != CANCELABLE_SHOWN)
        return;
    if (!thread_is_confined())
        set_hidden(self);
    else
        critical_cancelable = CANCELABLE_NOT;
    show_sections(self, NULL, 0);
}

static bool is_amid(const struct thread *thread) {
    mutex_lock(&lock); /* the thread may end, and its thread-local memory go */
    bool amid = thread->sections && sys(SYS_tgkill, sys(SYS_getpid), thread->number, 0) == 0 &&
                *(const volatile uint32_t *)&thread->sections->depth > 0;
    mutex_unlock(&lock);
    return amid;
}

void thread_cancelling(void) {
    struct timespec pause = {0, 20000};
    struct thread *self = thread_self();
    if (thread_is_confined())
        return;
    atomic_fetch_or(&critical_blocks, CRITICAL_CANCELLING);
    if (!atomic_load(&any_cancelable))
        return;
    bias_end(&self->holder);
    bias_available(); /* where it isn't, they have blocked all the time */
    sys(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    for (struct thread *thread = thread_list(); thread; thread = thread->next)
        while (thread != self && is_amid(thread))
            sys(SYS_nanosleep, &pause, NULL);
}

/* Frames on an alternate stack can't be compared, but nobody who has left a handler is on one (sigaltstack(2)). */
uint8_t thread_waits_at(struct thread *self, uintptr_t frame) {
    stack_t stack = {.ss_flags = 0};
    if (!self->wait_unsure)
        return self->waiting;
    if (frame >= self->wait_frame && !(sys(SYS_sigaltstack, NULL, &stack) == 0 && stack.ss_flags & SS_ONSTACK)) {
        self->waiting = 0;
        self->wait_unsure = false;
    }
    return self->waiting;
}

void thread_fork_prepare(void) {
    mutex_lock(&lock);
}

static void forget_the_others(void) {
    struct thread *self = thread_self();
    unused = NULL;
    for (struct thread *thread = all; thread; thread = thread->next) {
        bool mine = thread == self;
        thread->stats = &thread->own_stats;
        thread->own_stats = (struct stats){0}; /* the parent reports these */
        if (mine) {
            thread->waiting = 0; /* for what its parent wrote */
            thread->writing = thread->reading = thread->turning = (struct thread_ring){0};
            if (thread->sections)
                thread->number = (int)sys(SYS_gettid);
        } else {
            reset(thread);
            thread->log = (struct wb_log *)unused;
            unused = thread;
        }
    }
}

void thread_fork_done(bool child) {
    if (child)
        forget_the_others();
    mutex_unlock(&lock);
}

void thread_count_in_sight(void) {
    if (thread_attached(thread_self()))
        count_in_sight(thread_self());
}

void thread_collect_stats(void) {
    for (struct thread *thread = thread_list(); thread; thread = thread->next)
        stats_collect(thread->stats);
    stats_collect(thread_nobody.stats);
}
