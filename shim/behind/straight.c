#include "behind/straight.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/attention.h"
#include "common/late_errors.h"
#include "ring/direct.h"

/* How the last page is known after the real call: not; by the kernel's rule; or it has waited, and begun a page. */
enum { PAGE_UNKNOWN, PAGE_FOLLOWS, PAGE_BEGINS };

int straight_error_received(int fd, struct ofd *ofd) {
    char byte;
    if (atomic_load(&ofd->inode->error) == EPIPE ||
        sys(SYS_recvfrom, fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) > 0)
        return 0;
    return late_error_take(ofd->inode);
}

int straight_error_sent(struct ofd *ofd) {
    if (ofd->stream == STREAM_UNIX)
        return 0;
    int error = late_error_take(ofd->inode);
    return error == EPIPE ? 0 : error;
}

void straight_unsure(struct ofd *ofd) {
    uint64_t unsure = atomic_load(&input_unsure);
    if (!ofd || !ofd->stream || ofd->inode->unsure == unsure)
        return;
    ofd->inode->end.filled = STREAM_UNKNOWN;
    ofd->inode->unsure = unsure;
    ofd->turn_room = 0;
}

/* After an input others may have written to it, and the program may know. An empty pipe has no last page. */
static void look(int fd, struct ofd *ofd) {
    straight_unsure(ofd);
    if (!input_epoch_lasts(ofd->epoch))
        ofd->inode->end.filled = STREAM_UNKNOWN;
    if (ofd->inode->end.filled && stream_used(fd) == 0)
        ofd->inode->end = (struct stream_end){.sure = true};
}

static void follow(struct ofd *ofd, size_t total) {
    uint32_t page = stream_page(ofd->stream), rest = (uint32_t)(total % page);
    ofd->inode->end.unread += (uint32_t)total;
    if (ofd->inode->largest < total)
        ofd->inode->largest = total < page ? (uint32_t)total : page;
    if (ofd->inode->end.filled == STREAM_UNKNOWN)
        return;
    if (total <= page)
        ofd->inode->end.filled = stream_filled(ofd->inode->end.filled, (uint32_t)total, page);
    else /* the rest comes first, if it fits there, and then whole pages */
        ofd->inode->end.filled =
            !rest || (ofd->inode->end.filled && ofd->inode->end.filled + rest <= page) ? page : rest;
}

static void begin(struct thread *self, int fd, struct ofd *ofd, bool asks) {
    self->epoch_before = input_epoch_now();
    self->page_after = PAGE_UNKNOWN;
    ofd->turn_room = 0;
    if (!stream_is_pipe(ofd->stream) || !asks)
        return;
    look(fd, ofd);
    self->page_after = PAGE_FOLLOWS;
}

void straight_begins(struct thread *self, int fd, struct ofd *ofd) {
    begin(self, fd, ofd, !ofd->straight);
    ofd->straight = true;
}

/*
 * TCP answers too late to show anything, so that it doesn't matter whether that waits; and a FIFO would have to be
 * opened for it.
 */
long straight_write(struct thread *self, int fd, struct ofd *ofd, const struct iovec *vector, int count, size_t total,
                    bool sent) {
    begin(self, fd, ofd, true);
    bool at_once = ofd->stream == STREAM_UNIX || (ofd->stream == STREAM_PIPE && !sent);
    if (total - 1 >= STREAM_CALL_MAX || !at_once)
        return 0;
    long done = ofd->stream == STREAM_PIPE ? direct_pipe(fd, vector, count, true) : direct_send(fd, vector, count);
    if (done <= 0) {
        self->page_after = done == -EAGAIN ? PAGE_BEGINS : PAGE_UNKNOWN;
        return 0;
    }
    if (done == (long)total) {
        ofd->epoch = self->epoch_before;
        follow(ofd, total);
    } else {
        ofd->inode->end.filled = STREAM_UNKNOWN;
    }
    self->epoch_before = 0;
    return done;
}

void straight_ends(struct thread *self, struct ofd *ofd, ssize_t written, size_t total) {
    uint64_t epoch = input_epoch_next(self->epoch_before);
    bool known = epoch && total && written == (ssize_t)total;
    ofd->turn_room = 0;
    if (known)
        ofd->epoch = epoch;
    if (known && self->page_after == PAGE_BEGINS)
        ofd->inode->end.filled = 0;
    if (known && self->page_after != PAGE_UNKNOWN && stream_is_pipe(ofd->stream))
        follow(ofd, total);
    else
        ofd->inode->end.filled = STREAM_UNKNOWN;
    self->epoch_before = 0;
}
