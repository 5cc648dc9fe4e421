// surveyed WHERE: writes from where a walk up the stack, or a library loaded for it, is least expected. Exits with 0 if
// it was let.
//
//   malloc    a handler writes that interrupts malloc
//   confined  after the program has forbidden itself all calls but read, write and exit
//   small     a handler writes on an alternate stack of 8 KiB, with nothing below it

#include "common.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static int out;
static volatile int written;

static void write_one(int signal) {
    (void)signal;
    require(write(out, "record\n", 7) == 7);
    written++;
}

static void in_malloc(void) {
    struct itimerval often = {{0, 500}, {0, 500}};
    void *kept[64] = {NULL};
    signal(SIGALRM, write_one);
    require(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (unsigned i = 0; written < 100; i++) {
        free(kept[i % 64]);
        require((kept[i % 64] = malloc(16 + i % 4000)) != NULL);
    }
}

static void confined(void) {
    require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    for (int i = 0; i < 100; i++)
        write_one(0);
    syscall(SYS_exit, 0);
}

static void on_small_stack(void) {
    enum { PAGE = 4096, SMALL = 2 * PAGE };
    char *memory = mmap(NULL, PAGE + SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED && mprotect(memory, PAGE, PROT_NONE) == 0);
    stack_t stack = {.ss_sp = memory + PAGE, .ss_size = SMALL};
    struct sigaction action = {.sa_handler = write_one, .sa_flags = SA_ONSTACK};
    require(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 100; i++)
        require(raise(SIGUSR1) == 0);
}

int main(int argc, char **argv) {
    require(argc == 2);
    out = open("records", O_WRONLY | O_CREAT | O_APPEND, 0600);
    require(out >= 0);
    if (!strcmp(argv[1], "malloc"))
        in_malloc();
    else if (!strcmp(argv[1], "confined"))
        confined();
    else
        on_small_stack();
    return 0;
}
