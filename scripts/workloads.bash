# shellcheck shell=bash disable=SC2154,SC2004,SC2034 # what scripts/bench sets and reads, and its tables by name
# The parts of scripts/bench that measure other programs than ours. Sourced there; needs measure.bash.

# fio's jobs are threads here: as children they would share memory with it, in which they count what they have done.
fio_run() { # VARIANT ARGUMENT…: sets wall and cpu, nanoseconds a call.
    local engine=(psync) preload=() fields try
    case $1 in
    shimmed) preload=("LD_PRELOAD=$library") ;;
    uring1) engine=(io_uring) ;;
    uring32) engine=(io_uring --iodepth=32) ;;
    esac
    shift
    for ((try = 0; try < 3; try++)); do # a disk may stall for as long as it runs
        IFS=';' read -r -a fields < <(env "${preload[@]}" fio --name=job --thread=1 --ioengine="${engine[0]}" "${engine[@]:1}" \
            --time_based --runtime="$seconds" --output-format=terse --terse-version=3 "$@" 2>/dev/null)
        [ "${#fields[@]}" -gt 88 ] || die "fio failed: $*"
        ((fields[7] + fields[48] > 0)) && break
    done
    ((fields[7] + fields[48] > 0)) || die "fio did nothing: $*"
    # Calls a second that read and that write; processor time in per cent of the run.
    read -r wall cpu < <(awk -v r="${fields[7]}" -v w="${fields[48]}" -v us="${fields[87]%\%}" -v sy="${fields[88]%\%}" \
        'BEGIN { calls = r + w; print 1e9 / calls, 1e7 * (us + sy) / calls }')
}

# fio_row NAME GROUP ARGUMENT…
fio_row() {
    local name=$1 group=$2
    shift 2
    in_turns "native shimmed uring1 uring32" fio_run "$@"
    printf '%-24s %10.1f %10.1f %10.1f %10.1f %8s %8s %8s\n' "$name" "${wall_median[native]}" "${wall_median[shimmed]}" \
        "${wall_median[uring1]}" "${wall_median[uring32]}" "$(ratio "${wall_median[native]}" "${wall_median[shimmed]}")" \
        "$(ratio "${wall_median[uring32]}" "${wall_median[shimmed]}")" \
        "$(ratio "${cpu_median[native]}" "${cpu_median[shimmed]}")"
    note_result "$group" "$name" uring32
}

fio_table() { # DIRECT
    local bytes how group seconds=1 sizes=(4k 64k 1m) file=$work/fio
    command -v fio >/dev/null || { printf '\nfio: skipped, there is none (scripts/setup bench installs it)\n' && return; }
    [ -z "$quick" ] || sizes=(4k)
    group="fio, direct=$1, on $(file_system "$work")"
    printf '\n%s\n%-24s %10s %10s %10s %10s %8s %8s %8s\n%-24s %10s %10s %10s %10s %8s %8s %8s\n' "$group" '' psync shimmed \
        uring@1 uring@32 native/ uring@32 'CPU nat./' '' ns ns ns ns shimmed /shimmed shimmed
    head -c 268435456 /dev/urandom >"$file"
    for bytes in "${sizes[@]}"; do
        for how in write read randwrite randread; do
            fio_row "$how $bytes" "$group" --filename="$file" --size=256m --direct="$1" --bs="$bytes" --rw="$how"
        done
    done
    rm "$file"
}

direct() {
    fio_table 1
}

buffered() {
    fio_table 0
}

# command_run VARIANT CALLS COMMAND…: the file it leaves is removed before the next.
command_run() {
    local preload=() calls=$2 seconds user system
    [ "$1" = native ] || preload=("LD_PRELOAD=$library")
    shift 2
    (cd "$work" && rm -f file && "$timed" "$work/timed" "${preload[@]}" "$@" >/dev/null) || die "failed: $*"
    read -r seconds user system <"$work/timed"
    wall=$(awk -v s="$seconds" -v n="$calls" 'BEGIN { print 1e9 * s / n }')
    cpu=$(awk -v u="$user" -v s="$system" -v n="$calls" 'BEGIN { print 1e9 * (u + s) / n }')
}

# command_row GROUP NAME CALLS COMMAND…: a command that makes so many calls.
command_row() {
    local group=$1 name=$2
    shift 2
    in_turns "native shimmed" command_run "$@"
    printf '%-44s %10.1f %10.1f %8s %8s\n' "$name" "${wall_median[native]}" "${wall_median[shimmed]}" \
        "$(ratio "${wall_median[native]}" "${wall_median[shimmed]}")" "$(ratio "${cpu_median[native]}" "${cpu_median[shimmed]}")"
    note_result "$group" "$name"
}

commands_heading() { # GROUP
    printf '\n%s\n%-44s %10s %10s %8s %8s\n' "$1" '' 'native, ns' shimmed native/ 'CPU nat./'
}

sync() {
    local syncer=$root/build/victims/threads_sync group made
    make -s -C "$root" build/victims/threads_sync || die "cannot build threads_sync"
    group="Eight threads append 4 KiB and sync, on $(file_system "$work")"
    commands_heading "$group"
    command_row "$group" 'one descriptor, fsync or fdatasync' 8000 "$syncer" one 8 1000
    command_row "$group" 'a descriptor each' 8000 "$syncer" own 8 1000
    made=$(cd "$work" && strace -f -c -E "LD_PRELOAD=$library" "$syncer" one 8 1000 2>&1 | awk '$NF ~ /^f(data)?sync$/ { n += $4 } END { print n }')
    printf '%d of 8000 syncs are left\n' "$made"
}

copy() {
    local group
    group="A file of 64 MiB copied, on $(file_system "$work")"
    head -c 67108864 /dev/urandom >"$work/in"
    commands_heading "$group"
    command_row "$group" 'dd bs=512' 131072 dd if=in of=file bs=512 status=none
    command_row "$group" 'dd bs=4k' 16384 dd if=in of=file bs=4k status=none
    command_row "$group" 'dd bs=4k, both ends O_DIRECT' 16384 dd if=in of=file bs=4k iflag=direct oflag=direct status=none
    command_row "$group" 'dd bs=64k' 1024 dd if=in of=file bs=64k status=none
    rm "$work/in" "$work/file"
}

sqlite() {
    local group mode i
    command -v sqlite3 >/dev/null || { printf '\nsqlite: skipped, there is no sqlite3\n' && return; }
    group="SQLite, 1,000 transactions, on $(file_system "$work")"
    commands_heading "$group"
    for mode in delete wal; do
        {
            echo "PRAGMA journal_mode=$mode; PRAGMA synchronous=full; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);"
            for ((i = 0; i < 1000; i++)); do
                echo "INSERT INTO t(b) VALUES('a row of some length, number $i');"
            done
        } >"$work/script.$mode"
        command_row "$group" "journal mode $mode, synchronous full" 1000 sh -c "rm -f file-*; exec sqlite3 file <script.$mode"
    done
}

start() {
    local group='Start-up, a thousand short processes'
    commands_heading "$group"
    # shellcheck disable=SC2016 # the variables are for the shell that is measured
    command_row "$group" /bin/true 1000 sh -c 'i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i + 1)); done'
    # shellcheck disable=SC2016
    command_row "$group" 'as configure does: sed, grep, expr, cat, rm' 1000 sh -c '
        i=0
        while [ $i -lt 200 ]; do
            echo "int x$i;" >conftest.c
            sed "s/x/y/" <conftest.c >conftest.d
            grep -q y conftest.d || exit 1
            j=$(expr $i + 1)
            cat conftest.c >conftest.log
            rm -f conftest.c conftest.d conftest.log
            i=$j
        done'
}
