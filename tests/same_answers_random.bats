#!/usr/bin/env bats
# Same answers: random programs return, read and leave the same natively and in every mode and engine.
# URINGSHIM_TEST_SEED is the first seed that each test tries, URINGSHIM_TEST_SEEDS how many.

# shellcheck disable=SC2034 # options, ops and log_to are used by lib/random

load lib/common
load lib/random

# differ SEEDS MODE…: with and without the warm-up that keeps most programs of this size from deferring at all.
differ() {
    local count=${URINGSHIM_TEST_SEEDS:-$1} first=${URINGSHIM_TEST_SEED:-1} seed mode report
    echo "$count seeds from $first"
    set -o pipefail
    for ((seed = first; seed < first + count; seed++)); do
        run_program native "$seed"
        for mode in "${@:2}"; do
            compare_program "$seed" "$mode"
            [[ $mode == *ENGINE* || $mode == *ORDER* ]] || continue
            STATS=$SCRATCH/$mode.json compare_program "$seed" URINGSHIM_TEST_EAGER=1 "$mode"
        done
    done
    for report in "$SCRATCH"/URINGSHIM_*.json; do
        STATS=$report assert_deferred
    done
}

# Without anything that keeps the library from deferring.
@test "a program of one thread" {
    options=(--families "data,files,vectors") ops=300
    differ 5 "${MODES[@]}"
}

@test "a program that notes each result in a file" {
    options=(--families "data,files,vectors,maps,stdio" --log-each) ops=200
    differ 3 "${MODES[@]}"
}

@test "a program that tells each result to another process" {
    options=(--log-each) ops=100 log_to=pipe
    differ 3 "${MODES[@]}"
}

@test "a program of streams" {
    options=(--families "data,files,stdio") ops=300
    differ 6 "${MODES[@]}"
}

@test "a program that handles signals" {
    options=(--families "data,files,stdio,signals") ops=200
    differ 5 "${MODES[@]}"
}

@test "a program that maps its files" {
    options=(--families "data,files,vectors,maps") ops=200
    differ 5 "${MODES[@]}"
}

@test "a program that does all of it, with children" {
    options=() ops=200
    differ 8 "${MODES[@]}"
}

@test "threads, each on files of its own" {
    options=(--threads 3 --own-only --families "data,files,vectors,stdio,signals") ops=150
    differ 3 "${MODES[@]}"
}

# What is promised between threads is not promised with URINGSHIM_ORDER=thread.
@test "threads that take turns on common files, and fork" {
    options=(--threads 3) ops=100
    differ 4 URINGSHIM_ENGINE={auto,ring,direct} URINGSHIM_BATCH=0
}

@test "many threads that take turns on common files" {
    options=(--threads 8 --families "data,files,stdio,signals") ops=80
    differ 2 URINGSHIM_ENGINE={auto,ring,direct}
}
