#!/usr/bin/env bats
# Never in the way: where nothing is to be gained the library costs a few calls at the start and then none;
# no ring, thread or buffer exists before a write has been deferred.

load lib/common
load lib/trace

START=15 # system calls that loading the library may cost

setup_file() {
    command -v strace >/dev/null || skip "needs strace"
}

@test "/bin/true costs at most $START system calls more" {
    local native shimmed
    trace_native /bin/true
    native=$(count)
    trace /bin/true
    shimmed=$(count)
    ((shimmed - native <= START)) || fail "$native natively, $shimmed shimmed:" "$(cat calls)"
    assert_no_machinery
}

# An empty library costs some, too. Averages, for where the kernel puts what differs from run to run.
@test "a program that does nothing touches at most five pages more than with an empty library" {
    local empty shimmed
    echo 'int main(void) { return 0; }' >nothing.c
    gcc -o nothing nothing.c
    gcc -shared -fPIC -o empty.so -x c /dev/null
    faults() {
        /usr/bin/python3 -c 'import os, resource, sys
for i in range(200):
    os.waitpid(os.posix_spawn("./nothing", ["nothing"], {"LD_PRELOAD": sys.argv[1]}), 0)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt)' "$1"
    }
    empty=$(faults ./empty.so)
    shimmed=$(faults "$LIB")
    ((shimmed - empty <= 5 * 200)) || fail "200 times: $empty pages with an empty library, $shimmed with this one"
    ((shimmed > empty)) || fail "nothing was measured"
}

# What was measured, of a build by gcc -O2, with a margin.
@test "a call that is only passed through takes few instructions" {
    local kind most native shimmed
    skip_unless "a sanitizer has instructions of its own" test -z "${URINGSHIM_TEST_LIB:-}"
    while read -r kind most; do
        native=$("$VICTIMS/instructions" "$kind")
        shimmed=$(env LD_PRELOAD="$LIB" "$VICTIMS/instructions" "$kind")
        ((shimmed - native <= most * 100 && native > 1000)) || fail "$kind: $native hundredths natively, $shimmed shimmed"
    done <<LIST
read 25
Read 25
write 28
Write 30
fcntl 16
open 56
stat 28
lseek 26
LIST
}

@test "switched off it costs no more either" {
    local native
    trace_native /bin/true
    native=$(count)
    trace URINGSHIM=off /bin/true
    (($(count) - native <= START)) || fail "$(cat calls)"
}

# kept_out KIND COUNT: the very same writes, no machinery, and beside the start only what it takes, once, to find out
# that nothing is to be gained.
kept_out() {
    local native
    trace_native "$VICTIMS/keepout_kinds" "$@" || {
        (($? == 77)) && echo "$1: not on this file system" && return
        fail "$1"
    }
    native=$(count)
    writes >native.writes
    rm -f file*
    trace "$VICTIMS/keepout_kinds" "$@" || fail "$1"
    writes >shimmed.writes
    diff -u native.writes shimmed.writes || fail "$1: other writes" || return
    (($(count) - native <= START + 20)) || fail "$1: $native calls natively, $(count) shimmed" || return
    [[ $1 == shared_over_fork ]] || assert_no_machinery || fail "$1"
}

@test "programs that write once or twice to a file, rarely, or much at a time" {
    local kind
    for kind in nothing once twice rarely large; do
        kept_out "$kind" 300
    done
}

# Nine descriptors change hands at each line; none of it may cost a call.
@test "a shell that redirects each line" {
    local native
    # shellcheck disable=SC2016 # the variables are bash's
    local lines=(bash -c 'for ((i = 0; i < 500; i++)); do echo "line $i" >>out; done')
    trace_native "${lines[@]}"
    native=$(count)
    trace "${lines[@]}"
    (($(count) - native <= START)) || fail "$native calls natively, $(count) shimmed"
    assert_no_machinery
}

@test "terminals, devices and /proc, and pipes and sockets where they are switched off" {
    local kind
    for kind in terminal eventfd null proc; do
        kept_out "$kind" 300
    done
    for kind in pipe socket; do
        URINGSHIM_STREAMS=0 kept_out "$kind" 300
    done
}

@test "O_SYNC, O_DSYNC, RWF_DSYNC, and O_DIRECT with O_APPEND" {
    local kind
    for kind in sync dsync rwf_dsync direct_append; do
        kept_out "$kind" 100
    done
}

# There is nothing to coalesce: a few attempts, ever fewer.
@test "writes here and there are soon left alone" {
    local count=20000
    shim "$VICTIMS/keepout_kinds" scattered $count
    assert_deferred
    (($(stat_value passed.unprofitable) > count * 9 / 10)) || fail "$(cat "$STATS")"
}

@test "mapped files and shared writable memory" {
    local kind
    for kind in mapped_private mapped_shared shared_memory shared_over_fork; do
        kept_out "$kind" 300
    done
}

@test "FUSE" {
    need_root
    need_command fuse2fs
    skip_unless "no /dev/fuse" test -w /dev/fuse
    truncate -s 8M image
    mkfs.ext4 -q -m 0 image
    mkdir mnt
    fuse2fs image mnt || skip "can't mount"
    local status=0
    (cd mnt && kept_out plain 300) || status=1
    umount mnt
    [[ $status == 0 ]]
}

@test "with batching off, or only observing, every write is passed as it is" {
    local setting
    trace_native "$VICTIMS/keepout_kinds" plain 500
    writes >native.writes
    for setting in URINGSHIM_BATCH=0 URINGSHIM=observe URINGSHIM=off; do
        trace URINGSHIM_TEST_EAGER=1 "$setting" "$VICTIMS/keepout_kinds" plain 500
        writes | diff -u native.writes - || fail "$setting"
        assert_no_machinery
    done
}

@test "skipped programs are left alone" {
    local setting
    trace_native "$VICTIMS/keepout_kinds" plain 500
    writes >native.writes
    for setting in URINGSHIM_SKIP='keepout_*' URINGSHIM_SKIP='cat:keepout_kinds' URINGSHIM_ONLY='perl:python*'; do
        trace URINGSHIM_TEST_EAGER=1 "$setting" "$VICTIMS/keepout_kinds" plain 500
        writes | diff -u native.writes - || fail "$setting"
    done
}

# So that the tests above can fail: the same program, left to itself, is deferred.
@test "a plain file is not kept out of" {
    trace URINGSHIM_TEST_EAGER=1 "$VICTIMS/keepout_kinds" plain 2000
    (($(count "$WRITE_LIKE") < 100)) || fail "$(count "$WRITE_LIKE") writes"
}

# Something comes between all the time that would have what is pending performed: that is found out without anything to
# perform it.
@test "loops whose writes would never be pending together start nothing, and cost no calls" {
    local kind native
    for kind in pipe socket stat sync rename in_turns from_device shared_position apart; do
        trace_native "$VICTIMS/keepout_loops" $kind 600
        native=$(count)
        trace "$VICTIMS/keepout_loops" $kind 600 || fail "$kind"
        assert_no_machinery || fail "$kind"
        (($(count) - native <= START + 20)) || fail "$kind: $native calls natively, $(count) shimmed"
        shim "$VICTIMS/keepout_loops" $kind 600
        (($(stat_value write.deferred) == 0)) || fail "$kind" "$(cat "$STATS")"
    done
}

# So that the test above can fail.
@test "those whose writes would be are helped" {
    shim "$VICTIMS/keepout_loops" stat_of_many 5000
    (($(stat_value write.deferred) > 50000)) || fail "$(cat "$STATS")"
}

# median_run CMD [ARG]…: what the one in the middle of five runs says: each scatters by a page.
median_run() {
    for _ in 1 2 3 4 5; do
        "$@"
    done | sort -n | sed -n 3p
}

# forks_cheaply KIND MORE: children that do nothing cost no calls, and each at most so many pages, more than natively; and
# no thread is left at the end.
forks_cheaply() {
    local native natively pages threads
    trace_native "$VICTIMS/keepout_loops" "$1" 300
    native=$(count)
    read -r natively threads <<<"$(median_run "$VICTIMS/keepout_loops" "$1" 300)"
    trace "$VICTIMS/keepout_loops" "$1" 300
    (($(count) <= native + 250)) || fail "$1: $native calls natively, $(count) shimmed"
    read -r pages threads <<<"$(median_run env LD_PRELOAD="$LIB" "$VICTIMS/keepout_loops" "$1" 300)"
    ((pages <= natively + $2)) || fail "$1: $natively pages a fork natively, $pages shimmed"
    ((threads == 1)) || fail "$1: $threads threads"
}

@test "a process that forks all day touches hardly a page more for it" {
    forks_cheaply children 6
}

@test "nor many more if it deferred before that: its helper thread goes when it forks and defers nothing" {
    forks_cheaply children_after 14
}

# Each write is followed by a look at something, so that it is a batch of its own.
@test "the helper thread goes where deferring gives nothing, and comes back where it does" {
    # shellcheck disable=SC2016 # the variables are perl's
    shim perl -e '
        sub threads { open my $status, "<", "/proc/self/status" or die; print grep /^Threads/, <$status> }
        $| = 1;
        open F, ">", "out" or die;
        syswrite F, "line $_\n" for 1 .. 1000;
        threads;
        for (1 .. 3000) { syswrite F, "line $_\n"; -e "nothing" }
        threads;
        syswrite F, "line $_\n" for 1 .. 20000;
        threads;' >threads
    { seq -f 'line %g' 1000 && seq -f 'line %g' 3000 && seq -f 'line %g' 20000; } | cmp - out
    diff <(printf 'Threads:\t%d\n' 2 1 2) threads
    (($(stat_value write.deferred) > 10000)) || fail "$(cat "$STATS")"
}

@test "setting flags costs a program of one thread no look at the descriptor" {
    local native work='use Fcntl; pipe R, W; open F, ">", "out" or die; syswrite F, "line\n" for 1 .. 1000;
        fcntl R, F_SETFL, O_NONBLOCK for 1 .. 500; fcntl F, F_SETFL, O_APPEND for 1 .. 500'
    trace_native perl -e "$work"
    native=$(count 'fstat|newfstatat|fcntl')
    trace URINGSHIM_TEST_EAGER=1 perl -e "$work"
    (($(count 'fstat|newfstatat|fcntl') <= native + 30)) || fail "$(count 'fstat|newfstatat|fcntl') calls, $native natively"
}
