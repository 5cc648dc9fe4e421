/* The operations of random_ops that move data. */
#pragma once

#include "bare.h"
#include "random_ops.h"
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum how { WRITE, PWRITE, WRITEV, PWRITEV, PWRITEV2, HOWS };

static int split(struct worker *w, size_t size, struct iovec *parts) {
    int count = 1 + (int)below(w, 4);
    size_t done = 0;
    for (int i = 0; i < count; i++) {
        size_t part = i == count - 1 ? size - done : below(w, size - done + 1);
        parts[i] = (struct iovec){w->data + done, part};
        done += part;
    }
    return count;
}

static long long put(struct worker *w, enum how how, int fd, size_t size, off_t offset) {
    struct iovec parts[4];
    rng_fill(&w->rng, w->data, size);
    int count = split(w, size, parts);
    switch (how) {
    case WRITE:
        return CALL(w, write(fd, w->data, size));
    case PWRITE:
        return CALL(w, pwrite(fd, w->data, size, offset));
    case WRITEV:
        return CALL(w, writev(fd, parts, count));
    case PWRITEV:
        return CALL(w, pwritev(fd, parts, count, offset));
    default:
        return CALL(w, pwritev2(fd, parts, count, one_in(w, 4) ? -1 : offset, one_in(w, 16) ? RWF_APPEND : 0));
    }
}

static size_t any_size(struct worker *w) {
    static const size_t limits[] = {1, 16, 64, 100, 600, 600, 4096, 5000, 70000};
    return 1 + below(w, limits[below(w, COUNT_OF(limits))]);
}

static void op_write(struct worker *w, struct space *s) {
    put(w, (enum how)below(w, HOWS), any_fd(w, s), any_size(w), (off_t)below(w, AREA));
}

/* What the library lives for: many small writes in a row, in each order that it might get wrong. */
static void op_burst(struct worker *w, struct space *s) {
    enum how how = (enum how)below(w, HOWS);
    int fds[2] = {any_fd(w, s), any_fd(w, s)};
    int descriptors = one_in(w, 4) ? 2 : 1;
    int count = 10 + (int)below(w, one_in(w, 4) ? 300 : 60);
    size_t limit = one_in(w, 8) ? 4096 : 600;
    size_t fixed = one_in(w, 2) ? 1 + below(w, limit) : 0;
    enum { FORWARD, BACKWARD, ANYWHERE, OVERLAPPING, PATTERNS } pattern = one_in(w, 2) ? FORWARD : below(w, PATTERNS);
    off_t offset = (off_t)below(w, AREA);
    for (int i = 0; i < count; i++) {
        size_t size = fixed ? fixed : 1 + below(w, limit);
        if (pattern == BACKWARD)
            offset = offset > (off_t)size ? offset - (off_t)size : 0;
        if (pattern == ANYWHERE)
            offset = (off_t)below(w, AREA);
        put(w, how, fds[i % descriptors], size, offset);
        if (pattern == FORWARD)
            offset += (off_t)size;
        if (pattern == OVERLAPPING)
            offset += (off_t)below(w, size + 1) - (off_t)size / 4;
        offset = offset < 0 ? 0 : offset;
        if (one_in(w, 200))
            CALL(w, lseek(fds[0], 0, SEEK_CUR));
    }
}

static void note_data(struct worker *w, long long size) {
    if (size > 0)
        note(w, "data %08x", checksum(w->data, (size_t)size));
}

static void op_read(struct worker *w, struct space *s) {
    int fd = any_fd(w, s);
    size_t size = any_size(w);
    off_t offset = (off_t)below(w, AREA);
    struct iovec parts[4];
    int count = split(w, size, parts);
    switch (below(w, 5)) {
    case 0:
        return note_data(w, CALL(w, read(fd, w->data, size)));
    case 1:
        return note_data(w, CALL(w, pread(fd, w->data, size, offset)));
    case 2:
        return note_data(w, CALL(w, readv(fd, parts, count)));
    case 3:
        return note_data(w, CALL(w, preadv(fd, parts, count, offset)));
    default:
        return note_data(w, CALL(w, preadv2(fd, parts, count, one_in(w, 2) ? -1 : offset, 0)));
    }
}

/* Which file, asked in a way that no libc call shows: it would do the writes that are pending before the copy does. */
static struct stat bare_fstat(int fd) {
    struct stat found = {.st_ino = 0};
    bare_call(SYS_fstat, fd, &found, 0, 0);
    return found;
}

static bool same_file(int a, int b) {
    struct stat first = bare_fstat(a), second = bare_fstat(b);
    return first.st_ino && first.st_ino == second.st_ino && first.st_dev == second.st_dev;
}

/*
 * A file onto itself by copy_file_range only, which refuses ranges that overlap. The others copy in memory, one piece
 * of the page cache after the other: less than a page further, the result shows how large the writes before were.
 */
static void op_copy(struct worker *w, struct space *s) {
    int from = any_fd(w, s), to = any_fd(w, s);
    off_t in = (off_t)below(w, AREA), out = (off_t)below(w, AREA);
    size_t size = below(w, 50000);
    int ends[2];
    switch (below(w, same_file(from, to) ? 2 : 4)) {
    case 0:
        CALL(w, copy_file_range(from, &in, to, &out, size, 0));
        break;
    case 1:
        CALL(w, copy_file_range(from, NULL, to, NULL, size, 0));
        break;
    case 2:
        CALL(w, sendfile(to, from, one_in(w, 2) ? &in : NULL, size));
        break;
    default:
        require(!pipe(ends));
        CALL(w, splice(from, one_in(w, 2) ? &in : NULL, ends[1], NULL, 1 + size % 4096, SPLICE_F_NONBLOCK));
        CALL(w, splice(ends[0], NULL, to, one_in(w, 2) ? &out : NULL, 4096, SPLICE_F_NONBLOCK));
        close(ends[0]);
        close(ends[1]);
    }
}

/* EFBIG and the write that is cut short at the limit. The log may be a file too, so it waits until the limit is gone.
 */
static void op_size_limit(struct worker *w, struct space *s) {
    if (!alone())
        return;
    int fd = any_fd(w, s);
    long long results[40];
    struct rlimit limit = {AREA / 2, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    off_t offset = AREA / 2 - (off_t)below(w, 2000);
    rng_fill(&w->rng, w->data, 100);
    require(!setrlimit(RLIMIT_FSIZE, &limit));
    for (size_t i = 0; i < COUNT_OF(results); i++, offset += 100) {
        ssize_t result = pwrite(fd, w->data, 100, offset);
        results[i] = result < 0 ? -errno : result;
    }
    require(!setrlimit(RLIMIT_FSIZE, &none));
    for (size_t i = 0; i < COUNT_OF(results); i++)
        note(w, "limited %lld", results[i]);
}

static void op_ioctl(struct worker *w, struct space *s) {
    int fd = any_fd(w, s), unread = 0;
    put(w, WRITE, fd, 1 + below(w, 300), 0);
    CALL(w, lseek(fd, 0, SEEK_SET));
    CALL(w, ioctl(fd, FIONREAD, &unread));
    note(w, "unread %d", unread);
}
