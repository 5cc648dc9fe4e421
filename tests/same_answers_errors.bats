#!/usr/bin/env bats
# Same answers: every error has the value and the errno that it has natively, while writes are pending; and
# its one exception: what storage refuses after it was accepted comes back from a later write, fsync or close.

load lib/common
load lib/compare

@test "bad buffers, vectors, descriptors, offsets and kinds of file" {
    same_as_native "$VICTIMS/errors_calls"
    assert_deferred
}

@test "buffers and vectors that can't be read, of every size" {
    same_as_native "$VICTIMS/errors_buffers"
    assert_deferred
}

@test "arguments that can't be read or written, of every call that takes one" {
    same_as_native "${PATIENTLY[@]}" "$VICTIMS/errors_pointers"
    assert_deferred
}

# in_read_only CMD…: CMD in a directory of a file system that is mounted read-only.
in_read_only() {
    mkdir mnt
    unshare -m bash -c 'mount -t tmpfs none mnt && : >mnt/file && mount -o remount,ro mnt && cd mnt && "$@"' bash "$@"
}

@test "the same with a file system that is read-only" {
    need_root
    skip_unless "needs mount namespaces" unshare -m true
    AROUND=(in_read_only)
    # shellcheck disable=SC2016 # the variables are perl's
    same_as_native perl -e '
        open my $busy, ">", "../busy" or die; syswrite $busy, "x" x 20 for 1 .. 300;
        for my $mode ("<", ">", ">>", "+<") {
            print $mode, " ", open(my $file, $mode, "file") ? "opened" : $! + 0, "\n";
            print "write ", syswrite($file, "x") // $! + 0, "\n" if $file && fileno $file;
        }
        print "$_->[0] ", $_->[1]->() ? "done" : $! + 0, "\n" for ["unlink", sub { unlink "file" }],
            ["rename", sub { rename "file", "other" }], ["mkdir", sub { mkdir "new" }],
            ["truncate", sub { truncate "file", 5 }], ["utime", sub { utime 1, 1, "file" }]'
}

@test "nobody reads: EPIPE and SIGPIPE" {
    same_as_native "$VICTIMS/errors_pipe"
    assert_deferred
}

@test "a number that is closed and reopened, in every way" {
    same_as_native "$VICTIMS/errors_reuse"
    assert_deferred
}

@test "RLIMIT_FSIZE: EFBIG, SIGXFSZ and the short write before it" {
    local how
    for how in ignored counted deadly raised positioned; do
        same_as_native "$VICTIMS/errors_limit" "$how" || fail "SIGXFSZ $how"
    done
}

@test "RLIMIT_FSIZE set in mid-run" {
    local how
    for how in midway prlimit vforked; do
        same_as_native "$VICTIMS/errors_limit" "$how" || fail "limit set $how"
    done
    assert_deferred
}

@test "RLIMIT_FSIZE from before the start" {
    # shellcheck disable=SC2016 # the variables are perl's
    same_as_native prlimit --fsize=50000 perl -e '
        $SIG{XFSZ} = "IGNORE"; open F, ">", "limited" or die;
        my ($sum, $part) = (0); $sum += $part while $part = syswrite F, "x" x 33; print "$sum ", $! + 0, "\n"'
}

# on_small KIND SIZE_IN_MIB CMD…: CMD with a fresh small file system mounted on `small`, in a mount namespace.
on_small() {
    local kind=$1 size=$2 mount="mount -t tmpfs -o size=${2}m none small"
    shift 2
    mkdir small
    if [[ $kind == ext4 ]]; then
        truncate -s "${size}M" image
        mkfs.ext4 -q -m 0 image
        mount="mount -o loop image small"
    fi
    unshare -m bash -c "$mount || exit 98; \"\$@\"" bash "$@"
    local status=$?
    rm -rf small image
    return $status
}

need_mount() {
    need_root
    skip_unless "needs mount namespaces" unshare -m true
    skip_unless "can't mount $1" on_small "$1" 8 true
}

# Deferring keeps off a file system that is nearly full, so that here even the exception is not made use of.
space_runs_out() {
    local piece
    need_mount "$1"
    AROUND=(on_small "$@")
    for piece in 100 700 40000; do
        same_as_native "$VICTIMS/errors_space" small "$piece" || fail "pieces of $piece"
    done
}

@test "ENOSPC: a tmpfs of 1 MiB" { space_runs_out tmpfs 1; }
@test "ENOSPC: an ext4 of 8 MiB" { space_runs_out ext4 8; }

@test "ENOSPC: a tmpfs of 96 MiB, filled by deferred writes" {
    local mode
    need_mount tmpfs
    AROUND=(on_small tmpfs 96)
    record native "$VICTIMS/errors_space" small 700
    for mode in URINGSHIM=on "${MODES[@]:0:3}"; do
        same_as_recorded shim "$mode" "$VICTIMS/errors_space" small 700 || fail "$mode"
    done
    assert_deferred
}

# Now the space goes while writes are pending: when the error comes may differ, but come it must.
@test "ENOSPC: the space is taken by another while writes are pending" {
    local kind mode
    need_mount ext4
    for kind in "tmpfs 1" "tmpfs 96" "ext4 8"; do
        # shellcheck disable=SC2034,SC2206 # used by record; kind and size
        AROUND=(on_small $kind)
        for mode in URINGSHIM=on "${MODES[@]}"; do
            record shimmed shim URINGSHIM_TEST_EAGER=1 "$mode" "$VICTIMS/errors_space" small 700 fill
            grep -qx "status 0" shimmed.result && grep -q ENOSPC shimmed.result ||
                fail "$kind, $mode: $(cat shimmed.result)"
        done
    done
}

# The one exception: storage refused what was accepted, and would accept what comes next.
@test "ENOSPC that comes late is told at the next call on the file, once" {
    local mode call
    need_mount tmpfs
    for mode in "${MODES[@]:0:3}"; do
        for call in write fsync close other replaced refused unknown passing; do
            # On a busy machine the delay may be over before the room is gone: then there is nothing to see.
            for _ in {1..5}; do
                rm -f "$STATS"
                on_small tmpfs 96 shim URINGSHIM_TEST_EAGER=1 URINGSHIM_MAX_DELAY_US=1000000 "$mode" \
                    "$VICTIMS/errors_late" small "$call" >out
                (($(stat_value late.errors) == 0)) || break
            done
            (($(stat_value late.errors) > 0)) || fail "$mode: no late error: $(cat "$STATS")" || return
            grep -Eqx "$call ENOSPC(, again fine(, whole)?)?" out || fail "$mode: $(cat out)" || return
        done
    done
}

# Causal freshness: that a write went in tells that somebody made room, who may have changed something before.
@test "who can write again reads what was changed before there was room" {
    local setting status
    need_mount tmpfs
    for setting in X=1 URINGSHIM_TEST_EAGER=1; do
        rm -f "$STATS"
        for _ in {1..10}; do # with status 3 the other process wasn't in time
            status=0
            on_small tmpfs 1 shim URINGSHIM_OWN_CALLS=ignore "$setting" "${PATIENTLY[@]}" "$VICTIMS/freshness_room" small >out || status=$?
            ((status == 3)) || break
        done
        ((status == 0)) && grep -qx 'the change' out || fail "$setting: status $status, $(cat out)" || return
        (($(stat_value read.served) > 100)) || fail "$setting: nothing was read ahead: $(cat "$STATS")" || return
    done
}

@test "EFBIG, where the position was moved in any way to near the largest size of a file" {
    local way
    for way in lseek before after child stream number end; do
        same_as_native "$VICTIMS/errors_far" $way || fail "$way" || return
    done
}
