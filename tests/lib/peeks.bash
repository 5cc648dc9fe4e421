# shellcheck shell=bash
# shellcheck disable=SC2034,SC2317 # used by the test files
# Programs that read pipes and sockets in small pieces, natively and under the library. Needs common.bash, compare.bash and
# streams.bash.

PEEK_MODES=("${STREAM_MODES[@]}" "URINGSHIM_TEST_EAGER=1 URINGSHIM_READAHEAD=0")

# assert_peeked MODE: where all is peeked at that can be, something was (and so served), unless nobody can see who else
# reads it; where nothing may be, nothing was.
assert_peeked() {
    case $1 in
    *URINGSHIM_STREAMS=0* | *URINGSHIM_READAHEAD=0*) (($(stat_value peek.filled) == 0)) || fail "$1: a stream was peeked at" ;;
    *URINGSHIM_TEST_EAGER=1*) (($(stat_value peek.filled) > 0)) || blinded || fail "$1: no stream was peeked at" ;;
    esac
}

# peeked_as_recorded MODE CMD [ARG]…: CMD does in that mode what was recorded as `native`.
peeked_as_recorded() {
    local settings
    rm -f "$STATS"
    read -ra settings <<<"URINGSHIM_OWN_CALLS=ignore $1"
    same_as_recorded shim "${settings[@]}" "${PATIENTLY[@]}" "${@:2}" || fail "$*: differs" || return
}

# recorded_native CMD [ARG]…: what must succeed natively.
recorded_native() {
    record native "${PATIENTLY[@]}" "$@"
    grep -qx 'status 0' native.result || fail "does not work natively: $(cat native.result)"
}

# same_peeks CMD [ARG]…: natively and in each mode.
same_peeks() {
    local mode
    recorded_native "$@" || return
    for mode in "${PEEK_MODES[@]}"; do
        peeked_as_recorded "$mode" "$@" && assert_peeked "$mode" || return
    done
}

# peeked_everywhere CMD [ARG]…: natively and in each mode; CMD runs its victims under "${under[@]}".
peeked_everywhere() {
    local mode settings under=()
    "$@" || fail "natively: $*" || return
    for mode in "${PEEK_MODES[@]}"; do
        rm -f "$STATS"
        read -ra settings <<<"URINGSHIM_OWN_CALLS=ignore $mode"
        under=(env "$PRELOAD=$LIB${LD_PRELOAD:+:$LD_PRELOAD}" URINGSHIM_STATS="$STATS" "${settings[@]}")
        "$@" || fail "$mode: $*" || return
        assert_peeked "$mode" || return
    done
}

# once_shared CMD [ARG]…: the same, of a stream that is, or soon will be, known to others: it needn't be peeked at.
once_shared() {
    assert_peeked() { :; }
    "$@"
}
