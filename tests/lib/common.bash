# shellcheck shell=bash
# What every bats file shares. `load lib/common` gives each test a scratch directory on a real file
# system, `shim` to run a command under the library, and readers for the library's own statistics.

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
# Both can point elsewhere, at a sanitizer build for instance.
LIB=${URINGSHIM_TEST_LIB:-$ROOT/build/liburingshim.so}
# shellcheck disable=SC2034 # used by the test files
VICTIMS=${URINGSHIM_TEST_VICTIMS:-$ROOT/build/victims}

# How a program gets the library. Where programs are emulated, the emulator's own program must not: scripts/check-core.
PRELOAD=${URINGSHIM_TEST_PRELOAD:-LD_PRELOAD}

# Each way to run the library, as assignments for `shim`: `for mode in "${MODES[@]}"; do shim "$mode" cmd; done`
# shellcheck disable=SC2034
MODES=(URINGSHIM_ENGINE=auto URINGSHIM_ENGINE=ring URINGSHIM_ENGINE=direct URINGSHIM_ORDER=thread URINGSHIM_BATCH=0
    URINGSHIM=observe URINGSHIM_SQPOLL=1)

# No test measures the machine: a limit is there to end what hangs, far beyond ten times what the slowest machine takes
# natively, and it's this one everywhere (in a victim: HANG_SECONDS, which is less). What is repeated is as often as a fault
# needs to be seen, and no oftener: more is for URINGSHIM_TEST_ROUNDS and its like.
# shellcheck disable=SC2034
PATIENTLY=(timeout -s KILL 600)

# /tmp is often a tmpfs, on which much of the library does not act as it does on a disk.
setup() {
    SCRATCH=$(mktemp -d "${URINGSHIM_TEST_DIR:-/var/tmp}/uringshim.XXXXXX")
    STATS=$SCRATCH/stats.json
    cd "$SCRATCH" || return
}

teardown() {
    cd / && rm -rf "$SCRATCH"
}

# Victims that look past the library (victims/bare.h): by default they would be left alone.
LOOK_PAST='^(errors_late|freshness|freshness_inside|freshness_own|lifecycle_own_tls|random_ops|signals_bare|signals_ways|threads_transitions|turn_errors)$'

# own_calls_of CMD [ARG]…: what URINGSHIM_OWN_CALLS is to be for a command.
own_calls_of() {
    local word
    for word; do
        [[ $word == "$VICTIMS"/* && ${word##*/} =~ $LOOK_PAST ]] && echo ignore && return
    done
    echo strict
}

# shim [NAME=VALUE]… CMD [ARG]…: runs CMD, and nothing else, under the library; statistics are appended to $STATS.
shim() {
    URINGSHIM_OWN_CALLS=$(own_calls_of "$@") env "$PRELOAD=$LIB${LD_PRELOAD:+:$LD_PRELOAD}" URINGSHIM_STATS="$STATS" "$@"
}

# stat_value KEY [FILE]: the sum of a statistic over all process images that have reported; 0 where none has it.
stat_value() {
    awk -v key="\"$1\"" '
        {
            at = index($0, key)
            if (at && match(rest = substr($0, at + length(key)), /^[ ]*:[ ]*-?[0-9]+/)) {
                value = substr(rest, 1, RLENGTH)
                sub(/^[ :]*/, "", value)
                sum += value
            }
        }
        END { printf "%d\n", sum }' "${2:-$STATS}"
}

# more_than COUNT KEY COMMAND…: the command, over and over until a statistic of all its runs is above COUNT: how often
# threads and processes meet is the machine's to say. A run that fails ends it, and so do 30 that weren't enough.
more_than() {
    local count=$1 key=$2 round
    rm -f "$STATS"
    for round in {1..30}; do
        "${@:3}" || return
        (($(stat_value "$key") <= count)) || return 0
    done
    fail "$key is $(stat_value "$key") after $round runs"
}

# stat_text KEY [FILE]: a statistic that is a string, of the last process image that has reported.
stat_text() {
    sed -n "s/.*\"$1\" *: *\"\\([^\"]*\\)\".*/\\1/p" "${2:-$STATS}" | tail -n 1
}

fail() {
    printf '%s\n' "$@" >&2
    return 1
}

# A test that claims something about deferred writes proves nothing when none was deferred.
assert_deferred() {
    local deferred
    deferred=$(stat_value write.deferred)
    ((deferred > 0)) || fail "no write was deferred: $(cat "$STATS")"
}

# One about reading ahead, when no read was answered from a window.
assert_served() {
    local served
    served=$(stat_value read.served)
    ((served > 0)) || fail "no read was served: $(cat "$STATS")"
}

# skip_unless REASON CMD [ARG]…: skips the test, saying why, where the probe CMD fails.
skip_unless() {
    local reason=$1
    shift
    "$@" >/dev/null 2>&1 || skip "$reason"
}

need_root() {
    skip_unless "needs root" test "$(id -u)" -eq 0
}

# blinded: it can't be seen who else reads a pipe, so that none is peeked at (docs/limits.md). Sets `blinded_by`.
blinded() {
    local process rest parent session own
    blinded_by="a PID namespace of its own"
    [[ $(readlink /proc/self/ns/pid) == 'pid:[4026531836]' ]] || return 0
    read -r _ _ _ _ _ own _ </proc/self/stat
    while read -r process; do
        rest=$(cat "/proc/$process/stat" 2>/dev/null) || continue
        read -r _ parent _ session _ <<<"${rest##*)}"
        blinded_by="process $process, whose descriptors can't be seen"
        ((process == 1 || parent == 0 || parent == 2 || (parent == 1 && session != own))) || return 0
    done < <(LC_ALL=C find /proc/[0-9]*/fd -lname nothing 2>&1 >/dev/null | sed -n 's|.*/proc/\([0-9]*\)/fd.*Permission denied$|\1|p' | sort -u)
    return 1
}

need_sight() {
    ! blinded || skip "pipes aren't peeked at here: $blinded_by"
}

need_command() {
    skip_unless "needs $1" command -v "$1"
}
