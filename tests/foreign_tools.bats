#!/usr/bin/env bats
# never in the way, of other people's tools: programs built with sanitizers, or for another libc, and valgrind.

# shellcheck disable=SC2154 # $output and $stderr are bats's

bats_require_minimum_version 1.5.0
load lib/common
load lib/compare

# sanitized COMPILER NAME [OPTION]…: builds a program with a sanitizer as ./busy.
sanitized() {
    "$1" -O1 -g -pthread -D_GNU_SOURCE "-fsanitize=$2" "${@:3}" -o busy "$ROOT/tests/victims/tools_busy.c" 2>errors ||
        skip "needs $1 with -fsanitize=$2"
}

# shimmed_alike [NAME=VALUE]…: ./busy does under the library what it did natively, turned off too.
shimmed_alike() {
    local mode
    for mode in URINGSHIM=on URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring URINGSHIM=off; do
        same_as_recorded shim URINGSHIM_TEST_EAGER=1 "$mode" "$@" || fail "$mode" || return
    done
}

# with_runtime_inside COMPILER NAME [OPTION]…: a program whose runtime is in itself; the library takes part in it.
with_runtime_inside() {
    sanitized "$@"
    record native "$PWD/busy"
    grep -qx 'status 3' native.result || fail "natively: $(cat native.result)" || return
    rm -f "$STATS"
    shimmed_alike "$PWD/busy"
    assert_deferred
}

@test "ThreadSanitizer of clang" {
    with_runtime_inside clang thread
}

@test "AddressSanitizer of clang" {
    with_runtime_inside clang address
}

@test "MemorySanitizer, LeakSanitizer and UndefinedBehaviorSanitizer" {
    with_runtime_inside clang memory
    with_runtime_inside clang leak
    with_runtime_inside gcc leak
    with_runtime_inside clang undefined
    with_runtime_inside gcc undefined
}
