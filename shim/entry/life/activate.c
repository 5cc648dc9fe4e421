/* Getting ready to defer, at the first write that is worth it; and giving everything back. */
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/config.h"
#include "base/signals.h"
#include "base/single.h"
#include "entry/data/libc_reads.h"
#include "entry/data/sharing.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/libc_version.h"
#include "entry/life/own_calls.h"
#include "entry/life/trial.h"
#include "files/shared_memory.h"

static struct mutex lock;
static _Atomic bool prepared, active;
static bool ever;

/* Who finds either true looks at the hindrances after that: one is up as long as all isn't ready. */
bool activated(void) {
    return atomic_load_explicit(&active, memory_order_acquire);
}

bool prepared_to_read(void) {
    return atomic_load_explicit(&prepared, memory_order_acquire);
}

bool was_ever_ready(void) {
    return ever;
}

void file_mapped(const char *call, int fd) {
    window_forbid(); /* what is mapped may change, and be a message, without a call */
    if (prepared_to_read())
        files_mark_mapped(fd);
    else
        shared_memory_scan_needed();
    drain(call);
}

/* With the lock held: else one could take away what another has just put up. */
static void look_at_limits(void) {
    struct rlimit limit;
    if (sys(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
        wb_unhinder(REASON_size_limit);
    else
        wb_hinder(REASON_size_limit);
}

/* The helper thread counts against the limit: where that is tight, the program may need all of it. */
static bool few_processes(void) {
    enum { FEW = 256 };
    struct rlimit limit;
    return sys(SYS_prlimit64, 0, RLIMIT_NPROC, NULL, &limit) == 0 && limit.rlim_cur < FEW;
}

static enum reason hindrance(void) {
    uint64_t hindrances = atomic_load(&wb_hindrances) & ~(1ull << REASON_pausing);
    return hindrances ? wb_first_hindrance(hindrances) : REASON_NONE;
}

/* What speaks against both deferring and reading ahead for as long as nothing changes. What costs most comes last. */
static enum reason look_around(const struct inode *inode, bool to_write) {
    if (trial_needed() && !trial_passed())
        return REASON_seccomp;
    if (!shared_memory_scan())
        return REASON_no_proc;
    if (shared_memory_asynchronous())
        return REASON_own_io_uring;
    if (libc_calls_unknown())
        return REASON_newer_libc;
    if (conversions_by_user())
        return REASON_libc_reads;
    if (inode->mapped)
        return REASON_mapped;
    sharing_refresh();
    enum reason reason = to_write ? hindrance() : REASON_NONE;
    if (reason == REASON_NONE)
        reason = few_processes() ? own_calls_now() : own_calls_look();
    return reason == REASON_NONE ? signals_guard() : reason;
}

/* And what speaks against deferring alone. */
static enum reason equip(void) {
    if (sys(SYS_sched_getscheduler, 0) != SCHED_OTHER && sys(SYS_sched_getscheduler, 0) != SCHED_BATCH)
        return REASON_real_time;
    if (few_processes())
        return REASON_no_flusher;
    look_at_limits();
    enum reason reason = hindrance();
    int error = reason == REASON_NONE ? wb_start() : 0;
    if (error) {
        stats_fallback("flusher", -error);
        return REASON_no_flusher;
    }
    return reason;
}

/* Speaks against this file only, or goes by itself. */
static bool passes(enum reason reason) {
    return reason == REASON_mapped || reason == REASON_visiting || reason == REASON_looking;
}

/* With the lock held. What is found is put up as a hindrance, so that it isn't looked for again at every call. */
static enum reason prepare(const struct inode *inode, bool to_write) {
    if (prepared_to_read())
        return REASON_NONE;
    /* True from here on, so that what is mapped from now on is marked; and nobody defers before it is. */
    atomic_store(&prepared, true);
    /* What was put up since policy looked: who did so waits for us only from here on. */
    uint64_t barred = atomic_load(&wb_hindrances) &
                      (1ull << REASON_seccomp | 1ull << REASON_disabled | WB_VISITING | 1ull << REASON_unready);
    enum reason reason = barred ? wb_first_hindrance(barred) : look_around(inode, to_write);
    if (reason != REASON_NONE) {
        atomic_store(&prepared, false);
        return reason;
    }
    window_start();
    peeks_start();
    turn_start();
    return REASON_NONE;
}

static enum reason start(const struct inode *inode, bool to_write) {
    wb_hinder(REASON_pausing);
    ever = true;
    enum reason reason = prepare(inode, to_write);
    if (reason == REASON_NONE && to_write && !activated()) {
        reason = equip();
        atomic_store(&active, reason == REASON_NONE);
    }
    if (reason != REASON_NONE && !passes(reason))
        wb_hinder(reason);
    wb_unhinder(REASON_pausing);
    return reason;
}

static enum reason start_once(const struct inode *inode, bool to_write) {
    int saved = errno;
    critical_enter();
    mutex_lock(&lock);
    enum reason reason = start(inode, to_write);
    mutex_unlock(&lock);
    critical_leave();
    errno = saved;
    return reason;
}

enum reason activate(const struct inode *inode) {
    return likely(activated()) ? REASON_NONE : start_once(inode, true);
}

enum reason prepare_to_read(const struct inode *inode) {
    return likely(prepared_to_read()) ? REASON_NONE : start_once(inode, false);
}

/* With the lock held. False: something has to wait for a stream first. */
static bool stop(struct thread *self, bool reading_too) {
    wb_hinder(REASON_pausing); /* only with the lock: two pauses can't end each other */
    if (reading_too)
        window_stop(self);
    peeks_stop(self); /* nobody would settle */
    turn_stop(self);
    bool stopped = !activated() || wb_stop(self);
    if (stopped)
        atomic_store(&active, false);
    if (stopped && reading_too)
        atomic_store(&prepared, false);
    wb_unhinder(REASON_pausing);
    return stopped;
}

/*
 * What another thread wrote, and a stream has no room for, may have to wait for the caller itself. Then the library
 * stays as it is: the helper thread goes on until that is written.
 */
static void stop_once(struct thread *self, bool reading_too) {
    int saved = errno;
    bool stopped = false;
    for (int attempt = 0; attempt < 2 && !stopped; attempt++) {
        if (attempt > 0)
            wb_flush_all(self, FLUSH_BARRIER, WB_WAIT);
        critical_enter();
        mutex_lock(&lock);
        if (reading_too)
            own_calls_stop();
        bool running = reading_too ? prepared_to_read() : activated();
        stopped = !running || stop(self, reading_too);
        mutex_unlock(&lock);
        critical_leave();
    }
    errno = saved;
}

void limits_refresh(void) {
    if (unlikely(thread_off))
        return;
    critical_enter();
    mutex_lock(&lock);
    look_at_limits();
    mutex_unlock(&lock);
    critical_leave();
}

void deactivate(const char *call) {
    struct thread *self = attached_self();
    announce(call);
    if ((prepared_to_read() || own_calls_looking()) && thread_free(self))
        stop_once(self, true);
}

void code_added(void *start, size_t length) {
    shared_memory_scan_needed();
    mutex_lock(&lock);
    own_calls_stop();
    own_calls_again(start, length);
    mutex_unlock(&lock);
}

void code_changed(const char *call, void *start, size_t length, bool of_file) {
    if (!thread_free(thread_self()) || !own_calls_matters(start, length, of_file))
        return;
    bool exclusive = exclusive_begins(call);
    deactivate(call);
    code_added(start, length);
    exclusive_ends(exclusive);
}

void rest(void) {
    struct thread *self = attached_self();
    if (activated() && !config.sqpoll && !self->reading.ring && !self->turning.ring && !peeks_exist() &&
        single_threaded() && thread_free(self))
        stop_once(self, false);
}

void keep_out(const char *call) {
    wb_hinder(REASON_disabled);
    deactivate(call);
    if (single_threaded() && thread_free(thread_self()))
        signals_give_back();
}

void activation_fork_prepare(void) {
    mutex_lock(&lock);
}

void activation_fork_done(bool child) {
    if (child) {
        atomic_store(&active, false);
        atomic_store(&prepared, false);
        own_calls_forked();
        ever = false;
    }
    mutex_unlock(&lock);
}
