# shellcheck shell=sh
# uringshim top: the counters of a process that was started with URINGSHIM_LIVE=1 (shim/base/live.h). Sourced by
# uringshim, whose variables and functions it uses.
# shellcheck disable=SC2154

top_usage() {
    fail 125 "usage: uringshim top [-d SECONDS] [-n COUNT] PID"
}

# The file's text, then its numbers, as many a line as there are counters.
live_numbers() { # FILE
    head -c 8192 "$1" | tr -d '\000' && od -An -v -tu8 -w8 -j 8192 "$1"
}

# Sums the arrays; the values of the look before stand in FILE.
live_table() { # FILE SECONDS
    awk -v before="$1" -v seconds="$2" '
    BEGIN {
        while ((getline line <before) > 0) {
            split(line, word, " ")
            old[word[1]] = word[2]
            looked = 1
        }
        close(before)
        printf "" >before
    }
    NR == 1 && $0 != "uringshim-live 1" { exit 1 }
    NR == 2 { counters = $2; program = $6 }
    NR > 2 && NR <= 2 + counters { name[NR - 3] = $1 }
    NR > 2 + counters { sum[(NR - 3) % counters] += $1 }
    END {
        if (!counters)
            exit 1
        printf "%s\n%-32s %20s %14s\n", program, "counter", "so far", "a second"
        for (i = 0; i < counters; i++) {
            print name[i], sum[i] + 0 >>before
            if (sum[i])
                printf "%-32s %20.0f %14s\n", name[i], sum[i], \
                    looked ? sprintf("%.0f", (sum[i] - old[name[i]]) / seconds) : ""
        }
    }'
}

command_main() { # [-d SECONDS] [-n COUNT] PID
    shim_every=1 shim_times=0
    while getopts d:n: shim_option; do
        case $shim_option in
        d) shim_every=$OPTARG ;;
        n) shim_times=$OPTARG ;;
        *) top_usage ;;
        esac
    done
    shift $((OPTIND - 1))
    [ $# -eq 1 ] || top_usage
    case $1$shim_times in
    *[!0-9]*) top_usage ;;
    esac
    case $shim_every in
    *[!0-9.]* | .) top_usage ;;
    esac
    shim_live=/dev/shm/uringshim.$1
    [ -d "/proc/$1" ] || fail 125 "there is no process $1"
    [ -e "$shim_live" ] || fail 125 "process $1 shows no counters: it must be started with URINGSHIM_LIVE=1 uringshim ..."
    [ -r "$shim_live" ] || fail 125 "the counters of process $1 are for its own user"
    make_temp
    while :; do
        if [ ! -d "/proc/$1" ] || ! live_numbers "$shim_live" >"$shim_temp/numbers" 2>/dev/null; then
            rm -f "$shim_live" # of one that was killed
            fail 0 "process $1 has ended"
        fi
        [ ! -t 1 ] || printf '\033[H\033[2J'
        live_table "$shim_temp/before" "$shim_every" <"$shim_temp/numbers" || fail 125 "$shim_live is not what it should be"
        [ "$shim_times" -ne 1 ] || exit 0
        shim_times=$((shim_times - (shim_times > 0)))
        sleep "$shim_every"
    done
}
