/* The operations of random_ops with vectors and with arguments that are wrong. */
#pragma once

#include "random_ops_data.h"

static void op_bad_buffer(struct worker *w, struct space *s) {
    int fd = any_fd(w, s);
    char *end = w->edge + sysconf(_SC_PAGESIZE);
    char *const bad[] = {NULL, (char *)8, end, end + 100, end - 100, (char *)INTPTR_MIN, (char *)-4096};
    char *buffer = bad[below(w, COUNT_OF(bad))];
    size_t size = one_in(w, 8) ? SIZE_MAX - below(w, 5000) : 1 + below(w, 1000);
    struct iovec parts[] = {{w->data, 10}, {buffer, 200}, {w->data, 10}};
    memset(w->data, 'e', 10);
    switch (below(w, 6)) {
    case 0:
        CALL(w, write(fd, buffer, size));
        break;
    case 1:
        CALL(w, pwrite(fd, buffer, size, (off_t)below(w, AREA)));
        break;
    case 2:
        CALL(w, writev(fd, parts, 3));
        break;
    case 3:
        CALL(w, pwritev2(fd, parts, 3, (off_t)below(w, AREA), 0));
        break;
    case 4:
        CALL(w, read(fd, buffer, size));
        break;
    default:
        CALL(w, write(fd, buffer, 0));
    }
    CALL(w, lseek(fd, 0, SEEK_CUR));
}

static void op_bad_argument(struct worker *w, struct space *s) {
    static const int flags[] = {RWF_DSYNC, RWF_SYNC, RWF_HIPRI, 0x20, 0x8000, 0x40000000, -1};
    int fd = one_in(w, 4) ? -1 - (int)below(w, 9) : any_fd(w, s);
    struct iovec parts[] = {{w->data, 10}, {w->data, 0}, {w->data, 30}},
                 endless[] = {{w->data, 10}, {w->data, SIZE_MAX}};
    static struct iovec many[IOV_MAX + 1];
    volatile int count = -1; /* the compiler must not see it coming */
    memset(w->data, 'a', 100);
    switch (below(w, 12)) {
    case 0:
        CALL(w, pwrite(fd, w->data, 10, -1));
        break;
    case 1:
        CALL(w, pwrite(fd, w->data, 10, LLONG_MAX - 5));
        break;
    case 2:
        CALL(w, writev(fd, parts, count));
        break;
    case 3:
        CALL(w, writev(fd, many, IOV_MAX + 1));
        break;
    case 4:
        CALL(w, writev(fd, many, IOV_MAX));
        break;
    case 5:
        CALL(w, writev(fd, endless, 2));
        break;
    case 6:
        CALL(w, pwritev2(fd, parts, 3, -2, 0));
        break;
    case 7:
        CALL(w, pwritev2(fd, parts, 3, 100, flags[below(w, COUNT_OF(flags))]));
        break;
    case 8:
        CALL(w, write(fd, w->data, 0));
        break;
    case 9:
        CALL(w, pwrite(fd, w->data, 0, one_in(w, 2) ? -7 : AREA * 4));
        break;
    case 10:
        CALL(w, pwritev(fd, parts, 0, 5));
        break;
    default:
        CALL(w, pread(fd, w->data, 10, -1));
    }
}

/* Vectors of all lengths, with entries that are empty or lie upon each other, and now and then one that is wrong. */
static void op_vector(struct worker *w, struct space *s) {
    static const unsigned lengths[] = {3, 16, 17, 40, 300, IOV_MAX, IOV_MAX + 1};
    static const int flags[] = {0, 0, 0, 0, RWF_APPEND, RWF_HIPRI, 0x20, 0x40, RWF_DSYNC};
    static __thread struct iovec parts[IOV_MAX + 1];
    enum { LAST = IOV_MAX + 1, ROOM = 65536 };
    int fd = any_fd(w, s), count = (int)lengths[below(w, COUNT_OF(lengths))];
    if (count < LAST)
        count = 1 + (int)below(w, (uint64_t)count);
    size_t limit = one_in(w, 4) ? 2000 : 100;
    off_t offset = one_in(w, 8) ? -1 : (off_t)below(w, AREA);
    int flag = one_in(w, 4) ? flags[below(w, COUNT_OF(flags))] : 0;
    rng_fill(&w->rng, w->data, ROOM);
    for (int i = 0; i < count; i++)
        parts[i] = (struct iovec){w->data + below(w, ROOM - limit), one_in(w, 3) ? 0 : below(w, limit)};
    if (one_in(w, 8)) {
        char *const bad[] = {NULL, w->edge + sysconf(_SC_PAGESIZE), w->edge + sysconf(_SC_PAGESIZE) - 7};
        static const size_t sizes[] = {0, 1, 20, 5000, SIZE_MAX, (size_t)SSIZE_MAX};
        parts[below(w, (uint64_t)count)] =
            (struct iovec){bad[below(w, COUNT_OF(bad))], sizes[below(w, COUNT_OF(sizes))]};
    }
    const struct iovec *vector = one_in(w, 32) ? (struct iovec *)(w->edge + sysconf(_SC_PAGESIZE) - 24) : parts;
    for (int times = one_in(w, 2) ? 1 : 1 + (int)below(w, 20); times; times--)
        switch (below(w, 8)) {
        case 0:
        case 1:
            CALL(w, writev(fd, vector, count));
            break;
        case 2:
            CALL(w, pwritev(fd, vector, count, offset));
            break;
        case 3:
        case 4:
            CALL(w, pwritev2(fd, vector, count, offset, flag));
            break;
        case 5:
            CALL(w, readv(fd, vector, count));
            break;
        case 6:
            CALL(w, preadv(fd, vector, count, offset));
            break;
        default:
            CALL(w, preadv2(fd, vector, count, offset, flag));
        }
    note_data(w, ROOM);
    CALL(w, lseek(fd, 0, SEEK_CUR));
}
