#!/usr/bin/env bats
# Kernel-side polling, asked for by URINGSHIM_SQPOLL and URINGSHIM_IOPOLL: what it saves, what it shows, when it ends,
# and what happens where it is refused. That it changes nothing else is tested with the other modes.

load lib/common
load lib/trace

setup_file() {
    export URINGSHIM_SQPOLL=1
}

LINES_WRITTEN=100000
# shellcheck disable=SC2016 # perl's variables
WRITE_LINES='open F, ">", "out" or die; syswrite F, "line $_\n" for 1 .. '$LINES_WRITTEN';'
# The names of the process's threads, one a line.
# shellcheck disable=SC2016
THREADS='sub threads { map { open my $f, "<", $_; <$f> } glob "/proc/self/task/*/comm" }'

assert_lines() {
    seq -f 'line %.0f' "$LINES_WRITTEN" | cmp - out
}

@test "with a polling thread the thread that writes makes next to no system calls" {
    strace -qq -c -o native perl -e "$WRITE_LINES"
    # How many writes pass while the code is looked at nobody can say.
    strace -qq -c -o polled -E URINGSHIM_OWN_CALLS=ignore -E LD_PRELOAD="$LIB" perl -e "$WRITE_LINES"
    local native polled
    native=$(awk '$NF == "total" { print $(NF - 1 - (NF == 6)) }' native)
    polled=$(awk '$NF == "total" { print $(NF - 1 - (NF == 6)) }' polled)
    echo "$native calls natively, $polled with a polling thread"
    assert_lines
    ((native > LINES_WRITTEN))
    ((polled < LINES_WRITTEN / 100))
}

@test "the pieces go by the ring, and the polling thread's processor time is in the statistics" {
    # To hand a piece over takes no call. To wait for one does, where something else keeps the polling thread from its work.
    local attempt handed_over=false
    for attempt in 1 2 3 4 5; do
        rm -f "$STATS"
        shim perl -e "$WRITE_LINES"
        assert_lines
        (($(stat_value ring.writes) > 10))
        (($(stat_value polling.cpu_us) > 0))
        echo "attempt $attempt: $(stat_value ring.enters) enters for $(stat_value ring.writes) pieces"
        if (($(stat_value ring.enters) < $(stat_value ring.writes))); then
            handed_over=true
            break
        fi
        sleep 1
    done
    $handed_over
}

@test "the polling thread is there when writes are deferred, and gone after the process changed its user or group" {
    # shellcheck disable=SC2016
    shim perl -e "$THREADS $WRITE_LINES"'
        print "before: ", grep { /iou-sqp/ } threads();
        $( = $( + 0;
        print "after: ", grep({ /iou-sqp/ } threads()), "\n";
        syswrite F, "more\n" for 1 .. 1000000;
        print "later: ", grep({ /iou-sqp/ } threads()), "\n";' >said
    cat said
    grep -q '^before: iou-sqp' said
    grep -qx 'after: ' said
    grep -qx 'later: ' said
    (($(stat_value write.deferred) > LINES_WRITTEN + 500000)) || fail "$(cat "$STATS")"
}

@test "a process with a polling thread may still make itself a namespace, which only one with a single thread may" {
    # shellcheck disable=SC2016
    local program="$WRITE_LINES"' print syscall(272, 0x10000000), "\n"; close F'
    skip_unless "no user namespaces here" unshare --user true
    [[ $(uname -m) == x86_64 ]] || skip "the call's number is another one here"
    shim perl -e "$program" >said
    cat said
    [[ $(cat said) == 0 ]]
    (($(stat_value ring.writes) > 10))
    assert_lines
}

@test "parent and child of a fork each write on" {
    # shellcheck disable=SC2016
    shim perl -e "$WRITE_LINES"'
        my $child = fork;
        open G, ">", $child ? "parent" : "child" or die;
        syswrite G, "line $_\n" for 1 .. '"$LINES_WRITTEN"';
        waitpid $child, 0 if $child;
        exit $?'
    assert_lines
    cmp out parent
    cmp out child
    (($(stat_value ring.created) >= 2)) || fail "$(cat "$STATS")"
}

@test "direct writes to many places go by a polled ring, and are all there" {
    dd if=/dev/zero of=probe bs=4096 count=1 oflag=direct status=none || skip "no direct I/O on this file system"
    local queue device
    for queue in 0 1; do
        for device in 0 1; do
            rm -f "$STATS"
            shim URINGSHIM_SQPOLL="$queue" URINGSHIM_IOPOLL="$device" URINGSHIM_TEST_EAGER=1 \
                "${PATIENTLY[@]}" "$VICTIMS/direct_watch" scattered
            # one by one they cost a call each, and waiting for a whole piece of them one or two
            ((queue == 0 || $(stat_value ring.enters) * 2 < $(stat_value ring.writes))) || fail "$(cat "$STATS")"
            grep -q '"fallback.iopoll' "$STATS" || (($(stat_value ring.writes) > 1000)) || fail "$(cat "$STATS")"
        done
    done
}

# refused RINGS LINE [STRACE'S OPTION]… CMD [ARG]…: the kernel refuses the process's first rings; LINE stands in the log, once.
refused() {
    local rings=$1 line=$2
    shift 2
    strace -f -qq -o calls -e trace=io_uring_setup -e "inject=io_uring_setup:error=EINVAL:when=1..$rings" \
        -E LD_PRELOAD="$LIB" -E URINGSHIM_STATS="$STATS" -E "URINGSHIM_LOG=info:$SCRATCH/log" "$@"
    cat log "$STATS"
    (($(grep -c "$line" log) == 1))
}

@test "where the kernel refuses a polling thread one line says so, and a ring without one does" {
    # shellcheck disable=SC2016
    refused 1 'done without: sqpoll' -E URINGSHIM_ENGINE=ring perl -e "$WRITE_LINES"
    assert_lines
    (($(stat_value fallback.sqpoll.EINVAL) == 1))
    (($(stat_value ring.created) == 1))
    (($(stat_value ring.writes) > 10))
    (($(stat_value polling.cpu_us) == 0))
}

@test "where it refuses to poll the device one line says so, and both are refused one after the other" {
    dd if=/dev/zero of=probe bs=4096 count=1 oflag=direct status=none || skip "no direct I/O on this file system"
    refused 1 'done without: iopoll' -E URINGSHIM_IOPOLL=1 -E URINGSHIM_TEST_EAGER=1 \
        "$VICTIMS/direct_watch" scattered
    (($(stat_value polling.cpu_us) > 0))
    (($(stat_value ring.writes) > 1000))
    rm -f "$STATS" log
    refused 2 'done without: sqpoll' -E URINGSHIM_IOPOLL=1 -E URINGSHIM_TEST_EAGER=1 \
        "$VICTIMS/direct_watch" scattered
    grep -q 'done without: iopoll' log
    (($(stat_value polling.cpu_us) == 0))
    (($(stat_value ring.writes) > 1000))
}

@test "the same in a namespace of process ids" {
    need_root
    skip_unless "may not make namespaces" unshare --pid --fork --mount-proc true
    [[ $(uname -m) == x86_64 ]] || skip "the call's number is another one here"
    # shellcheck disable=SC2016
    LD_PRELOAD='' unshare --pid --fork --mount-proc env LD_PRELOAD="$LIB" URINGSHIM_STATS="$STATS" \
        perl -e "$WRITE_LINES"' print syscall(272, 0x10000000), "\n"; close F' >said
    [[ $(cat said) == 0 ]]
    assert_lines
    (($(stat_value polling.cpu_us) > 0))
}

@test "only the main thread has one: others come and go" {
    shim URINGSHIM_TEST_EAGER=1 /usr/bin/python3 -c '
import glob, os, threading, time
def names():
    return [open(name).read().strip() for name in glob.glob("/proc/self/task/*/comm")]
def work(number):
    fd = os.open(f"out.{number}", os.O_WRONLY | os.O_CREAT)
    for i in range(200000):
        os.write(fd, b"0123456789abcdef")
    found.extend(name for name in names() if name.startswith("iou-sqp"))
found = []
thread = threading.Thread(target=work, args=(1,))
thread.start()
thread.join()
print(len(found))' >said
    [[ $(cat said) == 0 ]]
    assert_deferred
}
