#!/usr/bin/env bats
# Durability is untouched: what is synced natively is synced, after everything that was written before it.

load lib/common
load lib/trace

setup_file() {
    command -v strace >/dev/null || skip "needs strace"
}

@test "writes and their fsync are one submission" {
    local how submissions
    for how in fsync fdatasync positioned; do
        trace URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring "$VICTIMS/trace_groups" 300 "$how"
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
            : >stats.json
            shim URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=$engine "$VICTIMS/trace_groups" 100 "$how"
            trace URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=$engine "$VICTIMS/trace_groups" 100 "$how"
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
            awk '/ (sync|syncfs)\(/ { synced = NR } / (write|pwrite64)\(.*= 1000$/ || / io_uring_enter\(/ { written = NR }
                 END { exit !(written && synced > written) }' calls || fail "$engine, $call: $(tail -n 30 calls)"
        done
    done
}
