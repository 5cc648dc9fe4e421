/*
 * lifecycle_raw_thread: a thread that libc knows nothing of, made by clone, ends by the bare system call. Only the
 * thread ends by it; the process lives, writes on, and says so.
 */
#include "common.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK = 65536 };

static char stack[STACK] __attribute__((aligned(16)));
static volatile pid_t thread = -1; /* the kernel makes it 0 when the thread has ended */

static int end(void *unused) {
    (void)unused;
    syscall(SYS_exit, 7);
    return 0;
}

static void write_lines(int file, int count) {
    for (int i = 0; i < count; i++)
        require(write(file, "a line\n", 7) == 7);
}

int main(void) {
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
    int file = open("lines", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(file >= 0);
    write_lines(file, 1000);
    require(clone(end, stack + STACK, flags, NULL, NULL, NULL, &thread) > 0);
    /* It has this thread's thread-local storage: nothing is called meanwhile. */
    while (thread)
        ;
    write_lines(file, 1000);
    puts("still here");
    return 0;
}
