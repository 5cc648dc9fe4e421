#include "files/users.h"

#include "base/arena.h"
#include "base/single.h"

struct users *_Atomic users;

static const char nobody, several; /* marks */
static const void *_Atomic of_any = &nobody;

bool users_follow(void) {
    struct users *none = NULL;
    if (users_followed())
        return true;
    struct users *made = arena_map(sizeof *made, ARENA_INHERIT);
    if (made && !atomic_compare_exchange_strong(&users, &none, made))
        arena_unmap(made, sizeof *made);
    return made != NULL;
}

static const void *_Atomic *place_of(int fd) {
    struct users *all = atomic_load_explicit(&users, memory_order_acquire);
    return all && (unsigned)fd < USERS ? &all->of[fd] : NULL;
}

/* May this former user be on its way into the kernel still? */
static bool lingers(const struct users *all, int fd, const void *user) {
    if (!user || user == &nobody)
        return false;
    return user == &several || atomic_load_explicit(&((const struct thread *)user)->waits, memory_order_acquire) ==
                                   atomic_load_explicit(&all->waits[fd], memory_order_relaxed);
}

/* Those who linger from earlier lives of the number, and the user in the last one. */
static const void *former(struct users *all, int fd, const struct thread *self) {
    const void *last = atomic_load(&all->of[fd]), *before = atomic_load(&all->before[fd]);
    if (before == self || !lingers(all, fd, before))
        before = NULL;
    if (!last || last == self || last == &nobody)
        return before;
    if (last == &several || (before && before != last))
        return &several;
    atomic_store(&all->waits[fd], atomic_load(&((const struct thread *)last)->waits));
    return last;
}

void users_born(int fd) {
    const void *_Atomic *place = place_of(fd);
    if (place)
        atomic_store(place, &nobody);
}

void users_born_of(const struct thread *self, int fd) {
    struct users *all = atomic_load_explicit(&users, memory_order_acquire);
    if (!all || (unsigned)fd >= USERS)
        return;
    atomic_store(&all->before[fd], former(all, fd, self));
    atomic_store(&all->of[fd], !single_threaded() ? &nobody : thread_attached(self) ? (const void *)self : NULL);
}

void users_shared(int fd) {
    const void *_Atomic *place = place_of(fd);
    if (place)
        atomic_store(place, &several);
}

/* One more user. What isn't known stays so. */
static bool add(const void *_Atomic *place, const struct thread *self) {
    const void *seen = atomic_load_explicit(place, memory_order_relaxed);
    while (seen != self && seen != &several && seen)
        if (atomic_compare_exchange_weak(place, &seen, seen == &nobody ? (const void *)self : &several))
            return seen != &nobody;
    return false;
}

bool users_add(const struct thread *self, int fd) {
    const void *_Atomic *place = place_of(fd);
    return place && add(place, self);
}

bool users_add_any(const struct thread *self) {
    return add(&of_any, self);
}

bool users_only(const struct thread *self, int fd) {
    const void *_Atomic *place = place_of(fd);
    const void *any = atomic_load(&of_any);
    if (!place || atomic_load(place) != self || (any != &nobody && any != self))
        return false;
    const struct users *all = atomic_load_explicit(&users, memory_order_relaxed);
    const void *before = atomic_load(&all->before[fd]);
    return before == self || !lingers(all, fd, before);
}
