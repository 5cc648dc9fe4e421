/* Pipes and sockets as files/stream.c and ring/direct.c write to them: without waiting, and without SIGPIPE. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "files/stream.h"
#include "ring/direct.h"
#include "tools/probe_ring.h"

static int pipe_error(int flags) {
    int ends[2];
    char byte = 0;
    struct iovec one = {&byte, 1};
    if (pipe(ends) != 0)
        return -errno;
    long done = sys(SYS_pwritev2, ends[1], &one, 1, -1L, -1L, flags);
    close(ends[0]);
    close(ends[1]);
    return done < 0 ? (int)done : 0;
}

static int again_error(void) {
    int ends[2];
    if (pipe(ends) != 0)
        return -errno;
    long again = stream_open_again(ends[1]);
    return again < 0 ? (int)again : 0;
}

static int socket_error(void) {
    int ends[2];
    char byte = 0;
    struct iovec one = {&byte, 1};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return -errno;
    long done = direct_send(ends[0], &one, 1);
    return done < 0 ? (int)done : 0;
}

static void try_streams(void) {
    answer("stream.nowait", pipe_error(RWF_NOWAIT));
    answer("stream.quiet", pipe_error(RWF_NOSIGNAL));
    answer("stream.again", again_error());
    answer("stream.socket", socket_error());
}
