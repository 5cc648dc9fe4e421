#include "base/helper.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"

enum {
    STACK = 64 << 10,
    TLS = 4096, /* room for the library's thread-local variables, on either side of one; see helper_start */
};

/* glibc's clone under the name that nothing interposes */
extern int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...);

struct beginning {
    struct helper *helper;
    int (*run)(void *);
};

static int begin(void *argument) {
    struct beginning *beginning = argument;
    thread_become(&beginning->helper->thread);
    critical.any = 0; /* the block may have been used before */
    int status = beginning->run(NULL);
    atomic_thread_fence(memory_order_release); /* who finds that it has gone finds what it did */
    return status;
}

/*
 * The thread has no thread-local storage of libc's. It must not use the starter's either, which may be gone any time,
 * so it gets a block of zeros of its own: the library's few variables lie in it as far from the thread pointer as in
 * any other thread, below it on x86-64 and above it on aarch64, behind the program's (variants II and I of Drepper,
 * "ELF Handling For Thread-Local Storage"). On x86-64 code compiled with stack protection finds a canary above.
 */
int helper_start(struct helper *helper, int (*run)(void *)) {
    char *variable = (char *)&critical;
    __asm__("" : "+r"(variable)); /* or else the linker may meet an instruction that it can't relax */
    ptrdiff_t above = variable - (char *)thread_pointer();
    size_t below = (size_t)(above < 0 ? TLS - above : TLS), room = (size_t)(above > 0 ? above + TLS : TLS);
    below = (below + 63) & ~(size_t)63;
    if (!helper->stack && !(helper->stack = arena_map(STACK + below + room, ARENA_DONTFORK)))
        return -ENOMEM;
    void *pointer = helper->stack + STACK + below;
    memcpy(pointer, &pointer, sizeof pointer); /* x86-64: a thread pointer points to itself */
    struct beginning *beginning = (struct beginning *)(helper->stack + STACK) - 1;
    *beginning = (struct beginning){helper, run};
    uint64_t all = ~0ull, before;
    int saved = errno;
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    helper->thread.stats = &helper->thread.own_stats;
    helper->thread.writing.refused = true; /* it only does small things, and none may wait for it to make a ring */
    int made = __clone(begin, beginning, flags, beginning, &helper->alive, pointer, &helper->alive);
    int error = made < 0 ? -errno : 0;
    helper->id = made < 0 ? 0 : (uint32_t)made;
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof all);
    errno = saved;
    return error;
}

/*
 * Until the kernel has cleared the word, or at the longest so long. Not private, for the kernel's wake isn't; and that
 * wakes only one of those who wait, who wakes the others.
 */
static void await_word(struct helper *helper, const struct timespec *most) {
    uint32_t alive = atomic_load(&helper->alive);
    long result = 0;
    while (alive && result != -ETIMEDOUT) {
        result = sys(SYS_futex, &helper->alive, FUTEX_WAIT, alive, most);
        alive = atomic_load(&helper->alive);
    }
    sys(SYS_futex, &helper->alive, FUTEX_WAKE, INT_MAX);
}

void helper_await_briefly(struct helper *helper, uint32_t most_us) {
    struct timespec most = {most_us / 1000000, most_us % 1000000 * 1000L};
    if (atomic_load(&helper->alive))
        await_word(helper, &most);
}

static bool exists(const struct helper *helper) {
    return sys(SYS_tgkill, sys(SYS_getpid), helper->id, 0) == 0;
}

/* The kernel clears the word some time before the thread is gone. Long after that another one may have its number. */
void helper_await(struct helper *helper) {
    enum { YIELDS = 1000, SLEEPS = 2000, SLEEP_NS = 1000000 };
    static const struct timespec shortly = {0, SLEEP_NS};
    if (!helper->id)
        return;
    if (!exists(helper) && atomic_load(&helper->alive)) { /* the child of a fork that nobody told of */
        helper_forked(helper);
        return;
    }
    await_word(helper, NULL);
    for (int i = 0; i < YIELDS + SLEEPS && exists(helper); i++)
        if (i < YIELDS) /* where more want to run than there are processors it may take longer */
            sys(SYS_sched_yield);
        else
            sys(SYS_nanosleep, &shortly, NULL);
    helper->id = 0;
}

void helper_forked(struct helper *helper) {
    memset(helper, 0, sizeof *helper);
}
