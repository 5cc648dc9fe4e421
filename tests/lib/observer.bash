# shellcheck shell=bash
# A sender that tells an observer by each channel (victims/observer.c). Needs common.bash; ROUNDS is how often, `observer`
# are the observer's own options, and `deferred_in FAMILY` says whether as much was deferred as must have been.

observer=()

channels() {
    "$VICTIMS/observer" --list "$@"
}

# observe_channel STATUS CHANNEL [CMD]…: under CMD; fails unless the status is this one, or there is no such channel here.
observe_channel() {
    local status=0
    rm -rf scene && mkdir scene
    "${@:3}" "$VICTIMS/observer" "${observer[@]}" "$2" "$ROUNDS" scene || status=$?
    ((status != 77)) || echo "$2: not on this machine"
    [[ $status == "$1" || $status == 77 ]] || { echo "$2: status $status, $*" && return 1; }
    ((status != 77)) || return 77
}

# observe FAMILY [NAME=VALUE]…: runs each channel of the family under the library.
observe() {
    local family=$1 channel status wrong=0
    shift
    for channel in $(channels "$family"); do
        : >"$STATS"
        status=0
        observe_channel 0 "$channel" shim "$@" || status=$?
        case $status in
        0) deferred_in "$family" || { echo "$channel: no write was deferred" && wrong=1; } ;;
        77) ;;
        *) wrong=1 ;;
        esac
    done
    return $wrong
}

# A channel that is a memory shared beforehand rules deferring out, and a process that is killed leaves no statistics.
deferred_in() {
    case $1 in
    writes | messages | names) (($(stat_value write.deferred) > 0)) ;;
    esac
}
