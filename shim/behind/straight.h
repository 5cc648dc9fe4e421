/*
 * Writes to streams that go straight through: what they show of the other end, and how they leave a pipe's last page.
 * Without a lock: who writes to a stream by two threads at once has no order there.
 */
#ifndef URINGSHIM_BEHIND_STRAIGHT_H
#define URINGSHIM_BEHIND_STRAIGHT_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/thread.h"
#include "files/files.h"

/*
 * A socket's error that a flush met, which the kernel tells once (late_errors.h), for a call that receives by the
 * number: what came before the error is told first, and of EPIPE, which is for senders, the end (tcp_reset and
 * tcp_recvmsg_locked in net/ipv4). And for one that sends: on AF_UNIX it isn't for those, and EPIPE is told by the
 * kernel again, with its signal. A positive errno, or 0, taken out.
 */
int straight_error_received(int fd, struct ofd *ofd);
int straight_error_sent(struct ofd *ofd);
/* If others may have written to the stream, its last page isn't known any more. `ofd` may be NULL, or a file. */
void straight_unsure(struct ofd *ofd);
/*
 * Before a small write to a stream that isn't deferred: made here, without waiting, if that may be; how many bytes went
 * in. 0: the caller makes the real call, which waits, or says what is wrong. If all went in, it has shown that the
 * other end is there: what comes after it, in the same epoch, may be deferred. `sent`: by send(2), which is for sockets
 * only.
 */
long straight_write(struct thread *self, int fd, struct ofd *ofd, const struct iovec *vector, int count, size_t total,
                    bool sent);
/* Before a larger one that the caller makes. If it is one of many, nothing is asked of the kernel. */
void straight_begins(struct thread *self, int fd, struct ofd *ofd);
/* After the real call, of so many bytes (0: unknown). One that may have waited is an input. */
void straight_ends(struct thread *self, struct ofd *ofd, ssize_t written, size_t total);

#endif
