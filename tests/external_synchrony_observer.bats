#!/usr/bin/env bats
# External synchrony: whoever has been told, by whatever channel, that a record was written finds it in the
# file. A delay of a second keeps the background flush from covering up for a barrier that was forgotten.

# shellcheck disable=SC2034 # used by lib/observer

load lib/common
load lib/observer

ROUNDS=${URINGSHIM_TEST_ROUNDS:-500}
EAGER=(URINGSHIM_TEST_EAGER=1 URINGSHIM_MAX_DELAY_US=1000000)

@test "the observer is content natively" {
    local channel
    for channel in $(channels); do
        ROUNDS=100 observe_channel 0 "$channel" || (($? == 77))
    done
}

@test "the observer notices on every channel when the record is held back" {
    local channel
    observer=(--forget)
    for channel in $(channels); do
        ROUNDS=100 observe_channel 1 "$channel" 2>/dev/null || (($? == 77))
    done
}

@test "writes to streams, engine auto" { observe writes "${EAGER[@]}" URINGSHIM_ENGINE=auto; }
@test "writes to streams, engine ring" { observe writes "${EAGER[@]}" URINGSHIM_ENGINE=ring; }
@test "writes to streams, engine direct" { observe writes "${EAGER[@]}" URINGSHIM_ENGINE=direct; }

@test "messages, engine auto" { observe messages "${EAGER[@]}" URINGSHIM_ENGINE=auto; }
@test "messages, engine ring" { observe messages "${EAGER[@]}" URINGSHIM_ENGINE=ring; }
@test "messages, engine direct" { observe messages "${EAGER[@]}" URINGSHIM_ENGINE=direct; }

@test "names, attributes and locks, engine auto" { observe names "${EAGER[@]}" URINGSHIM_ENGINE=auto; }
@test "names, attributes and locks, engine ring" { observe names "${EAGER[@]}" URINGSHIM_ENGINE=ring; }
@test "names, attributes and locks, engine direct" { observe names "${EAGER[@]}" URINGSHIM_ENGINE=direct; }

@test "shared memory, engine auto" { observe memory "${EAGER[@]}" URINGSHIM_ENGINE=auto; }
@test "shared memory, engine ring" { observe memory "${EAGER[@]}" URINGSHIM_ENGINE=ring; }
@test "shared memory, engine direct" { observe memory "${EAGER[@]}" URINGSHIM_ENGINE=direct; }

# Deferring goes on while nobody else has the memory, and must end before the other program begins.
@test "memory that a started program inherits" {
    local way engine
    for way in spawn vfork system popen; do
        "${PATIENTLY[@]}" "$VICTIMS/memory_inherited" "$way"
        for engine in auto ring direct; do
            shim "${EAGER[@]}" URINGSHIM_ENGINE=$engine "${PATIENTLY[@]}" "$VICTIMS/memory_inherited" "$way" ||
                fail "$way, $engine"
        done
    done
    assert_deferred
}

@test "processes, engine auto" { observe processes "${EAGER[@]}" URINGSHIM_ENGINE=auto; }
@test "processes, engine ring" { observe processes "${EAGER[@]}" URINGSHIM_ENGINE=ring; }
@test "processes, engine direct" { observe processes "${EAGER[@]}" URINGSHIM_ENGINE=direct; }

# What a user runs: the policy decides what is deferred, and the flusher is at work.
@test "every family, all settings at their defaults" {
    local family
    ROUNDS=$((ROUNDS / 4 + 1))
    deferred_in() { :; }
    for family in writes messages names memory processes; do
        observe "$family"
    done
}

@test "a program that was just written can be run: nothing holds its file open when close has returned" {
    # shellcheck disable=SC2016 # perl's variables
    shim URINGSHIM_ENGINE=ring URINGSHIM_TEST_EAGER=1 perl -e 'local $/; open I, "<", "/bin/true"; my $all = <I>;
        for my $round (1 .. 150) {
            open O, ">", "copy" or die; chmod 0755, "copy";
            syswrite O, substr($all, 64 * $_, 64) for 0 .. length($all) / 64;
            close O;
            die "round $round: $!" if system { "./copy" } "copy";
        }'
    assert_deferred
}

# segment HOW: the writer's answer, and how many of its 4,000 records, of which 2,000 are counted in the segment, it deferred.
segment() {
    local status=0
    "$VICTIMS/memory_segment" "$1" || status=$?
    [[ $status != 77 ]] || return 77
    : >"$STATS"
    shim "${EAGER[@]}" "${PATIENTLY[@]}" "$VICTIMS/memory_segment" "$1" 3>&- || fail "$1: $?, natively $status"
}

@test "a segment that nobody else has, and nobody is meant to get, is no channel; nor when he is gone who had it" {
    local how
    for how in alone after; do
        segment $how
        (($(stat_value write.deferred) > 3900)) || fail "$how" "$(cat "$STATS")"
    done
}

@test "one that others may attach, that a child has, that somebody attached, or that can't be asked after, is" {
    local how
    local -A most=([lasting]=4000)
    for how in lasting inherited joined renamed; do
        segment $how || { (($? == 77)) && echo "$how: not on this machine" && continue; }
        (($(stat_value passed.shared_memory) >= (${most[$how]:-2000}))) || fail "$how" "$(cat "$STATS")"
    done
}
