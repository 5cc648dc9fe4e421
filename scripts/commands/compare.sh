# shellcheck shell=sh
# uringshim compare: CMD natively and shimmed, side by side. Sourced by uringshim, whose variables and functions it uses.
# shellcheck disable=SC2154

# Standard input that is a file is opened anew, so that each run reads it from the start.
from_start() {
    if [ -f /dev/stdin ]; then
        "$@" </dev/stdin
    else
        "$@"
    fi
}

traced() { # FILE [-E NAME=VALUE] -- CMD…
    shim_file=$1
    shift
    from_start strace -f -c -o "$shim_file" "$@"
    shim_ended="$shim_ended $?"
    [ -s "$shim_file" ] || fail 125 "strace could not trace $*"
}

# Wall, user and system seconds of CMD and its children into FILE. bash, for its clock: sh has hundredths.
timed() { # FILE PRELOAD CMD…
    # The braces make bash keep the clock itself: it would leave that to the subshell, which execs.
    # shellcheck disable=SC2016 # expanded by the bash that it is for
    from_start bash -c 'TIMEFORMAT="%R %U %S"
        { time { ( [ -z "$2" ] || export LD_PRELOAD=$2; exec "${@:3}" ) 2>&7 7>&-; }; } 7>&2 2>"$1"' uringshim "$@"
    shim_ended="$shim_ended $?"
}

command_main() { # [--] CMD…
    case ${1-} in
    --) shift ;;
    -*) unknown_option "$1" ;;
    esac
    check_command "$@"
    check_program "$1"
    for shim_tool in strace bash; do
        command -v "$shim_tool" >/dev/null || fail 125 "compare needs $shim_tool, which is not installed"
    done
    make_temp
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    shim_ended=
    traced "$shim_temp/native" -- "$@"
    traced "$shim_temp/shimmed" -E "LD_PRELOAD=$shim_preload" -- "$@"
    timed "$shim_temp/native.time" "" "$@"
    timed "$shim_temp/shimmed.time" "$shim_preload" "$@"
    table >&2
    # shellcheck disable=SC2086 # four statuses
    set -- $shim_ended
    [ "$1 $1 $1" = "$2 $3 $4" ] || fail 125 "the runs ended differently: statuses$shim_ended"
    exit "$1"
}

table() {
    awk '
    function ratio(native, shimmed) {
        return native ? sprintf("%.1f%%", 100 * shimmed / native) : "-"
    }
    FNR == 1 { file++ }
    { gsub(/,/, ".") }
    file <= 2 && $4 ~ /^[0-9]+$/ && $NF != "total" {
        calls[$NF, file] = $4
        total[file] += $4
        names[$NF]
    }
    file > 2 && /^[0-9.]+ [0-9.]+ [0-9.]+$/ {
        wall[file] = $1
        cpu[file] = $2 + $3
    }
    END {
        printf "%-32s %15s %15s %12s\n", "system call", "native", "shimmed", "of native"
        fflush()
        sorted = "sort -k2,2nr -k3,3nr -k1,1"
        for (name in names)
            printf "%-32s %15d %15d %12s\n", name, calls[name, 1], calls[name, 2], \
                ratio(calls[name, 1], calls[name, 2]) | sorted
        close(sorted)
        printf "%-32s %15d %15d %12s\n", "total", total[1], total[2], ratio(total[1], total[2])
        printf "%-32s %15.3f %15.3f %12s\n", "wall time, s", wall[3], wall[4], ratio(wall[3], wall[4])
        printf "%-32s %15.3f %15.3f %12s\n", "CPU time (user + system), s", cpu[3], cpu[4], ratio(cpu[3], cpu[4])
    }' "$shim_temp/native" "$shim_temp/shimmed" "$shim_temp/native.time" "$shim_temp/shimmed.time"
}
