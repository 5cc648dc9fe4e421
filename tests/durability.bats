#!/usr/bin/env bats
# Durability is untouched: what is synced natively is synced, after everything that was written before it.

bats_require_minimum_version 1.5.0

load lib/common
load lib/trace

setup_file() {
    command -v strace >/dev/null || skip "needs strace"
}

@test "writes and their fsync are one submission" {
    local how submissions
    for how in fsync fdatasync positioned; do
        # With time enough between a write and its sync, on a busy machine too.
        trace URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring URINGSHIM_MAX_DELAY_US=1000000 "$VICTIMS/trace_groups" 300 "$how"
        submissions=$(grep -Ec 'io_uring_enter\([0-9]+, [1-9]' calls)
        ((submissions >= 300 && submissions <= 310)) || fail "$how: $submissions submissions for 300 groups"
        (($(count io_uring_enter) <= 620)) || fail "$how: $(count io_uring_enter) entries for 300 groups"
        (($(count "$WRITES|fsync|fdatasync") <= 5)) || fail "$how: $(writes | head -20)"
    done
}

@test "no fsync is left out, merged or weakened" {
    local engine how
    for engine in ring direct auto; do
        for how in fsync fdatasync; do
            rm -f "$STATS"
            trace URINGSHIM_STATS="$STATS" URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=$engine "$VICTIMS/trace_groups" 100 "$how"
            (($(stat_value ring.fsyncs) + $(count "$how") >= 100)) ||
                fail "$engine: $(stat_value ring.fsyncs) by the ring, $(count "$how") by call"
        done
    done
}

@test "sync and syncfs come after everything that was written" {
    local call engine
    for engine in ring direct auto; do
        for call in 'os.sync()' 'syncfs(fd)'; do
            trace URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=$engine URINGSHIM_MAX_DELAY_US=1000000 /usr/bin/python3 -c "
import ctypes, os
syncfs = ctypes.CDLL(None).syncfs # found before anything is written: loading is a barrier too
fd = os.open('data', os.O_WRONLY | os.O_CREAT)
for i in range(100):
    os.write(fd, b'0123456789')
$call
os._exit(os.stat('data').st_size != 1000)"
            awk '/ (sync|syncfs)\(/ { synced = NR } / (write|pwrite64)(\(| resumed>).*= 1000$/ || / io_uring_enter\(/ { written = NR }
                 END { exit !(written && synced > written) }' calls || fail "$engine, $call: $(tail -n 30 calls)"
        done
    done
}

# covered MOST: in `calls`, each marked sync of a thread had one of the kernel's that began and ended between its marks (or
# else the status is 2), and there are no more than so many of these for each (1).
covered() {
    awk '
        / gete?uid\(/ { begun[$1] = NR; whole[$1] = /geteuid/ }
        / f(data)?sync\(/ { start[$1] = NR }
        / (f(data)?sync\(|<\.\.\. f(data)?sync resumed).*= 0$/ {
            first[++syncs] = start[$1]
            last[syncs] = NR
            is_whole[syncs] = / (<\.\.\. )?fsync/
        }
        / getgid\(/ {
            for (i = syncs; i > 0 && !(first[i] > begun[$1] && is_whole[i] >= whole[$1]); i--)
                ;
            if (!i) {
                print "line " NR ": nothing was synced since line " begun[$1]
                bad = 1
            }
            marks++
        }
        END { print marks " syncs asked for, " syncs " made"; exit bad || marks < 100 ? 2 : syncs > marks * most }' most="$1" calls
}

# How many meet depends on when each gets a processor: once in some tries a tenth is shared.
shares() {
    local status=1 try
    for ((try = 0; try < 10 && status == 1; try++)); do
        rm -f file
        trace "$1" "$VICTIMS/threads_sync" marked 32 20
        status=0
        covered 0.9 || status=$?
    done
    return $status
}

@test "threads that sync one file share it, and each sync begins after it was asked for" {
    trace_native "$VICTIMS/threads_sync" marked 32 20
    run ! covered 0.99 # nothing is shared
    rm file
    trace "$VICTIMS/threads_sync" marked 32 20
    covered 0.99 # a trial comes first, which shares half of them; then what is faster
    shares URINGSHIM_ENGINE=ring
    shares URINGSHIM_TEST_EAGER=1
}

@test "syncs that are shared: by one descriptor or several, with handlers, cancelled threads and children" {
    local way setting
    local -A times=([X=1]=300 [URINGSHIM_TEST_EAGER=1]=100) # by default code is looked through first
    for way in one own handler cancel fork; do
        "${PATIENTLY[@]}" "$VICTIMS/threads_sync" "$way" 4 50
        for setting in "${!times[@]}"; do
            rm -f file "$STATS"
            shim "$setting" "${PATIENTLY[@]}" "$VICTIMS/threads_sync" "$way" 8 "${times[$setting]}" || fail "$way, $setting"
            (($(stat_value fsync.shared) > 0)) || fail "$way, $setting: $(cat "$STATS")"
        done
        rm -f file
    done
}

# A file system in a file on a full tmpfs: what it has accepted can't be written. Each description is told, once. Once in
# some thousand runs, natively as well, the kernel tells one of the descriptions that were opened later.
@test "each descriptor is told of the error that a shared sync met" {
    need_root
    mkdir full small
    skip_unless "can't mount" mount -t tmpfs -o size=24M tmpfs full
    truncate -s 64M full/image
    mkfs.ext4 -q -m 0 -O ^has_journal full/image
    local status=0
    if mount -o loop full/image small; then
        fallocate -l 32M small/hole && sync small/hole
        dd if=/dev/zero of=full/rest bs=64k status=none 2>/dev/null || true # until there is no space left
        told() {
            local try first later
            for ((try = 0; try < 5; try++)); do
                read -r first _ _ later < <("$@" "$VICTIMS/threads_sync" failing 8 20 small/hole)
                echo "$*: $first errors, then $later"
                ((first == 20 && later > 80)) || break
            done
            ((first == 20 && later == 80))
        }
        told env >native && { told shim && told shim URINGSHIM_TEST_EAGER=1 || status=1; }
        umount small || umount -l small
    fi
    umount full || umount -l full
    cat native
    grep -q ': 20 errors, then 80' native || skip "no error natively"
    ((status == 0))
}
