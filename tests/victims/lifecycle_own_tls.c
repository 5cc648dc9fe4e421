/*
 * lifecycle_own_tls: threads that the program makes by clone, with thread-local memory of its own that is full of
 * zeros, call what needs nothing else of libc's, while the process's first thread writes on. How it is cloned: by
 * libc's function, or by an instruction of the program's own.
 *
 *   lifecycle_own_tls libc|own
 */
#include "common.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { STACK = 1 << 16, BELOW = 1 << 16, ABOVE = 1 << 14, LINES = 300 };

static const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                         CLONE_SETTLS | CLONE_CHILD_CLEARTID;
static volatile pid_t thread; /* the kernel makes it 0 when the thread has ended */
static volatile int step, handled;
static int lines;
static char copy[8];

static void handle(int number) {
    handled += number;
}

/* Each that fails leaves its number. (What would set errno, or wait, is left out.) */
static int work(void *unused) {
    struct iovec vector = {"a vector\n", 9};
    struct stat st;
    sigset_t none;
    (void)unused;
    for (int i = 0; i < LINES; i++)
        step += write(lines, "a strange line\n", 15) != 15;
    int file = open("strange", O_RDWR | O_CREAT | O_TRUNC, 0600);
    step += file < 0 ? 1000 : 0;
    for (int i = 0; i < LINES; i++)
        step += write(file, "its own\n", 8) == 8 ? 0 : 1000;
    step += pwrite(file, "ITS", 3, 8) == 3 ? 0 : 2000;
    step += writev(file, &vector, 1) == 9 ? 0 : 4000;
    step += lseek(file, 8, SEEK_SET) == 8 && read(file, copy, 7) == 7 && memcmp(copy, "ITS own", 7) == 0 ? 0 : 8000;
    for (int i = 0; i < LINES; i++)
        step += pread(file, copy, 7, i * 8) == 7 ? 0 : 16000;
    step += fstat(file, &st) == 0 && st.st_size == LINES * 8 + 9 ? 0 : 32000;
    step += fsync(file) == 0 && dup2(file, 100) == 100 && fcntl(100, F_GETFL) >= 0 && close(file) == 0 ? 0 : 64000;
    step += syscall(SYS_write, 100, "by number\n", 10) == 10 && syscall(SYS_close, 100) == 0 ? 0 : 128000;
    sigemptyset(&none);
    step += sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handle}, NULL) == 0 ? 0 : 256000;
    step += sigprocmask(SIG_SETMASK, &none, NULL) == 0 && kill(getpid(), 0) == 0 ? 0 : 512000;
    step += syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1) == 0 ? 0 : 1024000;
    syscall(SYS_exit, 0);
    return 0;
}

#if defined(__x86_64__)
__attribute__((used)) static void begin(void) {
    work(NULL);
}

static long own_clone(void *stack, void *tls) {
    register long tid __asm__("r10") = (long)&thread;
    register void *block __asm__("r8") = tls;
    long result;
    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "xor %%ebp, %%ebp\n"
                     "call begin\n"
                     "hlt\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone), "D"(flags), "S"(stack), "d"(NULL), "r"(tid), "r"(block)
                     : "rcx", "r11", "memory");
    return result;
}
#else
static long own_clone(void *stack, void *tls) {
    return clone(work, stack, flags, NULL, NULL, tls, &thread);
}
#endif

int main(int argc, char **argv) {
    bool own = argc > 1 && strcmp(argv[1], "own") == 0;
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *area = mmap(NULL, BELOW + ABOVE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void **block = (void **)(area + BELOW);
    require(stack != MAP_FAILED && area != MAP_FAILED);
    block[0] = block[2] = block; /* where libc finds it */
    lines = open("lines", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    require(lines >= 0);
    for (int i = 0; i < LINES; i++)
        require(write(lines, "a line\n", 7) == 7);
    thread = 1;
    long made = own ? own_clone(stack + STACK, block) : clone(work, stack + STACK, flags, NULL, NULL, block, &thread);
    require(made > 0);
    while (thread)
        sched_yield();
    for (int i = 0; i < LINES; i++)
        require(write(lines, "a line\n", 7) == 7);
    printf("steps %d handled %d\n", step, handled);
    return 0;
}
