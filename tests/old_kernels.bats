#!/usr/bin/env bats
# Kernels whose rings can do less, or that have none: what they refuse is refused here by strace.

load lib/common
load lib/compare

setup_file() {
    command -v strace >/dev/null || skip "needs strace"
}

need_direct() {
    dd if=/dev/zero of=probe bs=4096 count=1 oflag=direct status=none || skip "no direct I/O on this file system"
}

# refusing INJECTION [NAME=VALUE]… CMD…: CMD under the library, where the kernel refuses some of its calls.
refusing() {
    local injection=$1 assignments=()
    shift
    while [[ $1 == *=* ]]; do
        assignments+=(-E "$1")
        shift
    done
    rm -f "$STATS"
    strace -f -qq -o "$BATS_TEST_TMPDIR/calls" -e trace="${injection%%:*}" -e inject="$injection" -E LD_PRELOAD="$LIB" \
        -E URINGSHIM_STATS="$STATS" -E URINGSHIM_TEST_EAGER=1 "${assignments[@]}" "${PATIENTLY[@]}" "$@"
}

# Before Linux 6.4: the second call for a ring makes its table of files.
NO_TABLE=io_uring_register:error=EINVAL:when=2

@test "without a table of files that lets them go, direct writes go by the ring all the same" {
    need_direct
    local setting
    for setting in URINGSHIM_ENGINE=auto URINGSHIM_ENGINE=ring URINGSHIM_SQPOLL=1; do
        refusing $NO_TABLE "$setting" "$VICTIMS/direct_watch" scattered
        (($(stat_value ring.writes) > 1000)) || fail "$setting: $(cat "$STATS")"
        (($(stat_value fallback.registered_files.EOPNOTSUPP) == 1)) || fail "$setting: $(cat "$STATS")"
        (($(stat_value ring.created) == 1)) || fail "$setting: $(cat "$STATS")"
    done
}

@test "without one, other writes make no ring, and are all there" {
    local setting
    for setting in URINGSHIM_ENGINE=auto URINGSHIM_ENGINE=ring URINGSHIM_SQPOLL=1; do
        same_as_native "$VICTIMS/refuse_work"
        same_as_recorded refusing $NO_TABLE "$setting" "$VICTIMS/refuse_work"
        assert_deferred
        (($(stat_value ring.created) == 0 && $(stat_value ring.writes) == 0)) || fail "$setting: $(cat "$STATS")"
    done
}

@test "without one, the polling thread of the ring that isn't kept has gone, too" {
    skip_unless "no user namespaces here" unshare --user true
    [[ $(uname -m) == x86_64 ]] || skip "the call's number is another one here"
    local attempt
    for attempt in 1 2 3; do # only a process with a single thread may make itself a namespace
        # shellcheck disable=SC2016
        refusing $NO_TABLE URINGSHIM_SQPOLL=1 \
            perl -e 'open F, ">", "lines"; syswrite F, "a line of 20 letters\n" for 1 .. 50000;
                     print syscall(272, 0x10000000), "\n"' >said
        [[ $(cat said) == 0 ]] || fail "$attempt: $(cat said)"
        (($(stat_value fallback.registered_files.EOPNOTSUPP) == 1)) || fail "$(cat "$STATS")"
    done
}

@test "without one, kill -9 in the midst of direct writes leaves a prefix of them" {
    need_direct
    local tries
    for ((tries = 0; tries < 20; tries++)); do # until one had a ring before it was killed: it reports nothing else
        refusing $NO_TABLE URINGSHIM_ENGINE=ring "URINGSHIM_LOG=info:$PWD/log" "$VICTIMS/direct_watch" killed 1000
        ! grep -qs 'done without: registered_files' log || return 0
    done
    fail "none was killed that had a ring"
}

@test "a file is let go by its last close, with a table and without" {
    need_direct
    local setting rounds=${URINGSHIM_TEST_ROUNDS:-20}
    "$VICTIMS/let_go" "$rounds"
    for setting in URINGSHIM_ENGINE=auto URINGSHIM_ENGINE=ring URINGSHIM_SQPOLL=1; do
        rm -f "$STATS"
        shim URINGSHIM_TEST_EAGER=1 "$setting" "$VICTIMS/let_go" "$rounds"
        (($(stat_value ring.writes) > 0)) || fail "$setting: $(cat "$STATS")"
        refusing $NO_TABLE "$setting" "$VICTIMS/let_go" "$rounds"
        (($(stat_value ring.writes) > 0)) || fail "$setting: $(cat "$STATS")"
    done
}

@test "without rings of the kind that is needed each process asks once" {
    # the first set-up asks for more, which a kernel of Linux 5.18 doesn't know either
    refusing io_uring_setup:error=EINVAL URINGSHIM_ENGINE=ring URINGSHIM_ORDER=thread \
        "$VICTIMS/threads_turnover" 6 500 out
    assert_deferred
    (($(stat_value fallback.ring.EINVAL) == 1)) || fail "$(cat "$STATS")"
    (($(grep -c io_uring_setup "$BATS_TEST_TMPDIR/calls") == 2)) || fail "$(cat "$BATS_TEST_TMPDIR/calls")"
}

# Before Linux 4.6, in an emulator, or under a filter of system calls.
@test "where a pipe can't be written to with flags, what was deferred to it is there" {
    local error
    seq 20000 >numbers
    for error in ENOSYS EPERM EINVAL; do
        # shellcheck disable=SC2016 # perl's
        refusing "pwritev2:error=$error" perl -e '$| = 1; print "$_\n" for 1 .. 20000' | cat >got
        cmp numbers got || fail "$error"
        (($(stat_value stream.deferred) > 10000)) || fail "$error: $(cat "$STATS")"
    done
    mkfifo named
    cat named >got &
    # shellcheck disable=SC2016
    refusing pwritev2:error=EPERM perl -e '$| = 1; print "$_\n" for 1 .. 20000' >named
    wait $!
    cmp numbers got
}

@test "who may write to a socket, and not send, writes" {
    seq 20000 >numbers
    # shellcheck disable=SC2016
    refusing sendto,sendmsg:error=EPERM perl -MSocket -e 'socketpair A, B, AF_UNIX, SOCK_STREAM, 0 or die;
        if (!fork) { close A; print while <B>; exit } close B; select A; $| = 1; print "$_\n" for 1 .. 20000; close A; wait' >got
    cmp numbers got
    (($(stat_value passed.stream_kind) > 10000)) || fail "$(cat "$STATS")"
}
