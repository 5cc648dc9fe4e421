#include "files/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "base/config.h"
#include "base/maps.h"
#include "base/passing.h"
#include "base/sys.h"
#include "base/text.h"

static long option(int fd, int level, int name, void *value, socklen_t size) {
    return sys(SYS_getsockopt, fd, level, name, value, &size);
}

static int number_option(int fd, int level, int name) {
    int value = -1;
    return option(fd, level, name, &value, sizeof value) == 0 ? value : -1;
}

/* Before Linux 6.4 a pipe doesn't know RWF_NOWAIT. One of our own tells. */
static bool pipes_without_waiting(void) {
    static _Atomic int known;
    int ends[2];
    char byte = 0;
    struct iovec one = {&byte, 1};
    if (known)
        return known > 0;
    passing_begins();
    bool made = sys(SYS_pipe2, ends, O_CLOEXEC) == 0;
    if (made) {
        long done = sys(SYS_pwritev2, ends[1], &one, 1, -1L, -1L, RWF_NOWAIT);
        known = done == 1 ? 1 : -1;
        sys(SYS_close, ends[0]);
        sys(SYS_close, ends[1]);
    }
    passing_ends();
    return made && known > 0;
}

/* A layer above TCP makes records of what is sent at once (Documentation/networking/tls.rst). */
static bool has_upper_layer(int fd) {
    char name[16] = "";
    return option(fd, IPPROTO_TCP, TCP_ULP, name, sizeof name) == 0 && name[0];
}

static bool is_connected(int fd) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    return sys(SYS_getpeername, fd, &peer, &size) == 0;
}

/* With a time-out a send may fail that the program was told is done. */
static bool has_time_out(int fd) {
    struct timeval limit = {0, 0};
    return option(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 || limit.tv_sec || limit.tv_usec;
}

/* A filter of system calls may let the program write, and not send. */
static bool may_send(int fd) {
    return sys(SYS_sendto, fd, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0) == 0;
}

static enum stream socket_kind(int fd) {
    int domain = number_option(fd, SOL_SOCKET, SO_DOMAIN), protocol = number_option(fd, SOL_SOCKET, SO_PROTOCOL);
    if (number_option(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM || !is_connected(fd) || has_time_out(fd) || !may_send(fd))
        return STREAM_NONE;
    if (domain == AF_UNIX)
        return number_option(fd, SOL_SOCKET, SO_SNDBUF) >= 4 * STREAM_UNIX_PIECE ? STREAM_UNIX : STREAM_NONE;
    bool inet = domain == AF_INET || domain == AF_INET6;
    return inet && protocol == IPPROTO_TCP && !has_upper_layer(fd) ? STREAM_TCP : STREAM_NONE;
}

long stream_open_again(int fd) {
    char name[40];
    struct text text = {name, sizeof name - 1, 0};
    text_add(&text, "/proc/self/fd/");
    text_number(&text, fd);
    name[text.length] = '\0';
    return sys(SYS_openat, AT_FDCWD, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

/* Who may not open it again, or has no /proc, has no way to write without waiting. */
static bool opens_again(int fd) {
    passing_begins();
    long again = stream_open_again(fd);
    if (again >= 0)
        sys(SYS_close, again);
    passing_ends();
    return again >= 0 || again == -ENXIO;
}

static enum stream pipe_kind(int fd) {
    struct statfs st;
    bool made_by_pipe = sys(SYS_fstatfs, fd, &st) == 0 && st.f_type == PIPEFS_MAGIC;
    if ((sys(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return made_by_pipe ? STREAM_PIPE : STREAM_FIFO;
    return made_by_pipe && pipes_without_waiting() ? STREAM_PIPE : opens_again(fd) ? STREAM_FIFO : STREAM_NONE;
}

enum stream stream_look(int fd, const struct stat *st, enum reason *reason) {
    enum stream kind = S_ISFIFO(st->st_mode) ? STREAM_PIPE : S_ISSOCK(st->st_mode) ? STREAM_UNIX : STREAM_NONE;
    *reason = kind == STREAM_NONE ? REASON_not_regular : config.no_streams ? REASON_streams_off : REASON_NONE;
    if (*reason != REASON_NONE)
        return kind;
    if (kind == STREAM_UNIX && (kind = socket_kind(fd)) == STREAM_NONE)
        *reason = REASON_stream_kind;
    if (kind == STREAM_PIPE && (kind = pipe_kind(fd)) == STREAM_NONE)
        *reason = REASON_stream_wait;
    return kind;
}

enum reason stream_flags(enum stream kind, long flags) {
    if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_RDONLY)
        return REASON_bad_fd;
    if (flags & O_NONBLOCK)
        return REASON_nonblocking;
    return stream_is_pipe(kind) && flags & O_DIRECT ? REASON_stream_kind : REASON_NONE; /* packets (pipe(2)) */
}

uint32_t stream_page(enum stream kind) {
    uint32_t page = (uint32_t)maps_page_size();
    return !stream_is_pipe(kind) ? stream_piece(kind) : page > STREAM_PIPE_PIECE ? page : STREAM_PIPE_PIECE;
}

int stream_used(int fd) {
    int used = 0;
    return sys(SYS_ioctl, fd, FIONREAD, &used) == 0 ? used : -1;
}

/* The kernel doubles what SO_SNDBUF is given, up to a limit (socket(7)). */
static bool widen_socket(int fd) {
    int before = number_option(fd, SOL_SOCKET, SO_SNDBUF);
    sys(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDBUF, &before, sizeof before);
    return number_option(fd, SOL_SOCKET, SO_SNDBUF) > before;
}

bool stream_widen(int fd, enum stream kind) {
    if (!stream_is_pipe(kind))
        return widen_socket(fd);
    long size = sys(SYS_fcntl, fd, F_GETPIPE_SZ);
    return size > 0 && sys(SYS_fcntl, fd, F_SETPIPE_SZ, 2 * size) > 0;
}

/*
 * In pages: a write that doesn't fit behind the one before begins the next. So each but the last and the first, of
 * which the reader may have taken a part, has at most so much left as the largest write needs. Where the last one ends
 * isn't sure, it counts as full.
 */
static uint32_t pipe_room(int fd, uint32_t largest, struct stream_end *end) {
    int used = stream_used(fd);
    long size = sys(SYS_fcntl, fd, F_GETPIPE_SZ);
    uint32_t page = stream_page(STREAM_PIPE), pages = (uint32_t)size / page, bytes = (uint32_t)used;
    if (size < 0 || used < 0)
        return 0;
    if (!bytes)
        *end = (struct stream_end){.sure = true};
    if (end->filled == STREAM_UNKNOWN)
        return 0;
    end->sure = !bytes || (end->sure && bytes == end->unread);
    end->unread = bytes;
    if (!end->sure)
        end->filled = page;
    uint32_t full = largest < page ? page - largest : 1, last = end->sure ? end->filled : 1;
    uint32_t before = bytes > last ? bytes - last : 0; /* in others than the last */
    uint32_t taken = (bytes > 0) + (before ? 1 + (before - 1) / full : 0);
    return (pages > taken ? pages - taken : 0) * page + (end->filled ? page - end->filled : 0);
}

/* The kernel counts its own buffers, too, on either side: twice what is in them is said to do (socket(7), SO_SNDBUF).
 */
static uint32_t socket_room(int fd) {
    int used = 0, size = number_option(fd, SOL_SOCKET, SO_SNDBUF) / 2;
    if (sys(SYS_ioctl, fd, SIOCOUTQ, &used) != 0)
        return 0;
    return size > used ? (uint32_t)(size - used) : 0;
}

uint32_t stream_room(int fd, enum stream kind, uint32_t largest, struct stream_end *end) {
    if (stream_is_pipe(kind))
        return pipe_room(fd, largest, end);
    *end = (struct stream_end){.sure = true};
    return socket_room(fd);
}
