#!/usr/bin/env bats
# Causal freshness: a process that changes a file itself reads what it has made of it, however it did that, and is where
# it has read to.

load lib/common
load lib/compare

# own PART…: natively and in every mode the same bytes are read.
own() {
    local part
    for part in "$@"; do
        : >"$STATS"
        same_as_native "${PATIENTLY[@]}" "$VICTIMS/freshness_own" "$part" || fail "$part"
        (($(stat_value read.served) > 0)) || fail "$part: no read was served"
    done
}

@test "every part is tried" {
    diff <("$VICTIMS/freshness_own" | sort) <(grep -Eo '^    own [a-z_ ]+' "${BASH_SOURCE[0]}" | tr ' ' '\n' |
        grep -Ev '^(own)?$' | sort)
}

@test "its own writes, through every descriptor and name" {
    own pwrite write pwritev large append stdio
}

@test "its own changes to what is there, and to the size" {
    own fallocate copy_file_range truncate growth
}

@test "its own stores into a mapping" {
    own store
}

@test "the position, as every call sees it" {
    own position fork turns queue
}

@test "replaced files, odd reads, and places far away" {
    own name odd_reads distance
}

@test "a thread writes and another one reads" {
    own thread count
}

@test "what was read ahead too long ago" {
    own age
}
