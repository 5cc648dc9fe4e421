/* Sending on sockets: like writes, where it is that; and what changes how a socket answers them. */
#include <string.h>
#include <sys/socket.h>

#include "base/copy.h"
#include "base/single.h"
#include "entry/data/sharing.h"
#include "entry/data/turns.h"
#include "entry/data/write.h"
#include "entry/entry.h"

extern ssize_t __send(int fd, const void *bytes, size_t n, int flags);

#define SEND(name)                                                                                                     \
    EXPORT ssize_t name(int fd, const void *bytes, size_t n, int flags) {                                              \
        int verdict = offer_send(#name, fd, bytes, n, flags);                                                          \
        return verdict == PASS ? write_passed(fd, REAL(name)(fd, bytes, n, flags), n) : answer_offer(verdict, n);      \
    }

SEND(send)
SEND(__send)

EXPORT ssize_t sendto(int fd, const void *bytes, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t size) {
    if (to.__sockaddr__ || size) {
        announce("sendto");
        ssize_t sent = CALL(sendto, (fd, bytes, n, flags, to, size));
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
static bool is_plain(const struct msghdr *copy) {
    return !copy->msg_name && !copy->msg_control && !copy->msg_controllen && copy->msg_iovlen <= INT16_MAX;
}

/* Where it wouldn't be noticed, the kernel is asked, as long as there may be turns: their sockets aren't passed on. */
static bool copied(struct msghdr *copy, const struct msghdr *message, bool readable) {
    if (readable)
        return copy_in(copy, message, sizeof *copy);
    return users_followed() && !single_threaded() && copy_in_asked(copy, message, sizeof *copy);
}

int offer_message(const char *call, int fd, const struct msghdr *message, int flags, size_t *total, bool *carries) {
    struct msghdr copy;
    number_used(fd);
    bool prepared = write_prepared(fd), readable = prepared || thread_self()->faults_caught;
    bool plain = thread_free(thread_self()) && copied(&copy, message, readable) && is_plain(&copy);
    *total = *carries = 0;
    if (plain && turn_exists() && !(flags & ~(MSG_NOSIGNAL | MSG_DONTWAIT)))
        *total = turn_keeps_vector(fd, copy.msg_iov, (int)copy.msg_iovlen, flags & MSG_NOSIGNAL);
    if (unlikely(*total))
        return DEFERRED;
    if (plain && prepared)
        return offer_vector(call, fd, copy.msg_iov, (int)copy.msg_iovlen,
                            flags & MSG_NOSIGNAL ? WB_SENT_QUIETLY : WB_SENT, flags & ~MSG_NOSIGNAL, total);
    *carries = !plain;
    if (plain)
        announce(call);
    else
        announce_change(call); /* what was looked at isn't this process's alone any more */
    if (*carries && (readable || !single_threaded()))
        sharing_sent();
    return PASS;
}

/* With one thread it is time enough to look when the kernel has read it. */
void message_sent(const struct msghdr *message, ssize_t sent) {
    if (sent >= 0 && message->msg_controllen)
        sharing_sent();
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    size_t total;
    bool carries;
    int verdict = offer_message("sendmsg", fd, message, flags, &total, &carries);
    if (verdict != PASS)
        return answer_offer(verdict, total);
    ssize_t sent = write_passed(fd, REAL(sendmsg)(fd, message, flags), total);
    if (carries)
        message_sent(message, sent);
    return sent;
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    announce("sendmmsg");
    int late = unlikely(wb_attention()) ? error_due(fd) : 0;
    if (unlikely(late))
        return (int)answer(-late);
    sharing_sent();
    int sent = CALL(sendmmsg, (fd, messages, count, flags));
    input_now_unsure();
    return sent;
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
EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    announce_read("getsockopt", fd); /* TCP_ZEROCOPY_RECEIVE */
    int result = CALL(getsockopt, (fd, level, name, value, size));
    if (likely(!wb_attention() || result != 0 || level != SOL_SOCKET || name != SO_ERROR || *size != sizeof(int)))
        return result;
    int late = error_due(fd), none = 0;
    if (late && memcmp(value, &none, sizeof none) == 0)
        memcpy(value, &late, sizeof late);
    return result;
}

EXPORT int socketpair(int domain, int type, int protocol, int ends[2]) {
    announce("socketpair");
    int result = CALL(socketpair, (domain, type, protocol, ends));
    if (result == 0) {
        number_opened(ends[0]);
        number_opened(ends[1]);
    }
    return result;
}

/* Without an address it undoes the connection, and what has been received is lost (connect(2)). */
#define CONNECT(name)                                                                                                  \
    EXPORT int name(int fd, __CONST_SOCKADDR_ARG address, socklen_t n) {                                               \
        announce_reads_of(#name, fd);                                                                                  \
        return CALL(name, (fd, address, n));                                                                           \
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

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    announce_reads_of("recvmsg", fd);
    int error = unlikely(wb_attention()) ? error_due(fd) : 0;
    if (unlikely(error))
        return answer(-error);
    ssize_t got = CALL(recvmsg, (fd, message, flags));
    received(got >= 0 ? message->msg_controllen : 0);
    return got;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit) {
    announce_reads_of("recvmmsg", fd);
    int error = unlikely(wb_attention()) ? error_due(fd) : 0;
    if (unlikely(error))
        return (int)answer(-error);
    int got = CALL(recvmmsg, (fd, messages, count, flags, limit));
    for (int i = 0; i < got; i++)
        received(messages[i].msg_hdr.msg_controllen);
    return got;
}
