# shellcheck shell=bash
# Programs that write to pipes and sockets, natively and under the library. Needs common.bash.

# shellcheck disable=SC2034 # used by the test files
STREAM_KINDS=(pipe fifo unix tcp)

# The library's ways with streams, each a line of settings.
STREAM_MODES=(URINGSHIM_TEST_EAGER=0 URINGSHIM_TEST_EAGER=1 "URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring"
    "URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=direct" "URINGSHIM_TEST_EAGER=1 URINGSHIM_ORDER=thread"
    "URINGSHIM_TEST_EAGER=1 URINGSHIM_STREAMS=0")

# Those in which all that can be deferred is.
EAGER_MODES=("${STREAM_MODES[@]:1:3}")

# under_mode MODE CMD [ARG]…: CMD, which runs its victims under "${under[@]}".
under_mode() {
    local under
    read -ra under <<<"shim URINGSHIM_OWN_CALLS=ignore $1"
    rm -f "$STATS"
    "${@:2}" || fail "$*"
}

# everywhere CMD [ARG]…: natively, and in each mode.
everywhere() {
    local under=() mode
    "$@" || fail "natively: $*" || return
    for mode in "${STREAM_MODES[@]}"; do
        under_mode "$mode" "$@" || return
    done
}
