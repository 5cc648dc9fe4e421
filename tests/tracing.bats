#!/usr/bin/env bats
# What the library tells those who look: probe points for bpftrace and perf, and the debug log.

load lib/common

# 30,000 lines, then 4,000 small reads: a story with everything in it.
# shellcheck disable=SC2016 # perl's variables
STORY='open F, ">", "out" or die; syswrite F, "line $_\n" for 1 .. 30000; close F;
    open G, "<", "in" or die; sysread G, $x, 10 for 1 .. 4000'

@test "there are probe points, each with its arguments" {
    readelf -n "$LIB" >notes
    grep -A 3 'Provider: uringshim' notes | awk '/Name:/ { name = $2 } /Arguments:/ { print name, NF - 1 }' | sort -u >points
    cat points
    diff - points <<'TEXT'
barrier 1
defer 2
fallback 2
flush 3
peek_fill 2
peek_settle 3
stream_wait 1
turn 1
window_end 2
window_fill 3
TEXT
}

@test "a probe point is reached when what it stands for happens, with what happened" {
    need_command gdb
    cat >gdb.commands <<TEXT
set startup-with-shell off
set environment LD_PRELOAD $LIB
set environment URINGSHIM_STATS $STATS
break main
run
break -probe-stap uringshim:flush
commands
silent
printf "%s %d %d\n", (char*)\$_probe_arg0, \$_probe_arg1, \$_probe_arg2
cont
end
cont
TEXT
    skip_unless "gdb can't run a program here" gdb -batch -ex 'set startup-with-shell off' -ex run --args true
    "${PATIENTLY[@]}" gdb -batch -x gdb.commands --args "$VICTIMS/prefix_writer" --steps 3000 1 . >told 2>&1
    grep -ao 'flush\.[a-z]* [0-9]* [0-9]*' told >flushes # the victim prints, too
    cat flushes
    (($(awk '/^flush\./ { extents += $2 } END { print extents }' flushes) == $(stat_value deferred.extents)))
}

@test "the debug log tells the story of a run in order" {
    seq 20000 >in
    shim URINGSHIM_LOG="debug:$SCRATCH/log" URINGSHIM_MAX_DELAY_US=1000000 perl -e "$STORY"
    cat log
    # Each of these comes after the one before.
    local at=0 next event
    for event in 'perl begins, process [0-9]+' 'writes of descriptor [0-9]+ are deferred, at its position' \
        'performed: extents 1, bytes [0-9]+; flush.full' 'performed: extents 1, bytes [0-9]+; flush.barrier' \
        'barrier: close' 'read ahead of descriptor [0-9]+: bytes 16384 from offset' 'window ends after [0-9]+ reads'; do
        next=$(awk -v at="$at" -v event="$event" 'NR > at && $0 ~ event { print NR; exit }' log)
        [[ -n $next ]] || fail "no '$event' after line $at"
        at=$next
    done
    (($(grep -c 'performed:' log) == $(stat_value flush.full) + $(stat_value flush.barrier) + $(stat_value flush.delay)))
}

@test "the debug log names pipes and sockets, and says why their writes are performed" {
    # shellcheck disable=SC2016
    shim URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore URINGSHIM_LOG="debug:$SCRATCH/log" URINGSHIM_MAX_DELAY_US=1000000 \
        perl -e 'use Socket; $| = 1; socketpair A, B, AF_UNIX, SOCK_STREAM, 0; open F, ">", "out";
            print "line\n" for 1 .. 100; syswrite A, "line\n" for 1 .. 100; syswrite F, "line\n" for 1 .. 100; sysread B, $x, 1' | wc -l >lines
    cat log
    [[ $(cat lines) == 100 ]]
    local at=0 next event
    for event in 'writes of descriptor 1 are deferred, to a pipe$' 'writes of descriptor [0-9]+ are deferred, to a socket$' \
        'writes of descriptor [0-9]+ are deferred, at its position$' 'performed: extents [23], bytes [0-9]+; flush.barrier' \
        'barrier: read'; do
        next=$(awk -v at="$at" -v event="$event" 'NR > at && $0 ~ event { print NR; exit }' log)
        [[ -n $next ]] || fail "no '$event' after line $at"
        at=$next
    done
}

@test "the debug log says what of a pipe was looked at, and how much of it was taken, by whatever thread" {
    need_sight
    # shellcheck disable=SC2016
    shim URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore URINGSHIM_MAX_DELAY_US=100 URINGSHIM_LOG="debug:$SCRATCH/log" perl -e 'pipe R, W;
        syswrite W, "x" x 60000; sysread R, $x, 1 for 1 .. 20000; print -s "nothing"; sysread R, $x, 1 for 1 .. 30000'
    cat log
    grep -q 'looked at what is in descriptor [0-9]*: [1-6][0-9][0-9][0-9][0-9] bytes$' log
    (($(grep -c 'looked at what is in descriptor' log) == $(stat_value peek.filled)))
    (($(grep -c 'took from descriptor [0-9]* what was read: ' log) == $(stat_value peek.settled) && $(stat_value peek.settled) >= 2))
    (($(awk '/ what was read: / { sum += $(NF - 1) } END { print sum }' log) == $(stat_value peek.bytes)))
    # Reads of one byte: no more than were made.
    (($(stat_value peek.bytes) == $(stat_value peek.served) && $(stat_value peek.bytes) > 20000 && $(stat_value peek.bytes) <= 50000))
}

@test "the debug log says where a call waits for room" {
    shim URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore URINGSHIM_LOG="debug:$SCRATCH/log" URINGSHIM_MAX_DELAY_US=1000000 \
        "${PATIENTLY[@]}" "$VICTIMS/streams_between" reads
    cat log
    (($(grep -c 'waits for room in descriptor [0-9]' log) == $(stat_value stream.waits) && $(stat_value stream.waits) > 0))
}

@test "a refusal, and what stands against deferring, is in the log" {
    # shellcheck disable=SC2016
    shim URINGSHIM_LOG="debug:$SCRATCH/log" bash -c 'ulimit -f 100000; exec perl -e "$1"' bash \
        'open F, ">", "out"; syswrite F, "x" for 1 .. 1000'
    cat log
    grep -q 'nothing is deferred from now on: size_limit' log
    strace -f -qq -o calls -e inject=io_uring_setup:error=EPERM -E LD_PRELOAD="$LIB" -E URINGSHIM_ENGINE=ring \
        -E URINGSHIM_OWN_CALLS=ignore -E URINGSHIM_MAX_DELAY_US=1000000 -E URINGSHIM_LOG="info:$SCRATCH/log" perl -e 'open F, ">", "out"; syswrite F, "x" for 1 .. 1000'
    cat log
    (($(grep -c 'info: refused, and done without: ring; errno 1$' log) == 1))
}

@test "without a log, and with nobody at the probe points, nothing is said" {
    run shim perl -e 'open F, ">", "out"; syswrite F, "x" for 1 .. 1000'
    [[ -z $output ]]
}
