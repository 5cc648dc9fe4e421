# shellcheck shell=bash
# A victim is run natively and in every mode of the library; what it printed, how it ended and what files it left must
# not differ. Needs common.bash.

# A command that gets the victim, with or without `shim` before it, as its arguments: it makes the surroundings, and is
# itself never under the library.
# shellcheck disable=SC2034 # set by tests
AROUND=()
export -f shim own_calls_of
export LIB STATS VICTIMS LOOK_PAST PRELOAD

# tree_of DIR: what is there, byte for byte.
tree_of() {
    (cd "$1" && find . -printf '%P %y %m %l\n' | sort && find . -type f -exec sha256sum {} + | sort -k 2)
}

# record NAME CMD [ARG]…: runs CMD in a fresh directory; leaves its output, status and files in NAME.result. Bats waits
# for whoever has its descriptor 3, and should not for a process that a mistake has left behind.
record() {
    local name=$1 status=0
    shift
    rm -rf run && mkdir run
    (cd run && "${AROUND[@]}" "$@" >"../$name.out" 2>&1 3>&-) || status=$?
    { cat "$name.out" && echo "status $status" && tree_of run; } >"$name.result"
}

# same_as_recorded CMD [ARG]…: CMD does what the one did that was recorded as `native`.
same_as_recorded() {
    record shimmed "$@"
    diff -u native.result shimmed.result
}

# same_as_native CMD [ARG]…: natively, as the policy has it, and in each mode with as much deferred as can be.
same_as_native() {
    local mode
    record native "$@"
    # A victim whose own demands were not met, or that could not even be started, shows nothing.
    grep -Exq 'status (9[89]|12[67])' native.result && { fail "natively: $(cat native.result)" || return; }
    same_as_recorded shim "$@" || fail "differs with the defaults" || return
    for mode in "${MODES[@]}"; do
        same_as_recorded shim URINGSHIM_TEST_EAGER=1 "$mode" "$@" || fail "differs with $mode" || return
    done
}

# The same, for what must succeed natively.
works_as_natively() {
    same_as_native "$@" || return
    grep -qx 'status 0' native.result || fail "does not work natively: $(cat native.result)"
}
