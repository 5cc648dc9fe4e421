#!/usr/bin/env bats
# Same answers from streams: pipes, FIFOs, sockets. Whose other end has gone, and who knows it, is told by the very next
# write; after a deadly SIGPIPE nothing more was done; errors are those of the kernel.

load lib/common
load lib/compare
load lib/streams

@test "a pipe's other end goes, and says so" {
    same_stream "$VICTIMS/streams_gone" pipe
    assert_stream_deferred
}

@test "a FIFO's other end goes, and says so" {
    same_stream "$VICTIMS/streams_gone" fifo
    assert_stream_deferred
}

@test "a socket's other end goes, and says so" {
    same_stream "$VICTIMS/streams_gone" unix
    assert_stream_deferred
}

@test "a client of TCP hangs up, and the reset has come" {
    stream_works "$VICTIMS/streams_reset"
}

# The kernel tells a socket's error once: to the library, when it performs what was written before.
@test "a client of TCP resets, and the next call is told, whichever it is and whoever makes it" {
    # shellcheck disable=SC2030 # for this test
    local STREAM_MODES=("${EAGER_MODES[@]/%/ $SLOW}")
    stream_works "$VICTIMS/streams_between" readv sendmmsg option another_number received received_alone duplicate duplicate_alone child unshare
    assert_stream_deferred
}

# Of a program that SIGPIPE kills: what it had written before is there, and nothing that it would have written after.
@test "the other end goes without a word: SIGPIPE deadly, ignored, handled, and for one thread" {
    local kind
    for kind in pipe fifo unix; do
        stream_works "$VICTIMS/streams_broken" $kind
    done
    assert_stream_deferred
}

# ends_of PIPELINE…: bash's; each one's output, status, and what it said before it ended.
ends_of() {
    # shellcheck disable=SC2031 # as above
    local pipeline modes=("${STREAM_MODES[@]}") STREAM_MODES
    STREAM_MODES=("${modes[0]}" "${modes[1]}" "${modes[4]}") # starting programs is what takes the time
    for pipeline; do
        # shellcheck disable=SC2016 # the inner shell's
        printf '{ %s\n echo "${PIPESTATUS[@]}"; } 2>errors; cat errors\n' "$pipeline"
    done >pipelines
    stream_works bash ../pipelines
    (($(grep -Ec '(^| )[0-9]+ 0$' native.out) == $#)) || fail "$(cat native.out)"
}

# Where a reader goes without a word, it's only the time at which the writer notices that differs.
@test "head ends: yes, seq, cat, and what writes each line at once" {
    seq 200000 >numbers
    ends_of 'yes | head -n 1' 'yes "a longer line" | head -c 100' 'seq 1000000000 | head' \
        'cat ../numbers | head -n 2' 'stdbuf -oL seq 1000000000 | head -n 3' \
        'sed -u s/1/one/ ../numbers | head -n 3' 'grep --line-buffered 9 ../numbers | head -n 3' \
        '(yes; echo "$?" >&2) | head -n 5' 'while :; do echo line; done | head -n 3'
    (($(grep -c '141 0$' native.out) == 8)) || fail "$(cat native.out)"
}

@test "head ends before perl, python, mawk and bash do, whatever they make of SIGPIPE" {
    local pipelines=()
    need_command perl
    # shellcheck disable=SC2016 # perl's, and python's
    pipelines=('perl -e '\''$| = 1; print "line $_\n" for 1 .. 1000000'\'' | head -n 3'
        'perl -e '\''$| = 1; $SIG{PIPE} = "IGNORE"; 1 while print "line\n"; warn $!{EPIPE} ? "broken\n" : $!; exit 3'\'' | head -n 3'
        'perl -e '\''$| = 1; $SIG{PIPE} = sub { warn "SIG$_[0]\n"; exit 4 }; print "line\n" while 1'\'' | head -n 3'
        'perl -e '\''syswrite STDOUT, "line\n" or last while 1'\'' | head -n 3'
        '(trap "" PIPE; while echo line; do :; done; exit 5) | head -n 3'
        '(trap "exit 6" PIPE; while :; do echo line; done) | head -n 3')
    ! command -v mawk >/dev/null || pipelines+=("mawk -W interactive 'BEGIN { while (1) print 1 }' | head -n 3")
    ! command -v python3 >/dev/null || pipelines+=("python3 -uc 'while True: print(1)' | head -n 3"
        "python3 -uc '
import os, sys
try:
    while True: print(\"line\")
except BrokenPipeError as error:
    print(error, file=sys.stderr)
    os._exit(7)' | head -n 3")
    ends_of "${pipelines[@]}"
}

@test "errors of calls on streams, and boundaries that are kept" {
    stream_works "$VICTIMS/streams_errors"
    assert_stream_deferred
}
