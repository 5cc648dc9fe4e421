#include "files/ends.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/sys.h"

enum { PORTS = 1 << 16, WORD = 64 };

/* From these ports this process has connected, ever. */
static _Atomic uint64_t ports[PORTS / WORD] APART;

static int port_of(long call, int fd) {
    struct sockaddr_storage at = {0};
    socklen_t size = sizeof at;
    if (sys(call, fd, &at, &size) != 0)
        return -1;
    /* in the same place in both */
    return at.ss_family == AF_INET || at.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in *)&at)->sin_port) : -1;
}

static _Atomic uint32_t connecting;

void ends_connecting(void) {
    atomic_fetch_add(&connecting, 1);
}

void ends_connected(int fd) {
    int port = fd < 0 ? -1 : port_of(SYS_getsockname, fd);
    if (port > 0)
        atomic_fetch_or_explicit(&ports[port / WORD], 1ull << port % WORD, memory_order_relaxed);
    atomic_fetch_sub(&connecting, 1);
}

/* AF_UNIX: who has made the other end, or listened at it (unix(7)). TCP: the end that was connected has that port. */
bool ends_both_ours(int fd, enum stream kind) {
    struct ucred other = {0};
    socklen_t size = sizeof other;
    if (kind == STREAM_UNIX)
        return sys(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &other, &size) != 0 || other.pid == sys(SYS_getpid);
    int port = port_of(SYS_getpeername, fd);
    return port < 0 || atomic_load(&connecting) ||
           atomic_load_explicit(&ports[port / WORD], memory_order_relaxed) >> port % WORD & 1;
}
