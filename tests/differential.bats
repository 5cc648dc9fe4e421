#!/usr/bin/env bats
# Promise 1, same answers: random programs return, read and leave the same natively and in every mode and engine.
# URINGSHIM_TEST_SEED is the first seed that each test tries, URINGSHIM_TEST_SEEDS how many.

load lib/common

# run_victim NAME SEED [CMD]…: leaves NAME.tree and NAME.log. Says nothing of the order in which threads log.
run_victim() {
    local name=$1 seed=$2
    local victim=("${@:3}" "$VICTIMS/random_ops" "${options[@]}" "$seed" "$ops" "$name.tree")
    rm -rf "$name.tree"
    mkdir "$name.tree"
    if [[ ${log_to:-file} == pipe ]]; then
        "${victim[@]}" | cat >log
    else
        "${victim[@]}" >log
    fi
    sort -s -k 1,1 log >"$name.log"
}

# compare SEED CMD…: the same program natively, done before, and under CMD.
compare() {
    local seed=$1
    if ! run_victim shimmed "$@"; then
        fail "did not end well: ${*:2} random_ops ${options[*]} $seed $ops"
    elif ! cmp -s native.log shimmed.log || ! diff -r --no-dereference native.tree shimmed.tree >/dev/null; then
        diff native.log shimmed.log | head -n 20 || true
        diff -r --no-dereference -q native.tree shimmed.tree || true
        fail "differs: ${*:2} random_ops ${options[*]} $seed $ops"
    fi
}

# differ SEEDS MODE…: with and without the warm-up that keeps most programs of this size from deferring at all.
differ() {
    local count=${URINGSHIM_TEST_SEEDS:-$1} first=${URINGSHIM_TEST_SEED:-1} seed mode report
    echo "$count seeds from $first"
    set -o pipefail
    for ((seed = first; seed < first + count; seed++)); do
        run_victim native "$seed"
        for mode in "${@:2}"; do
            compare "$seed" shim "$mode"
            [[ $mode == *ENGINE* || $mode == *ORDER* ]] || continue
            STATS=$SCRATCH/$mode.json compare "$seed" shim URINGSHIM_TEST_EAGER=1 "$mode"
        done
    done
    for report in "$SCRATCH"/URINGSHIM_*.json; do
        STATS=$report assert_deferred
    done
}

@test "a program of one thread" {
    options=() ops=300
    differ 20 "${MODES[@]}"
}

@test "a program that notes each result in a file" {
    options=(--log-each) ops=200
    differ 6 "${MODES[@]}"
}

@test "a program that tells each result to another process" {
    options=(--log-each) ops=200 log_to=pipe
    differ 3 "${MODES[@]}"
}

@test "a program that forks" {
    options=(--forks) ops=300
    differ 10 "${MODES[@]}"
}

@test "a program that forks and notes each result in a file that its children share" {
    options=(--forks --log-each) ops=200
    differ 3 "${MODES[@]}"
}

@test "threads, each on files of its own" {
    options=(--threads 3 --own-only) ops=150
    differ 3 "${MODES[@]}"
}

# What is promised between threads is not promised with URINGSHIM_ORDER=thread.
@test "threads that take turns on common files, and fork" {
    options=(--threads 3 --forks) ops=150
    differ 8 URINGSHIM_ENGINE={auto,ring,direct} URINGSHIM_BATCH=0
}
