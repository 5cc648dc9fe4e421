/* A ring as ring/ring.c makes and uses it, step by step. */
#ifndef URINGSHIM_TOOLS_PROBE_RING_H
#define URINGSHIM_TOOLS_PROBE_RING_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kernel.h"
#include "base/sys.h"
#include "behind/log.h"
#include "ring/ring.h"
#include "ring/uring.h"

/* io_uring_register(2): the "fd" is an index of this thread's registered rings (Linux 6.3; not in liburing 2.3) */
#define USE_REGISTERED_RING (1u << 31)

/* The two pieces of a write-behind log, and the ring's own two pages (io_uring_setup(2), IORING_OFF_*). */
enum { RING_MEMORY = 2 * WB_PIECE_MAX + 2 * 4096 };

/* strerrorname_np(3) came with glibc 2.32. Those that io_uring and files may answer with. */
static const char *error_name(int error) {
    static const struct {
        int error;
        const char *name;
    } names[] = {
#define NAME(error) {error, #error}
        NAME(EPERM),  NAME(ENOENT), NAME(EINTR),     NAME(EIO),       NAME(ENXIO),     NAME(EBADF),      NAME(EAGAIN),
        NAME(ENOMEM), NAME(EACCES), NAME(EFAULT),    NAME(EBUSY),     NAME(EEXIST),    NAME(ENODEV),     NAME(ENOTDIR),
        NAME(EISDIR), NAME(EINVAL), NAME(ENFILE),    NAME(EMFILE),    NAME(ETXTBSY),   NAME(EFBIG),      NAME(ENOSPC),
        NAME(ESPIPE), NAME(EROFS),  NAME(ERANGE),    NAME(ENOSYS),    NAME(EOVERFLOW), NAME(EOPNOTSUPP), NAME(ETIME),
        NAME(EDQUOT), NAME(ESTALE), NAME(ETIMEDOUT), NAME(ECANCELED), NAME(EBADFD),    NAME(ESRCH),      NAME(EPROTO),
#undef NAME
    };
    static char number[32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].error == error)
            return names[i].name;
    snprintf(number, sizeof number, "error-%d", error);
    return number;
}

static void answer(const char *what, int error) {
    printf("%s %s\n", what, error == 0 ? "ok" : error_name(-error));
}

/* In a child. False: it was killed, or took too long. */
static bool survived(void (*attempt)(void)) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(1);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* its death leaves no core */
        attempt();
        fflush(stdout);
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
}

static int ring_register_buffers(struct io_uring *ring, struct iovec pieces[2]) {
    for (int i = 0; i < 2; i++) {
        pieces[i].iov_len = WB_PIECE_MAX;
        pieces[i].iov_base =
            mmap(NULL, WB_PIECE_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (pieces[i].iov_base == MAP_FAILED)
            return -ENOMEM;
    }
    return io_uring_register_buffers(ring, pieces, 2);
}

/* Puts a file into the table of a ring whose own descriptor is closed. */
static int ring_put_file(const struct io_uring *ring, int file) {
    struct io_uring_files_update update = {.offset = 0, .fds = (uint64_t)(uintptr_t)&file};
    int done = (int)sys(SYS_io_uring_register, ring->enter_ring_fd, IORING_REGISTER_FILES_UPDATE | USE_REGISTERED_RING,
                        &update, 1);
    return done == 1 ? 0 : done < 0 ? done : -EINVAL;
}

/* Submits what is prepared, and returns the last result, which should be `expected`: 0, or an error. */
static int ring_perform(struct io_uring *ring, unsigned requests, int expected) {
    struct io_uring_cqe *cqe;
    int result = io_uring_submit_and_wait(ring, requests);
    if (result < 0)
        return result;
    for (unsigned i = 0; i < requests; i++) {
        int error = io_uring_wait_cqe(ring, &cqe);
        if (error)
            return error;
        result = cqe->res;
        io_uring_cqe_seen(ring, cqe);
    }
    return result == expected ? 0 : result < 0 ? result : -EIO;
}

static struct io_uring_sqe *ring_request(struct io_uring *ring) {
    static struct io_uring_sqe nowhere;
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    return sqe ? sqe : &nowhere;
}

/* What a request is made on: a registered file, or a number. */
struct target {
    int file;
    unsigned flags;
};

static int ring_write(struct io_uring *ring, struct target to, const struct iovec *piece, bool fixed) {
    struct io_uring_sqe *sqe = ring_request(ring);
    if (fixed)
        io_uring_prep_write_fixed(sqe, to.file, piece->iov_base, 4096, 0, 0);
    else
        io_uring_prep_write(sqe, to.file, piece->iov_base, 4096, 0);
    sqe->flags |= to.flags;
    return ring_perform(ring, 1, 4096);
}

/* As ring_prepare_stream: by the number, and without waiting. */
static int ring_stream(struct io_uring *ring, const struct iovec *piece) {
    int ends[2];
    if (pipe(ends) != 0)
        return -errno;
    struct io_uring_sqe *sqe = ring_request(ring);
    io_uring_prep_write(sqe, ends[1], piece->iov_base, 1024, (uint64_t)-1);
    sqe->rw_flags = RWF_NOWAIT;
    return ring_perform(ring, 1, 1024);
}

static int ring_fsync(struct io_uring *ring, struct target of) {
    struct io_uring_sqe *sqe = ring_request(ring);
    io_uring_prep_fsync(sqe, of.file, 0);
    sqe->flags |= of.flags;
    return ring_perform(ring, 1, 0);
}

/* The first request fails, for there is no file in its slot: so the second must not be done. */
static int ring_link(struct io_uring *ring, struct target of) {
    struct io_uring_sqe *sqe = ring_request(ring);
    io_uring_prep_fsync(sqe, of.file + 1, 0);
    sqe->flags |= of.flags | IOSQE_IO_LINK;
    sqe = ring_request(ring);
    io_uring_prep_fsync(sqe, of.file, 0);
    sqe->flags |= of.flags;
    return ring_perform(ring, 2, -ECANCELED);
}

static int ring_forbidden(struct io_uring *ring, struct target from, const struct iovec *piece) {
    struct io_uring_sqe *sqe = ring_request(ring);
    io_uring_prep_read(sqe, from.file, piece->iov_base, 1, 0);
    sqe->flags |= from.flags;
    return ring_perform(ring, 1, -EACCES);
}

/* Returns its answer; the library makes no ring where one of these is missing. */
static int step(const char *what, int error) {
    answer(what, error);
    return error;
}

static void try_ring(void) {
    struct io_uring ring;
    struct iovec pieces[2];
    int file = memfd_create("probe", MFD_CLOEXEC);
    struct target target = {file, 0};
    if (step("ring", ring_set_up(&ring, RING_ENTRIES, 0)) != 0)
        return;
    int numbers = io_uring_register_ring_fd(&ring);
    if (step("ring.number", numbers < 0 ? numbers : 0) != 0)
        return;
    bool table = step("ring.table", ring_make_table(&ring)) == 0;
    bool fixed = step("ring.buffers", ring_register_buffers(&ring, pieces)) == 0;
    if (step("ring.restrictions", ring_restrict(&ring, table ? RING_TO_WRITE : RING_TO_WRITE_AT_ONCE)) != 0 ||
        step("ring.start", io_uring_enable_rings(&ring)) != 0)
        return;
    close(ring.ring_fd);
    if (table && step("ring.hidden", ring_put_file(&ring, file)) != 0)
        return;
    if (table)
        target = (struct target){0, IOSQE_FIXED_FILE};
    answer("ring.forbidden", ring_forbidden(&ring, target, &pieces[0]));
    answer("ring.write", ring_write(&ring, target, &pieces[0], false));
    if (fixed)
        answer("ring.write_fixed", ring_write(&ring, target, &pieces[0], true));
    if (!table)
        return;
    answer("ring.stream", ring_stream(&ring, &pieces[0]));
    answer("ring.fsync", ring_fsync(&ring, target));
    answer("ring.link", ring_link(&ring, target));
}

/* Is memory charged to RLIMIT_MEMLOCK at all? Not for whoever may lock as much as he likes. */
static void try_exempt(void) {
    struct rlimit none = {0, 0};
    struct io_uring ring;
    struct iovec pieces[2];
    setrlimit(RLIMIT_MEMLOCK, &none);
    int error = ring_set_up(&ring, RING_ENTRIES, 0);
    answer("exempt", error ? error : ring_register_buffers(&ring, pieces));
}

static void try_queue_polling(void) {
    struct io_uring ring;
    answer("sqpoll", ring_set_up(&ring, RING_ENTRIES, RING_POLL_QUEUE));
}

#endif
