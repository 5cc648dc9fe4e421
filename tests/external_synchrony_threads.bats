#!/usr/bin/env bats
# What threads can do to each other's pending writes.

load lib/common
load lib/threads

# by_threads HOW [CMD]…: 1 to 16 threads write $each records each under CMD, and all that they wrote must be there.
each=500
by_threads() {
    local threads
    for threads in 1 2 5 16; do
        rm -f records*
        "${@:2}" "$VICTIMS/threads_write" "$1" "$threads" "$each" records
        "$VICTIMS/threads_check" $((threads * each)) records*
    done
}

# by_threads_everywhere HOW MODE…: natively, in each mode as any program begins, and deferring from the first write on.
by_threads_everywhere() {
    local mode
    by_threads "$1"
    for mode in "${@:2}"; do
        by_threads "$1" shim "$mode"
        by_threads "$1" shim "$mode" URINGSHIM_TEST_EAGER=1
    done
    assert_deferred
}

# Same answers (each write is there, once and whole) in the next four.
@test "threads append through one descriptor" {
    by_threads_everywhere shared "${ENGINES[@]}" URINGSHIM_ORDER=thread
}

@test "threads append to one file, each through its own descriptor" {
    by_threads_everywhere append "${ENGINES[@]}" URINGSHIM_ORDER=thread
}

@test "threads write to their own regions of one file" {
    by_threads_everywhere region "${ENGINES[@]}" URINGSHIM_ORDER=thread
}

@test "threads write to their own files" {
    by_threads_everywhere own "${ENGINES[@]}" URINGSHIM_ORDER=thread
}

# External synchrony (program order is process-wide) in the next three.
@test "a mutex orders the writes of threads" {
    by_threads_everywhere lock "${ENGINES[@]}"
}

@test "an atomic alone orders the writes of threads" {
    by_threads_everywhere atomic "${ENGINES[@]}"
}

@test "a condition variable orders the writes of threads" {
    each=200 # each costs a switch
    by_threads_everywhere turns "${ENGINES[@]}"
}

# External synchrony: whoever gets the lock sees what was written under it; and same answers: close lets go of the lock.
@test "a thread closes a locked file that another one has written" {
    local engine
    for engine in "${ENGINES[@]}"; do
        watched lock 1 "$engine" URINGSHIM_TEST_EAGER=1 "$VICTIMS/threads_close"
        "$VICTIMS/threads_check" 15000 watched
    done
}

# Same answers: write stays a point of cancellation, and loses nothing that it had returned for.
@test "a writer is cancelled" {
    local mode
    for mode in URINGSHIM=off "${ENGINES[@]}"; do
        rm -f records
        shim "$mode" URINGSHIM_TEST_EAGER=1 "$VICTIMS/threads_cancel" 50 records
        "$VICTIMS/threads_check" 0 records
    done
    assert_deferred
}

# Same answers: pending writes belong to the parent alone, whichever thread queued them, and the kernel lets no write to a
# shared position get lost between two processes.
fork_among_writers() {
    local mode
    for mode in URINGSHIM=off "${ENGINES[@]}" URINGSHIM_ORDER=thread; do
        rm -f records
        shim "$mode" URINGSHIM_TEST_EAGER=1 "$VICTIMS/threads_fork" "$1" 3 10000 100 records
        "$VICTIMS/threads_check" $((3 * 10000 + 100 * 20)) records
    done
    assert_deferred
}

@test "one thread forks while others append" {
    fork_among_writers append
}

@test "one thread forks while others write at a position shared with the children" {
    fork_among_writers position
}

# transitions HOW ROUNDS…: natively one round; and all of them under the library.
transitions() {
    local mode status=0
    while (($#)); do
        "${PATIENTLY[@]}" "$VICTIMS/threads_transitions" "$1" 1 || status=$?
        ((status != 77)) || skip "not on this machine: $1"
        ((status == 0)) || fail "$1 natively: $status" || return
        for mode in "${ENGINES[@]}" URINGSHIM_ORDER=thread; do
            shim "$mode" URINGSHIM_TEST_EAGER=1 "${PATIENTLY[@]}" "$VICTIMS/threads_transitions" "$1" "$2" ||
                fail "$1 $mode" || return
        done
        shift 2
    done
}

# Same answers: what was accepted is written, whatever another thread has made of the file since.
@test "a file is sealed, or its flags set, or its position moved, while another thread writes" {
    transitions seal 50 flags 20 position 4
    assert_deferred
}

# A shared page is a channel from the moment at which the other process has it.
@test "memory begins to be shared while another thread writes" {
    transitions fork 1 message 1
    assert_deferred
}

@test "a file is made immutable while another thread writes" {
    transitions immutable 10
    assert_deferred
}

@test "a page that the writer tells by becomes shared by being replaced, or in the midst of a fork" {
    transitions replaced 1 made 1
    assert_deferred
}

@test "what is written must first be fetched by another thread of the process" {
    transitions faults 1
    (($(stat_value passed.page_faults) > 0))
}

@test "a lock is free as soon as another thread has closed the file" {
    local engine
    for engine in "${ENGINES[@]}"; do
        shim "$engine" URINGSHIM_TEST_EAGER=1 "$VICTIMS/threads_pin" file || fail "$engine"
    done
    assert_deferred
}

# Never in the way: fork and libc's streams take the library's locks in one order.
@test "a process forks while its threads flush all streams" {
    local mode
    for mode in URINGSHIM_TEST_EAGER=0 URINGSHIM_TEST_EAGER=1; do
        shim "$mode" "${PATIENTLY[@]}" "$VICTIMS/threads_streams" 300 .
        [ "$(sort -u stream0)" = "a line" ]
    done
    assert_deferred
}
