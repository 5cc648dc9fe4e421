// refuse_seccomp EPERM|ENOSYS|KILL io_uring|clone|statx|look|peek|send|parent CMD [ARG]…: runs CMD under a seccomp
// filter that refuses these calls.

#include "common.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t action_of(const char *name) {
    if (!strcmp(name, "KILL"))
        return SECCOMP_RET_KILL_PROCESS;
    return SECCOMP_RET_ERRNO | (!strcmp(name, "EPERM") ? EPERM : ENOSYS);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int calls[3];
    } families[] = {{"io_uring", {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}},
                    {"clone", {SYS_clone, SYS_clone3, SYS_clone3}},
                    {"statx", {SYS_statx, SYS_statx, SYS_statx}},
                    {"look", {SYS_getdents64, SYS_readlinkat, SYS_faccessat}},
                    {"peek", {SYS_tee, SYS_getsockopt, SYS_getpeername}},
                    {"send", {SYS_sendto, SYS_recvfrom, SYS_pwritev2}},
                    {"parent", {SYS_getppid, SYS_getppid, SYS_getppid}}};
    require(argc >= 4);
    const int *refused = NULL;
    for (size_t i = 0; i < COUNT_OF(families); i++)
        if (strcmp(argv[2], families[i].name) == 0)
            refused = families[i].calls;
    require(refused);
    uint32_t action = action_of(argv[1]);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused[0], 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused[1], 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused[2], 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, action),
    };
    struct sock_fprog program = {.len = COUNT_OF(filter), .filter = filter};
    require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    execvp(argv[3], argv + 3);
    die("%s", argv[3]);
}
