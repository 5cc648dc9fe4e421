// A descriptor that a seccomp supervisor puts into the process that it supervises (seccomp_unotify(2)).
#pragma once

#include "passing.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// The supervised one's: asks by a call that its supervisor answers. What that one gives is the number of a descriptor.
static inline int ask_supervisor(int socket) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT_OF(code), code};
    require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    int supervisor = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    require(supervisor >= 0 && send_descriptor(socket, supervisor) == 1);
    return (int)syscall(SYS_getpgid, 0);
}

// The supervisor's: answers one call, with a new number for its own fd.
static inline void supervise(int socket, int fd) {
    struct seccomp_notif asked = {0};
    int supervised = receive_descriptor(socket);
    require(ioctl(supervised, SECCOMP_IOCTL_NOTIF_RECV, &asked) == 0);
    struct seccomp_notif_addfd adding = {.id = asked.id, .srcfd = (unsigned)fd};
    struct seccomp_notif_resp answer = {.id = asked.id, .val = ioctl(supervised, SECCOMP_IOCTL_NOTIF_ADDFD, &adding)};
    require(answer.val >= 0 && ioctl(supervised, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0);
    close(supervised);
}
