#!/usr/bin/env bats
# What the library is for: of the write calls of real programs at most one in a hundred is left, whoever performs them.

load lib/common
load lib/trace

setup_file() {
    command -v strace >/dev/null || skip "needs strace"
}

# batches NATIVE CMD [ARG]…: at most $percent% of its NATIVE write calls remain, and `out` is what it is natively. Under
# strace a program is so slow that the policy may think little of it and the bound on the delay decides when to flush:
# both are set aside there, and the policy is judged by the library's own count.
percent=1
batches() {
    local native=$1 setting remaining
    shift
    "$@" && mv out expected
    for setting in URINGSHIM_ENGINE=auto URINGSHIM_ENGINE=ring URINGSHIM_ENGINE=direct URINGSHIM_ORDER=thread; do
        rm -f out
        trace URINGSHIM_TEST_EAGER=1 URINGSHIM_MAX_DELAY_US=100000 "$setting" "$@"
        cmp expected out || fail "$setting"
        remaining=$(count "$WRITE_LIKE")
        ((remaining <= native * percent / 100)) || fail "$setting: $remaining of $native remain" || return
    done
    # With the defaults a pause counts, whether the program makes it or the machine: one undisturbed run of some will do.
    # While the code is looked at calls pass: how many is a matter of when the helper thread gets a processor.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        rm -f out "$STATS"
        shim "$@"
        cmp expected out || fail "with the defaults"
        remaining=$(($(stat_value write.passed) - $(stat_value passed.looking) + $(stat_value direct.calls) + $(stat_value ring.enters)))
        ((remaining <= native * percent / 100)) && return
    done
    fail "with the defaults $remaining of $native remain: $(cat "$STATS")"
}

@test "perl: syswrite of 100,000 lines" {
    # shellcheck disable=SC2016 # the variables are perl's
    batches 100000 perl -e 'open F, ">", "out"; syswrite F, "line $_\n" for 1 .. 100000'
}

@test "python: 100,000 unbuffered writes" {
    need_command /usr/bin/python3
    batches 100000 /usr/bin/python3 -c '
f = open("out", "wb", buffering=0)
for i in range(100000):
    f.write(b"line %d\n" % i)'
}

@test "dd: blocks of 512 bytes" {
    seq 4000000 | head -c 20480000 >in
    batches 40000 dd if=in of=out bs=512 status=none
}

@test "dash: a loop of echo" {
    need_command dash
    # shellcheck disable=SC2016 # the variables are dash's
    batches 50000 dash -c 'i=0; while [ $i -lt 50000 ]; do echo "line $i"; i=$((i + 1)); done >out'
}

@test "mawk: lines printed interactively" {
    need_command mawk
    batches 100000 dash -c 'exec mawk -W interactive "BEGIN { for (i = 1; i <= 50000; i++) print \"line\", i }" >out'
}

@test "bash: a loop of echo, redirected as a whole" {
    # shellcheck disable=SC2016 # the variables are bash's
    percent=2 batches 20000 bash -c 'for ((i = 0; i < 20000; i++)); do echo "line $i"; done >out'
}

# A piece that must go at once, because the ring is still busy with the one before, may be written by a plain call.
@test "the ring performs, restricted to what it needs, and nothing small is written otherwise" {
    # shellcheck disable=SC2016 # the variables are perl's
    trace URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring perl -e 'open F, ">", "out"; syswrite F, "$_\n" x 3 for 1 .. 50000'
    (($(count io_uring_enter) > 0)) || fail "no io_uring_enter"
    (($(count "$WRITES") <= 20)) || fail "$(writes | head -30)"
    grep -E 'io_uring_register.*RESTRICTIONS.*(= 0$|unfinished)' calls || fail "no restrictions: $(grep io_uring_register calls)"
    grep -E 'io_uring_register.*ENABLE_RINGS.*(= 0$|unfinished)' calls || fail "not enabled: $(grep io_uring_register calls)"
}

@test "what the direct engine performs needs no ring" {
    # shellcheck disable=SC2016 # the variables are perl's
    trace URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=direct perl -e 'open F, ">", "out"; syswrite F, "$_\n" for 1 .. 50000'
    (($(count 'io_uring_.*') == 0)) || fail "$(grep io_uring_ calls)"
}

# External synchrony: with a barrier forgotten, two lines would be one write.
@test "functions that look or tell inside libc find everything written" {
    local lines
    lines=$(trace URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=direct URINGSHIM_MAX_DELAY_US=1000000 "$VICTIMS/trace_inside" \
        2>/dev/null)
    (($(writes | grep -c ' 9$') >= lines)) || fail "$lines lines: $(grep -A1 -E 'write.* [0-9]+$' calls)"
}

# On a tmpfs a worker may have completed a write before the kernel says that it took it: some ten thousand of them.
@test "one piece after the other goes into the background of the ring" {
    [ "$(findmnt -n -o FSTYPE -T /dev/shm | tail -n 1)" = tmpfs ] || skip "/dev/shm is no tmpfs"
    out=$(mktemp /dev/shm/uringshim.XXXXXX)
    # shellcheck disable=SC2016 # the variables are perl's
    local status=0 writer='
        open F, "+<", shift or die;
        for (1 .. shift) { sysseek F, 0, 0; syswrite F, "x" x 2040 . "\n" for 1 .. 32768 }'
    shim URINGSHIM_ENGINE=ring "${PATIENTLY[@]}" perl -e "$writer" "$out" 100 || status=$?
    [ "$(sha256sum <"$out")" = "$(perl -e 'print "x" x 2040, "\n" for 1 .. 32768' | sha256sum)" ] || status=1
    rm -f "$out"
    ((status == 0 && $(stat_value ring.enters) + $(stat_value ring.writes) > 5000)) || fail "status $status: $(cat "$STATS")"
}

# learns FILE ANSWER: a program that goes on writing tries once whether FILE's file system does writes without waiting.
learns() {
    # shellcheck disable=SC2016 # perl's variables
    strace -f -qq -e trace=pwritev2 -s 0 -o calls -E LD_PRELOAD="$LIB" -E URINGSHIM_MAX_DELAY_US=1000000 \
        perl -e 'open F, ">", $ARGV[0] or die; syswrite F, "line $_\n" for 1 .. 600000' "$1"
    cat calls
    (($(count pwritev2) == 1))
    grep -Eq "(, RWF_NOWAIT|pwritev2 resumed>)\) = $2" calls
    seq -f 'line %.0f' 600000 | cmp - "$1"
}

@test "whether a file system does writes inline is learnt from one that is due anyway, and nothing is lost by it" {
    need_root
    truncate -s 400M image
    mkfs.xfs -q image
    mkdir small
    skip_unless "can't mount" mount -o loop image small
    local status=0
    (learns small/out '[0-9]+$') || status=$?
    umount small
    ((status == 0))
    rm image
    # ext4 refuses, or the kernel has learnt it meanwhile
    learns out '([0-9]+|-1 EOPNOTSUPP.*)$'
    strace -f -qq -e trace=pwritev2 -o calls -E LD_PRELOAD="$LIB" perl -e 'open F, ">", "short"; syswrite F, "x" for 1 .. 9999'
    (($(count pwritev2) == 0))
}
