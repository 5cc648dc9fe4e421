/*
 * Which threads use a number. In a process with several threads one may be in the midst of a read of a socket, and take
 * what another one has looked at: that isn't seen from outside. So each thread is noted before it uses a number for the
 * first time, from the number's birth on. Who is the only one so far has nobody in the midst of a call by it. Where
 * there is one thread nothing need be noted.
 *
 * Who used a number may have been held up on its way into the kernel while it was closed and became something else. So
 * that thread counts until it has waited for descriptors since, as loops do all the time.
 *
 * Followed is nothing until somebody asks, and numbers from before are never known to have one user. What is noted may
 * be asked at any time, without a lock: who notes a second user does so before looking whether somebody relies on there
 * being one, and who relies on it says so before asking (Dekker).
 */
#ifndef URINGSHIM_FILES_USERS_H
#define URINGSHIM_FILES_USERS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/sys.h"
#include "base/thread.h"

enum { USERS = 1 << 16 }; /* numbers; larger ones are never known */

struct users {
    const void *_Atomic of[USERS]; /* NULL: not known; or a thread, or one of the marks in users.c */
    /* Who used the number when it was something else, and how often that thread had waited when it became this. */
    const void *_Atomic before[USERS];
    _Atomic uint32_t waits[USERS];
};
extern struct users *_Atomic users HIDDEN;

static inline bool users_followed(void) {
    return unlikely(atomic_load_explicit(&users, memory_order_relaxed) != NULL);
}

/* From now on. False without memory. */
bool users_follow(void);
/*
 * The number was given by the kernel for something that nobody has used yet: for something that nothing can be taken
 * from; or to the calling thread, for anything. While that is the only thread it counts as its user, for what it does
 * isn't noted.
 */
void users_born(int fd);
void users_born_of(const struct thread *self, int fd);
/* Was the thread noted as its only user so far? */
static inline bool users_knows(const struct thread *self, int fd) {
    const struct users *all = atomic_load_explicit(&users, memory_order_relaxed);
    return (unsigned)fd < USERS && atomic_load_explicit(&all->of[fd], memory_order_relaxed) == self;
}
/* The thread is about to use it. True: it isn't the only one since this moment. */
bool users_add(const struct thread *self, int fd);
/* It is about to use some number, it isn't said which. True as above, for all. */
bool users_add_any(const struct thread *self);
/* The thread is about to wait for descriptors: what it called before has come back. */
static inline void users_wait(struct thread *self) {
    if (users_followed())
        atomic_store_explicit(&self->waits, atomic_load_explicit(&self->waits, memory_order_relaxed) + 1,
                              memory_order_release);
}
/* The number has others beside it for the same description. */
void users_shared(int fd);
/* Has no other thread ever used it? */
bool users_only(const struct thread *self, int fd);

#endif
