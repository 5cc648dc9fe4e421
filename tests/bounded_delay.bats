#!/usr/bin/env bats
# Bounded delay: what was written is in the file, or at the other end, soon, though the program may never make another
# call. The limit leaves two orders of magnitude for a busy machine.

# shellcheck disable=SC2154 # set by lib/streams

load lib/common
load lib/threads
load lib/streams

@test "a thread that computes for ever does not hold back what it wrote" {
    local engine
    for engine in "${ENGINES[@]}"; do
        watched delay 3 "$engine" URINGSHIM_TEST_EAGER=1 "$VICTIMS/threads_delay" main 3
    done
    watched delay 3 "$VICTIMS/threads_delay" main 3
    [[ $(stat_value flush.delay) -gt 0 ]]
}

@test "a longer bound on the delay is kept too" {
    watched delay 3 URINGSHIM_MAX_DELAY_US=50000 URINGSHIM_TEST_EAGER=1 "$VICTIMS/threads_delay" main 3
}

@test "what a thread wrote is not lost when it ends" {
    local engine
    for engine in "${ENGINES[@]}"; do
        watched delay 2 "$engine" URINGSHIM_TEST_EAGER=1 "$VICTIMS/threads_delay" exit 2
        watched delay 2 "$engine" URINGSHIM_TEST_EAGER=1 "$VICTIMS/threads_delay" detached 2
        "$VICTIMS/threads_check" 600 watched
    done
}

# received KIND: by another process, whatever the writer does next.
received() {
    local how
    for how in computes files waits; do
        "${under[@]}" "$VICTIMS/streams_delay" "$how" "$1" 40 500 >seen || fail "$how: $(cat seen)" || return
    done
}

@test "a writer that makes no further call to the stream does not hold back what it sent to a pipe" {
    everywhere received pipe
    everywhere received fifo
}

@test "nor what it sent to a socket" {
    everywhere received unix
    everywhere received tcp
}
