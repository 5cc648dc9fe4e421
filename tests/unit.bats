#!/usr/bin/env bats
# The parts that are ordinary functions, without a victim: decisions, guarded copying, the biased lock, the window.

load lib/common

@test "policy: the table of decisions" {
    "$ROOT/build/unit/policy"
}

@test "real: the next definition of every name, without the loader" {
    "$ROOT/build/unit/real"
}

@test "string: the library's own <string.h> does what libc's does" {
    "$ROOT/build/unit/string"
}

@test "ticks: what a call takes" {
    "$ROOT/build/unit/ticks"
}

@test "copy: every length and alignment, and unreadable memory" {
    "$ROOT/build/unit/copy"
}

@test "lock: owner and visitors exclude each other" {
    "$ROOT/build/unit/lock"
}

@test "window: read by several threads, closed by others; with an owner and without" {
    "$ROOT/build/unit/window"
    "$ROOT/build/unit/window" without
}

@test "ring: with an array of slots and without, as liburing makes it" {
    local status=0
    "$ROOT/build/unit/ring" || status=$?
    ((status != 77)) || skip "no ring without an array"
    ((status == 0))
}

@test "flight: what is under way is used only while nothing has changed" {
    local status=0
    "$ROOT/build/unit/flight" || status=$?
    ((status != 77)) || skip "no direct I/O on this file system, or no rings"
    ((status == 0))
}

@test "a pipe's pages are followed by the kernel's rule, and inputs are counted" {
    "$ROOT/build/unit/streams"
}
