# shellcheck shell=bash
# shellcheck disable=SC2034 # used by the test files
# Programs that write to streams, natively and in every mode that makes a difference there. Needs common.bash and compare.bash.

# Each a list of words.
EAGERLY='URINGSHIM_OWN_CALLS=ignore URINGSHIM_TEST_EAGER=1'
STREAM_MODES=(URINGSHIM_OWN_CALLS=ignore "$EAGERLY" "$EAGERLY URINGSHIM_ENGINE=ring" "$EAGERLY URINGSHIM_ENGINE=direct"
    "$EAGERLY URINGSHIM_ORDER=thread" "$EAGERLY URINGSHIM_STREAMS=0")
# The background flush is not to do what a barrier, or whoever waits, should.
SLOW=URINGSHIM_MAX_DELAY_US=1000000

# in_stream_modes CMD [ARG]…: does what was recorded as `native` in each.
in_stream_modes() {
    local mode words
    for mode in "${STREAM_MODES[@]}"; do
        read -r -a words <<<"$mode"
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
