# shellcheck shell=bash
# System calls as strace sees them. Needs common.bash. The library's statistics stay off: they would cost calls.

# trace [NAME=VALUE]… CMD [ARG]…: runs CMD under the library; its calls, and those of its children, are in `calls`.
trace() {
    local settings=()
    while [[ $1 == *=* ]]; do
        settings+=(-E "$1")
        shift
    done
    strace -f -qq -s 0 -o calls -E LD_PRELOAD="$LIB" "${settings[@]}" "$@"
}

# The same without the library.
trace_native() {
    strace -f -qq -s 0 -o calls "$@"
}

# count [PATTERN]: how many of the calls have a name that matches, whole.
count() {
    grep -Ec "^[0-9]+ +(${1:-[a-z0-9_]+})\\(" calls || true
}

WRITES='write|pwrite64|writev|pwritev|pwritev2'
# shellcheck disable=SC2034 # used by the test files
WRITE_LIKE="$WRITES|io_uring_enter"

# Each writing call with its descriptor and its length.
writes() {
    sed -En "s/^[0-9]+ +(($WRITES)\([^<=)]*[0-9]).*/\1/p" calls
}

# What only a deferred write may bring about.
assert_no_machinery() {
    local found
    if found=$(grep -E '^[0-9]+ +(io_uring_[a-z]+\(|clone3?\(.*CLONE_THREAD)' calls); then
        fail "before any deferral: $found"
    fi
}
