# shellcheck shell=bash
# Random programs, run natively and under the library, and compared. Needs common.bash; `program` is random_ops, or
# random_streams, `options` are its own, `ops` is how many operations it performs, or turns.
program=random_ops

# run_program NAME SEED [NAME=VALUE]…: natively, or under the library with these settings if there are any. Leaves
# NAME.tree and NAME.log, which says nothing of the order in which threads log. Ends even a program whose own alarm is
# lost.
run_program() {
    local name=$1 seed=$2 under=()
    (($# == 2)) || under=(env "$PRELOAD=$LIB${LD_PRELOAD:+:$LD_PRELOAD}" URINGSHIM_STATS="$STATS" URINGSHIM_OWN_CALLS=ignore "${@:3}")
    local victim=("${PATIENTLY[@]}" "${under[@]}" "$VICTIMS/$program" "${options[@]}" "$seed" "$ops" "$name.tree")
    rm -rf "$name.tree"
    mkdir "$name.tree"
    if [[ ${log_to:-file} == pipe ]]; then
        "${victim[@]}" 2>"$name.errors" 3>&- | cat >log
    else
        "${victim[@]}" >log 2>"$name.errors" 3>&-
    fi || return
    sort -s -k 1,1 log >"$name.log"
}

same_outcome() {
    cmp -s "$1.log" "$2.log" && diff -r --no-dereference "$1.tree" "$2.tree" >/dev/null
}

# compare_program SEED NAME=VALUE…: the same program natively, done before, and under the library. Says how to do it again.
compare_program() {
    local seed=$1 status=0
    run_program shimmed "$@" || status=$?
    if ((status)); then
        tail -n 3 shimmed.errors
        echo "ends with status $status"
    elif ! same_outcome native shimmed; then
        diff native.log shimmed.log | head -n 20 || true
        diff -r --no-dereference -q native.tree shimmed.tree || true
    else
        return 0
    fi
    echo "again: scripts/check-random --one ${*:2} -- $program ${options[*]} $seed $ops"
    return 1
}
