# shellcheck shell=sh
# For the subcommands that run CMD once and report afterwards. Sourced by them.
# shellcheck disable=SC2154

# Ends as CMD did. The shell puts death by signal 15 and exit status 143 into the same number, but
# names a death (in $shim_temp/death) unless the signal was INT or PIPE: that tells them apart.
end_like() { # STATUS
    case $1 in
    130 | 141) ;;
    *) [ -s "$shim_temp/death" ] || exit "$1" ;;
    esac
    rm -rf "$shim_temp"
    trap - EXIT INT QUIT TERM HUP
    # shellcheck disable=SC3045 # every sh of Linux has it
    ulimit -c 0 # CMD has dumped its core: ours must not replace it
    kill -"$(($1 - 128))" $$
    exit "$1" # the signal is ignored here
}

# Why no process reported: the library itself is tried in a program that it can be loaded into.
why_no_report() {
    (
        unset URINGSHIM_ONLY URINGSHIM_SKIP URINGSHIM_SURVEY
        export "URINGSHIM_STATS=$shim_temp/trial"
        run sh -c :
    ) 2>"$shim_temp/said"
    if [ -s "$shim_temp/trial" ]; then
        echo "no process reported (static, setuid, ${URINGSHIM_ONLY+not in URINGSHIM_ONLY, }${URINGSHIM_SKIP+in \
URINGSHIM_SKIP, }or ended by a signal)"
    elif [ "${URINGSHIM-}" = off ]; then
        echo "no process reported (URINGSHIM=off)"
    else
        echo "the library does not load here: $(head -n 1 "$shim_temp/said")"
    fi
}

# Runs CMD with one more variable, calls REPORT, whose output goes to standard error, and ends as CMD did.
run_reporting() { # REPORT NAME=VALUE [--] CMD…
    shim_report=$1 shim_setting=$2
    shift 2
    case ${1-} in
    --) shift ;;
    -*) unknown_option "$1" ;;
    esac
    check_command "$@"
    check_program "$1"
    # What ends CMD must not end the report; a trapped signal, unlike an ignored one, is default in CMD.
    trap : INT QUIT TERM HUP
    {
        (
            export "${shim_setting?}"
            run "$@"
        ) 2>&7 7>&-
        shim_status=$? # in here: the shell names a death only at the next command
    } 7>&2 2>"$shim_temp/death"
    "$shim_report" >&2
    end_like "$shim_status"
}
