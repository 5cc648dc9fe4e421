#!/usr/bin/env bats
# Causal freshness of streams that are peeked at: whoever has been told, by whatever channel, that there is more, or no more,
# gets it at once; a writer that waits for room gets it when it would have natively; and of what several read of one
# pipe, nobody gets a byte that another one has had.
# URINGSHIM_TEST_ROUNDS beyond its default: that much more of everything.
# shellcheck disable=SC2030,SC2031,SC2154 # lib/peeks sets, and a test has settings of its own

load lib/common
load lib/compare
load lib/streams
load lib/peeks

ROUNDS=$((${URINGSHIM_TEST_ROUNDS:-1000} / 125))

# told KIND [NAME=VALUE]: by each channel. Without the clock whoever waits must settle, and who computes can't.
told() {
    local channel without=none
    [[ -z ${2-} ]] || without=computing
    for channel in $("$VICTIMS/peeks_told" --list | grep -vx "$without"); do
        "${PATIENTLY[@]}" "${under[@]}" env "${@:2}" "$VICTIMS/peeks_told" "$1" "$channel" "$ROUNDS" "$RANDOM" 3>&- || fail "$channel" || return
    done
}

@test "there is more in a pipe, or no more, and a full one is emptied" {
    peeked_everywhere told pipe
}

@test "the same, and the clock takes nothing" {
    peeked_everywhere told pipe "$SLOW"
}

@test "the same of a socket" {
    peeked_everywhere told unix
}

# tokens READERS…: each `s`, under the library where that is, or `n`, natively, among them.
tokens() {
    local readers=() kind
    for kind; do
        case $kind in
        n) readers+=("env -u $PRELOAD $VICTIMS/peeks_tokens --reader") ;;
        s) readers+=("$VICTIMS/peeks_tokens --reader") ;;
        esac
    done
    "${PATIENTLY[@]}" "${under[@]}" "$VICTIMS/peeks_tokens" "$ROUNDS" "$RANDOM" "${readers[@]}" 3>&-
}

@test "tokens in a pipe: three to nine readers, under the library and not" {
    PEEK_MODES=("${PEEK_MODES[@]:0:2}" "URINGSHIM_TEST_EAGER=1 $SLOW")
    peeked_everywhere tokens s n
    peeked_everywhere tokens n s n
    peeked_everywhere tokens n n n n s s s s
}

# Each scene says what it has found: the same in every mode.
@test "two readers of one stream, however the second one came to have it; and packets" {
    local scene mode
    PEEK_MODES=("${PEEK_MODES[@]:0:3}")
    for scene in $("$VICTIMS/peeks_two" --list); do
        recorded_native "$VICTIMS/peeks_two" "$scene" || return
        for mode in "${PEEK_MODES[@]}"; do
            peeked_as_recorded "$mode" "$VICTIMS/peeks_two" "$scene" || return
        done
    done
}
