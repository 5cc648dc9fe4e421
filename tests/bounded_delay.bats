#!/usr/bin/env bats
# Bounded delay: what was written is in the file soon, though the program may never make another call. The limit leaves
# two orders of magnitude for a busy machine.

load lib/common
load lib/threads

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
