# shellcheck shell=bash
# shellcheck disable=SC2154 # set by tests
# A program that writes is killed at random instants. Needs common.bash; KILLS is how often, and `options` and
# `check_options` are prefix_writer's and prefix_check's own.

# kill_writer [NAME=VALUE]…: under the library with these settings. URINGSHIM_TEST_SEED is where its seeds begin.
kill_writer() {
    local seed=${URINGSHIM_TEST_SEED:-$((RANDOM * RANDOM))}
    echo "$KILLS kills from seed $seed: $* prefix_writer ${options[*]}"
    # A victim that is killed reports no statistics: that it defers is seen from one that ends by itself.
    rm -rf whole killed && mkdir whole killed
    rm -f "$STATS"
    shim "$@" "$VICTIMS/prefix_writer" "${options[@]}" --steps 4000 "$seed" whole >reports
    assert_deferred
    "$VICTIMS/prefix_check" "${check_options[@]}" "$KILLS" "$seed" killed \
        env "$PRELOAD=$LIB" "$@" "$VICTIMS/prefix_writer" "${options[@]}"
}
