#!/usr/bin/env bats
# Never in the way of who writes to pipes and sockets: it waits for a reader where it would have waited, or one call later,
# and what interrupts, ends or goes by that waiting natively does so here. And at the turns of a process's life each byte
# is there, once, and in order.

load lib/common
load lib/compare
load lib/streams

# URINGSHIM_TEST_ROUNDS beyond its default: every way to wait with every kind of stream, in every mode.
EVERYTHING=$((${URINGSHIM_TEST_ROUNDS:-1000} > 1000))
WAYS=(interrupted restarted jumped jumped_often large own_reader threads calls deaths stopped)

# waits KIND SIZE WAY…
waits() {
    local ways=("${@:3}")
    ((EVERYTHING == 0)) || ways=("${WAYS[@]}")
    stream_works "$VICTIMS/streams_full" "$1" "$2" "${ways[@]}"
    assert_stream_deferred
}

@test "a full pipe: handlers, with and without SA_RESTART, and jumps out of the waiting" {
    waits pipe 64 interrupted restarted jumped jumped_often large
}

@test "a full pipe: other threads, other calls" {
    waits pipe 64 threads calls
}

@test "a full pipe: deadly signals; who is stopped, and goes on" {
    waits pipe 64 deaths stopped
}

@test "a pipe that is written to by two of its descriptions, or two threads, takes no more than it holds" {
    local how setting
    for how in descriptions threads; do
        [[ $("${PATIENTLY[@]}" "$VICTIMS/streams_room" $how) == "no more than the pipe held" ]] || fail "$how, natively" || return
        for setting in URINGSHIM_TEST_EAGER={0,0,1,1} URINGSHIM_ORDER=thread{,,,,}; do
            shim "$setting" "${PATIENTLY[@]}" "$VICTIMS/streams_room" $how >said || return
            [[ $(<said) == "no more than the pipe held" ]] || fail "$how, $setting: $(<said)" || return
        done
    done
    assert_stream_deferred
}

# The engines know how much room there is; what they have to do with it is the same in each.
few_modes() {
    ((EVERYTHING)) || STREAM_MODES=("${EAGER_MODES[@]}")
}

# Nothing is performed by the clock: who waits, and who ends, must do it itself.
slow_modes() {
    STREAM_MODES=("${STREAM_MODES[@]/%/ $SLOW}")
}

# A pipe's page may end with room that is too little for the next record.
@test "a full pipe, with records that don't fill its pages" {
    few_modes
    waits pipe 100 interrupted own_reader deaths
    waits pipe 3000 interrupted restarted jumped
}

@test "a pipe of one page, full" {
    few_modes
    waits page 64 interrupted own_reader deaths
    waits page 1000 restarted jumped large
}

@test "a full FIFO" {
    few_modes
    waits fifo 64 interrupted restarted deaths
}

@test "a full socket" {
    few_modes
    waits unix 64 interrupted timed_out restarted jumped large
    waits unix 700 own_reader threads calls deaths stopped
}

@test "a full pipe, when the background flush is slow" {
    few_modes
    slow_modes
    waits pipe 64 interrupted restarted jumped threads
}

# lives KIND: with as much pending as can be; with and without the clock.
lives() {
    few_modes
    stream_works "$VICTIMS/streams_life" "$1"
    slow_modes
    in_stream_modes "$VICTIMS/streams_life" "$1"
    assert_stream_deferred
}

# How a program begins, and when something is deferred in it, is the policy's there.
@test "who writes to a pipe makes processes, becomes another, closes, passes on, ends: as the policy has it" {
    stream_works "$VICTIMS/streams_life" pipe
}

@test "the same with everything deferred, to a pipe" { lives pipe; }
@test "the same to a FIFO" { lives fifo; }
@test "the same to a socket" { lives unix; }
@test "the same over TCP" { lives tcp; }

@test "others fill a stream before what was written to it is in: who reads it himself, and who ends" {
    few_modes
    slow_modes
    stream_works "$VICTIMS/streams_between" reads ends left left_by_context handler handlers_child handler_goes_on mask jumps nested exit exec fault thread fifo_reads fifo_ends unix_reads unix_ends
    assert_stream_deferred
}

@test "a pipe goes full to the last byte, though others write to its pages in between" {
    stream_works "$VICTIMS/streams_between" page page_twice
}

# Its reader waits for the writer to end, and reads then: what fits natively, to the last byte, must fit.
@test "a pipe goes full to the last byte, though nothing is known of its first writes" {
    # shellcheck disable=SC2016,SC2154 # perl's
    unread() {
        "${PATIENTLY[@]}" perl -e 'pipe R, W; my $size = fcntl W, 1032, 0; # F_GETPIPE_SZ
            if (!fork) { open STDOUT, ">&", \*W; exec @ARGV, $size }
            close W; wait; exit 1 if $?; read R, my $all, 2 * $size; exit(length $all != $size)' \
            "${under[@]}" perl -e '$| = 1; print "abc\n" for 1 .. $ARGV[0] / 4'
    }
    everywhere unread
}

# Whether the other end is there is shown by the request itself. There is nothing to gain, and so nothing is asked.
@test "in a dialogue over pipes requests go as they are" {
    # shellcheck disable=SC2016,SC2154 # perl's; under_mode's
    dialogue() {
        "${under[@]}" perl -e 'pipe A, B; pipe C, D;
            if (!fork) { close B; syswrite D, $_ while sysread A, $_, 99; exit }
            close D; for (1 .. 3000) { syswrite B, "question\n"; sysread C, $_, 99 }'
    }
    under_mode URINGSHIM_TEST_EAGER=0 dialogue
    (($(stat_value passed.input) < 600)) || fail "$(cat "$STATS")"
}

@test "a terminal gets each write as it comes" {
    need_command script
    # shellcheck disable=SC2016 # perl's
    stream_works script -qec 'stty -opost; perl -e '\''
        $| = 1; pipe R, W; syswrite W, "x" x $_ and print "line $_\n" for 1 .. 50;
        syswrite STDERR, "err\n"; sysread R, my $all, 5000; print length $all, "\n"; system "echo a shell";
        print -t STDOUT ? "terminal\n" : "none\n"; close STDOUT; exit 3'\''; echo $?' /dev/null
}
