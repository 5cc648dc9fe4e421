#!/usr/bin/env bats
# Death is prefix-consistent over streams and files together: kill -9 at any instant leaves in pipes, in sockets and in
# files what the same program could have written natively, in the order of the program. What is in a stream survives its
# writer. URINGSHIM_TEST_KILLS is how many kills this whole file makes, URINGSHIM_TEST_SEED where their seeds begin.

load lib/common
load lib/streams

CASES=12
KILLS=$(((${URINGSHIM_TEST_KILLS:-390} + CASES - 1) / CASES))

# killed [OPTION]…: first one that isn't killed: it says what it defers, and all must be there in the end.
killed() {
    local seed=${URINGSHIM_TEST_SEED:-$((RANDOM * RANDOM))} writer=("${under[@]}" "$VICTIMS/prefix_streams_writer" "$@")
    echo "$KILLS kills from seed $seed: ${writer[*]}"
    "$VICTIMS/prefix_streams_check" "${check_options[@]}" 4000 1 "$seed" "${writer[@]}"
    "$VICTIMS/prefix_streams_check" "${check_options[@]}" 0 "$KILLS" "$seed" "${writer[@]}"
}

check_options=()

@test "one thread" {
    everywhere killed
    under_mode "URINGSHIM_TEST_EAGER=1 URINGSHIM_SQPOLL=1" killed
}

@test "threads that take turns, by a lock or by an atomic that nobody else sees" {
    local mode
    check_options=(--steady) # where one thread finds no room for long, others may overtake it
    natively killed --threads 3
    for mode in "${EAGER_MODES[@]}"; do
        under_mode "$mode" killed --threads 3
    done
}
