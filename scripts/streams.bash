# shellcheck shell=bash disable=SC2154,SC2004,SC2034 # what scripts/bench sets and reads, and its tables by name
# The part of scripts/bench that measures streams: small writes to pipes and sockets. Sourced there; needs measure.bash.

preload_of() { # VARIANT: sets preload, as an assignment for the program's environment
    preload=()
    case $1 in
    empty) preload=("LD_PRELOAD=$empty") ;;
    shimmed) preload=("LD_PRELOAD=$library") ;;
    esac
}

# stream_run VARIANT KIND READER SIZE COUNT: sets wall and cpu, nanoseconds a record: until the reader has ended, and of
# both processes. What the reader took to start is in it. Only the writer is shimmed. With apart set each has a processor.
stream_run() {
    local variant=$1 kind=$2 reader=$3 size=$4 count=$5 preload options=() start end writer_cpu reader_cpu
    preload_of "$variant"
    case $variant in
    4-KiB) options=(-b 4096) ;;
    64-KiB) options=(-b 65536) ;;
    esac
    "$pipeline" ${apart:+-a} "$work/ended" "$kind" "${preload[@]}" "$writer" "${options[@]}" "$size" "$count" - '|' "$reader" \
        >/dev/null 2>"$work/printed" || die "failed ($variant): $(tail -n 1 "$work/printed")"
    read -r _ writer_cpu start <"$work/printed"
    read -r end _ reader_cpu <"$work/ended"
    wall=$(awk -v t="$((end - start))" -v n="$count" 'BEGIN { print t / n }')
    cpu=$(awk -v w="$writer_cpu" -v r="$reader_cpu" -v n="$count" 'BEGIN { print w + r / n }')
}

# stream_calls native|shimmed KIND READER SIZE COUNT: system calls of the writer: those that write, that read, and all.
stream_calls() {
    local options=()
    [ "$1" = native ] || options=(-E "LD_PRELOAD=$library")
    "$pipeline" ${apart:+-a} "$work/ended" "$2" strace -f -c -o "$work/calls" "${options[@]}" -- "$writer" "$4" "$5" - '|' "$3" \
        >/dev/null 2>"$work/printed" || die "failed ($1, traced): $(tail -n 1 "$work/printed")"
    traced_calls "$work/calls"
}

# consider SAMPLES: from now on these are what is shown and noted, as if they were what in_turns has compared.
consider() {
    local -n considered=$1
    local variant
    walls=() wall_median=() cpu_median=() native=() shimmed=()
    for variant in "${!considered[@]}"; do
        walls[$variant]=${considered[$variant]}
        # shellcheck disable=SC2086 # a list of numbers
        wall_median[$variant]=$(median ${walls[$variant]})
    done
}

stream_heading() { # TITLE
    printf '\n%s\n%-32s %9s %9s %9s %9s %9s %8s  %-22s %8s\n' "$1" '' native empty shimmed 'by hand,' 'by hand,' native/ \
        'native/shimmed' native/
    printf '%-32s %9s %9s %9s %9s %9s %8s  %-22s %8s\n' '' '' preload '' '4 KiB' '64 KiB' empty '(quartiles)' '64 KiB'
}

stream_line() { # NAME
    local variant
    printf '%-32s' "$1"
    for variant in native empty shimmed 4-KiB 64-KiB; do
        printf ' %9s' "$(ratio "${wall_median[$variant]--}" 1 %.1f)"
    done
    printf ' %8s  %-22s %8s\n' "$(ratio "${wall_median[native]}" "${wall_median[empty]}")" \
        "$(quartiles "${walls[native]}" "${walls[shimmed]}")" "$(ratio "${wall_median[native]}" "${wall_median[64-KiB]-0}")"
}

# stream_row NAME KIND READER SIZE COUNT TRACED
stream_row() {
    local name=$1 kind=$2 reader=$3 size=$4 count=$(($5 / less)) traced=$(($6 / less))
    local group='Small writes to streams'
    if [ -n "${apart-}" ] && [ "$(nproc)" -lt 2 ]; then
        printf '%-32s skipped, there is one processor\n' "$name"
        return
    fi
    in_turns "native empty shimmed 4-KiB 64-KiB" stream_run "$kind" "$reader" "$size" "$count"
    read -r -a native < <(stream_calls native "$kind" "$reader" "$size" "$traced")
    read -r -a shimmed < <(stream_calls shimmed "$kind" "$reader" "$size" "$traced")
    stream_line "$name"
    note_result "$group" "$name" 64-KiB
    local calls="${native[0]} -> ${shimmed[0]}, all ${native[2]} -> ${shimmed[2]} ($traced records)"
    consider cpus
    stream_line '  CPU, writer and reader'
    note_result "$group: CPU of writer and reader" "$name" 64-KiB
    printf '%-32s %s\n' "  the writer's writes" "$calls"
}

# The samples of the single round trips, beside those of in_turns.
declare -A medians percentiles

# roundtrip_run VARIANT KIND THREADS COUNT: both ends are the variant.
roundtrip_run() {
    local preload p50 p99
    preload_of "$1"
    read -r wall cpu p50 p99 < <(env "${preload[@]}" "$roundtrip" "${@:2}")
    [ -n "${p99-}" ] || die "failed: roundtrip $*"
    medians[$1]+=" $p50" percentiles[$1]+=" $p99"
}

roundtrip_row() { # NAME KIND THREADS COUNT
    local name=$1 group='Request and answer, 64 B each way'
    medians=() percentiles=()
    in_turns "native empty shimmed" roundtrip_run "$2" "$3" $((($4 + less - 1) / less))
    stream_line "$name"
    note_result "$group" "$name"
    consider cpus
    stream_line '  CPU, both processes'
    consider medians
    stream_line '  latency, median'
    consider percentiles
    stream_line '  latency, 99th percentile'
    note_result "$group: 99th percentile of the latency" "$name"
}

streams() {
    local pipeline drain roundtrip empty
    pipeline=$(tool pipeline) && drain=$(tool drain) && roundtrip=$(tool roundtrip) && empty=$(empty_library) || exit
    stream_heading 'Small writes to streams, ns a record until the reader has ended'
    stream_row '64 B, pipe, to cat' pipe cat 64 262144 100000
    apart=yes stream_row '64 B, pipe, two processors' pipe cat 64 262144 100000
    stream_row '512 B, pipe, to cat' pipe cat 512 131072 100000
    apart=yes stream_row '512 B, pipe, two processors' pipe cat 512 131072 100000
    stream_row '4096 B, pipe, to cat' pipe cat 4096 32768 10000
    stream_row '64 B, unix socket' unix "$drain" 64 262144 100000
    apart=yes stream_row '64 B, unix, two processors' unix "$drain" 64 262144 100000
    stream_row '64 B, TCP, loopback' tcp "$drain" 64 262144 100000
    apart=yes stream_row '64 B, TCP, two processors' tcp "$drain" 64 262144 100000
    stream_heading 'Request and answer, 64 B each way, ns a round trip (threads together)'
    roundtrip_row 'pipes, 1 thread' pipe 1 40000
    roundtrip_row 'pipes, 8 threads' pipe 8 5000
    roundtrip_row 'unix socket, 1 thread' unix 1 40000
    roundtrip_row 'unix sockets, 8 threads' unix 8 5000
}
