/* The write family's logic, for those whose writes don't come by the names in write.c. */
#ifndef URINGSHIM_ENTRY_DATA_WRITE_H
#define URINGSHIM_ENTRY_DATA_WRITE_H

#include <sys/socket.h>
#include <sys/types.h>

#include "entry/entry.h"
#include "policy/policy.h"

/*
 * What becomes of a write: it was accepted; the caller makes the real call; PARTIAL + n, so many bytes were written; or
 * -errno, an earlier write failed late, or a handler ended the wait for an earlier one.
 */
enum { DEFERRED, PASS, PARTIAL };
/* The program's answer, but for PASS. */
ssize_t answer_offer(int verdict, size_t total);

/*
 * After a write that the kernel made: all of it, to a regular file, is no news, unless one has ever failed: it may have
 * waited for somebody to make room. What is written to a socket may be deferred from then on.
 */
void stream_passed(int fd, ssize_t written, size_t n);
void write_failed(void);
static inline ssize_t write_passed(int fd, ssize_t written, size_t n) {
    if (unlikely(written < 0))
        write_failed();
    if (writes_are_followed())
        stream_passed(fd, written, n);
    return written;
}

/*
 * The quickest way out, where nothing is to be done afterwards either: those of which that is seen without another
 * look. A socket that doesn't block is written to in turns, or at once, as is what is left alone.
 */
static inline __attribute__((always_inline)) bool passes_plainly(int fd, size_t n) {
    struct fd_slot *slot = files_slot_near(fd);
    if (!number_quiet(fd) || !slot)
        return false;
    if (slot->other)
        return true;
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_acquire);
    if (!ofd)
        return n >= WB_LARGE || policy_left(slot);
    bool unchanged = ofd->generation == atomic_load_explicit(&files_generation, memory_order_relaxed);
    if (ofd->reason == REASON_nonblocking)
        return unchanged;
    return policy_left_alone(&ofd->habit);
}

/* What such a write came back with. If what is written is followed by now, nobody saw what became of this one. */
ssize_t written_unseen(ssize_t written);
static inline ssize_t written_plainly(ssize_t written) {
    return unlikely(written < 0) || writes_are_followed() ? written_unseen(written) : written;
}

/* A write at the file position. */
int offer_write(const char *call, int fd, const void *bytes, size_t n);
/* The same by send(2). */
int offer_send(const char *call, int fd, const void *bytes, size_t n, int flags);
/* A message by sendmsg(2): one that carries nothing but bytes is like a vector. */
struct msghdr;
enum carrying { CARRYING_NOTHING, CARRYING_PERHAPS, CARRYING_EXCLUSIVELY }; /* descriptors to another process */
int offer_message(const char *call, int fd, const struct msghdr *message, int flags, size_t *total,
                  enum carrying *carries);
/* After the real call. */
void message_sent(const struct msghdr *message, ssize_t sent, enum carrying carries);
/* After getsockopt(2) has succeeded. */
void option_got(int fd, int level, int name, void *value, const socklen_t *size);
/* Around connect(2), and what else may connect: sends with such flags. */
void connect_begins(void);
void connect_ends(int fd);
void sending_begins(int flags);
void sending_ends(int fd, int flags);
/* Might a write by this number be deferred? Then a fault in reading the caller's memory is noticed. */
bool write_prepared(int fd);
/* The caller's vector, which needn't be readable; *total is what DEFERRED answers. */
int offer_vector(const char *call, int fd, const struct iovec *vector, int count, int64_t offset, bool odd,
                 size_t *total);

#endif
