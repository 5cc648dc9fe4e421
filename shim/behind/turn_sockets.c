#include "behind/turn_sockets.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/passing.h"
#include "base/single.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/ticks.h"
#include "behind/straight.h"
#include "common/attention.h"
#include "files/ends.h"
#include "files/readers.h"
#include "files/users.h"

/* What a send takes of the socket's room beside twice its bytes (SKB_TRUESIZE in include/linux/skbuff.h). */
enum { SEND_COSTS = 2048, ROOM_LEAST = 16 << 10, VERIFIED_US = 20000 };

uint32_t turn_cost(uint32_t bytes) {
    return 2 * bytes + SEND_COSTS;
}

/* What the system says of sockets that say nothing: looked at now and then, for it takes some calls. */
static uint32_t system_lowat(void) {
    enum { LOOKED_US = 100000 };
    static uint64_t looked;
    static uint32_t lowat;
    char digits[16];
    const char *end;
    uint64_t now = ticks_now();
    if (looked && now - looked < ticks_of_us(LOOKED_US))
        return lowat;
    looked = now;
    lowat = 0;
    passing_begins();
    long got = text_read("/proc/sys/net/ipv4/tcp_notsent_lowat", digits, sizeof digits);
    passing_ends();
    if (got > 0)
        lowat = (uint32_t)text_parse(digits, &end);
    return lowat;
}

/*
 * TCP_NOTSENT_LOWAT: a send is refused, though there is room, while so much isn't sent yet; and the socket is writable,
 * as it must be in each turn, when it is less than half of that (tcp(7), __tcp_stream_memory_free in net/ipv4/tcp.c).
 * So the other half goes in.
 */
static uint32_t limit(int fd) {
    uint32_t lowat = 0;
    socklen_t size = sizeof lowat;
    if (sys(SYS_getsockopt, fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, &size) != 0 || !lowat)
        lowat = system_lowat();
    return lowat / 2;
}

/*
 * Asks the kernel for the room by its own count, for what it holds of the socket is more than the bytes. A TCP socket
 * is writable when a third of its buffer is free, or more (__sk_stream_is_writeable in include/net/sock.h).
 */
void turn_ask_for_room(int fd, struct ofd *ofd) {
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof memory;
    bool tcp = ofd->stream == STREAM_TCP;
    ofd->turn_room = ofd->turn_least = 0;
    if (sys(SYS_getsockopt, fd, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0 || size < sizeof memory)
        return;
    uint32_t all = memory[SK_MEMINFO_SNDBUF], used = memory[tcp ? SK_MEMINFO_WMEM_QUEUED : SK_MEMINFO_WMEM_ALLOC];
    uint32_t free = all > used ? all - used : 0, most = tcp ? limit(fd) : UINT32_MAX;
    ofd->turn_room = free < most ? free : most;
    ofd->turn_least = all / 3 < most ? all / 3 : most;
}

/* As far as is known before it is asked whether it takes what is sent. */
static bool is_roomy(const struct ofd *ofd) {
    return (ofd->stream == STREAM_TCP ? ofd->turn_least : ofd->turn_room) >= ROOM_LEAST;
}

/* Is it still that socket, with the options and the room that it needs? */
static bool is_verified(const struct ofd *ofd, uint64_t now) {
    return ofd->turns && ofd->generation == atomic_load_explicit(&files_generation, memory_order_relaxed) &&
           now - ofd->verified_at <= ticks_of_us(VERIFIED_US) && is_roomy(ofd) &&
           ofd->inode->unsure == atomic_load_explicit(&input_unsure, memory_order_relaxed);
}

/* Does TCP tell who receives more than the bytes, where there is room for that (cmsg(3))? */
static bool tells_more(int fd) {
    static const struct {
        int level, name;
    } options[] = {{SOL_SOCKET, SO_TIMESTAMP},
                   {SOL_SOCKET, SO_TIMESTAMPNS},
                   {SOL_SOCKET, SO_TIMESTAMPING},
                   {IPPROTO_TCP, TCP_INQ}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        uint32_t value = 0;
        socklen_t size = sizeof value;
        if (sys(SYS_getsockopt, fd, options[i].level, options[i].name, &value, &size) == 0 && value)
            return true;
    }
    return false;
}

/* Asks the kernel. files_lock held. */
static bool verify(int fd, struct fd_slot *slot, struct ofd *ofd, uint64_t now) {
    uint32_t generation = atomic_load_explicit(&files_generation, memory_order_relaxed);
    struct stat st;
    straight_unsure(ofd);
    if (!ofd->turns || ofd->generation != generation) {
        ofd->turns = files_verify(fd, slot) && readers_peekable(ofd, fd) && !ends_both_ours(fd, ofd->stream) &&
                     (ofd->stream != STREAM_TCP || !tells_more(fd));
        ofd->verified_at = now;
        ofd->turn_room = ofd->turn_least = 0;
    } else if (now - ofd->verified_at > ticks_of_us(VERIFIED_US)) {
        ofd->turns = sys(SYS_fstat, fd, &st) == 0 && st.st_ino == ofd->inode->number && st.st_dev == ofd->inode->device;
        ofd->verified_at = now;
    }
    if (ofd->turns && !is_roomy(ofd))
        turn_ask_for_room(fd, ofd);
    return ofd->turns && is_roomy(ofd);
}

static bool verified(int fd, struct fd_slot *slot, struct ofd *ofd, uint64_t now) {
    if (likely(is_verified(ofd, now)))
        return true;
    mutex_lock(&files_lock);
    bool still = atomic_load_explicit(&slot->ofd, memory_order_relaxed) == ofd && verify(fd, slot, ofd, now);
    mutex_unlock(&files_lock);
    return still;
}

struct ofd *turn_socket(const struct thread *self, int fd, uint64_t now) {
    bool due;
    if (!single_threaded() && !users_only(self, fd))
        return NULL;
    struct fd_slot *slot = files_slot(fd);
    struct ofd *ofd = slot ? atomic_load_explicit(&slot->ofd, memory_order_acquire) : NULL;
    if (!ofd || !ofd->stream || stream_is_pipe(ofd->stream) || ofd->shut || !readers_alone(ofd, 0, &due) ||
        (ofd->reason != REASON_NONE && ofd->reason != REASON_nonblocking) ||
        atomic_load_explicit(&ofd->inode->error, memory_order_relaxed) || !verified(fd, slot, ofd, now))
        return NULL;
    return ofd;
}
