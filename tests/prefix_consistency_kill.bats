#!/usr/bin/env bats
# Death is prefix-consistent: kill -9 at any instant leaves files that the same program could have left
# natively; and external synchrony: what the program had told another process before it died is in the files.
# URINGSHIM_TEST_KILLS is how many kills this whole file makes, URINGSHIM_TEST_SEED where their seeds begin.

# shellcheck disable=SC2034 # options and check_options are used by lib/kill

load lib/common
load lib/kill

CASES=18
KILLS=$(((${URINGSHIM_TEST_KILLS:-390} + CASES - 1) / CASES))

@test "one thread" {
    options=() check_options=()
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=auto
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=direct
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_SQPOLL=1
}

@test "one thread, after the warm-up that every program has" {
    options=() check_options=()
    kill_writer URINGSHIM_ENGINE=auto
    kill_writer URINGSHIM_ENGINE=direct
}

@test "one thread that writes again over what it has written" {
    options=(--rewrites) check_options=(--rewrites)
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=auto
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=direct
}

@test "one thread, by direct I/O" {
    dd if=/dev/zero of=probe bs=4096 count=1 oflag=direct status=none || skip "no direct I/O on this file system"
    options=(--rewrites --direct) check_options=(--rewrites --direct)
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=auto
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_SQPOLL=1 URINGSHIM_IOPOLL=1
}

@test "threads that take turns, by a lock or by an atomic that nobody else sees" {
    options=(--threads 3 --rewrites) check_options=(--rewrites)
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=auto
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_SQPOLL=1
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=direct
}

@test "order within each thread is all that URINGSHIM_ORDER=thread promises, and it keeps it" {
    options=(--threads 3 --lanes) check_options=(--lanes 3)
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ORDER=thread URINGSHIM_ENGINE=auto
    kill_writer URINGSHIM_TEST_EAGER=1 URINGSHIM_ORDER=thread URINGSHIM_ENGINE=ring
}
