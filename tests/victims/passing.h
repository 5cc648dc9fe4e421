// A descriptor that goes to another process through a socket (unix(7), SCM_RIGHTS), with one byte.
#pragma once

#include "common.h"

#include <sys/socket.h>

union passing {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

// What sendmsg returns.
static inline ssize_t send_descriptor(int socket, int fd) {
    union passing passing = {
        .header = {.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec byte = {"x", 1};
    struct msghdr message = {
        .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &passing, .msg_controllen = sizeof passing};
    memcpy(CMSG_DATA(&passing.header), &fd, sizeof fd);
    return sendmsg(socket, &message, 0);
}

static inline int receive_descriptor(int socket) {
    union passing passing = {0};
    char byte;
    int fd;
    struct iovec one = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = &passing, .msg_controllen = sizeof passing};
    require(recvmsg(socket, &message, 0) == 1 && message.msg_controllen);
    memcpy(&fd, CMSG_DATA(&passing.header), sizeof fd);
    return fd;
}
