/*
 * Calls in which a thread may wait for another one of the process, which may be waiting for the answer to what this one
 * has written to a stream: that is performed first, so that nobody waits for the clock. Only while it is pending: these
 * calls are too frequent for more. What the other thread has learned, it has learned by a call of its own.
 *
 * Before glibc 2.34 most are in a library of their own, and programs see by a weak reference whether they have it. So
 * each is exported under the versions that libc has it under, and not without one.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <threads.h>
#include <time.h>

#include "base/libc.h"
#include "entry/entry.h"

static inline void may_wait(const char *call) {
    if (unlikely(streams_pending()))
        announce(call);
}

#define UNDER(name, label, version)                                                                                    \
    extern __typeof__(name) late_##name##label;                                                                        \
    __asm__(".symver late_" #name #label ", " #name "@" version);
#define EXPORTED(name, version)                                                                                        \
    UNDER(name, , version)                                                                                             \
    EXPORT __typeof__(name) late_##name;
/* And as of 2.34, when it came to be a part of libc itself. */
#define EXPORTED_TWICE(name, version)                                                                                  \
    EXPORTED(name, version)                                                                                            \
    UNDER(name, _again, "GLIBC_2.34")                                                                                  \
    EXPORT __typeof__(name) late_##name##_again __attribute__((alias("late_" #name)));

#define WAIT(exported, type, name, version, parameters, arguments)                                                     \
    exported(name, version) type late_##name parameters {                                                              \
        may_wait(#name);                                                                                               \
        return REAL(name) arguments;                                                                                   \
    }

/* Only if it has to wait: who tries is answered as who waits, but for `busy`. */
#define LOCK(exported, name, version, parameters, arguments, try, busy)                                                \
    exported(name, version) int late_##name parameters {                                                               \
        if (unlikely(streams_pending())) {                                                                             \
            int result = REAL(try)(lock);                                                                              \
            if (result != (busy))                                                                                      \
                return result;                                                                                         \
            announce(#name);                                                                                           \
        }                                                                                                              \
        return REAL(name) arguments;                                                                                   \
    }

#if defined(__x86_64__)
#define LIBC_CONDITIONS "GLIBC_2.3.2"
#else
#define LIBC_CONDITIONS LIBC_FIRST
#endif
#define LIBC_C11 "GLIBC_2.28"
#define LIBC_CLOCKS "GLIBC_2.30"

/* An old libc's headers don't have these. */
extern int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *lock, clockid_t clock,
                                  const struct timespec *limit);
extern int pthread_mutex_clocklock(pthread_mutex_t *lock, clockid_t clock, const struct timespec *limit);
extern int pthread_rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *limit);
extern int pthread_rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *limit);
extern int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *limit);

LOCK(EXPORTED, pthread_mutex_lock, LIBC_FIRST, (pthread_mutex_t * lock), (lock), pthread_mutex_trylock, EBUSY)
LOCK(EXPORTED_TWICE, pthread_mutex_timedlock, LIBC_FIRST, (pthread_mutex_t * lock, const struct timespec *limit),
     (lock, limit), pthread_mutex_trylock, EBUSY)
LOCK(EXPORTED_TWICE, pthread_mutex_clocklock, LIBC_CLOCKS,
     (pthread_mutex_t * lock, clockid_t clock, const struct timespec *limit), (lock, clock, limit),
     pthread_mutex_trylock, EBUSY)
LOCK(EXPORTED_TWICE, pthread_rwlock_rdlock, LIBC_FIRST, (pthread_rwlock_t * lock), (lock), pthread_rwlock_tryrdlock,
     EBUSY)
LOCK(EXPORTED_TWICE, pthread_rwlock_timedrdlock, LIBC_FIRST, (pthread_rwlock_t * lock, const struct timespec *limit),
     (lock, limit), pthread_rwlock_tryrdlock, EBUSY)
LOCK(EXPORTED_TWICE, pthread_rwlock_clockrdlock, LIBC_CLOCKS,
     (pthread_rwlock_t * lock, clockid_t clock, const struct timespec *limit), (lock, clock, limit),
     pthread_rwlock_tryrdlock, EBUSY)
LOCK(EXPORTED_TWICE, pthread_rwlock_wrlock, LIBC_FIRST, (pthread_rwlock_t * lock), (lock), pthread_rwlock_trywrlock,
     EBUSY)
LOCK(EXPORTED_TWICE, pthread_rwlock_timedwrlock, LIBC_FIRST, (pthread_rwlock_t * lock, const struct timespec *limit),
     (lock, limit), pthread_rwlock_trywrlock, EBUSY)
LOCK(EXPORTED_TWICE, pthread_rwlock_clockwrlock, LIBC_CLOCKS,
     (pthread_rwlock_t * lock, clockid_t clock, const struct timespec *limit), (lock, clock, limit),
     pthread_rwlock_trywrlock, EBUSY)
LOCK(EXPORTED_TWICE, mtx_lock, LIBC_C11, (mtx_t * lock), (lock), mtx_trylock, thrd_busy)
LOCK(EXPORTED_TWICE, mtx_timedlock, LIBC_C11, (mtx_t * lock, const struct timespec *limit), (lock, limit), mtx_trylock,
     thrd_busy)

WAIT(EXPORTED, int, pthread_cond_wait, LIBC_CONDITIONS, (pthread_cond_t * condition, pthread_mutex_t *lock),
     (condition, lock))
WAIT(EXPORTED, int, pthread_cond_timedwait, LIBC_CONDITIONS,
     (pthread_cond_t * condition, pthread_mutex_t *lock, const struct timespec *limit), (condition, lock, limit))
WAIT(EXPORTED_TWICE, int, pthread_cond_clockwait, LIBC_CLOCKS,
     (pthread_cond_t * condition, pthread_mutex_t *lock, clockid_t clock, const struct timespec *limit),
     (condition, lock, clock, limit))
WAIT(EXPORTED_TWICE, int, cnd_wait, LIBC_C11, (cnd_t * condition, mtx_t *lock), (condition, lock))
WAIT(EXPORTED_TWICE, int, cnd_timedwait, LIBC_C11, (cnd_t * condition, mtx_t *lock, const struct timespec *limit),
     (condition, lock, limit))
WAIT(EXPORTED_TWICE, int, sem_wait, LIBC_FIRST, (sem_t * semaphore), (semaphore))
WAIT(EXPORTED_TWICE, int, sem_timedwait, LIBC_FIRST, (sem_t * semaphore, const struct timespec *limit),
     (semaphore, limit))
WAIT(EXPORTED_TWICE, int, sem_clockwait, LIBC_CLOCKS,
     (sem_t * semaphore, clockid_t clock, const struct timespec *limit), (semaphore, clock, limit))
WAIT(EXPORTED_TWICE, int, pthread_barrier_wait, LIBC_FIRST, (pthread_barrier_t * barrier), (barrier))
WAIT(EXPORTED_TWICE, int, pthread_once, LIBC_FIRST, (pthread_once_t * once, void (*run)(void)), (once, run))

WAIT(EXPORTED, int, sched_yield, LIBC_FIRST, (void), ())
WAIT(EXPORTED, void, thrd_yield, LIBC_C11, (void), ())

UNDER(call_once, , LIBC_C11)
UNDER(call_once, _again, "GLIBC_2.34")
EXPORT void late_call_once(once_flag *once, void (*run)(void)) {
    may_wait("call_once");
    REAL(call_once)(once, run);
}
EXPORT void late_call_once_again(once_flag *once, void (*run)(void)) __attribute__((alias("late_call_once")));

/* Where libc locks a FILE inside itself nobody sees it. */
EXPORTED(flockfile, LIBC_FIRST)
void late_flockfile(FILE *file) {
    if (unlikely(streams_pending())) {
        if (REAL(ftrylockfile)(file) == 0)
            return;
        announce("flockfile");
    }
    REAL(flockfile)(file);
}
