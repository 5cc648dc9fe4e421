/* Sending on sockets: like writes, where it is that; and what changes how a socket answers them. */
#include <string.h>
#include <sys/socket.h>

#include "base/config.h"
#include "base/copy.h"
#include "base/single.h"
#include "entry/data/sharing.h"
#include "entry/data/turns.h"
#include "entry/data/write.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "files/ends.h"
#include "files/readers.h"

extern ssize_t __send(int fd, const void *bytes, size_t n, int flags);

#define SEND(name)                                                                                                     \
    EXPORT ssize_t name(int fd, const void *bytes, size_t n, int flags) {                                              \
        if (passes_plainly(fd, n))                                                                                     \
            return written_plainly(REAL(name)(fd, bytes, n, flags));                                                   \
        int verdict = offer_send(#name, fd, bytes, n, flags);                                                          \
        return verdict == PASS ? write_passed(fd, REAL(name)(fd, bytes, n, flags), n) : answer_offer(verdict, n);      \
    }

SEND(send)
SEND(__send)

void connect_begins(void) {
    if (turns_are(SYS_connect) != TURNS_OFF)
        ends_connecting();
}

/* Whether it has succeeded or goes on (connect(2), EINPROGRESS), it has a port. */
void connect_ends(int fd) {
    int saved = errno;
    if (turns_are(SYS_connect) != TURNS_OFF)
        ends_connected(atomic_load(&wb_hindrances) & 1ull << REASON_seccomp ? -1 : fd); /* which may forbid to ask */
    errno = saved;
}

/* MSG_FASTOPEN connects (tcp(7)). */
void sending_begins(int flags) {
    if (unlikely(flags & MSG_FASTOPEN))
        connect_begins();
}

void sending_ends(int fd, int flags) {
    if (unlikely(flags & MSG_FASTOPEN))
        connect_ends(fd);
}

EXPORT ssize_t sendto(int fd, const void *bytes, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t size) {
    if (to.__sockaddr__ || size) {
        announce("sendto");
        int late = unlikely(wb_attention()) ? error_due(fd) : 0;
        if (unlikely(late))
            return answer(-late);
        sending_begins(flags);
        ssize_t sent = CALL(sendto, (fd, bytes, n, flags, to, size));
        sending_ends(fd, flags);
        input_now_unsure();
        return sent;
    }
    int verdict = offer_send("sendto", fd, bytes, n, flags);
    return verdict == PASS ? write_passed(fd, REAL(sendto)(fd, bytes, n, flags, to, size), n)
                           : answer_offer(verdict, n);
}

/*
 * A message may carry descriptors to another process, and memory with them. The caller's structure may not be readable:
 * it is looked at only where a fault would be noticed.
 */
static bool is_plain(const struct msghdr *message, struct msghdr *copy) {
    return copy_in(copy, message, sizeof *copy) && !copy->msg_name && !copy->msg_control && !copy->msg_controllen &&
           copy->msg_iovlen <= INT16_MAX;
}

/* May it be looked at? Where nothing is deferred or fetched yet nobody has asked the kernel, and needn't. */
static bool is_readable(bool prepared) {
    struct thread *self = thread_self();
    if (prepared || self->faults_caught || single_threaded() || !activated())
        return prepared || self->faults_caught;
    return thread_free(self) && thread_attached(self) && faults_reach_us(self);
}

/*
 * What isn't seen to be plain may carry something. With one thread, or as long as nobody relies on anything, it is time
 * enough to look when the kernel has read it; and nobody comes to rely on anything meanwhile.
 */
static enum carrying carrying(const char *call, bool readable) {
    if (readable || (!single_threaded() && (activated() || prepared_to_read())))
        sharing_sent();
    else if (exclusive_begins(call))
        return CARRYING_EXCLUSIVELY;
    return CARRYING_PERHAPS;
}

int offer_message(const char *call, int fd, const struct msghdr *message, int flags, size_t *total,
                  enum carrying *carries) {
    struct msghdr copy;
    number_used(fd);
    bool prepared = write_prepared(fd), readable = is_readable(prepared);
    bool plain = readable && thread_free(thread_self()) && is_plain(message, &copy);
    *total = 0;
    *carries = CARRYING_NOTHING;
    if (plain && turn_exists() && !(flags & ~(MSG_NOSIGNAL | MSG_DONTWAIT)))
        *total = turn_keeps_vector(fd, copy.msg_iov, (int)copy.msg_iovlen);
    if (unlikely(*total))
        return DEFERRED;
    if (plain && prepared)
        return offer_vector(call, fd, copy.msg_iov, (int)copy.msg_iovlen,
                            flags & MSG_NOSIGNAL ? WB_SENT_QUIETLY : WB_SENT, flags & ~MSG_NOSIGNAL, total);
    if (plain)
        announce(call);
    else
        announce_change(call); /* what was looked at isn't this process's alone any more */
    int late = unlikely(wb_attention()) && ofd_in_error(fd) && message_asks(message) ? error_due(fd) : 0;
    if (unlikely(late))
        return -late;
    if (!plain)
        *carries = carrying(call, readable);
    return PASS;
}

void message_sent(const struct msghdr *message, ssize_t sent, enum carrying carries) {
    if (carries != CARRYING_NOTHING && sent >= 0 && message->msg_controllen)
        sharing_sent();
    exclusive_ends(carries == CARRYING_EXCLUSIVELY);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    size_t total;
    enum carrying carries;
    int verdict = offer_message("sendmsg", fd, message, flags, &total, &carries);
    if (verdict != PASS)
        return answer_offer(verdict, total);
    sending_begins(flags);
    ssize_t sent = write_passed(fd, REAL(sendmsg)(fd, message, flags), total);
    sending_ends(fd, flags);
    message_sent(message, sent, carries);
    return sent;
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    announce("sendmmsg");
    int late = unlikely(wb_attention()) ? error_due(fd) : 0;
    if (unlikely(late))
        return (int)answer(-late);
    sharing_sent();
    sending_begins(flags);
    int sent = CALL(sendmmsg, (fd, messages, count, flags));
    sending_ends(fd, flags);
    input_now_unsure();
    return sent;
}

/* The pages go into the pipe as they are: what the program stores there afterwards whoever has the pipe sees. */
EXPORT ssize_t vmsplice(int fd, const struct iovec *vector, size_t count, unsigned flags) {
    atomic_fetch_or(&readers_forbidden, READERS_PAGES);
    announce_reads("vmsplice");
    int error = feed_error_due(-1, fd);
    if (unlikely(error))
        return answer(-error);
    sharing_hidden();
    drain("vmsplice");
    ssize_t given = CALL(vmsplice, (fd, vector, count, flags));
    input_now_unsure();
    return given;
}

/* Time-outs, layers above, buffers: what was known of sockets is out of date. */
EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    announce_change("setsockopt"); /* SO_PEEK_OFF */
    bool held = turn_hold(thread_self());
    int result = CALL(setsockopt, (fd, level, name, value, size));
    if (wb_started())
        atomic_fetch_add(&files_generation, 1);
    turn_release(held);
    return result;
}

/* The kernel has told us the error of an earlier send, and tells it once. */
void option_got(int fd, int level, int name, void *value, const socklen_t *size) {
    struct ofd *ofd = unlikely(wb_attention()) ? ofd_in_error(fd) : NULL;
    if (likely(!ofd || !ofd->stream || level != SOL_SOCKET || name != SO_ERROR || *size > sizeof(int)))
        return;
    int late = late_error_take(ofd->inode), none = 0;
    if (late && memcmp(value, &none, *size) == 0)
        memcpy(value, &late, *size);
}

EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    announce_read("getsockopt", fd); /* TCP_ZEROCOPY_RECEIVE */
    int result = CALL(getsockopt, (fd, level, name, value, size));
    if (result == 0)
        option_got(fd, level, name, value, size);
    return result;
}

/* Most of what is read and written by it is left alone. */
static int socket_opened(int fd) {
    number_opened(fd);
    struct fd_slot *slot = files_slot_near(fd);
    if (slot)
        slot->socket = 1;
    return fd;
}

EXPORT int socket(int domain, int type, int protocol) {
    announce("socket");
    return socket_opened(CALL(socket, (domain, type, protocol)));
}

EXPORT int accept(int fd, __SOCKADDR_ARG address, socklen_t *n) {
    announce("accept");
    return socket_opened(CALL(accept, (fd, address, n)));
}

EXPORT int accept4(int fd, __SOCKADDR_ARG address, socklen_t *n, int flags) {
    announce("accept4");
    return socket_opened(CALL(accept4, (fd, address, n, flags)));
}

EXPORT int socketpair(int domain, int type, int protocol, int ends[2]) {
    announce("socketpair");
    int result = CALL(socketpair, (domain, type, protocol, ends));
    if (result == 0) {
        socket_opened(ends[0]);
        socket_opened(ends[1]);
    }
    return result;
}

/* Without an address it undoes the connection, and what has been received is lost (connect(2)). */
#define CONNECT(name)                                                                                                  \
    EXPORT int name(int fd, __CONST_SOCKADDR_ARG address, socklen_t n) {                                               \
        announce_reads_of(#name, fd);                                                                                  \
        connect_begins();                                                                                              \
        int result = CALL(name, (fd, address, n));                                                                     \
        connect_ends(fd);                                                                                              \
        return result;                                                                                                 \
    }

extern int __connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t n);

CONNECT(connect)
CONNECT(__connect)

/* From then on a send may fail of which poll(2) says nothing. */
EXPORT int shutdown(int fd, int how) {
    announce_change("shutdown");
    bool held = turn_hold(thread_self());
    socket_shut(fd);
    int result = CALL(shutdown, (fd, how));
    turn_release(held);
    return result;
}

/* Descriptors may have come, which others have as well: none is this process's own any more. */
static void received(size_t control) {
    if (control)
        files_passed_on();
}

/*
 * One that wants neither a name nor control data is a vector. recvmsg(2): it is told that there are none. On AF_UNIX
 * there may be, and it would be told that they are lost (MSG_CTRUNC).
 */
static ssize_t received_in_turn(int fd, struct msghdr *message, int flags) {
    struct msghdr copy;
    if (likely(!turn_goes_on(fd)) || flags & ~MSG_DONTWAIT || !thread_self()->faults_caught ||
        !thread_free(thread_self()) || !copy_in(&copy, message, sizeof copy) || copy.msg_name || copy.msg_controllen ||
        copy.msg_iovlen > INT32_MAX)
        return -1;
    const struct ofd *ofd = known_ofd(fd);
    if (!ofd || ofd->stream != STREAM_TCP || !copy_in(&message->msg_flags, &copy.msg_flags, sizeof copy.msg_flags))
        return -1; /* it can't be written */
    ssize_t got = turn_serves_vector(fd, copy.msg_iov, (int)copy.msg_iovlen);
    if (got >= 0)
        message->msg_flags = 0;
    return got;
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    ssize_t turned = received_in_turn(fd, message, flags);
    if (turned >= 0)
        return turned;
    announce_reads_of("recvmsg", fd);
    bool asks = unlikely(wb_attention()) && ofd_in_error(fd) && !(flags & ASKS_NO_ERROR) && message_asks(message);
    int error = socket_error_due(fd, asks);
    if (unlikely(error))
        return answer(-error);
    ssize_t got = CALL(recvmsg, (fd, message, flags));
    received(got >= 0 ? message->msg_controllen : 0);
    return got;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit) {
    announce_reads_of("recvmmsg", fd);
    int error = flags & ASKS_NO_ERROR ? 0 : socket_error_due(fd, 1);
    if (unlikely(error))
        return (int)answer(-error);
    int got = CALL(recvmmsg, (fd, messages, count, flags, limit));
    for (int i = 0; i < got; i++)
        received(messages[i].msg_hdr.msg_controllen);
    return got;
}
