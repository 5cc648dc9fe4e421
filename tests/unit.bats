#!/usr/bin/env bats
# The parts that are ordinary functions, without a victim: decisions, guarded copying, the biased lock.

load lib/common

@test "policy: the table of decisions" {
    "$ROOT/build/unit/policy"
}

@test "copy: every length and alignment, and unreadable memory" {
    "$ROOT/build/unit/copy"
}

@test "lock: owner and visitors exclude each other" {
    "$ROOT/build/unit/lock"
}
