#!/usr/bin/env bats
# Never in the way: what the kernel or a limit refuses to the library, the program does not notice, and the
# statistics name.

load lib/common
load lib/compare

# Where a filter is in force already, not even trying is an answer too.
NO_RING='fallback\.ring|passed\.seccomp'

# refused REASON CMD…: CMD does its work as natively, and with the ring asked for a REASON (a pattern) is given.
refused() {
    local reason=$1
    shift
    same_as_native "$@" "$VICTIMS/refuse_work"
    : >"$STATS"
    same_as_recorded shim URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring "$@" "$VICTIMS/refuse_work"
    grep -Eq "\"($reason)[^\"]*\" *: *[1-9]" "$STATS" || fail "no $reason in $(cat "$STATS")"
}

@test "io_uring refused by seccomp with EPERM" {
    refused "$NO_RING" "$VICTIMS/refuse_seccomp" EPERM io_uring
}

@test "io_uring refused by seccomp with ENOSYS" {
    refused "$NO_RING" "$VICTIMS/refuse_seccomp" ENOSYS io_uring
}

@test "io_uring refused by seccomp with death" {
    refused "$NO_RING" "$VICTIMS/refuse_seccomp" KILL io_uring
}

@test "threads and processes refused by seccomp" {
    refused 'fallback\.|passed\.' "$VICTIMS/refuse_seccomp" EPERM clone
}

@test "threads and processes refused by seccomp with death" {
    refused 'fallback\.|passed\.' "$VICTIMS/refuse_seccomp" KILL clone
}

@test "a program that confines itself in mid-run" {
    local how
    for how in prctl prctl_number seccomp tsync strict counter counter_number; do
        same_as_native "$VICTIMS/refuse_strict" "$how" || fail "$how"
    done
    same_as_native "$VICTIMS/refuse_counter"
}

@test "a child that confines itself to starting another program" {
    same_as_native "$VICTIMS/refuse_all_but_exec"
}

@test "a program that confines itself dies the death that it is sent" {
    local how number
    for how in prctl seccomp tsync; do
        for number in 15 11 10; do
            # shellcheck disable=SC2016 # sh's own
            same_as_native sh -c '"$@"; echo "status $?"' sh \
                "${PATIENTLY[@]}" "$VICTIMS/refuse_strict" "$how" "$number" || fail "$how, $number"
        done
    done
}

@test "few processes: nothing is deferred, and fork goes on" {
    same_as_native prlimit --nproc=100 "$VICTIMS/refuse_work"
    : >"$STATS"
    shim URINGSHIM_TEST_EAGER=1 prlimit --nproc=100 "$VICTIMS/refuse_work" >out
    [[ $(stat_value passed.no_flusher) -gt 0 && $(stat_value write.deferred) == 0 ]]
}

open_to_all() {
    chmod 755 .. && chmod 777 . && touch "$STATS" && chmod 666 "$STATS" && "$@"
}

@test "no locked memory, for a user who is not root" {
    need_root
    need_command setpriv
    local as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all)
    skip_unless "the library is out of another user's reach" "${as_nobody[@]}" test -r "$LIB"
    AROUND=(open_to_all)
    # The limit is set by the last of these, since root may lock what it likes.
    refused 'fallback\.' "${as_nobody[@]}" prlimit --memlock=0
}

@test "16 file descriptors" {
    refused 'write\.deferred' prlimit --nofile=16
}

@test "little address space" {
    local mib
    for mib in 24 16 12 8; do
        same_as_native prlimit --as=$((mib << 20)) "$VICTIMS/refuse_work" || fail "$mib MiB"
    done
}

# The last one may not be known beforehand: a thread's stack, an arena, a ring.
@test "every address space between too little and enough" {
    local kib enough
    record native "$VICTIMS/refuse_work"
    for ((enough = 2048; enough < 65536; enough += 128)); do
        same_as_recorded shim URINGSHIM=observe prlimit --as=$((enough << 10)) "$VICTIMS/refuse_work" >/dev/null &&
            break
    done
    for ((kib = enough; kib < enough + 4096; kib += 192)); do
        same_as_recorded shim URINGSHIM_TEST_EAGER=1 prlimit --as=$((kib << 10)) "$VICTIMS/refuse_work" ||
            fail "$kib KiB"
    done
}

without_proc() {
    unshare -m bash -c 'mount -t tmpfs none /proc && "$@"' bash "$@"
}

@test "no /proc" {
    need_root
    skip_unless "needs mount namespaces" unshare -m true
    # shellcheck disable=SC2034 # used by record
    AROUND=(without_proc)
    same_as_native "$VICTIMS/refuse_work"
}

# libaio's functions, as a program that is linked with it has them.
make_libaio() {
    cat >aio.c <<'C'
#include <sys/syscall.h>
#include <unistd.h>
int io_setup(int events, void **context) { return syscall(SYS_io_setup, events, context) == 0 ? 0 : -22; }
int io_queue_init(int events, void **context) { return events > 0 ? (*context = 0, io_setup(events, context)) : -22; }
int io_submit(void) { return -38; }
C
    gcc -shared -fPIC -o libaio.so.1 aio.c
}

@test "asynchronous I/O of the program's own: nothing is deferred once it has begun" {
    local way
    make_libaio
    skip_unless "no asynchronous I/O here" "$VICTIMS/asynchronous" syscall
    for way in none setup queue syscall ring; do
        rm -f "$STATS" file
        LD_PRELOAD=$SCRATCH/libaio.so.1 "$VICTIMS/asynchronous" "$way" || continue # forbidden here
        rm -f file
        LD_PRELOAD=$SCRATCH/libaio.so.1 shim URINGSHIM_TEST_EAGER=1 "$VICTIMS/asynchronous" "$way"
        [[ $(sort file | uniq -c) =~ ^\ *2000\ a\ line$ ]]
        if [[ $way == none ]]; then # only linked with it
            (($(stat_value write.deferred) == 2000)) || fail "$way: $(cat "$STATS")"
        else
            (($(stat_value write.deferred) == 1000)) || fail "$way: $(cat "$STATS")"
            (($(stat_value passed.own_io_uring) == 1000)) || fail "$way: $(cat "$STATS")"
        fi
    done
}

# What the library would ask of a stream, or of who else has it, may be fatal. The program reads, or writes, byte by byte.
@test "calls for pipes and sockets that kill whoever makes them" {
    local family action how
    seq 20000 >numbers
    for family in look peek send; do
        for action in KILL EPERM; do
            for how in URINGSHIM_TEST_EAGER=1 URINGSHIM_TEST_EAGER=0; do
                # shellcheck disable=SC2016 # perl's
                seq 20000 | "$VICTIMS/refuse_seccomp" $action $family env "$PRELOAD=$LIB" URINGSHIM_OWN_CALLS=ignore $how \
                    perl -e '$| = 1; while (sysread STDIN, $byte, 1) { print $byte }' | cat >got
                cmp numbers got || fail "$action $family $how"
                # shellcheck disable=SC2016
                "$VICTIMS/refuse_seccomp" $action $family env "$PRELOAD=$LIB" URINGSHIM_OWN_CALLS=ignore $how perl -e '
                    pipe my $from, my $to; open STDIN, "<", "numbers"; $to->autoflush(1);
                    if (!fork) { close $to; while (sysread $from, $byte, 1) { print $byte } exit }
                    close $from; print $to $_ while <STDIN>; close $to; wait' >got
                cmp numbers got || fail "$action $family $how"
            done
        done
    done
}
