#!/usr/bin/env bats
# Causal freshness: whoever has been told, by whatever channel, that bytes of a file have changed reads the changed ones,
# though they may have been read ahead before. Each channel is tried alone, and with each way to read by turns.
# shellcheck disable=SC2030,SC2031,SC2317 # tests have settings, and a judge of the statistics, of their own

load lib/common

ROUNDS=${URINGSHIM_TEST_ROUNDS:-40}
SEED=${URINGSHIM_TEST_SEED:-$RANDOM}

channels() {
    "$VICTIMS/freshness" --list "$@"
}

# told [OPTION] CHANNEL ROUNDS [WAY]: one run of the victim, under what stands in UNDER.
UNDER=()
told() {
    local options=()
    [[ $1 != -* ]] || { options=("$1") && shift; }
    rm -rf scene && mkdir scene
    : >"$STATS"
    "${UNDER[@]}" "${PATIENTLY[@]}" "$VICTIMS/freshness" "${options[@]}" "$1" "$2" "$SEED" scene "${@:3}" 3>&-
}

# fresh FAMILY [OPTION]: no channel of the family lets anything stale be seen. `served` judges by the statistics.
fresh() {
    local channel status wrong=0
    echo "seed $SEED"
    for channel in $(channels "$1"); do
        status=0
        told "${@:2}" "$channel" "$ROUNDS" || status=$?
        case $status in
        0) served "$1" || { echo "$channel: $(cat "$STATS")" && wrong=1; } ;;
        77) echo "$channel: not on this machine" ;;
        *) echo "$channel: status $status" && wrong=1 ;;
        esac
    done
    return $wrong
}

# Most reads were answered from windows, each round had one, and it was the message that ended it. While memory is shared
# there is none.
served() {
    if [[ $1 == memory ]]; then
        (($(stat_value window.filled) < 10))
    else
        (($(stat_value read.served) > ROUNDS / 8 && $(stat_value window.input) > ROUNDS / 16))
    fi
}

# Another thread listens, and windows at the position are for programs without one: so not every channel had any, as few
# as its rounds are.
fresh_in_threads() {
    local windows=0
    served() { windows=$((windows + $(stat_value window.filled))); }
    fresh threads --thread
    ((windows > ROUNDS)) || fail "$windows windows"
}

eager() {
    UNDER=(shim URINGSHIM_TEST_EAGER=1 "$@")
}

@test "the reader is content natively" {
    served() { :; }
    ROUNDS=$((ROUNDS / 8 + 1))
    fresh messages
    fresh names
    fresh memory
    fresh threads --thread
}

# 141: one side has noticed and gone, and the other one has spoken to it.
@test "the reader notices on every channel when nothing is changed" {
    local channel status
    for channel in $(channels); do
        status=0
        told --forget "$channel" 20 2>/dev/null || status=$?
        [[ $status == 1 || $status == 141 || $status == 77 ]] || fail "$channel: status $status"
    done
}

# What the rest is worth: who reads on without having heard anything reads what was read ahead, in every way of reading
# that windows serve.
@test "without a message what was read ahead is stale" {
    local way
    for way in $("$VICTIMS/freshness" --ways); do
        UNDER=()
        [ "$(told --unheard pipe 100 "$way")" = 0 ]
        eager
        case $way in
        readv | large | dup) [ "$(told --unheard pipe 100 "$way")" = 0 ] || fail "$way" ;;
        *) (($(told --unheard pipe 100 "$way") > 0)) || fail "$way" ;;
        esac
    done
}

@test "messages" {
    eager
    fresh messages
}

@test "names, attributes, locks and other files" {
    eager
    fresh names
}

@test "shared memory" {
    eager
    fresh memory
}

@test "a thread that waits for the message tells the reader by a word in memory" {
    eager
    fresh_in_threads
}

@test "messages, only reading ahead" {
    eager URINGSHIM_BATCH=0
    ROUNDS=$((ROUNDS / 4 + 1))
    fresh messages
    fresh_in_threads
}

@test "messages, order kept within each thread only" {
    eager URINGSHIM_ORDER=thread
    ROUNDS=$((ROUNDS / 4 + 1))
    fresh messages
    fresh_in_threads
}

# What a user runs. Windows that messages end don't pay, so that there are few of them: not on every channel.
@test "every family, all settings at their defaults" {
    local family windows=0
    UNDER=(shim)
    served() { windows=$((windows + $(stat_value window.filled))); }
    ROUNDS=$((ROUNDS / 4 + 17))
    for family in messages names; do
        fresh "$family"
    done
    fresh_in_threads
    ((windows > ROUNDS)) || fail "$windows windows"
    served() { (($(stat_value window.filled) < 10)); }
    fresh memory
}

@test "with reading ahead off there is no window" {
    served() { (($(stat_value window.filled) == 0 && $(stat_value read.served) == 0)); }
    ROUNDS=20
    eager URINGSHIM_READAHEAD=0
    fresh messages
    eager URINGSHIM=observe
    fresh messages
}

# A window is one reading of many bytes: whoever reads on in it must not come upon older ones than he has seen.
@test "a file that is written all the time is a message about itself" {
    local direction
    for direction in forth back; do
        "${PATIENTLY[@]}" "$VICTIMS/freshness_order" "$direction" 100 . 3>&-
        eager
        "${UNDER[@]}" "${PATIENTLY[@]}" "$VICTIMS/freshness_order" "$direction" 2000 . 3>&-
        (($(stat_value read.served) > 0))
    done
}

@test "memory begins to be shared while another thread reads" {
    "${PATIENTLY[@]}" "$VICTIMS/freshness_sharing" 20 3>&-
    eager
    "${UNDER[@]}" "${PATIENTLY[@]}" "$VICTIMS/freshness_sharing" $((ROUNDS * 10)) 3>&-
    (($(stat_value read.served) > 0))
}

@test "a function of libc learns something while it calls the program back" {
    mkdir native shimmed
    "${PATIENTLY[@]}" "$VICTIMS/freshness_inside" native 3>&-
    eager
    "${UNDER[@]}" "${PATIENTLY[@]}" "$VICTIMS/freshness_inside" shimmed 3>&-
}
