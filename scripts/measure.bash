# shellcheck shell=bash disable=SC2154 # the samples and medians that note_result tells of
# What the scripts that measure share: where things are, and figures from strace and from samples.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
library=$root/build/liburingshim.so
export LC_ALL=C

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

need() { # COMMAND…
    local command
    for command; do
        command -v "$command" >/dev/null || die "needs $command (scripts/setup bench installs it)"
    done
}

[ -f "$library" ] || die "build/liburingshim.so is not there: run make first"

# tool NAME: builds tests/bench/NAME.c where it is newer than what was built, and prints the program's path.
tool() {
    local source=$root/tests/bench/$1.c program=$root/build/bench/$1
    if [ ! "$program" -nt "$source" ]; then
        mkdir -p "$root/build/bench"
        "${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -pthread -o "$program" "$source" || die "cannot build $source"
    fi
    echo "$program"
}

# Prints the path of a library that has nothing in it: what loading any library costs.
empty_library() {
    local empty=$root/build/bench/empty.so
    mkdir -p "$root/build/bench"
    [ -f "$empty" ] || "${CC:-cc}" -shared -x c /dev/null -o "$empty" || die 'cannot build an empty library'
    echo "$empty"
}

# Makes $work on a real disk, for a tmpfs answers differently, and removes it at the end.
make_work() {
    work=$(mktemp -d "${TMPDIR:-/var/tmp}/uringshim.XXXXXX") || exit
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap remove_work EXIT
    case $(file_system "$work") in
    tmpfs | ramfs) printf '%s is on a tmpfs: set TMPDIR to a directory on a disk for figures that count\n' "$work" >&2 ;;
    esac
}

remove_work() {
    rm -rf "$work"
}

file_system() { # DIRECTORY
    findmnt -n -o FSTYPE -T "$1" | tail -n 1 # what is mounted last covers the rest
}

machine() {
    local model
    model=$(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)
    printf '%s, %s CPUs (%s), Linux %s\n' "$(uname -m)" "$(nproc)" "${model:-unnamed}" "$(uname -r)"
}

median() { # NUMBER…
    printf '%s\n' "$@" | sort -g | awk '{ at[NR] = $1 } END { print (at[int((NR + 1) / 2)] + at[int(NR / 2) + 1]) / 2 }'
}

# ratio A B [FORMAT]: A / B, or - where one of them is none.
ratio() {
    awk -v a="$1" -v b="$2" -v format="${3:-%.2f}" 'BEGIN { if (a == "-" || b == 0) print "-"; else printf format "\n", a / b }'
}

# quartiles NUMBERS NUMBERS: of the ratios of the first list's numbers to the second's, each to its own.
quartiles() {
    awk -v above="$1" -v below="$2" 'BEGIN {
        split(below, b, " ")
        for (n = split(above, a, " "); ++i <= n;)
            if (b[i] > 0)
                print a[i] / b[i]
    }' | sort -g | awk '
        { at[NR] = $1 }
        function quartile(q,   place, whole) { # between neighbours, as far as it is
            place = 1 + (NR - 1) * q / 4
            whole = int(place)
            return at[whole] + (place - whole) * (whole < NR ? at[whole + 1] - at[whole] : 0)
        }
        END {
            if (NR)
                printf "%.3f (%.2f to %.2f)\n", quartile(2), quartile(1), quartile(3)
            else
                print "-"
        }'
}

# traced_calls FILE: from the table of strace -c, the calls that write or send, those that read or seek, and all calls.
# Entering a ring counts as writing: it is what the library does instead.
traced_calls() {
    awk '$4 ~ /^[0-9]+$/ && $NF != "total" {
             all += $4
             if ($NF ~ /^(write|writev|pwrite64|pwritev|pwritev2|sendto|sendmsg|sendmmsg|io_uring_enter)$/)
                 writes += $4
             if ($NF ~ /^(read|readv|pread64|preadv|preadv2|lseek)$/)
                 reads += $4
         }
         END { print writes + 0, reads + 0, all + 0 }' "$1"
}

# note_result GROUP NAME [LIMIT]: what was compared last, as a line of $results, if that is wanted: the medians in
# nanoseconds, the ratios native / shimmed of the rounds (median and quartiles), native / LIMIT, and the system calls.
note_result() {
    local middle low high
    [ -n "$results" ] || return 0
    read -r middle low high < <(quartiles "${walls[native]}" "${walls[shimmed]}" | tr -d '(to)')
    {
        printf '{"group":"%s","name":"%s","native_ns":%s,"shimmed_ns":%s,' "$1" "$2" \
            "${wall_median[native]}" "${wall_median[shimmed]}"
        printf '"ratio":%s,"ratio_low":%s,"ratio_high":%s' "$middle" "$low" "$high"
        [ -z "${3-}" ] || printf ',"limit":"%s","limit_ratio":%s' "$3" \
            "$(ratio "${wall_median[native]}" "${wall_median[$3]}")"
        printf ',"cpu_ratio":%s' "$(ratio "${cpu_median[native]-0}" "${cpu_median[shimmed]-0}" | sed 's/^-$/null/')"
        [ ${#native[@]} -eq 0 ] || printf ',"calls_native":%s,"calls_shimmed":%s' "${native[2]}" "${shimmed[2]}"
        echo '}'
    } >>"$results"
}
