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
    "${@:2}" || fail "$*"
}

# everywhere CMD [ARG]…: natively, and in each mode.
everywhere() {
    local mode
    natively "$@" || return
    for mode in "${STREAM_MODES[@]}"; do
        under_mode "$mode" "$@" || return
    done
}
