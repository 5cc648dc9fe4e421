# shellcheck shell=bash
# shellcheck disable=SC2034 # used by the test files
# Programs that write to pipes and sockets, natively and under the library. Needs common.bash.

# The library's ways with streams, each a line of settings.
STREAM_MODES=(URINGSHIM_TEST_EAGER=0 URINGSHIM_TEST_EAGER=1 "URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring"
    "URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=direct" "URINGSHIM_TEST_EAGER=1 URINGSHIM_ORDER=thread"
    "URINGSHIM_TEST_EAGER=1 URINGSHIM_STREAMS=0")

# Those in which all that can be deferred is.
EAGER_MODES=("${STREAM_MODES[@]:1:3}")

# natively CMD [ARG]…, under_mode MODE CMD [ARG]…: CMD, which runs its victims under "${under[@]}".
natively() {
    local under=()
    "$@" || fail "natively: $*"
}

under_mode() {
    local settings under
    read -ra settings <<<"URINGSHIM_OWN_CALLS=ignore $1"
    under=(env "$PRELOAD=$LIB${LD_PRELOAD:+:$LD_PRELOAD}" URINGSHIM_STATS="$STATS" "${settings[@]}")
    rm -f "$STATS"
    "${@:2}" || fail "$*" || return
    # What was passed through has proved nothing.
    case $1 in
    *URINGSHIM_STREAMS=0*) (($(stat_value stream.deferred) == 0)) || fail "$*: streams were deferred" ;;
    *URINGSHIM_TEST_EAGER=1*) (($(stat_value stream.deferred) > 0)) || fail "$*: no write to a stream was deferred: $(cat "$STATS")" ;;
    esac
}

# everywhere CMD [ARG]…: natively, and in each mode.
everywhere() {
    local mode
    natively "$@" || return
    for mode in "${STREAM_MODES[@]}"; do
        under_mode "$mode" "$@" || return
    done
}

# The background flush is not to do what a barrier, or whoever waits, should.
SLOW=URINGSHIM_MAX_DELAY_US=1000000

# in_stream_modes CMD [ARG]…: does in each of STREAM_MODES what was recorded as `native`. Needs compare.bash, as the next two.
in_stream_modes() {
    local mode words
    for mode in "${STREAM_MODES[@]}"; do
        read -ra words <<<"URINGSHIM_OWN_CALLS=ignore $mode"
        same_as_recorded shim "${words[@]}" "${PATIENTLY[@]}" "$@" || fail "$*: differs with $mode" || return
    done
}

# same_stream CMD [ARG]…: natively, and in each mode.
same_stream() {
    record native "${PATIENTLY[@]}" "$@"
    ! grep -Exq 'status (9[89]|12[67]|137)' native.result || fail "natively: $(cat native.result)" || return
    in_stream_modes "$@"
}

# The same, for what must succeed natively.
stream_works() {
    same_stream "$@" || return
    grep -qx 'status 0' native.result || fail "does not work natively: $(cat native.result)"
}

# A library that defers no streams doesn't count them.
assert_stream_deferred() {
    ! grep -q '"stream.deferred"' "$STATS" || (($(stat_value stream.deferred) > 0)) || fail "no stream was deferred: $(cat "$STATS")"
}
