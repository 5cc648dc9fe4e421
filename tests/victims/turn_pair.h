// What the victims share that have a server with few connections, and turns: who asks, and who answers.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common.h"

static char bytes[4096];
static struct sockaddr_storage at;
static socklen_t at_size;

static inline int listen_somewhere(bool tcp) {
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    at_size = tcp ? sizeof inet : sizeof(sa_family_t); /* a name that nobody has */
    memcpy(&at, tcp ? (void *)&inet : (void *)&local, at_size);
    int fd = socket(at.ss_family, SOCK_STREAM, 0);
    require(fd >= 0 && bind(fd, (struct sockaddr *)&at, at_size) == 0 && listen(fd, 5) == 0);
    at_size = sizeof at;
    require(getsockname(fd, (struct sockaddr *)&at, &at_size) == 0);
    return fd;
}

static inline int connected(void) {
    int fd = socket(at.ss_family, SOCK_STREAM, 0);
    require(fd >= 0 && connect(fd, (struct sockaddr *)&at, at_size) == 0);
    return fd;
}

static inline int accepted(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    require(fd >= 0);
    return fd;
}

/* So that turns are what the two are used to. */
static inline void ask_often(int fd, int times) {
    for (int i = 0; i < times; i++)
        require(write(fd, "hello", 5) == 5 && read(fd, bytes, 1) == 1);
}

static inline void wait_for(int fd, short events) {
    struct pollfd one = {fd, events, 0};
    require(poll(&one, 1, -1) == 1);
}

static inline void answer_often(int fd, int times) {
    for (int i = 0; i < times; i++) {
        wait_for(fd, POLLIN);
        require(read(fd, bytes, 100) == 5 && write(fd, "x", 1) == 1);
    }
}

/* 0 for a child that asks; turns are what it and who answers are used to. *fd is the end of each. */
static inline pid_t used_to_turns(int *fd) {
    int listener = listen_somewhere(false);
    pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        *fd = connected();
        ask_often(*fd, 60);
    } else {
        *fd = accepted(listener);
        answer_often(*fd, 60);
    }
    close(listener);
    return pid;
}
