/*
 * Memory without malloc: objects of one size, cut from mappings, never given back to the kernel and never moved, so a
 * stale pointer still points at an object of its type. Not locked: the caller holds the lock of the pool's layer.
 */
#ifndef URINGSHIM_BASE_ARENA_H
#define URINGSHIM_BASE_ARENA_H

#include <stddef.h>

/* Anonymous zeroed pages, or NULL. With `dontfork` a child of fork doesn't get them (madvise(2), MADV_DONTFORK). */
enum arena_fork { ARENA_INHERIT, ARENA_DONTFORK };
void *arena_map(size_t bytes, enum arena_fork fork);
void arena_unmap(void *start, size_t bytes);

/*
 * The last word of an object must be left to the pool: it links the free ones. Everything else of a recycled object is
 * as it was left, so that whoever holds a stale pointer goes on seeing valid pointers in it.
 */
struct pool {
    size_t size; /* of an object */
    void *free;
    char *fresh, *end;
};

/* An object, zeroed if it is fresh, or NULL when there is no memory. */
void *pool_get(struct pool *pool);
void pool_put(struct pool *pool, void *object);

#endif
