/* Getting ready to defer, at the first write that is worth it; and giving everything back. */
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/signals.h"
#include "entry/activate.h"
#include "entry/entry.h"
#include "entry/sharing.h"
#include "entry/trial.h"
#include "files/shared_memory.h"

static struct mutex lock;
static _Atomic bool active;

bool activated(void) {
    return atomic_load_explicit(&active, memory_order_relaxed);
}

void file_mapped(const char *call, int fd) {
    if (activated())
        files_mark_mapped(fd);
    else
        shared_memory_scan_needed();
    drain(call);
}

void limits_refresh(void) {
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

/* What speaks against deferring for as long as nothing changes; looked at before anything is made. */
static enum reason look_around(void) {
    if (sys(SYS_sched_getscheduler, 0) != SCHED_OTHER && sys(SYS_sched_getscheduler, 0) != SCHED_BATCH)
        return REASON_real_time;
    if (trial_needed() && !trial_passed())
        return REASON_seccomp;
    if (!shared_memory_scan())
        return REASON_no_proc;
    if (shared_memory_asynchronous())
        return REASON_own_io_uring;
    if (few_processes())
        return REASON_no_flusher;
    sharing_refresh();
    limits_refresh();
    uint64_t hindrances = atomic_load(&wb_hindrances) & ~(1ull << REASON_pausing);
    return hindrances ? (enum reason)__builtin_ctzll(hindrances) : REASON_NONE;
}

static enum reason equip(void) {
    if (!signals_guard())
        return REASON_signal_blocked;
    int error = wb_start();
    if (error) {
        stats_fallback("flusher", -error);
        return REASON_no_flusher;
    }
    return REASON_NONE;
}

/* Speaks against this file only, or goes by itself. */
static bool passes(enum reason reason) {
    return reason == REASON_mapped || reason == REASON_visiting;
}

/* With the lock held. What is found is put up as a hindrance, so that it isn't looked for again at every write. */
static enum reason start(const struct inode *inode) {
    if (activated())
        return REASON_NONE;
    /* Active from here on, so that what is mapped from now on is marked; and nobody defers before it is true. */
    wb_hinder(REASON_pausing);
    atomic_store(&active, true);
    enum reason reason = look_around();
    if (reason == REASON_NONE && inode->mapped)
        reason = REASON_mapped;
    if (reason == REASON_NONE)
        reason = equip();
    if (reason != REASON_NONE)
        atomic_store(&active, false);
    if (reason != REASON_NONE && !passes(reason))
        wb_hinder(reason);
    wb_unhinder(REASON_pausing);
    return reason;
}

enum reason activate(const struct inode *inode) {
    if (likely(activated()))
        return REASON_NONE;
    int saved = errno;
    critical_enter();
    mutex_lock(&lock);
    enum reason reason = start(inode);
    mutex_unlock(&lock);
    critical_leave();
    errno = saved;
    return reason;
}

void deactivate(const char *call) {
    struct thread *self = attached_self();
    announce(call);
    if (!activated() || !thread_free(self))
        return;
    int saved = errno;
    critical_enter();
    mutex_lock(&lock);
    if (activated()) {
        wb_hinder(REASON_pausing); /* only with the lock: two pauses can't end each other */
        wb_stop(self);
        atomic_store(&active, false);
        wb_unhinder(REASON_pausing);
    }
    mutex_unlock(&lock);
    critical_leave();
    errno = saved;
}

void tables_diverge(const char *call) {
    wb_hinder(REASON_disabled);
    deactivate(call);
}

void activation_fork_prepare(void) {
    mutex_lock(&lock);
}

void activation_fork_done(bool child) {
    if (child)
        atomic_store(&active, false);
    mutex_unlock(&lock);
}
