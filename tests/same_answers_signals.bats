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

# Same answers, in the next two.
@test "signals waited for, and calls that they interrupt" {
    same_as_native "$VICTIMS/signals_waiting"
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
        everywhere "$VICTIMS/signals_notify" "$how" "$((ROUNDS / 4 + 1))" || fail "$how"
    done
}

@test "a handler that interrupts a writer ends the process" {
    everywhere "$VICTIMS/signals_notify" exit "$((ROUNDS / 20 + 1))"
}
