// signals_faults: handlers of real faults, with writes pending: what they are told, that they can mend the cause, step
// over the instruction or jump away; and system calls with bad buffers, which are no faults.

#include "machine.h"
#include "signals.h"

#include <setjmp.h>
#include <sys/mman.h>

static int fd;
static long page_size;
static char *guarded, *shrunk;
static sigjmp_buf back;
static int step; // how the handler goes on: 0 mends, n > 0 skips so many bytes, -1 jumps
static volatile int faults;

static const char *place(const void *address) {
    char *text = text_buffer();
    if ((const char *)address >= guarded && (const char *)address < guarded + 4 * page_size)
        sprintf(text, "guarded+%ld", (long)((const char *)address - guarded));
    else if ((const char *)address >= shrunk && (const char *)address < shrunk + 4 * page_size)
        sprintf(text, "shrunk+%ld", (long)((const char *)address - shrunk));
    else
        sprintf(text, "%s", address < (void *)65536 ? "low" : "elsewhere");
    return text;
}

static void on_fault(int number, siginfo_t *info, void *context) {
    ucontext_t *frame = context;
    bool ours = info->si_addr == (void *)(uintptr_t)CONTEXT_PC(frame);
    faults++;
    note("%s code %d at %s%s, mask %s, interrupted %s\n", signal_text(number), info->si_code,
         number == SIGTRAP ? "a trap" : place(info->si_addr), ours ? ", which is the instruction" : "", own_mask_text(),
         mask_text(&frame->uc_sigmask));
    if (info->si_code > 0 && number != SIGTRAP)
        note("trap %lld\n", (long long)CONTEXT_TRAP(frame));
    keep_busy(fd, 3);
    if (step < 0)
        siglongjmp(back, number);
    if (step > 0)
        CONTEXT_PC(frame) += step;
    else if (number == SIGSEGV)
        require(mprotect(guarded, 4 * (size_t)page_size, PROT_READ | PROT_WRITE) == 0);
    else
        require(mmap(shrunk, 4 * (size_t)page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                     0) == shrunk);
}

static void guard(void) {
    require(mprotect(guarded, 4 * (size_t)page_size, PROT_NONE) == 0);
}

static void shrink(void) {
    int file = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(file >= 0 && ftruncate(file, 4 * page_size) == 0);
    require(mmap(shrunk, 4 * (size_t)page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0) == shrunk);
    require(ftruncate(file, 0) == 0 && close(file) == 0);
}

static void mended(void) {
    step = 0;
    for (int i = 0; i < 20; i++) {
        guard();
        keep_busy(fd, 5);
        *(volatile char *)(guarded + i * 700) = 'g';
        guard();
        keep_busy(fd, 5);
        memset(guarded + 10 * i, 'm', 2 * (size_t)page_size);
        note("read %d\n", *(volatile char *)(guarded + page_size));
        if (i % 5 == 0) {
            shrink();
            keep_busy(fd, 5);
            *(volatile char *)(shrunk + i * 700) = 's';
        }
    }
}

static void stepped_over(void) {
    for (int i = 0; i < 5; i++) {
        keep_busy(fd, 5);
        step = ILLEGAL_LENGTH;
        __asm__ volatile(ILLEGAL);
        keep_busy(fd, 5);
        step = PRIVILEGED_LENGTH;
        __asm__ volatile(PRIVILEGED);
        keep_busy(fd, 5);
#if defined(__x86_64__) // elsewhere it is no fault
        step = 2;
        __asm__ volatile("div %%ecx" : : "a"(1), "d"(0), "c"(0) : "cc");
        keep_busy(fd, 5);
#endif
        step = -2; // on x86-64 a trap comes after its instruction
        if (sigsetjmp(back, 1) == 0)
            __asm__ volatile(BREAKPOINT);
        note("%d faults\n", faults);
    }
}

static void jumped_out(void) {
    step = -1;
    for (int i = 0; i < 20; i++) {
        int number;
        guard();
        keep_busy(fd, 5);
        if ((number = sigsetjmp(back, 1)) == 0)
            *(volatile char *)(guarded + i) = 'j';
        note("back by %s, mask %s\n", signal_text(number), own_mask_text());
        keep_busy(fd, 5);
        if ((number = sigsetjmp(back, 1)) == 0)
            *(volatile char *)(long)(i + 1) = 'n';
        note("back by %s\n", signal_text(number));
        if ((number = sigsetjmp(back, 1)) == 0)
            note("strlen %zu\n", strlen(guarded + i));
        note("back by %s\n", signal_text(number));
    }
}

// The kernel answers these: no handler runs.
static void bad_buffers(void) {
    step = -1;
    guard();
    shrink();
    faults = 0;
    TRY(write(fd, guarded, 100));
    TRY(write(fd, guarded - 10, 100));
    TRY(write(fd, shrunk, 100));
    TRY(pwrite(fd, guarded, 100, 3));
    TRY(write(fd, (void *)(uintptr_t)faults, 100));
    note("%d faults\n", faults);
}

// A fault whose signal is blocked kills; a sent one waits.
static void sent_as_well(void) {
    sigset_t faulty = set_of(SIGSEGV, SIGBUS, SIGILL), old;
    step = -1;
    require(sigprocmask(SIG_BLOCK, &faulty, &old) == 0);
    keep_busy(fd, 5);
    TRY(write(fd, guarded, 100));
    require(raise(SIGSEGV) == 0);
    keep_busy(fd, 5);
    TRY(write(fd, guarded, 100));
    int number = sigsetjmp(back, 1);
    if (number == 0)
        sigprocmask(SIG_SETMASK, &old, NULL);
    note("back by %s, mask %s\n", signal_text(number), own_mask_text());
    sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(void) {
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    page_size = sysconf(_SC_PAGESIZE);
    size_t size = 4 * (size_t)page_size;
    // Something readable before it, for a buffer that is bad only at its end.
    guarded = mmap(NULL, size + (size_t)page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(guarded != MAP_FAILED);
    guarded += page_size;
    shrunk = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(shrunk != MAP_FAILED);
    fd = open_busy("log", O_WRONLY | O_APPEND);
    keep_busy(fd, 100);
    for (int flags = 0; flags < 3; flags++) {
        for (size_t i = 0; i < COUNT_OF(numbers); i++)
            install(numbers[i], on_fault, SA_SIGINFO | (flags == 1 ? SA_NODEFER : 0),
                    flags == 2 ? set_of(SIGTERM, SIGUSR1, 0) : set_of(0, 0, 0));
        mended();
        stepped_over();
        jumped_out();
        bad_buffers();
        sent_as_well();
    }
    close(fd);
    print_transcript();
    return 0;
}
