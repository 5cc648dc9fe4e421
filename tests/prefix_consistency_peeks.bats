#!/usr/bin/env bats
# Death is prefix-consistent where reads of a pipe are served: after kill -9 at any instant what wasn't read is still in the
# pipe, and what was read and not reported is no more than natively.
# URINGSHIM_TEST_KILLS is how many kills this whole file makes, URINGSHIM_TEST_SEED where their seeds begin.
# shellcheck disable=SC2154 # lib/peeks sets

load lib/common
load lib/compare
load lib/streams
load lib/peeks

KILLS=$(((${URINGSHIM_TEST_KILLS:-390} + 19) / 20)) # of each target and mode

# killed HOW TARGET…
killed() {
    local seed=${URINGSHIM_TEST_SEED:-$((RANDOM * RANDOM))} target
    for target in "${@:2}"; do
        "${PATIENTLY[@]}" "$VICTIMS/peeks_killed" "$1" "$target" "$KILLS" "$seed" "${under[@]}" "$VICTIMS/peeks_killed" --reader 3>&- || return
    done
}

# Who is killed says nothing of what it did: one reader is let go on to the end of its input.
killed_and_not() {
    seq 1000000 1009999 | "${under[@]}" "$VICTIMS/peeks_killed" --reader >whole
    seq 1000000 1009999 | cmp - whole || return
    killed "$@"
}

@test "who reports each line at once has at most one that isn't reported" {
    peeked_everywhere killed_and_not strict passing
}

@test "no line is reported that is still there" {
    peeked_everywhere killed_and_not loose pipe file
}
