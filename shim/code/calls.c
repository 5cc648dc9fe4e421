#include "code/calls.h"

#include <string.h>

#include "base/arena.h"
#include "base/kernel.h"
#include "code/machine.h"

enum {
    CHUNK = 256 << 10,
    FUNCTION_MAX = 1 << 20, /* of a longer one only what is near the call is looked at */
    NEAR = 4096,            /* so many bytes on, decoding has long found where instructions begin */
};

/* What changes, and tells, nothing but about the caller, its processor and its own memory. */
static bool harmless(int64_t number) {
    switch (number) {
    case SYS_futex:
    case SYS_futex_waitv:
    case SYS_set_robust_list:
    case SYS_get_robust_list:
    case SYS_set_tid_address:
    case SYS_membarrier:
    case SYS_rseq:
    case SYS_madvise:
    case SYS_munmap:
    case SYS_brk:
    case SYS_mlock:
    case SYS_mlock2:
    case SYS_munlock:
    case SYS_mincore:
    case SYS_mbind:
    case SYS_get_mempolicy:
    case SYS_set_mempolicy:
    case SYS_sched_yield:
    case SYS_sched_getaffinity:
    case SYS_sched_setaffinity:
    case SYS_sched_getparam:
    case SYS_sched_getscheduler:
    case SYS_sched_get_priority_max:
    case SYS_sched_get_priority_min:
    case SYS_sched_rr_get_interval:
    case SYS_getcpu:
    case SYS_clock_gettime:
    case SYS_clock_getres:
    case SYS_clock_nanosleep:
    case SYS_nanosleep:
    case SYS_gettimeofday:
    case SYS_getpid:
    case SYS_gettid:
    case SYS_getuid:
    case SYS_geteuid:
    case SYS_getgid:
    case SYS_getegid:
    case SYS_getresuid:
    case SYS_getresgid:
    case SYS_getrandom:
    case SYS_getrusage:
    case SYS_uname:
    case SYS_sigaltstack:
    case SYS_rt_sigreturn:
    case SYS_io_uring_enter: /* of a ring that was made by a call which counts */
#ifdef SYS_arch_prctl
    case SYS_arch_prctl:
    case SYS_time:
#endif
        return true;
    default:
        return false;
    }
}

bool calls_begin(struct calls_search *search) {
    search->chunk = arena_map(CHUNK + FUNCTION_MAX, ARENA_DONTFORK);
    search->function = search->chunk + CHUNK;
    return search->chunk;
}

void calls_end(struct calls_search *search) {
    arena_unmap(search->chunk, CHUNK + FUNCTION_MAX);
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static bool stopped(const struct calls_search *search) {
    return search->stop && atomic_load(search->stop);
}

/* A page that can't be read, behind the end of its file or gone meanwhile, can't be run either: zeros. */
static void read_what_can_be(struct calls_search *search, uint64_t at, uint8_t *to, size_t n) {
    enum { PAGE = 4096 };
    if (search->source->read(search->source, at, to, n))
        return;
    for (size_t done = 0, part; done < n; done += part) {
        part = smaller(n - done, PAGE - (at + done) % PAGE);
        if (!search->source->read(search->source, at + done, to + done, part))
            memset(to + done, 0, part);
    }
}

/* Data, or the middle of an instruction, may look like a jump. */
static bool is_instruction(struct calls_search *search, const struct functions *functions, uint64_t address,
                           uint64_t low, uint64_t high) {
    struct function around = functions_find(functions, search->source, address, low, high);
    size_t n = around.end - around.start;
    return !around.known || n > FUNCTION_MAX ||
           !search->source->read(search->source, around.start, search->function, n) ||
           machine_is_instruction(search->function, n, address - around.start);
}

/*
 * Compilers put what is rarely run elsewhere, as a function of its own, which jumps back into the middle of the other.
 * Then what that one shows of its registers isn't all. What jumps are there between two addresses?
 */
static bool is_entered(struct calls_search *search, const struct functions *functions, const struct function *function,
                       uint64_t low, uint64_t high) {
    for (uint64_t at = low; at < high && !stopped(search);) {
        size_t n = smaller(high - at, FUNCTION_MAX);
        read_what_can_be(search, at, search->function, n);
        size_t i = machine_find_jump(search->function, n, 0, at, function->start, function->end);
        if (i == n) {
            at += at + n < high ? n - MACHINE_JUMP_MAX : n;
            continue;
        }
        at += i;
        if ((at < function->start || at >= function->end) && is_instruction(search, functions, at, low, high))
            return true;
        at = at < function->start || at >= function->end ? at + 1 : function->end;
    }
    return stopped(search);
}

/* The bytes of a call stand at an address: are they one, which counts? */
static enum calls_verdict judge(struct calls_search *search, const struct object *object, uint64_t address,
                                uint64_t low, uint64_t high) {
    static const struct functions none;
    struct machine_call call = {.number = -1};
    const struct functions *functions = object ? &object->functions : &none;
    struct function around = functions_find(functions, search->source, address, low, high);
    bool whole = around.known && around.end - around.start <= FUNCTION_MAX;
    uint64_t start = whole ? around.start : larger(around.start, address > NEAR ? address - NEAR : 0);
    uint64_t end = whole ? around.end : smaller(address + NEAR, high);
    if (!search->source->read(search->source, start, search->function, end - start))
        return CALLS_UNKNOWN; /* gone meanwhile */
    bool is_one = whole ? machine_judge(search->function, end - start, address - start, &call)
                        : machine_guess(search->function, end - start, address - start, start);
    if (!is_one)
        return CALLS_NONE;
    if (call.own_memory || harmless(call.number)) {
        if (!is_entered(search, functions, &around, low, high))
            return CALLS_NONE;
        call.number = -1;
    }
    return search->found(search, address, call.number) ? CALLS_NONE : CALLS_FOUND;
}

enum calls_verdict calls_in(struct calls_search *search, const struct object *object, uint64_t start, uint64_t end) {
    if (object) {
        start = larger(start, object->code_low & ~(uint64_t)3);
        end = smaller(end, object->code_high);
    }
    for (uint64_t at = start; at < end;) {
        size_t n = smaller(end - at, CHUNK);
        size_t sure = at + n < end ? n - MACHINE_CALL_MAX : n; /* the rest comes again with what follows */
        if (stopped(search))
            return CALLS_UNKNOWN;
        read_what_can_be(search, at, search->chunk, n);
        for (size_t i = 0; (i = machine_find(search->chunk, n, i)) < sure; i++) {
            enum calls_verdict verdict = judge(search, object, at + i, start, end);
            if (verdict != CALLS_NONE)
                return verdict;
        }
        at += sure;
    }
    return CALLS_NONE;
}
