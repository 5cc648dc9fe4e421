#!/usr/bin/env bats
# Same answers: random programs of several processes with pipes and sockets between them are answered the same natively
# and in every mode, and find in each stream and file what must be there at that moment.
# URINGSHIM_TEST_SEED is the first seed that each test tries, URINGSHIM_TEST_SEEDS how many.

# shellcheck disable=SC2034 # program, options and ops are used by lib/random

load lib/common
load lib/random

STREAM_MODES=(URINGSHIM_ENGINE=auto URINGSHIM_TEST_EAGER=1 "URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring"
    "URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=direct" "URINGSHIM_TEST_EAGER=1 URINGSHIM_STREAMS=0")

# in_modes SEED MODE…: half of the programs without the clock, which would hide that something else was forgotten.
in_modes() {
    local seed=$1 mode delay=()
    ((seed % 2)) || delay=(URINGSHIM_MAX_DELAY_US=1000000)
    program=random_streams
    set -o pipefail
    run_program native "$seed" || fail "natively: $(cat native.errors)"
    for mode in "${@:2}"; do
        # shellcheck disable=SC2086 # two words where it is eager
        compare_program "$seed" $mode "${delay[@]}"
    done
}

# differ SEEDS PART MODE…: so many programs. The first is run in all of these modes, the others in two of them each;
# with another PART in others.
differ() {
    local count=${URINGSHIM_TEST_SEEDS:-$1} first=${URINGSHIM_TEST_SEED:-1} part=$2 seed modes=("${@:3}")
    echo "$count seeds from $first"
    in_modes "$first" "${modes[@]}"
    for ((seed = first + 1; seed < first + count; seed++)); do
        in_modes "$seed" "${modes[(seed + part) % ${#modes[@]}]}" "${modes[(seed + part + 1 + seed / 5) % ${#modes[@]}]}"
    done
    (($(stat_value write.deferred) > $(stat_value stream.deferred))) || fail "no write to a file was deferred"
    (($(stat_value stream.deferred) > 0)) || fail "no write to a stream was deferred"
}

@test "streams, and files between them" {
    options=(--families "data,files") ops=60
    differ 8 0 "${STREAM_MODES[@]}" "URINGSHIM_TEST_EAGER=1 URINGSHIM_ORDER=thread"
}

@test "streams by stdio and by splice, whose ends are closed, shared and replaced" {
    options=(--families "data,files,stdio,splices,ends") ops=60
    differ 10 1 "${STREAM_MODES[@]}" "URINGSHIM_TEST_EAGER=1 URINGSHIM_ORDER=thread"
}

@test "streams that children see, continue, and leave behind" {
    options=(--families "data,files,ends,processes") ops=50
    differ 10 2 "${STREAM_MODES[@]}" "URINGSHIM_TEST_EAGER=1 URINGSHIM_ORDER=thread"
}

@test "writers and readers at the same time, and signals" {
    options=(--families "files,stdio,crowds,signals") ops=30
    differ 10 3 "${STREAM_MODES[@]}" "URINGSHIM_TEST_EAGER=1 URINGSHIM_ORDER=thread"
}

# What is promised between threads is not promised with URINGSHIM_ORDER=thread.
@test "all of it, with threads" {
    options=() ops=50
    differ 16 4 "${STREAM_MODES[@]}"
}
