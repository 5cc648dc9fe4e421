#!/usr/bin/env bats
# What reading ahead is for: of the reads and seeks of real programs at most three in a hundred are left. And where
# nothing is to be gained it costs a few calls at the start and then none, and fetches next to nothing in vain.
# shellcheck disable=SC2016 # the variables are the programs' own

load lib/common
load lib/trace

START=15 # system calls that loading the library may cost, as in never_in_the_way_costs.bats
READS='read|pread64|readv|preadv|preadv2|lseek'

setup_file() {
    command -v strace >/dev/null || skip "needs strace"
}

# bytes_read: by all reads in `calls`.
bytes_read() {
    awk '$2 ~ /^(read|pread64|readv)\(/ && $NF ~ /^[0-9]+$/ { sum += $NF } END { print sum + 0 }' calls
}

# served PERCENT CMD [ARG]…: that many of its reads and seeks are left, and it prints and leaves in `out` what it does
# natively. How many pass before its code has been looked at is a matter of when the helper thread gets a processor.
served() {
    local percent=$1 native remaining setting try
    shift
    rm -f out && trace_native "$@" >printed && touch out && mv out expected
    native=$(count "$READS")
    for setting in URINGSHIM_TEST_EAGER=0 URINGSHIM_TEST_EAGER=1; do
        remaining=$native
        for ((try = 0; try < 5 && remaining > native * percent / 100; try++)); do # a window has an age: by the clock
            rm -f out && trace URINGSHIM_OWN_CALLS=ignore "$setting" "$@" >printed.shimmed && touch out
            cmp printed printed.shimmed && cmp expected out || fail "$setting: it does something else" || return
            remaining=$(count "$READS")
        done
        ((remaining <= native * percent / 100)) || fail "$setting: $remaining of $native remain" || return
    done
}

@test "dash: a loop that reads 4,000 lines, byte by byte" {
    need_command dash
    seq -f 'line %g' 4000 >in
    served 3 dash -c 'n=0; while read -r a b; do n=$((n + 1)); done <in; echo $n $b'
}

@test "bash: a loop that reads 20,000 lines" {
    seq -f 'line %g' 20000 >in
    served 3 bash -c 'n=0; while read -r a b; do n=$((n + 1)); done <in; echo $n $b'
}

@test "perl and python: 20,000 unbuffered reads" {
    seq -f 'line %g of the file' 20000 >in
    served 3 perl -e 'open F, "<", "in"; $s = 0; while (sysread F, $b, 17) { $s += unpack "%32C*", $b } print "$s\n"'
    need_command /usr/bin/python3
    served 3 /usr/bin/python3 -c '
import os
fd, s = os.open("in", os.O_RDONLY), 0
while b := os.read(fd, 11): s += sum(b)
print(s)'
}

@test "pieces at offsets that go up, and down" {
    seq -f 'line %g of the file' 50000 >in
    need_command /usr/bin/python3
    served 4 /usr/bin/python3 -c '
import os, zlib
fd, s = os.open("in", os.O_RDONLY), 0
for i in range(20000): s = zlib.crc32(os.pread(fd, 20, i * 30), s)
for i in range(20000, 0, -1): s = zlib.crc32(os.pread(fd, 20, i * 30), s)
print(s)'
}

@test "dd: blocks of 512 bytes, file to file" {
    seq 4000000 | head -c 5120000 >in
    served 3 dd if=in of=out bs=512 status=none
}

@test "a stream of libc's: a tenth is left of what had 4096 bytes each" {
    seq 4000000 | head -c 20480000 >in
    served 12 "$VICTIMS/keepout_reads" stream 1
}

# What pays depends on what a call costs: here as much as strace takes.
@test "dd: blocks of 8192 and of 16384 bytes, where calls are dear" {
    seq 4000000 | head -c 20480000 >in
    served 30 dd if=in of=out bs=8192 status=none
    served 60 dd if=in of=out bs=16384 status=none
}

# kept_out KIND COUNT CALLS BYTES: at most so many calls more, and so many bytes.
kept_out() {
    local native bytes more
    trace_native "$VICTIMS/keepout_reads" "$1" "$2" <large || {
        (($? == 77)) && echo "$1: not on this file system" && return
        fail "$1"
    }
    native=$(count) bytes=$(bytes_read)
    trace "$VICTIMS/keepout_reads" "$1" "$2" <large || fail "$1"
    more=$(($(count) - native)) bytes=$(($(bytes_read) - bytes))
    ((more <= $3)) || fail "$1: $more calls more than $native" || return
    ((bytes <= $4)) || fail "$1: $bytes bytes more" || return
    assert_no_machinery || fail "$1"
}

large_files() {
    head -c 4194304 /dev/zero | tr '\0' z >large
    cp large other
}

@test "random reads, large ones, vectors, a file read once, a few reads of each, the same place again" {
    local kind
    large_files
    for kind in random seeking whole over_the_limit vectors few polling; do
        kept_out "$kind" 1000 $((START + 5)) 8192
    done
}

@test "pipes, sockets, devices, /proc, /sys, what was inherited, O_DIRECT for writing too" {
    local kind
    large_files
    for kind in null proc sys inherited direct; do
        kept_out "$kind" 1000 $((START + 10)) 8192
    done
    for kind in pipe socket; do # what each of them is, and how much it would take to find out who else reads it
        kept_out "$kind" 1000 $((START + 40)) 8192
    done
}

@test "a file that is mapped, and shared writable memory" {
    local kind
    large_files
    for kind in mapped shared_memory; do
        kept_out "$kind" 1000 $((START + 10)) 8192
    done
}

# Each new attempt comes after twice as many reads as the one before.
@test "two files read in turn: a few attempts, ever fewer" {
    large_files
    kept_out alternately 20000 500 $((1 << 20))
}

@test "FUSE" {
    need_root
    need_command fuse2fs
    skip_unless "no /dev/fuse" test -w /dev/fuse
    truncate -s 16M image
    mkfs.ext4 -q -m 0 image
    mkdir mnt
    fuse2fs image mnt || skip "can't mount"
    local status=0
    (cd mnt && large_files && kept_out plain 1000 $((START + 15)) 8192) || status=1
    umount mnt
    [[ $status == 0 ]]
}

@test "with reading ahead off, or only observing, every read is passed as it is" {
    local setting
    large_files
    trace_native "$VICTIMS/keepout_reads" plain 1000
    grep -Eo '(read|pread64|lseek)\([3-9].*' calls >native.reads
    for setting in URINGSHIM_READAHEAD=0 URINGSHIM=observe URINGSHIM=off; do
        trace URINGSHIM_TEST_EAGER=1 "$setting" "$VICTIMS/keepout_reads" plain 1000
        grep -Eo '(read|pread64|lseek)\([3-9].*' calls | tail -n "$(wc -l <native.reads)" >shimmed.reads
        (($(grep -c ' 50) *= 50$' shimmed.reads) == 1000)) || fail "$setting"
    done
}

# So that the tests above can fail: the same program, left to itself, is served.
@test "a plain file is not kept out of" {
    large_files
    trace URINGSHIM_OWN_CALLS=ignore "$VICTIMS/keepout_reads" plain 5000
    (($(count "$READS") < 300)) || fail "$(count "$READS") reads"
}
