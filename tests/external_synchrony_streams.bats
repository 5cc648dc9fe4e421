#!/usr/bin/env bats
# External synchrony of streams: whoever has been told, by whatever channel, that records were written to a stream and to
# a file finds them in both, and nobody ever finds one without all that were written before it. A delay of a second keeps
# the background flush from covering up for a barrier that was forgotten.

# shellcheck disable=SC2034,SC2154 # lib/observer uses, and lib/streams sets

load lib/common
load lib/observer
load lib/streams

# Of each channel that is a quick one, kind of stream and mode: 100,000 in all.
ROUNDS=${URINGSHIM_TEST_ROUNDS:-135}
PATIENT="URINGSHIM_TEST_EAGER=1 URINGSHIM_MAX_DELAY_US=1000000"

# told KIND [OPTION]…: by each channel, under what under_mode says, but the one that tells nothing, and in the order of each
# thread the one by which another thread tells.
told() {
    local channel expected=0 wrong=0 without=size
    observer=(--stream "$@")
    [[ $* != *--forget* ]] || expected=1
    [[ ${under[*]} != *ORDER=thread* ]] || without='size|pipe_thread'
    for channel in $(channels | grep -Evx "$without"); do
        observe_channel $expected "$channel" "${under[@]}" || (($? == 77)) || wrong=1
    done
    return $wrong
}

@test "the observer is content natively, whatever the stream" {
    ROUNDS=10 natively told pipe
    ROUNDS=10 natively told tcp
}

@test "the observer notices on every channel when the stream's records are held back" {
    ROUNDS=10 natively told pipe --forget 2>/dev/null
}

@test "a pipe and a file, all settings at their defaults" { under_mode URINGSHIM_TEST_EAGER=0 told pipe; }
@test "a pipe and a file, engine auto" { under_mode "$PATIENT" told pipe; }
@test "a pipe and a file, engine ring" { under_mode "$PATIENT URINGSHIM_ENGINE=ring" told pipe; }
@test "a pipe and a file, engine direct" { under_mode "$PATIENT URINGSHIM_ENGINE=direct" told pipe; }
@test "a pipe that is passed through, and a file that is not" { under_mode "$PATIENT URINGSHIM_STREAMS=0" told pipe; }
@test "a pipe and a file, in the order of each thread" { under_mode "URINGSHIM_TEST_EAGER=1 URINGSHIM_ORDER=thread" told pipe; }
@test "a pipe with a name and a file" { under_mode "$PATIENT" told fifo; }
@test "a unix socket and a file" { under_mode "$PATIENT URINGSHIM_ENGINE=ring" told unix; }
@test "a TCP socket and a file" { under_mode "$PATIENT URINGSHIM_ENGINE=direct" told tcp; }

check_options=()

# untold [OPTION]…: programs that write to streams and files in turns.
untold() {
    "$VICTIMS/prefix_streams_check" "${check_options[@]}" $((ROUNDS * 100)) 2 "$RANDOM" "${under[@]}" "$VICTIMS/prefix_streams_writer" "$@"
}

@test "an observer that is told nothing finds all that was written before what it finds" {
    everywhere untold
}

@test "the same of threads that take turns" {
    local mode
    check_options=(--steady) # where one thread finds no room for long, others may overtake it
    for mode in URINGSHIM_TEST_EAGER=0 "${EAGER_MODES[@]}"; do
        under_mode "$mode" untold --threads 3
    done
}

# shared KIND: by processes that have one stream.
shared() {
    "$VICTIMS/streams_shared" "$1" 8 $((ROUNDS * 5)) "$RANDOM" appended "${under[@]}" "$VICTIMS/streams_shared"
}

@test "eight processes write records to one pipe: none is torn, and those of each are in order" {
    everywhere shared pipe
    everywhere shared fifo
}

# Nobody promises that, but so it is: the kernel takes a small one as a whole.
@test "eight processes write records to one unix socket: none is torn, and those of each are in order" {
    everywhere shared unix
}

# in_turns KIND [TIMES]: each way for a thread to wait for an answer that another one reads, or it itself. A library that
# lets it wait for the clock makes each round last for half a second at least; what is too slow is half of that.
in_turns() {
    local way rounds=$((ROUNDS * ${2-1} / 6 + 1)) wrong=0
    for way in $("$VICTIMS/streams_turns" --list); do
        "${under[@]}" "$VICTIMS/streams_turns" "$way" "$1" "$rounds" 250 || (($? == 77)) || { echo "$way" && wrong=1; }
    done
    return $wrong
}

@test "a thread that has asked a peer and waits for the thread that reads the answer never waits for the clock: pipes" {
    natively in_turns pipe
    under_mode "$PATIENT" in_turns pipe
    under_mode "$PATIENT URINGSHIM_ENGINE=ring" in_turns pipe
    under_mode "$PATIENT URINGSHIM_ENGINE=direct" in_turns fifo
    under_mode "$PATIENT URINGSHIM_ORDER=thread" in_turns pipe
    under_mode "$PATIENT URINGSHIM_STREAMS=0" in_turns pipe
    under_mode "URINGSHIM_MAX_DELAY_US=1000000" in_turns pipe 10
}

@test "the same of sockets" {
    natively in_turns unix
    under_mode "$PATIENT URINGSHIM_ENGINE=ring" in_turns unix
    under_mode "$PATIENT URINGSHIM_ENGINE=direct" in_turns unix
    under_mode "$PATIENT URINGSHIM_ENGINE=ring" in_turns tcp
    under_mode "$PATIENT URINGSHIM_ENGINE=direct" in_turns tcp
    under_mode "URINGSHIM_MAX_DELAY_US=1000000" in_turns unix 10
}
