/* Sending on sockets: like writes, where it is that; and what changes how a socket answers them. */
#include <string.h>
#include <sys/socket.h>

#include "base/copy.h"
#include "entry/data/sharing.h"
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
        return CALL(sendto, (fd, bytes, n, flags, to, size));
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

int offer_message(const char *call, int fd, const struct msghdr *message, int flags, size_t *total) {
    struct msghdr copy;
    *total = 0;
    if (write_prepared(fd) && is_plain(message, &copy))
        return offer_vector(call, fd, copy.msg_iov, (int)copy.msg_iovlen,
                            flags & MSG_NOSIGNAL ? WB_SENT_QUIETLY : WB_SENT, flags & ~MSG_NOSIGNAL, total);
    announce(call);
    sharing_passed_on();
    return PASS;
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    size_t total;
    int verdict = offer_message("sendmsg", fd, message, flags, &total);
    return verdict == PASS ? write_passed(fd, REAL(sendmsg)(fd, message, flags), total) : answer_offer(verdict, total);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    announce("sendmmsg");
    int late = unlikely(wb_attention()) ? error_due(fd) : 0;
    if (unlikely(late))
        return (int)answer(-late);
    sharing_passed_on();
    return CALL(sendmmsg, (fd, messages, count, flags));
}

/* Time-outs, layers above, buffers: what was known of sockets is out of date. */
EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    announce("setsockopt");
    int result = CALL(setsockopt, (fd, level, name, value, size));
    if (wb_started())
        atomic_fetch_add(&files_generation, 1);
    return result;
}

/* The kernel has told us the error of an earlier send, and tells it once. */
EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    announce_touch("getsockopt", fd);
    int result = CALL(getsockopt, (fd, level, name, value, size));
    if (likely(!wb_attention() || result != 0 || level != SOL_SOCKET || name != SO_ERROR || *size != sizeof(int)))
        return result;
    int late = error_due(fd), none = 0;
    if (late && memcmp(value, &none, sizeof none) == 0)
        memcpy(value, &late, sizeof late);
    return result;
}
