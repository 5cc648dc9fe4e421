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

# Wall, user and system seconds of CMD and its children, appended to FILE. bash, for its clock: sh has hundredths.
timed() { # FILE PRELOAD CMD…
    # The braces make bash keep the clock itself: it would leave that to the subshell, which execs.
    # shellcheck disable=SC2016 # expanded by the bash that it is for
    from_start bash -c 'TIMEFORMAT="%R %U %S"
        { time { ( [ -z "$2" ] || export LD_PRELOAD=$2; exec "${@:3}" ) 2>&7 7>&-; }; } 7>&2 2>>"$1"' uringshim "$@"
    shim_ended="$shim_ended $?"
}

# Did CMD start more than itself?
starts_others() {
    awk '$NF ~ /^execve(at)?$/ && $4 ~ /^[0-9]+$/ { calls += $4 } END { exit calls < 2 }' "$shim_temp/native"
}

# A run of its own: a report costs system calls, which the others are there to count.
count_left_out() { # CMD…
    : >"$shim_temp/stats.json"
    timed /dev/null "$shim_preload" env "URINGSHIM_STATS=$shim_temp/stats.json" "$@"
    grep -o '"left_out\.[^,}]*' "$shim_temp/stats.json" | sed 's/.*:/left out /' >"$shim_temp/left_out"
}

command_main() { # [--json] [--runs N] [--output FILE] [--] CMD…
    shim_form=table shim_runs=1 shim_output=/dev/stderr
    while :; do
        case ${1-} in
        --json) shim_form=json ;;
        --runs | --output)
            [ $# -gt 1 ] || fail 125 "$1 needs an argument"
            case $1 in
            --runs) shim_runs=$2 ;;
            --output) shim_output=$2 ;;
            esac
            shift
            ;;
        *) break ;;
        esac
        shift
    done
    case $shim_runs in
    '' | 0* | *[!0-9]*) fail 125 "--runs needs a number from 1 on, not $shim_runs" ;;
    esac
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
    shim_run=0
    while [ "$shim_run" -lt "$shim_runs" ]; do
        timed "$shim_temp/native.time" "" "$@"
        timed "$shim_temp/shimmed.time" "$shim_preload" "$@"
        shim_run=$((shim_run + 1))
    done
    : >"$shim_temp/left_out"
    starts_others && count_left_out "$@"
    compared "$shim_form" "$*" >"$shim_temp/compared"
    if [ "$shim_output" = /dev/stderr ]; then # opened anew it would be written from its beginning
        cat "$shim_temp/compared" >&2
    else
        cat "$shim_temp/compared" >"$shim_output" || fail 125 "cannot write $shim_output"
    fi
    # shellcheck disable=SC2086 # a status for each run
    set -- $shim_ended
    for shim_status; do
        [ "$shim_status" = "$1" ] || fail 125 "the runs ended differently: statuses$shim_ended"
    done
    exit "$1"
}

# What strace and the clock left in $shim_temp, as a table, or as a line of JSON.
compared() { # table|json COMMAND
    form=$1 command=$2 awk '
    function percent(native, shimmed) {
        return native ? sprintf("%.1f%%", 100 * shimmed / native) : "-"
    }
    # Of the values of one column of times: sorted in place, few.
    function median(of, file, n,   i, j, swap, at) {
        for (i = 1; i <= n; i++)
            for (j = i; j > 1 && of[file, j - 1] > of[file, j]; j--) {
                swap = of[file, j]
                of[file, j] = of[file, j - 1]
                of[file, j - 1] = swap
            }
        at = int((n + 1) / 2)
        return n % 2 ? of[file, at] : (of[file, at] + of[file, at + 1]) / 2
    }
    function row(name, native, shimmed, how) {
        printf "%-32s %15" how " %15" how " %12s\n", name, native, shimmed, percent(native, shimmed)
    }
    function pair(name, native, shimmed) {
        return "\"" name "\":{\"native\":" native ",\"shimmed\":" shimmed "}"
    }
    $1 == "left" { left_out += $3; next }
    FNR == 1 { file++ }
    { gsub(/,/, ".") }
    file <= 2 && $4 ~ /^[0-9]+$/ && $NF != "total" {
        calls[$NF, file] = $4
        total[file] += $4
        names[$NF]
    }
    file > 2 && /^[0-9.]+ [0-9.]+ [0-9.]+$/ {
        wall[file, ++runs[file]] = $1
        cpu[file, runs[file]] = $2 + $3
    }
    END {
        native_wall = median(wall, 3, runs[3])
        shimmed_wall = median(wall, 4, runs[4])
        native_cpu = median(cpu, 3, runs[3])
        shimmed_cpu = median(cpu, 4, runs[4])
        if (ENVIRON["form"] == "json") {
            command = ENVIRON["command"]
            gsub(/[^ !#-\[\]-~]/, "?", command)
            for (name in names)
                list = list (list == "" ? "" : ",") pair(name, calls[name, 1] + 0, calls[name, 2] + 0)
            printf "{\"command\":\"%s\",\"runs\":%d,\"calls\":{%s},\"left_out\":%d,%s,%s,%s}\n", command, runs[3], list, left_out, \
                pair("total", total[1] + 0, total[2] + 0), pair("wall_seconds", native_wall, shimmed_wall), \
                pair("cpu_seconds", native_cpu, shimmed_cpu)
            exit
        }
        printf "%-32s %15s %15s %12s\n", "system call", "native", "shimmed", "of native"
        fflush()
        sorted = "sort -k2,2nr -k3,3nr -k1,1"
        for (name in names)
            printf "%-32s %15d %15d %12s\n", name, calls[name, 1], calls[name, 2], \
                percent(calls[name, 1], calls[name, 2]) | sorted
        close(sorted)
        row("total", total[1], total[2], "d")
        row(runs[3] > 1 ? "wall time, s, median of " runs[3] : "wall time, s", native_wall, shimmed_wall, ".3f")
        row("CPU time (user + system), s", native_cpu, shimmed_cpu, ".3f")
        if (left_out)
            printf "%-32s %15s %15d\n", "started without, can\047t gain", "", left_out
    }' "$shim_temp/native" "$shim_temp/shimmed" "$shim_temp/native.time" "$shim_temp/shimmed.time" "$shim_temp/left_out"
}
