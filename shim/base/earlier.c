#include "base/earlier.h"

#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "base/copy.h"
#include "base/put_off.h"

enum { CHUNK = 4096, DEEP = 1 << 20, LOOK_MOST = 1024 };

static uintptr_t first_stack;
static _Atomic uint64_t signals_seen; /* bits of signals that have had such a handler */

void earlier_start(const void *end_of_stack) {
    first_stack = (uintptr_t)end_of_stack;
}

/* A handler that began earlier and still runs has its frame where no other can have been meanwhile. */
static bool is_called_by_us(const struct thread *self, uintptr_t context) {
    for (size_t i = 0; i < sizeof self->called_by_us / sizeof *self->called_by_us; i++)
        if ((uintptr_t)self->called_by_us[i] == context)
            return true;
    return false;
}

/*
 * By what a frame that the kernel makes for a handler can be found on a stack: a word that always stands in it, and
 * what must stand around that.
 */
#if defined(__x86_64__)

/* As the kernel lays it out (struct rt_sigframe in arch/x86/include/asm/sigframe.h). */
struct frame {
    uintptr_t return_address;
    ucontext_t context;
};

enum { RETURNS = 4 };
static _Atomic uintptr_t returns[RETURNS];
static _Atomic bool more_returns;

static void note_return(uintptr_t address) {
    for (int i = 0; i < RETURNS && address; i++) {
        uintptr_t seen = 0;
        if (atomic_compare_exchange_strong(&returns[i], &seen, address) || seen == address)
            return;
    }
    if (address)
        atomic_store(&more_returns, true);
}

bool earlier_return_known(void) {
    return atomic_load(&returns[0]) != 0;
}

struct marks {
    uintptr_t known[RETURNS];
};

static bool marks_now(struct marks *marks) {
    for (int k = 0; k < RETURNS; k++)
        marks->known[k] = atomic_load(&returns[k]);
    return !atomic_load(&more_returns);
}

static inline bool is_mark(const struct marks *marks, uintptr_t word) {
    for (int k = 0; k < RETURNS && marks->known[k]; k++)
        if (unlikely(word == marks->known[k]))
            return true;
    return false;
}

/* The address alone may be one that sigaction(2) has told the program. */
static bool is_frame(const struct thread *self, uintptr_t mark, uintptr_t end) {
    const uint16_t user_code = 0x33; /* the segment of 64-bit code */
    struct frame frame;
    (void)end;
    return !is_called_by_us(self, mark + offsetof(struct frame, context)) &&
           copy_in_asked(&frame, (const void *)mark, sizeof frame) && !frame.context.uc_link &&
           (uint16_t)frame.context.uc_mcontext.gregs[REG_CSGSFS] == user_code;
}

#elif defined(__aarch64__)

/* Where a handler returns to is in a register, and on the stack perhaps, and signed. */
static void note_return(uintptr_t address) {
    (void)address;
}

bool earlier_return_known(void) {
    return true;
}

struct marks {
    uintptr_t record;
};

/* The first of the records behind the general registers (setup_sigframe_layout in arch/arm64/kernel/signal.c). */
static bool marks_now(struct marks *marks) {
    const struct _aarch64_ctx first = {FPSIMD_MAGIC, sizeof(struct fpsimd_context)};
    memcpy(&marks->record, &first, sizeof first);
    return true;
}

static inline bool is_mark(const struct marks *marks, uintptr_t word) {
    return word == marks->record;
}

static bool get_word(uintptr_t at, uintptr_t *word) {
    return copy_in_asked(word, (const void *)at, sizeof *word);
}

/* What was interrupted had its stack above the frame, which isn't true of most copies of one. */
static bool is_frame(const struct thread *self, uintptr_t mark, uintptr_t end) {
    uintptr_t context = mark - offsetof(ucontext_t, uc_mcontext.__reserved), link, stack;
    return !is_called_by_us(self, context) && get_word(context + offsetof(ucontext_t, uc_link), &link) && !link &&
           get_word(context + offsetof(ucontext_t, uc_mcontext.sp), &stack) && mark < stack && stack <= end;
}

#endif

void earlier_handler(int signal, uintptr_t return_address) {
    atomic_fetch_or(&signals_seen, signal_bit(signal));
    note_return(return_address);
}

/* What is known of the stack that the thread is on. */
enum found { FOUND, NOTHING_FOUND, UNKNOWN };

/* Where the stack ends: a thread's under its thread-local memory, the first one's under its arguments. 0: elsewhere. */
static uintptr_t end_of_stack(uintptr_t from) {
    uintptr_t ends[] = {(uintptr_t)&critical, first_stack};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends[i] - from < DEEP)
            return ends[i];
    return 0;
}

static enum found look_for_frame(const struct thread *self, uintptr_t from, uintptr_t end) {
    uintptr_t words[CHUNK / sizeof(uintptr_t)];
    struct marks marks;
    if (!marks_now(&marks))
        return UNKNOWN;
    for (size_t n; from < end; from += n) {
        n = end - from < sizeof words ? end - from : sizeof words;
        if (!copy_in_asked(words, (const void *)from, n))
            return UNKNOWN;
        for (size_t i = 0; i < n; i += sizeof *words)
            if (unlikely(is_mark(&marks, words[i / sizeof *words])) && is_frame(self, from + i, end))
                return FOUND;
    }
    return NOTHING_FOUND;
}

static enum found look(const struct thread *self) {
    stack_t alternate;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0) & ~(sizeof(uintptr_t) - 1);
    uintptr_t end = end_of_stack(here) & ~(sizeof(uintptr_t) - 1);
    if (sys(SYS_sigaltstack, NULL, &alternate) == 0 && alternate.ss_flags & SS_ONSTACK)
        return FOUND;
    return end ? look_for_frame(self, here, end) : UNKNOWN;
}

/* On a stack that the program made, or a very deep one: a handler has its signal blocked while it runs. */
static bool none_blocked(void) {
    uint64_t mask = 0;
    sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    return !(mask & atomic_load(&signals_seen));
}

/* Asked at each small write: what was answered by no stays so for a while, longer each time. */
bool earlier_all_gone(struct thread *self) {
    if (self->look_in > 0) {
        self->look_in--;
        return false;
    }
    enum found found = atomic_load(&signals_seen) ? look(self) : NOTHING_FOUND;
    self->handlers_ours = found == NOTHING_FOUND || (found == UNKNOWN && none_blocked());
    self->looked_in = self->looked_in < LOOK_MOST ? (uint16_t)(2 * self->looked_in + 1) : LOOK_MOST;
    self->look_in = self->looked_in;
    return self->handlers_ours;
}
