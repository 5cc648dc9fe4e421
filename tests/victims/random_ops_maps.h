/* The operations of random_ops on memory that is a file. */
#pragma once

#include "random_ops_data.h"

/* The process looks at its own writes through a mapping, and writes through it. */
static void op_map(struct worker *w, struct space *s) {
    int fd = any_fd(w, s);
    struct stat found;
    if (fstat(fd, &found) || !S_ISREG(found.st_mode) || !found.st_size)
        return;
    size_t size = found.st_size < DATA_SIZE ? (size_t)found.st_size : DATA_SIZE;
    bool shared = one_in(w, 2), writable = one_in(w, 2);
    char *map = mmap(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0), shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
    note(w, "mmap %zu %d", size, map == MAP_FAILED ? errno : 0);
    if (map == MAP_FAILED)
        return;
    for (int i = 0; i < 20; i++) {
        put(w, PWRITE, fd, 1 + below(w, 100), (off_t)below(w, size));
        if (i % 4 == 0)
            note(w, "seen %08x", checksum(map, size));
    }
    if (writable)
        rng_fill(&w->rng, map + below(w, size / 2 + 1), size / 4);
    if (shared && writable)
        CALL(w, msync(map, size, MS_SYNC));
    note_data(w, CALL(w, pread(fd, w->data, size, 0)));
    require(!munmap(map, size));
}

static void drop_map(struct worker *w, struct map *m) {
    if (!m->at)
        return;
    CALL(w, munmap(m->at, m->size));
    close(m->fd);
    m->at = NULL;
}

/* A mapping that stays. Its descriptor is there for its size: what lies beyond the end must not be touched. */
static void op_map_open(struct worker *w, struct space *s) {
    struct map *m = &s->maps[below(w, MAPS)];
    struct stat found;
    drop_map(w, m);
    int fd = any_fd(w, s);
    if (fstat(fd, &found) || !S_ISREG(found.st_mode) || !found.st_size)
        return;
    bool shared = one_in(w, 3);
    m->writable = one_in(w, shared ? 3 : 2);
    m->size = 1 + below(w, found.st_size < DATA_SIZE ? (uint64_t)found.st_size : DATA_SIZE);
    char *at =
        mmap(NULL, m->size, PROT_READ | (m->writable ? PROT_WRITE : 0), shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
    note(w, "mmap %zu %d %d %d", m->size, shared, m->writable, at == MAP_FAILED ? errno : 0);
    if (at == MAP_FAILED)
        return;
    m->at = at;
    m->fd = fcntl(fd, F_DUPFD_CLOEXEC, PRIVATE_FD);
    require(m->fd >= 0);
}

static size_t usable(const struct map *m) {
    struct stat found;
    require(!fstat(m->fd, &found));
    return found.st_size < (off_t)m->size ? (size_t)found.st_size : m->size;
}

static void note_seen(struct worker *w, const struct map *m, size_t size) {
    note(w, "seen %zu %08x", size, checksum(m->at, size));
}

static void op_map_use(struct worker *w, struct space *s) {
    struct map *m = &s->maps[below(w, MAPS)];
    size_t size = m->at ? usable(m) : 0, other;
    if (!size)
        return op_map_open(w, s);
    int fd = one_in(w, 2) ? m->fd : any_fd(w, s);
    off_t offset = (off_t)below(w, size);
    switch (below(w, 8)) {
    case 0:
    case 1:
        for (int i = 0; i < 5; i++) { /* what was written is there at once: no call comes between */
            put(w, one_in(w, 2) ? WRITE : (enum how)below(w, HOWS), fd, 1 + below(w, 400), offset);
            note_seen(w, m, size);
        }
        break;
    case 2:
        for (int i = 0; i < 5 && m->writable; i++) { /* and what was stored is read */
            rng_fill(&w->rng, m->at + below(w, size), 1);
            put(w, PWRITE, fd, 1 + below(w, 60), offset);
            note_data(w, CALL(w, pread(fd, w->data, size, 0)));
        }
        break;
    case 3:
        CALL(w, msync(m->at, m->size, one_in(w, 2) ? MS_SYNC : MS_ASYNC));
        break;
    case 4:
        other = 1 + below(w, DATA_SIZE);
        put(w, WRITE, fd, 40, 0);
        char *moved = mremap(m->at, m->size, other, MREMAP_MAYMOVE);
        note(w, "mremap %zu %zu", m->size, other);
        require(moved != MAP_FAILED);
        m->at = moved;
        m->size = other;
        break;
    case 5:
        put(w, PWRITE, fd, 1 + below(w, 100), offset);
        CALL(w, ftruncate(m->fd, offset));
        put(w, PWRITE, fd, 1 + below(w, 100), (off_t)below(w, AREA));
        break;
    case 6:
        put(w, PWRITE, fd, 1 + below(w, 100), offset);
        CALL(w, madvise(m->at, m->size, MADV_DONTNEED));
        break;
    default:
        m->writable = !CALL(w, mprotect(m->at, m->size, PROT_READ | (m->writable ? 0 : PROT_WRITE))) && !m->writable;
        put(w, WRITE, fd, 40, 0);
    }
    note_seen(w, m, usable(m));
}
