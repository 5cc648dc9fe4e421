/*
 * Two locks, both on futexes by raw system calls, so that they work before libc is ready, in a thread that libc does
 * not know, and in the child of a fork.
 *
 * struct mutex: the three-state mutex of "Futexes Are Tricky" (Drepper 2011): 0 free, 1 taken, 2 taken and waited for.
 *
 * struct biased_lock: a mutex that one thread, its owner, may take without any locked instruction. The owner announces
 * itself in its own word (`inside`) and then looks whether somebody wants to revoke; whoever else wants the lock takes
 * the mutex, asks for revocation, makes every running thread pass a memory barrier (membarrier(2), PRIVATE_EXPEDITED)
 * and waits until the owner isn't inside. One of the two always sees the other: Dekker's algorithm with the owner's
 * fence paid by the other side. Where membarrier is refused there is no owner, and everybody takes the mutex.
 *
 * On a weakly ordered processor as well: membarrier makes the owner pass its fence between two of its instructions. If
 * it has announced itself before that, the other side sees it and waits; if it does so later, it looks later, too, and
 * sees that somebody wants to revoke. What is done inside needs no more than release and acquire: `inside` and `revoke`
 * are set to 0 with all that was done before, and who finds the 0 has got it. No older 0 can be found: the owner's look
 * at `revoke` comes after the fence, or the other side has waited for the owner. That the ownership was lost is seen by
 * the second look at `owner`, after that at `revoke`; who has it changes with the mutex only.
 */
#ifndef URINGSHIM_BASE_LOCK_H
#define URINGSHIM_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/critical.h"
#include "base/sys.h"

/* From before it is taken until after it is given back the thread is in a critical section. */
struct mutex {
    _Atomic uint32_t word;
};

void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_trylock(struct mutex *m);

/* Sleeps while *word == value, at most `timeout_us` microseconds (0: no limit). Spurious returns are allowed. */
void futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_us);
void futex_wake_all(_Atomic uint32_t *word);

/* What a thread contributes to the biased locks that it owns. Never freed while a lock names it as owner. */
struct lock_holder {
    _Atomic uint32_t inside; /* 1 while its thread is in a critical section that it entered by bias, of any lock */
    _Atomic uint32_t wanted; /* how many wait for it to leave: for whichever lock, they sleep on that one word */
};

enum { BIASED_MAX = 128 }; /* locks that have an owner */
struct biased_lock {
    struct mutex mutex;
    _Atomic uint32_t revoke;
    struct lock_holder *_Atomic owner;
    /* learned under the mutex: who came how often in turn, how often the owner had to be disturbed */
    struct lock_holder *recent;
    uint32_t streak;
    uint32_t disturbed;
};

/* Registers the process for membarrier; false if the kernel refuses. Once per process and per fork. */
bool bias_available(void);

void bias_wake_revoker(struct lock_holder *self);

/* The owner's way out. */
static inline void bias_leave(struct lock_holder *self) {
    atomic_store_explicit(&self->inside, 0, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(atomic_load_explicit(&self->wanted, memory_order_relaxed)))
        bias_wake_revoker(self);
    if (unlikely(critical_blocked))
        critical_left();
}

/* The owner's way in. False: not the owner, or somebody else is at it: use biased_lock. Must not nest. */
static inline bool bias_enter(struct biased_lock *lock, struct lock_holder *self) {
    if (atomic_load_explicit(&lock->owner, memory_order_relaxed) != self)
        return false;
    atomic_store_explicit(&self->inside, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (likely(!atomic_load_explicit(&lock->revoke, memory_order_acquire) &&
               atomic_load_explicit(&lock->owner, memory_order_relaxed) == self))
        return true;
    bias_leave(self);
    return false;
}

/* Anybody's way in and out, the owner's too. Must not nest. */
void biased_lock(struct biased_lock *lock, struct lock_holder *self);
void biased_unlock(struct biased_lock *lock);
/* False when another thread is in by the mutex; waits for an owner that is in by bias, which is never for long. */
bool biased_trylock(struct biased_lock *lock, struct lock_holder *self);

/*
 * To be called with the lock held by biased_lock, by a thread that means to come often: makes it the owner when it
 * has come alone for a while, and nobody the owner when two threads disturb each other.
 */
void bias_learn(struct biased_lock *lock, struct lock_holder *self);
/* Takes the ownership away; the lock must be held by biased_lock. */
void bias_drop(struct biased_lock *lock, struct lock_holder *self);
/*
 * Takes all ownership of all locks away, and nobody has any from now on if CRITICAL_CANCELLING is set: an owner may be
 * cancelled while it is inside. Locks that have had an owner are never freed.
 */
void bias_end(struct lock_holder *self);

#endif
