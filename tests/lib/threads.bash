# shellcheck shell=bash
# Programs with threads, and another process that watches what they write. Needs common.bash.

# shellcheck disable=SC2034 # used by the test files
ENGINES=(URINGSHIM_ENGINE=auto URINGSHIM_ENGINE=ring URINGSHIM_ENGINE=direct)

# watched WHAT HOW_OFTEN VICTIM… : runs VICTIM… FILE under the library while another process watches the file.
watched() {
    local what=$1 often=$2 watcher
    rm -f watched "$STATS"
    "$VICTIMS/threads_watch" "$what" "$often" 500 watched >seen 3>&- &
    watcher=$!
    shim "${@:3}" watched
    wait "$watcher" || fail "${*:3}: $(cat seen)"
    assert_deferred
}
