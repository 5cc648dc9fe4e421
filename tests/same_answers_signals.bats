#!/usr/bin/env bats
# Same answers under signals: the program's dispositions, masks and handlers are its own, whatever is pending;
# each signal arrives as often, in such order, with such information as natively; and what a handler interrupts, and
# what it writes, is complete and in order.

load lib/common
load lib/compare

ROUNDS=${URINGSHIM_TEST_ROUNDS:-1000}
# The background flush is not to put in order by chance what a barrier should.
SLOW=URINGSHIM_MAX_DELAY_US=1000000

@test "the victims get natively what they expect" {
    local how
    "$VICTIMS/signals_jump" "$ROUNDS"
    for how in plain nested jump stack; do
        "$VICTIMS/signals_torture" "$how" "$ROUNDS" || fail "torture $how"
    done
    for how in pipe socket kill quiet exit; do
        "$VICTIMS/signals_notify" "$how" 100 || fail "notify $how"
    done
}

# Never in the way, in the next three.
@test "dispositions set and asked for in every way" {
    same_as_native "$VICTIMS/signals_ways"
    assert_deferred
}

@test "what a handler sees, and what it changes in what it interrupts" {
    same_as_native "$VICTIMS/signals_inside"
    assert_deferred
}

@test "what children, and other programs, inherit" {
    same_as_native "$VICTIMS/signals_process"
    assert_deferred
}

# Nothing is deferred, in the next two: the first doesn't write, the second's writes are few.
NOTHING_DEFERRED=(URINGSHIM=on URINGSHIM=off URINGSHIM=observe URINGSHIM_BATCH=0)

@test "before anything is deferred the kernel knows the program's handlers as they are" {
    local how mode
    for how in first stack; do
        record native "${PATIENTLY[@]}" "$VICTIMS/signals_bare" "$how"
        for mode in "${NOTHING_DEFERRED[@]}"; do
            same_as_recorded shim "$mode" "${PATIENTLY[@]}" "$VICTIMS/signals_bare" "$how" || fail "$how, $mode"
        done
    done
    (($(stat_value write.deferred) == 0))
}

@test "before anything is deferred handlers jump out of calls, and nobody waits for what they held" {
    local mode
    "${PATIENTLY[@]}" "$VICTIMS/signals_early" "$ROUNDS"
    for mode in "${NOTHING_DEFERRED[@]}"; do
        shim "$mode" "${PATIENTLY[@]}" "$VICTIMS/signals_early" "$ROUNDS" || fail "$mode"
    done
    (($(stat_value write.deferred) == 0))
}

@test "the kernel knows them as they are again when nothing is deferred any more" {
    same_as_native "${PATIENTLY[@]}" "$VICTIMS/signals_bare" again
    assert_deferred
}

# Who has been interrupted may be about to make a call that was announced already.
@test "nothing is deferred in a handler that ran when deferring would have begun" {
    same_as_native "$VICTIMS/signals_first"
    rm -f "$STATS"
    shim URINGSHIM_TEST_EAGER=1 URINGSHIM_BATCH=1 "$VICTIMS/signals_first"
    (($(stat_value passed.reentrant) >= 200)) || fail "deferred inside: $(cat "$STATS")"
    assert_deferred
}

# Same answers, in the next three.
@test "signals waited for, and calls that they interrupt" {
    same_as_native "$VICTIMS/signals_waiting"
    assert_deferred
}

# On a tmpfs, whose writes the ring's workers do.
@test "calls that sleep aren't interrupted when nobody sends a signal" {
    skip_unless "needs /dev/shm" test -w /dev/shm
    local mode often status=0 out
    out=$(mktemp /dev/shm/uringshim.XXXXXX)
    "${PATIENTLY[@]}" "$VICTIMS/signals_asleep" "$out" 1000
    for mode in "${MODES[@]}"; do
        case $mode in
        *direct | *BATCH=0 | *observe) often=1000 ;; # no ring
        *) often=12000 ;;
        esac
        shim URINGSHIM_TEST_EAGER=1 "$mode" "${PATIENTLY[@]}" "$VICTIMS/signals_asleep" "$out" "$often" ||
            { echo "$mode" && status=1; }
    done
    rm -f "$out"
    ((status == 0))
    assert_deferred
}

@test "a handler takes further signals from the queue, each once and in order" {
    local mode
    "${PATIENTLY[@]}" "$VICTIMS/signals_drain" 500
    for mode in "${MODES[@]:0:4}"; do
        shim URINGSHIM_TEST_EAGER=1 "$SLOW" "$mode" "${PATIENTLY[@]}" "$VICTIMS/signals_drain" 500 || fail "$mode"
    done
    assert_deferred
}

@test "handlers of real faults mend them, step over them, and jump away" {
    same_as_native "$VICTIMS/signals_faults"
    assert_deferred
}

# everywhere CMD…: with what the policy makes of it, and with as much deferred as can be.
everywhere() {
    local mode
    shim "$@" || fail "with the defaults" || return
    for mode in "${MODES[@]:0:4}"; do
        shim URINGSHIM_TEST_EAGER=1 "$mode" "$@" || fail "$mode" || return
        shim URINGSHIM_TEST_EAGER=1 "$SLOW" "$mode" "$@" || fail "$mode, slow" || return
    done
    assert_deferred
}

# Same answers: every write that was answered is there, once and whole, wherever a handler came or jumped away.
@test "handlers jump out of writes" {
    everywhere "$VICTIMS/signals_jump" "$ROUNDS"
}

@test "handlers at several kHz write, fork, and take queued values in order" {
    everywhere "$VICTIMS/signals_torture" plain "$ROUNDS"
}

@test "the same with handlers that interrupt each other" {
    everywhere "$VICTIMS/signals_torture" nested "$ROUNDS"
}

@test "the same with handlers that jump away" {
    everywhere "$VICTIMS/signals_torture" jump "$ROUNDS"
}

@test "the same on an alternate stack" {
    everywhere "$VICTIMS/signals_torture" stack "$ROUNDS"
}

# External synchrony: the observer looks as soon as the handler has told it.
@test "a handler that interrupts a writer tells an observer" {
    local how
    for how in pipe socket kill quiet; do
        everywhere "$VICTIMS/signals_notify" "$how" "$((ROUNDS / 10 + 1))" || fail "$how"
    done
}

@test "a handler that interrupts a writer ends the process" {
    everywhere "$VICTIMS/signals_notify" exit "$((ROUNDS / 20 + 1))"
}

# External synchrony: what it wrote comes before the call.
@test "a handler comes between a call's entry and the kernel" {
    local mode
    skip_unless "its system calls are those of x86-64" test "$(uname -m)" = x86_64
    cc -shared -fPIC -x c -o between.so - <<'CODE'
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
static long call(long number, long a, long b, long c, long d) { /* seen by nobody */
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = 0, r9 __asm__("r9") = 0;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return number;
}
ssize_t send(int fd, const void *bytes, size_t n, int flags) {
    call(SYS_tgkill, call(SYS_getpid, 0, 0, 0, 0), call(SYS_gettid, 0, 0, 0, 0), SIGUSR1, 0);
    return call(SYS_sendto, fd, (long)bytes, n, flags);
}
CODE
    LD_PRELOAD=$PWD/between.so "$VICTIMS/signals_between"
    for mode in "${MODES[@]:0:4}"; do
        # shim puts the library before it; where streams are deferred the library sends by itself
        LD_PRELOAD=$PWD/between.so shim URINGSHIM_OWN_CALLS=ignore URINGSHIM_TEST_EAGER=1 URINGSHIM_STREAMS=0 "$SLOW" "$mode" "$VICTIMS/signals_between" || fail "$mode"
    done
    assert_deferred
}
