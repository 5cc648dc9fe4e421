# shellcheck shell=bash disable=SC2154,SC2004,SC2034 # what scripts/bench sets and reads, and its tables by name
# The part of scripts/bench that measures streams: small writes to pipes and sockets, and small reads of pipes. Sourced
# there; needs measure.bash.

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
    read -r end _ reader_cpu _ <"$work/ended"
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

# The calls of a reader are counted with those of all that is started, for strace itself must not have the stream: it
# would be one more who could read it. It makes programs slow, so that what is served isn't taken in time.
unhurried=(strace -f -c -E URINGSHIM_MAX_DELAY_US=100000)

# pieces_run VARIANT SIZE COUNT: sets wall and cpu, nanoseconds a read of a pipe that is kept full. Only the reader is
# shimmed.
pieces_run() {
    local preload options=()
    preload_of "$1"
    [ "$1" != 64-KiB ] || options=(-b 65536)
    read -r wall cpu < <("$pipeline" "$work/ended" pipe "$writer" 65536 $((($2 * $3 + 65535) / 65536)) - '|' \
        env "${preload[@]}" "$reader" "${options[@]}" "$2" "$3" - 2>"$work/printed")
    [ -n "${cpu-}" ] || die "failed ($1): $(tail -n 1 "$work/printed")"
}

pieces_row() { # NAME SIZE COUNT TRACED
    local name=$1 size=$2 count=$(($3 / less)) traced=$(($4 / less)) variant preload
    in_turns "native empty shimmed 64-KiB" pieces_run "$size" "$count"
    for variant in native shimmed; do
        local -n calls=$variant
        preload_of "$variant"
        "${unhurried[@]}" -o "$work/calls" "$pipeline" "$work/ended" pipe "$writer" 65536 \
            $(((size * traced + 65535) / 65536)) - '|' env "${preload[@]}" "$reader" "$size" "$traced" - >"$work/printed" 2>&1 ||
            die "failed ($variant, traced): $(tail -n 1 "$work/printed")"
        read -r -a calls < <(traced_calls "$work/calls")
    done
    stream_line "$name"
    note_result 'Small reads of a pipe' "$name" 64-KiB
    local told="${native[1]} -> ${shimmed[1]}, all calls ${native[2]} -> ${shimmed[2]} ($traced reads)"
    consider cpus
    stream_line '  CPU, reader'
    printf '%-32s %s\n' '  all reads' "$told"
}

# large_run VARIANT COUNT READER…: wall and cpu, nanoseconds of the reader's for each 64 KiB, with its start.
large_run() {
    local preload start end
    preload_of "$1"
    "$pipeline" "$work/ended" pipe "$writer" 65536 "$2" - '|' env "${preload[@]}" "${@:3}" >"$work/printed" 2>&1 ||
        die "failed ($1): $(tail -n 1 "$work/printed")"
    read -r end _ cpu start <"$work/ended"
    wall=$(awk -v t="$((end - start))" -v n="$2" 'BEGIN { print t / n }')
    cpu=$(awk -v t="$cpu" -v n="$2" 'BEGIN { print t / n }')
}

large_row() { # NAME COUNT READER…
    local name=$1 count=$((($2 + less - 1) / less))
    in_turns "native empty shimmed" large_run "$count" "${@:3}"
    stream_line "$name"
    note_result 'Large reads of a pipe' "$name"
    consider cpus
    stream_line '  CPU, reader'
}

# loop_run VARIANT COUNT SHELL SCRIPT: wall and cpu, nanoseconds a line of all processes of a pipeline, all of them the
# variant.
loop_run() {
    local preload user system
    preload_of "$1"
    (cd "$work" && "$timed" "$work/time" "${preload[@]}" "$3" -c "$4" >"$work/printed" 2>&1) ||
        die "failed ($1): $(tail -n 1 "$work/printed")"
    read -r wall user system <"$work/time"
    wall=$(awk -v t="$wall" -v n="$2" 'BEGIN { print t * 1e9 / n }')
    cpu=$(awk -v t="$user" -v s="$system" -v n="$2" 'BEGIN { print (t + s) * 1e9 / n }')
}

loop_row() { # NAME SHELL LOOP TO: the loop has the numbers from 1 to 20000, a line each
    local name=$1 count=$((20000 / less)) script variant preload calls
    if ! command -v "$2" >/dev/null; then
        printf '%-32s skipped, there is no %s\n' "$name" "$2"
        return
    fi
    script="seq $count | $3 $4"
    in_turns "native empty shimmed" loop_run "$count" "$2" "$script"
    for variant in native shimmed; do
        local -n calls=$variant
        preload_of "$variant"
        (cd "$work" && "${unhurried[@]}" "${preload[@]/#/-E}" -o "$work/calls" "$2" -c "$script" >"$work/said.$variant" 2>&1 &&
            cat out >>"$work/said.$variant") || die "failed ($variant, traced): $(tail -n 1 "$work/said.$variant")"
        read -r -a calls < <(traced_calls "$work/calls")
    done
    cmp -s "$work/said.native" "$work/said.shimmed" || die "$name: it says something else than natively"
    stream_line "$name"
    note_result 'seq 20000 | while read' "$name"
    local before=${native[2]} after=${shimmed[2]}
    consider cpus
    stream_line '  CPU, all processes'
    printf '%-32s %s\n' '  all system calls' "$before -> $after ($count lines)"
}

reading() {
    # shellcheck disable=SC2016 # the measured shell's variables
    local shell echoes='while read -r l; do echo "$l"; done' \
        shares='while read -r l; do echo "$l"; case $l in *00) sh -c "read -r l; echo \"\$l\"";; esac; done'
    stream_heading 'Small reads of a pipe that is kept full, ns a read'
    pieces_row '1 B' 1 4194304 100000
    pieces_row '64 B' 64 1048576 20000
    pieces_row '512 B' 512 262144 20000
    stream_heading 'Large reads of a pipe, ns for 64 KiB'
    large_row '64 KiB' 16384 "$drain"
    large_row 'wc -c' 16384 wc -c
    # shellcheck disable=SC2016 # the loop's own
    stream_heading 'seq 20000 | while read -r l; do echo "$l"; done, ns a line'
    for shell in bash dash; do
        loop_row "$shell, into a file" "$shell" "$echoes" '>out'
        loop_row "$shell, into wc -l" "$shell" "$echoes" '| wc -l >out'
        loop_row "$shell, a child reads, too" "$shell" "$shares" '>out'
    done
}

stream_tools() {
    pipeline=$(tool pipeline) && drain=$(tool drain) && roundtrip=$(tool roundtrip) && empty=$(empty_library) || exit
}

streams() {
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
    reading
}
