#!/usr/bin/env bats
# Death is prefix-consistent: who dies of a signal has everything in its files that it was told is written; and it dies
# the death that it would have died: the same signal, with the same information for a debugger, with a core or without.
# Who doesn't die of it natively doesn't here.

load lib/common

ROUNDS=${URINGSHIM_TEST_ROUNDS:-1000}
# The background flush is not to save what the dying should.
EAGER=(URINGSHIM_TEST_EAGER=1 URINGSHIM_MAX_DELAY_US=1000000)
ENGINES=(URINGSHIM_ENGINE=auto URINGSHIM_ENGINE=ring)
((ROUNDS <= 1000)) || ENGINES+=(URINGSHIM_ENGINE=direct URINGSHIM_ORDER=thread)

# watch NAME [OPTION]… WAY… -- [ASSIGNMENT]…: what a parent sees of each way to die is in NAME.
watch() {
    local name=$1 options=() status=0
    shift
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    rm -rf run && mkdir run
    (cd run && "$VICTIMS/dying_watch" "${options[@]}" -- env "$@" "$VICTIMS/dying" >"../$name" 2>"../$name.err" 3>&-) ||
        status=$?
    [[ $status != 77 ]] || skip "not permitted here"
    ((status == 0)) || fail "$name: status $status" "$(cat "$name.err")"
}

# same_deaths [OPTION]… WAY…: as the policy has it, and with as much deferred as can be.
same_deaths() {
    local engine
    watch native "$@" --
    watch shimmed "$@" -- LD_PRELOAD="$LIB"
    diff -u native shimmed || fail "differs with the defaults" || return
    for engine in "${ENGINES[@]}"; do
        watch shimmed "$@" -- LD_PRELOAD="$LIB" "${EAGER[@]}" "$engine"
        diff -u native shimmed || fail "differs with $engine" || return
    done
}

# family NAME: the ways of that family, in `ways`.
family() {
    mapfile -t ways < <("$VICTIMS/dying" --list "$1")
    ((${#ways[@]} > 0))
}

# If nothing were pending, nothing could be lost.
@test "kill -9 shows that these writes are pending" {
    local lost=0
    for _ in 1 2 3; do
        watch killed --kill 9 waiting -- LD_PRELOAD="$LIB" "${EAGER[@]}"
        ! grep -q 'had been answered' killed || lost=1
    done
    ((lost))
}

@test "faults, anywhere" {
    family fault
    same_deaths "${ways[@]}"
}

@test "faults, anywhere, before a debugger" {
    family fault
    same_deaths --trace "${ways[@]}"
}

@test "signals that a process sends itself" {
    family sent
    same_deaths "${ways[@]}"
}

@test "signals that a process sends itself, before a debugger" {
    family sent
    same_deaths --trace "${ways[@]}"
}

@test "timers, limits, broken pipes, abort, and checks that fail" {
    family made
    same_deaths "${ways[@]}"
}

@test "timers, limits, broken pipes, abort, and checks that fail, before a debugger" {
    family made
    same_deaths --trace "${ways[@]}"
}

@test "RLIMIT_CPU" {
    watch native cpu_limit --
    watch shimmed cpu_limit -- LD_PRELOAD="$LIB" "${EAGER[@]}"
    diff -u native shimmed
}

# Only that it dies of it: nobody can act without a stack.
@test "a stack overflow without an alternate stack" {
    family overflow
    watch native "${ways[@]}" --
    watch shimmed "${ways[@]}" -- LD_PRELOAD="$LIB" "${EAGER[@]}"
    diff -u <(grep killed native) <(grep killed shimmed)
}

@test "signals that are blocked, ignored, or harmless" {
    family survived
    same_deaths "${ways[@]}"
}

@test "stopping and going on" {
    family stopped
    same_deaths "${ways[@]}"
}

@test "one thread dies, and others are writing" {
    family threads
    same_deaths --rounds 3 "${ways[@]}"
}

@test "one thread dies, and others are writing, before a debugger" {
    family threads
    same_deaths --trace --rounds 3 "${ways[@]}"
}

# Each of the calls that send a signal, in turn, at any moment.
@test "killed from outside" {
    local signal
    for signal in 1 3 11 13 15 24 40; do
        same_deaths --kill "$signal" --rounds 3 waiting writing || fail "signal $signal"
    done
}

@test "killed from outside at any moment, before a debugger who knows what was answered" {
    local signal
    for signal in 15 11 40; do
        same_deaths --kill "$signal" --rounds "$((ROUNDS / 100 + 2))" --trace writing || fail "signal $signal"
    done
}

@test "killed from outside while threads write" {
    local signal
    for signal in 2 11; do
        same_deaths --kill "$signal" --rounds 3 writing_by_threads || fail "signal $signal"
        same_deaths --kill "$signal" --rounds 3 --trace writing_by_threads || fail "signal $signal, traced"
    done
}

# Such a process dies of no signal that it sends itself, and of a fault as any other does.
@test "the first process of a namespace" {
    need_root
    same_deaths --init raise:15 kill:15 raise:2 raise:6 kill:11 sigqueue:40 pipe null_store division abort \
        handler:15 unblocking:15 blocked:15 ignored:15
}
