#include "base/arena.h"

#include <sys/mman.h>

#include "base/sys.h"
#include "base/valgrind.h"

enum { CHUNK = 64 << 10 };

void *arena_map(size_t bytes, enum arena_fork fork) {
    long start = sys(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (SYS_IS_ERROR(start))
        return NULL;
    if (fork == ARENA_DONTFORK)
        sys(SYS_madvise, start, bytes, MADV_DONTFORK);
    valgrind_ours((void *)start, bytes);
    return (void *)start;
}

void arena_unmap(void *start, size_t bytes) {
    if (start)
        sys(SYS_munmap, start, bytes);
}

static void **link_of(const struct pool *pool, void *object) {
    return (void **)((char *)object + pool->size - sizeof(void *));
}

void *pool_get(struct pool *pool) {
    void *object = pool->free;
    if (object) {
        pool->free = *link_of(pool, object);
        return object;
    }
    if ((size_t)(pool->end - pool->fresh) < pool->size) {
        char *chunk = arena_map(CHUNK, ARENA_INHERIT);
        if (!chunk)
            return NULL;
        pool->fresh = chunk;
        pool->end = chunk + CHUNK;
    }
    object = pool->fresh;
    pool->fresh += pool->size;
    return object;
}

void pool_put(struct pool *pool, void *object) {
    *link_of(pool, object) = pool->free;
    pool->free = object;
}
