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

@test "valgrind's tools find nothing in the library" {
    local tool options
    need_command valgrind
    record native "$VICTIMS/tools_busy" 100
    for tool in memcheck massif helgrind drd; do
        options=(-q "--tool=$tool" --error-exitcode=9 "--log-file=$PWD/log")
        [[ $tool != massif ]] || options+=(--massif-out-file=/dev/null)
        same_as_recorded shim valgrind "${options[@]}" "$VICTIMS/tools_busy" 100 || fail "$tool: $(cat log)"
    done
    # By default it keeps out of them, for valgrind shares memory with its own helper.
    for tool in helgrind drd; do
        rm -f "$STATS"
        same_as_recorded shim URINGSHIM_TEST_EAGER=1 URINGSHIM_SHARED_MEMORY=ignore valgrind -q "--tool=$tool" \
            --error-exitcode=9 "--log-file=$PWD/log" "$VICTIMS/tools_busy" 100 || fail "$tool: $(cat log)"
        assert_deferred
    done
}

@test "and what they find in the program natively" {
    need_command valgrind
    cat >main.c <<'CODE'
#include <pthread.h>
#include <unistd.h>
static long shared;
static void *add(void *unused) {
    for (int i = 0; i < 1000; i++)
        shared += write(1, "x", 0) + 1;
    return unused;
}
int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, add, NULL);
    add(NULL);
    pthread_join(thread, NULL);
}
CODE
    gcc -g -pthread -o main main.c
    for tool in helgrind drd; do
        run -9 valgrind "--tool=$tool" --error-exitcode=9 ./main
        run -9 shim valgrind "--tool=$tool" --error-exitcode=9 ./main
        [[ $output == *main.c:6* ]]
        [[ $output != *uringshim* || $output == *"by 0x"*"main.c"* ]]
    done
}
