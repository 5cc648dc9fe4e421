/* The operations of random_ops on descriptors, names, sizes and times. */
#pragma once

#include "random_ops_data.h"

static void close_slot(struct worker *w, int *slot) {
    if (*slot >= 0)
        CALL(w, close(*slot));
    *slot = -1;
}

static void op_open(struct worker *w, struct space *s) {
    static const int access[] = {O_RDWR, O_RDWR, O_RDWR, O_WRONLY, O_WRONLY, O_RDONLY};
    static const char *const devices[] = {"/dev/null", "/dev/full", "/dev/zero", ".", "missing/file"};
    static const int rare[] = {O_SYNC, O_DSYNC, O_DIRECT, O_PATH, O_NOFOLLOW, O_DIRECTORY, O_CLOEXEC, O_NONBLOCK};
    int *slot = any_slot(w, s);
    int flags = access[below(w, COUNT_OF(access))];
    flags |= one_in(w, 3) ? O_APPEND : 0;
    flags |= one_in(w, 24) ? O_TRUNC : 0; /* ext4 then waits for the disk in close */
    flags |= one_in(w, 8) ? O_EXCL : 0;
    flags |= one_in(w, 16) ? rare[below(w, COUNT_OF(rare))] : 0;
    flags |= one_in(w, 6) ? 0 : O_CREAT;
    struct name name = any_name(w, s);
    close_slot(w, slot);
    if (one_in(w, 20))
        *slot = CALL_FD(w, open(devices[below(w, COUNT_OF(devices))], flags & ~(O_CREAT | O_TRUNC), 0600));
    else if (one_in(w, 24))
        *slot = CALL_FD(w, creat(name.text, 0600));
    else if (one_in(w, 2))
        *slot = CALL_FD(w, openat(AT_FDCWD, name.text, flags, 0600));
    else
        *slot = CALL_FD(w, open(name.text, flags, 0600));
}

/* Now and then a write to the number just closed, which must fail and must not reach another file. */
static void op_close(struct worker *w, struct space *s) {
    int *slot = any_slot(w, s), fd = *slot;
    close_slot(w, slot);
    if (alone() && fd >= 0 && one_in(w, 2)) {
        put(w, WRITE, fd, 50, 0);
        CALL(w, close(fd));
    }
}

static void op_dup(struct worker *w, struct space *s) {
    int from = any_fd(w, s);
    int *slot = any_slot(w, s);
    int to = *slot >= 0 && one_in(w, 2) ? *slot : -1;
    switch (below(w, 5)) {
    case 0:
        if (to >= 0)
            CALL_FD(w, dup2(from, to));
        return;
    case 1:
        if (to >= 0)
            CALL_FD(w, dup3(from, to, one_in(w, 2) ? O_CLOEXEC : 0));
        return;
    case 2:
        to = CALL_FD(w, dup(from));
        break;
    case 3:
        to = CALL_FD(w, fcntl(from, one_in(w, 2) ? F_DUPFD : F_DUPFD_CLOEXEC, 40 + (int)below(w, 100)));
        break;
    default:
        CALL_FD(w, dup3(from, from, 0));
        CALL_FD(w, dup2(from, from));
        CALL_FD(w, fcntl(from, F_DUPFD, 1 << 30));
        return;
    }
    close_slot(w, slot);
    *slot = to;
}

static void op_flags(struct worker *w, struct space *s) {
    int fd = any_fd(w, s);
    int flags = (int)CALL(w, fcntl(fd, F_GETFL));
    if (flags >= 0)
        CALL(w, fcntl(fd, F_SETFL, flags ^ O_APPEND));
    put(w, WRITE, fd, 1 + below(w, 100), 0);
}

static void op_seek(struct worker *w, struct space *s) {
    int fd = any_fd(w, s);
    off_t offset = (off_t)below(w, AREA);
    switch (below(w, 6)) {
    case 0:
        CALL(w, lseek(fd, 0, SEEK_CUR));
        break;
    case 1:
        CALL(w, lseek(fd, offset - AREA / 2, SEEK_CUR));
        break;
    case 2:
        CALL(w, lseek(fd, -(off_t)below(w, 1000), SEEK_END));
        break;
    case 3:
        /* where nothing was written, what is allocated counts as data once it has been read, even ahead */
        if (put(w, PWRITE, fd, 100, offset) == 100 && !(fcntl(fd, F_GETFL) & O_APPEND))
            CALL(w, lseek(fd, offset, SEEK_DATA));
        break;
    case 4:
        CALL(w, lseek(fd, 0, 77));
        break;
    default:
        CALL(w, lseek(fd, offset, SEEK_SET));
    }
}

static void op_size(struct worker *w, struct space *s) {
    static const int modes[] = {0,
                                FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                                FALLOC_FL_ZERO_RANGE,
                                FALLOC_FL_COLLAPSE_RANGE,
                                FALLOC_FL_INSERT_RANGE};
    int fd = any_fd(w, s);
    off_t offset = one_in(w, 20) ? -1 : (off_t)below(w, AREA);
    switch (below(w, 4)) {
    case 0:
        CALL(w, ftruncate(fd, offset));
        break;
    case 1:
        CALL(w, truncate(any_name(w, s).text, offset));
        break;
    case 2:
        CALL(w, fallocate(fd, modes[below(w, COUNT_OF(modes))], offset & -4096, 4096 * (1 + (off_t)below(w, 4))));
        break;
    default:
        CALL(w, posix_fallocate(fd, offset, (off_t)below(w, 5000)));
    }
}

static void op_names(struct worker *w, struct space *s) {
    struct name a = any_name(w, s), b = any_name(w, s);
    switch (below(w, 4)) {
    case 0:
        CALL(w, rename(a.text, b.text));
        break;
    case 1:
        CALL(w, link(a.text, b.text));
        break;
    case 2:
        CALL(w, unlink(a.text));
        break;
    default:
        CALL(w, symlink(a.text, b.text));
    }
}

static void note_stat(struct worker *w, const struct stat *found) {
    bool set = found->st_mtim.tv_sec == 1000000000;
    note(w, "stat %o %lu %lld %d", found->st_mode, (unsigned long)found->st_nlink, (long long)found->st_size, set);
}

static void op_stat(struct worker *w, struct space *s) {
    struct stat found;
    struct statx wide;
    switch (below(w, 4)) {
    case 0:
        if (!CALL(w, stat(any_name(w, s).text, &found)))
            note_stat(w, &found);
        break;
    case 1:
        if (!CALL(w, lstat(any_name(w, s).text, &found)) && S_ISREG(found.st_mode))
            note_stat(w, &found);
        break;
    case 2:
        if (!CALL(w, statx(any_fd(w, s), "", AT_EMPTY_PATH, STATX_SIZE, &wide)))
            note(w, "statx %llu", (unsigned long long)wide.stx_size);
        break;
    default:
        if (!CALL(w, fstat(any_fd(w, s), &found)) && S_ISREG(found.st_mode))
            note_stat(w, &found);
    }
}

/* A time set by hand, after writes that may still be pending: it must last until the next write, and no longer. */
static void op_times(struct worker *w, struct space *s) {
    const struct timespec times[] = {{1000000000, 0}, {1000000000, 0}};
    struct stat found;
    int fd = any_fd(w, s);
    put(w, WRITE, fd, 20, 0);
    CALL(w, futimens(fd, times));
    if (one_in(w, 2))
        put(w, WRITE, fd, 20, 0);
    if (!fstat(fd, &found) && S_ISREG(found.st_mode))
        note_stat(w, &found);
}

static void op_sync(struct worker *w, struct space *s) {
    int fd = any_fd(w, s);
    switch (below(w, 6)) {
    case 0:
        CALL(w, fsync(fd));
        break;
    case 1:
    case 2:
        CALL(w, fdatasync(fd));
        break;
    default:
        CALL(w, sync_file_range(fd, (off_t)below(w, AREA), (off_t)below(w, AREA), one_in(w, 4) ? 0x80 : 0));
    }
}

/* One small read or step, and what came of it, added to what came before. */
static void read_step(struct worker *w, int fd, size_t size, off_t offset, bool positioned, uint32_t *sum) {
    memset(w->data, '~', size);
    errno = SENTINEL;
    ssize_t got = positioned ? pread(fd, w->data, size, offset) : read(fd, w->data, size);
    *sum = (*sum * 31 + (uint32_t)got) * 31 + (uint32_t)errno;
    *sum = *sum * 31 + checksum(w->data, size);
}

/*
 * What reading ahead lives for: many small reads in a row, forwards or backwards, with steps in between. Noted all
 * together, so that no log comes between them.
 */
static uint32_t read_run(struct worker *w, int fd) {
    enum { AT_POSITION, STEPPING, UP, DOWN, MIXED, PATTERNS } pattern = below(w, PATTERNS);
    int count = 10 + (int)below(w, 190);
    size_t limit = one_in(w, 6) ? 4096 : 200, fixed = one_in(w, 2) ? 1 + below(w, limit) : 0;
    off_t offset = (off_t)below(w, AREA);
    uint32_t sum = 0;
    for (int i = 0; i < count; i++) {
        size_t size = fixed ? fixed : 1 + below(w, limit);
        if (pattern == DOWN)
            offset = offset > (off_t)size ? offset - (off_t)size : 0;
        read_step(w, fd, size, offset, pattern >= UP && !(pattern == MIXED && one_in(w, 2)), &sum);
        if (pattern == STEPPING && one_in(w, 3))
            sum = sum * 31 + (uint32_t)lseek(fd, (off_t)below(w, 2 * size) - (off_t)size, SEEK_CUR);
        if (pattern >= UP && pattern != DOWN)
            offset += (off_t)(one_in(w, 8) ? below(w, 2 * size) : size);
        if (one_in(w, 60))
            sum = sum * 31 + (uint32_t)lseek(fd, (off_t)below(w, AREA), SEEK_SET);
        if (one_in(w, 100))
            read_step(w, fd, 17000 + below(w, 10000), offset, false, &sum);
    }
    return sum;
}

static void op_read_run(struct worker *w, struct space *s) {
    int *slot = any_slot(w, s);
    if (one_in(w, 2)) { /* one that is only for reading, for its position's sake */
        close_slot(w, slot);
        *slot = CALL_FD(w, open(any_name(w, s).text, O_RDONLY));
    }
    int fd = *slot >= 0 ? *slot : any_fd(w, s);
    for (int runs = 1 + (int)below(w, 3); runs; runs--)
        note(w, "run %08x", read_run(w, fd));
    CALL(w, lseek(fd, 0, SEEK_CUR));
}
