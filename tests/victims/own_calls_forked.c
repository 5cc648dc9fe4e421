/*
 * A fork by a system call of its own, while its code, of which there is much, is looked at: the child, which nobody
 * told that the thread that looks isn't there, gives everything back (setuid), and waits for nobody.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

static long fork_by_itself(void) {
#if defined(__x86_64__)
    register long r8 __asm__("r8") = 0, r10 __asm__("r10") = 0;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_clone), "D"(SIGCHLD), "S"(0), "d"(0), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = SYS_clone;
    register long x0 __asm__("x0") = SIGCHLD;
    register long x1 __asm__("x1") = 0, x2 __asm__("x2") = 0, x3 __asm__("x3") = 0, x4 __asm__("x4") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
#endif
}

int main(void) {
    enum { CODE = 256 << 20, TURNS = 20, PATIENCE = 60 };
    int file = open("lines", O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600), failed = 0;
    require(file >= 0);
    require(mmap(NULL, CODE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    for (int i = 0; i < TURNS; i++) {
        for (int j = 0; j < 20; j++)
            require(write(file, "a line of some length\n", 22) == 22);
        long child = fork_by_itself();
        if (child == 0) {
            alarm(PATIENCE);
            _exit(setuid(getuid()) != 0);
        }
        int status;
        require(waitpid((pid_t)child, &status, 0) == child);
        failed += status != 0;
        if (failed)
            break;
    }
    printf("%d failed\n", failed);
    return 0;
}
