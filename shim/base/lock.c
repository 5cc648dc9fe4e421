#include "base/lock.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <time.h>

enum {
    SPINS = 100,           /* about a microsecond: longer than any copy into a buffer of a few KiB */
    STREAK_TO_OWN = 16,    /* acquisitions in a row after which a thread becomes the owner */
    DISTURBED_TO_LOSE = 8, /* times that a would-be owner had to disturb the owner, after which nobody owns */
};

void futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_us) {
    struct timespec limit = {.tv_sec = (time_t)(timeout_us / 1000000), .tv_nsec = (long)(timeout_us % 1000000) * 1000};
    sys(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, timeout_us ? &limit : NULL);
}

void futex_wake_all(_Atomic uint32_t *word) {
    sys(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT32_MAX);
}

void mutex_lock(struct mutex *m) {
    uint32_t seen = 0;
    critical_enter();
    if (likely(atomic_compare_exchange_strong_explicit(&m->word, &seen, 1, memory_order_acquire, memory_order_relaxed)))
        return;
    for (int i = 0; i < SPINS && atomic_load_explicit(&m->word, memory_order_relaxed) == 1; i++)
        ;
    while (atomic_exchange_explicit(&m->word, 2, memory_order_acquire) != 0)
        futex_wait(&m->word, 2, 0);
}

bool mutex_trylock(struct mutex *m) {
    uint32_t seen = 0;
    critical_enter();
    if (atomic_compare_exchange_strong_explicit(&m->word, &seen, 1, memory_order_acquire, memory_order_relaxed))
        return true;
    critical_leave();
    return false;
}

void mutex_unlock(struct mutex *m) {
    if (unlikely(atomic_exchange_explicit(&m->word, 0, memory_order_release) == 2))
        sys(SYS_futex, &m->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
    critical_leave();
}

bool bias_available(void) {
    return sys(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void bias_wake_revoker(struct lock_holder *self) {
    futex_wake_all(&self->inside);
}

/* With the mutex held: keeps the owner out, and waits until it is. */
static void exclude_owner(struct biased_lock *lock, const struct lock_holder *self) {
    struct lock_holder *owner = atomic_load_explicit(&lock->owner, memory_order_relaxed);
    if (owner == NULL || owner == self)
        return;
    atomic_store_explicit(&lock->revoke, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&owner->wanted, 1, memory_order_relaxed);
    sys(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    for (int i = 0; i < SPINS && atomic_load_explicit(&owner->inside, memory_order_acquire); i++)
        ;
    while (atomic_load_explicit(&owner->inside, memory_order_acquire))
        futex_wait(&owner->inside, 1, 0);
    atomic_fetch_sub_explicit(&owner->wanted, 1, memory_order_relaxed);
}

void biased_lock(struct biased_lock *lock, struct lock_holder *self) {
    mutex_lock(&lock->mutex);
    exclude_owner(lock, self);
}

bool biased_trylock(struct biased_lock *lock, struct lock_holder *self) {
    if (!mutex_trylock(&lock->mutex))
        return false;
    exclude_owner(lock, self);
    return true;
}

void biased_unlock(struct biased_lock *lock) {
    if (atomic_load_explicit(&lock->revoke, memory_order_relaxed))
        atomic_store_explicit(&lock->revoke, 0, memory_order_release);
    mutex_unlock(&lock->mutex);
}

/* All that have ever had an owner; of more than these none has. */
static struct biased_lock *_Atomic owned[BIASED_MAX] LATER;

static bool listed(struct biased_lock *lock) {
    for (int i = 0; i < BIASED_MAX; i++) {
        struct biased_lock *there = NULL;
        if (atomic_compare_exchange_strong(&owned[i], &there, lock) || there == lock)
            return true;
    }
    return false;
}

static void make_owner(struct biased_lock *lock, struct lock_holder *self) {
    if (critical_cancelable == CANCELABLE_HIDDEN || !listed(lock) ||
        atomic_load(&critical_blocks) & CRITICAL_CANCELLING) /* after it was listed: bias_end goes the other way */
        return;
    lock->disturbed = 0;
    atomic_store_explicit(&lock->owner, self, memory_order_relaxed);
}

void bias_end(struct lock_holder *self) {
    struct biased_lock *lock;
    for (int i = 0; i < BIASED_MAX && (lock = atomic_load(&owned[i])); i++) {
        biased_lock(lock, self);
        atomic_store_explicit(&lock->owner, NULL, memory_order_relaxed);
        biased_unlock(lock);
    }
}

void bias_learn(struct biased_lock *lock, struct lock_holder *self) {
    struct lock_holder *owner = atomic_load_explicit(&lock->owner, memory_order_relaxed);
    if (owner == self) {
        lock->disturbed = 0;
        return;
    }
    if (lock->recent == self) {
        lock->streak++;
    } else {
        lock->recent = self;
        lock->streak = 1;
    }
    if (owner != NULL) {
        if (++lock->disturbed >= DISTURBED_TO_LOSE)
            atomic_store_explicit(&lock->owner, NULL, memory_order_relaxed);
    } else if (lock->streak >= STREAK_TO_OWN) {
        make_owner(lock, self);
    }
}

void bias_drop(struct biased_lock *lock, struct lock_holder *self) {
    if (atomic_load_explicit(&lock->owner, memory_order_relaxed) == self)
        atomic_store_explicit(&lock->owner, NULL, memory_order_relaxed);
    lock->recent = NULL;
    lock->streak = 0;
}
