#!/usr/bin/env bats
# URINGSHIM_LIVE and `uringshim top`: a running process's counters, and no trace of them when it has gone.

bats_require_minimum_version 1.5.0
load lib/common
load lib/trace

COMMAND=$ROOT/scripts/uringshim

# A writer that tells what it is at: 20,000 lines into the file named after it, then it waits for a line on standard input.
# shellcheck disable=SC2016 # perl's variables
WRITER='$| = 1; open F, ">", $ARGV[0] or die;
    for (;;) { syswrite F, "line $_\n" for 1 .. 20000; print "written\n"; <STDIN> // last }'

# begin [NAME=VALUE]… CMD…: in the background; its standard input is descriptor 7, its output 8. Its code isn't looked at
# before it defers: how much passes meanwhile nobody can say.
begin() {
    mkfifo in out
    env LD_PRELOAD="$LIB" URINGSHIM_OWN_CALLS=ignore "$@" <in >out 3>&- &
    pid=$!
    exec 7>in 8<out
    read -r -u 8
}

end() {
    exec 7>&-
    wait "$pid"
    exec 8<&-
}

# counter NAME: as top shows it, in the last of its tables in $output.
counter() {
    awk -v name="$1" '$1 == name { value = $2 } END { print value + 0 }' <<<"$output"
}

@test "top shows what a process has done so far, and then what it does in a second" {
    begin URINGSHIM_LIVE=1 perl -e "$WRITER" written
    run -0 "$COMMAND" top -n 1 "$pid"
    [[ ${lines[0]} == perl ]]
    (($(counter write.deferred) > 19000)) || fail "$output"
    first=$(counter write.deferred)
    echo >&7
    read -r -u 8
    run -0 "$COMMAND" top -n 2 -d 0.2 "$pid"
    (($(counter write.deferred) >= first + 20000)) || fail "$output"
    (($(grep -c '^counter' <<<"$output") == 2))
    end
}

@test "top shows what went to a pipe, in how many pieces" {
    # All of it fits into the pipe, so that it doesn't matter when the reader comes.
    # shellcheck disable=SC2016
    begin URINGSHIM_LIVE=1 URINGSHIM_TEST_EAGER=1 URINGSHIM_MAX_DELAY_US=1000000 perl -e 'pipe READER, PIPE; $| = 1;
        syswrite PIPE, "line $_\n" for 1 .. 5000; print "written\n"; <STDIN>'
    run -0 "$COMMAND" top -n 1 "$pid"
    (($(counter stream.deferred) > 4900 && $(counter stream.deferred_bytes) > 40000)) || fail "$output"
    (($(counter stream.pieces) > 0 && $(counter stream.pieces) < 100 && $(counter passed.input) > 0)) || fail "$output"
    end
}

@test "top shows how many reads of a pipe were answered from peeks" {
    need_sight
    # shellcheck disable=SC2016
    begin URINGSHIM_LIVE=1 URINGSHIM_TEST_EAGER=1 URINGSHIM_MAX_DELAY_US=100000 perl -e 'pipe READER, PIPE; $| = 1; syswrite PIPE, "x" x 20000;
        sysread READER, $x, 1 for 1 .. 10000; print "read\n"; <STDIN>'
    run -0 "$COMMAND" top -n 1 "$pid"
    (($(counter peek.served) > 9900 && $(counter peek.filled) > 0)) || fail "$output"
    end
}

@test "the counters of threads, also of those that have ended, are in the sum" {
    begin URINGSHIM_LIVE=1 URINGSHIM_TEST_EAGER=1 python3 -c '
import os, sys, threading
def work(number):
    fd = os.open(f"out.{number}", os.O_WRONLY | os.O_CREAT)
    for i in range(1000):
        os.write(fd, b"line\n")
for round in range(10):
    threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
    [t.start() for t in threads]
    [t.join() for t in threads]
print("written", flush=True)
sys.stdin.readline()'
    run -0 "$COMMAND" top -n 1 "$pid"
    (($(counter write.deferred) + $(counter passed.warming) > 90000)) || fail "$output"
    end
}

@test "watching doesn't change what is done: memory of our own isn't the program's" {
    begin URINGSHIM_LIVE=1 URINGSHIM_STATS="$STATS" perl -e "$WRITER" written
    end
    (($(stat_value passed.shared_memory) == 0))
    (($(stat_value write.deferred) > 19000)) || fail "$(cat "$STATS")"
    seq -f 'line %.0f' 20000 | cmp - written
}

@test "parent and child of a fork each have counters of their own" {
    # shellcheck disable=SC2016
    begin URINGSHIM_LIVE=1 perl -e 'my $child = fork; if (!$child) { open F, ">", "child"; syswrite F, "line\n" for 1 .. 30000;
        open G, ">", "ready"; sleep 100 } sleep 0.01 until -e "ready"; '"$WRITER; kill 9, \$child" written
    child=$(pgrep -P "$pid")
    run -0 "$COMMAND" top -n 1 "$child"
    (($(counter write.deferred) > 29000)) || fail "$output"
    run -0 "$COMMAND" top -n 1 "$pid"
    (($(counter write.deferred) > 19000 && $(counter write.deferred) < 29000)) || fail "$output"
    end
    rm -f "/dev/shm/uringshim.$child" # it was killed
}

@test "the file is the user's own, and gone when the process has ended" {
    begin URINGSHIM_LIVE=1 perl -e "$WRITER" written
    [[ $(stat -c %a "/dev/shm/uringshim.$pid") == 600 ]]
    end
    [[ ! -e /dev/shm/uringshim.$pid ]]
    # shellcheck disable=SC2016
    shim URINGSHIM_LIVE=1 perl -e 'print "$$\n"; exec "true"' >pid
    [[ ! -e /dev/shm/uringshim.$(cat pid) ]]
}

@test "what was left by a killed process, or put there by somebody else, is in nobody's way" {
    echo precious >precious
    # shellcheck disable=SC2016
    perl -e 'symlink "$ARGV[0]/precious", "/dev/shm/uringshim.$$" or die; $ENV{LD_PRELOAD} = $ARGV[1];
        $ENV{URINGSHIM_LIVE} = 1; exec "perl", "-e", $ARGV[2], "written"' "$PWD" "$LIB" "$WRITER" </dev/null
    [[ $(cat precious) == precious ]]
    seq -f 'line %.0f' 20000 | cmp - written
    # shellcheck disable=SC2016
    begin LD_PRELOAD= perl -e 'open F, ">", "/dev/shm/uringshim.$$" or die; print F "old"; close F;
        $ENV{LD_PRELOAD} = $ARGV[0]; $ENV{URINGSHIM_LIVE} = 1; exec "perl", "-e", $ARGV[1], "written"' "$LIB" "$WRITER"
    run -0 "$COMMAND" top -n 1 "$pid"
    (($(counter write.deferred) > 19000)) || fail "$output"
    end
}

@test "unasked for there is no file, and not a call more" {
    trace true
    run ! grep -E 'dev/shm|MAP_SHARED' calls
    begin perl -e "$WRITER" written
    run -125 "$COMMAND" top "$pid"
    [[ $output == *"must be started with URINGSHIM_LIVE=1"* ]]
    end
}

@test "top says in one line what is wrong, or that the process has ended" {
    run -125 "$COMMAND" top
    (( ${#lines[@]} == 1 ))
    run -125 "$COMMAND" top -d x 1
    run -125 "$COMMAND" top -n x 1
    run -125 "$COMMAND" top 99999999
    (( ${#lines[@]} == 1 ))
    begin URINGSHIM_LIVE=1 perl -e "$WRITER" written
    "$COMMAND" top -d 0.1 "$pid" >told 2>&1 3>&- 7>&- 8<&- &
    sleep 0.5
    end
    wait $!
    [[ $(tail -n 1 told) == "uringshim: process $pid has ended" ]]
}

@test "where memory can't be had there are no counters, and the program doesn't know" {
    run -0 shim URINGSHIM_LIVE=1 bash -c 'ulimit -f 8; exec perl -e "print 1"'
    [[ $output == 1 ]]
    need_root
    skip_unless "may not mount" unshare --mount true
    # shellcheck disable=SC2016
    unshare --mount bash -c 'mount -t tmpfs -o size=8k none /dev/shm && head -c 1 /dev/zero >/dev/shm/full &&
        LD_PRELOAD=$1 URINGSHIM_LIVE=1 perl -e "$2" written </dev/null && ls /dev/shm' bash "$LIB" "$WRITER" >left
    [[ $(tail -n 1 left) == full ]]
    seq -f 'line %.0f' 20000 | cmp - written
}

@test "a process that is ended by a signal leaves nothing either, once it has deferred" {
    begin URINGSHIM_LIVE=1 perl -e "$WRITER" written
    kill -TERM "$pid"
    exec 7>&-
    wait "$pid" || true
    exec 8<&-
    [[ ! -e /dev/shm/uringshim.$pid ]]
}
