#include "base/faults.h"

#include <string.h>
#include <ucontext.h>

#include "base/copy.h"
#include "base/lock.h"
#include "base/sys.h"

/* The kernel's struct sigaction (rt_sigaction(2)): libc's own function is one that we intercept. */
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

#if defined(__x86_64__)
#define SA_RESTORER 0x04000000
/* These very bytes are how unwinders recognize a signal frame. */
extern void faults_restorer(void) __attribute__((visibility("hidden")));
__asm__(".text\n"
        ".p2align 4\n"
        "nop\n" /* unwinders look up the address before the return address */
        ".globl faults_restorer\n"
        ".hidden faults_restorer\n"
        ".type faults_restorer, @function\n"
        "faults_restorer:\n"
        "    mov $15, %rax\n" /* SYS_rt_sigreturn */
        "    syscall\n"
        ".size faults_restorer, . - faults_restorer\n");
#else
#define SA_RESTORER 0
#define faults_restorer NULL
#endif

static void kernel_get(int signal, struct sigaction *out) {
    struct kernel_sigaction raw = {0};
    sys(SYS_rt_sigaction, signal, NULL, &raw, sizeof raw.mask);
    *out = (struct sigaction){.sa_handler = raw.handler, .sa_flags = (int)(raw.flags & ~(unsigned long)SA_RESTORER)};
    memcpy(&out->sa_mask, &raw.mask, sizeof raw.mask);
}

static void kernel_set(int signal, const struct sigaction *in) {
    struct kernel_sigaction raw = {
        .handler = in->sa_handler,
        .flags = (unsigned)in->sa_flags | SA_RESTORER,
        .restorer = faults_restorer,
    };
    memcpy(&raw.mask, &in->sa_mask, sizeof raw.mask);
    sys(SYS_rt_sigaction, signal, &raw, NULL, sizeof raw.mask);
}

void (*faults_before)(bool dying);
void (*faults_after)(void);

static const int signals[] = {SIGSEGV, SIGBUS};
static struct sigaction program[2]; /* what the program wants */
static _Atomic bool installed;
static struct mutex lock;

static struct sigaction *wanted(int signal) {
    return &program[signal == SIGBUS];
}

static uintptr_t *instruction_pointer(ucontext_t *context) {
#if defined(__x86_64__)
    return (uintptr_t *)&context->uc_mcontext.gregs[REG_RIP];
#else
    return (uintptr_t *)&context->uc_mcontext.pc;
#endif
}

/* The default action, taken by the kernel: for a fault by repeating it, for a sent signal by sending it again. */
static void die_natively(int signal, siginfo_t *info) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    if (faults_before)
        faults_before(true);
    kernel_set(signal, &standard);
    if (info->si_code <= 0)
        sys(SYS_rt_tgsigqueueinfo, sys(SYS_getpid), sys(SYS_gettid), signal, info);
}

static void handle(int signal, siginfo_t *info, void *context) {
    uintptr_t *instruction = instruction_pointer(context);
    uintptr_t recovery = info->si_code > 0 ? copy_recovery(*instruction) : 0;
    if (recovery) {
        *instruction = recovery;
        return;
    }
    struct sigaction action = *wanted(signal);
    if (!(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_DFL) {
        die_natively(signal, info);
        return;
    }
    if (action.sa_flags & SA_RESETHAND)
        wanted(signal)->sa_handler = SIG_DFL;
    if (faults_before)
        faults_before(false);
    if (action.sa_flags & SA_SIGINFO)
        action.sa_sigaction(signal, info, context);
    else
        action.sa_handler(signal);
    if (faults_after)
        faults_after();
}

/* The kernel is told of our handler, with all that it must know of the program's: stack, mask, restarting. */
static void tell_kernel(int signal) {
    struct sigaction ours = *wanted(signal);
    ours.sa_flags = SA_SIGINFO | (ours.sa_flags & (SA_ONSTACK | SA_NODEFER | SA_RESTART));
    ours.sa_sigaction = handle;
    kernel_set(signal, &ours);
}

static bool ignores(const struct sigaction *action) {
    return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_IGN;
}

bool faults_install(void) {
    bool ignored = false;
    if (faults_installed()) /* inherited by a fork */
        return true;
    mutex_lock(&lock);
    for (int i = 0; i < 2; i++) {
        kernel_get(signals[i], wanted(signals[i]));
        ignored |= ignores(wanted(signals[i]));
    }
    for (int i = 0; i < 2 && !ignored; i++)
        tell_kernel(signals[i]);
    atomic_store(&installed, !ignored);
    mutex_unlock(&lock);
    return !ignored;
}

void faults_remove(void) {
    mutex_lock(&lock);
    for (int i = 0; i < 2 && atomic_load(&installed); i++)
        kernel_set(signals[i], wanted(signals[i]));
    atomic_store(&installed, false);
    mutex_unlock(&lock);
}

bool faults_installed(void) {
    return atomic_load_explicit(&installed, memory_order_relaxed);
}

void faults_sigaction(int signal, const struct sigaction *action, struct sigaction *old) {
    mutex_lock(&lock);
    struct sigaction previous = *wanted(signal);
    if (action) {
        *wanted(signal) = *action;
        tell_kernel(signal);
    }
    mutex_unlock(&lock);
    if (old)
        *old = previous;
}
