#!/usr/bin/env bats
# Nobody outside can tell, when code in the process makes system calls past libc: nothing is deferred then.

load lib/common
load lib/compare

calls_in() { # FILE: the names of the functions in which calls were found that count
    nm "$1" | awk '$2 ~ /[Tt]/ { print $1, $3 }' | sort >functions
    "$ROOT/build/uringshim-elf" --calls "$1" | awk '/^call/ { printf "%16s\n", substr($2, 3) }' | tr ' ' 0 |
        while read -r address; do
            awk -v address="x$address" '"x" $1 <= address { name = $2 } END { print name }' functions
        done | sort
}

library() { # OPTION…: a library for own_calls
    "${CC:-cc}" -shared -fPIC -O1 -D_GNU_SOURCE -DLIBRARY "$@" -o library.so "$BATS_TEST_DIRNAME/victims/own_calls_library.c"
}

@test "a call is told from what looks like one, and from what is harmless" {
    calls_in "$VICTIMS/own_calls_shapes" >found
    nm "$VICTIMS/own_calls_shapes" | awk '$3 ~ /^counts_/ { print $3 }' | sort >expected
    [[ $(wc -l <expected) -ge 3 ]]
    diff -u expected found
}

@test "instructions have the lengths that the disassembler gives them" {
    [[ $(uname -m) == x86_64 ]] || skip "all instructions have one length here"
    for file in "$(readlink -f /proc/self/exe)" "$LIB" "$(ldd "$BASH" | awk '$1 ~ /^libc\./ { print $3 }')"; do
        objdump -d -w --insn-width=16 "$file" |
            awk -F'\t' '/^ *[0-9a-f]+:\t/ && $3 !~ /\(bad\)|^\.byte|^rex|^f?wait|^9b/ { gsub(/ /, "", $2); print $2 }'
    done >instructions
    [[ $(wc -l <instructions) -gt 100000 ]]
    "$ROOT/build/unit/instructions" <instructions
}

@test "what people run has no such code, and what has says so" {
    local program
    for program in bash dash perl python3 sqlite3 git tar mawk gawk; do
        program=$(readlink -f "$(command -v "$program")")
        for file in "$program" $(ldd "$program" | awk '$3 ~ /^\// && $1 !~ /^(libc|libpthread|librt)\.so/ { print $3 }'); do
            run "$ROOT/build/uringshim-elf" "$file"
            [[ $output != *call* ]] || fail "$file: $output"
        done
    done
    "$ROOT/build/uringshim-elf" "$VICTIMS/own_calls_rename" | grep '^call'
}

@test "a program that looks and renames by calls of its own finds what it wrote" {
    same_as_native "$VICTIMS/own_calls_rename"
    shim URINGSHIM_LOG=info:log "$VICTIMS/own_calls_rename"
    [[ $(stat_value write.deferred) == 0 && $(stat_value passed.own_calls) -gt 0 ]]
    grep -q 'system calls of its own: .*own_calls_rename at [0-9]*, call' log
}

@test "victims that look past the library by themselves are shown as if they didn't" {
    local victim
    for victim in "$VICTIMS"/*; do
        "$ROOT/build/uringshim-elf" "$victim" | grep -q '^call' || continue
        [[ ${victim##*/} =~ ^(own_calls.*|surface_cancel)$ || ${victim##*/} =~ $LOOK_PAST ]] || fail "$victim"
    done
}

@test "who knows better is believed" {
    : >"$STATS"
    shim URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore "$VICTIMS/own_calls_rename" >out || true
    assert_deferred
}

@test "such code comes later: loaded, mapped, made, found by a handle on libc" {
    local how
    library
    for how in loaded mapped protected patched handle; do
        : >"$STATS"
        same_as_native "$VICTIMS/own_calls" "$how" "$PWD/library.so"
        assert_deferred
        [[ $(stat_value passed.own_calls) -gt 0 ]]
    done
    same_as_native "$VICTIMS/own_calls" early
}

@test "such code comes in the place of a library that was looked at" {
    library
    mv library.so newer
    library -DBY_LIBC
    same_as_native "$VICTIMS/own_calls" reloaded "$PWD/library.so" "$PWD/newer"
    assert_deferred
    [[ $(stat_value passed.own_calls) -gt 0 ]]
}

@test "a library that calls libc changes nothing" {
    library -DBY_LIBC
    same_as_native "$VICTIMS/own_calls" loaded "$PWD/library.so"
    [[ $(stat_value passed.own_calls) == 0 ]]
}

@test "a library that finds libc's functions before ours, or behind them" {
    library -DBY_LIBC
    same_as_native "$VICTIMS/own_calls" deep "$PWD/library.so"
    [[ $(stat_value passed.own_calls) -gt 0 ]]
    library -DBY_NEXT
    : >"$STATS"
    same_as_native "$VICTIMS/own_calls" loaded "$PWD/library.so"
    [[ $(stat_value passed.own_calls) -gt 0 ]]
}

@test "a libc of a plugin's own (dlmopen), and an auditor's" {
    library -DBY_LIBC
    same_as_native "$VICTIMS/own_calls" namespace "$PWD/library.so"
    [[ $(stat_value passed.own_calls) -gt 0 ]]
    "${CC:-cc}" -shared -fPIC -xc - -o audit.so <<<'int getppid(void); unsigned la_version(unsigned v) { return getppid() ? v : 0; }'
    : >"$STATS"
    shim URINGSHIM_TEST_EAGER=1 LD_AUDIT="$PWD/audit.so" "$VICTIMS/refuse_work" >out
    [[ $(stat_value write.deferred) == 0 && $(stat_value passed.own_calls) -gt 0 ]]
}

@test "where one way to look at it is forbidden there is another" {
    strace -f -qq -o calls -e inject=process_vm_readv:error=EPERM -E LD_PRELOAD="$LIB" -E URINGSHIM_TEST_EAGER=1 \
        -E URINGSHIM_STATS="$STATS" perl -e 'open F, ">", "out"; syswrite F, "x" for 1 .. 1000'
    assert_deferred
    grep -q 'thread-self/mem' calls
}

@test "while the code is looked at the program doesn't notice" {
    same_as_native "$VICTIMS/own_calls_looking"
    : >"$STATS"
    shim "$VICTIMS/own_calls_looking" >out
    [[ $(stat_value passed.looking) -gt 0 ]] || fail "the look was over too early"
    assert_deferred
}

@test "the child of a fork by a call of its own waits for no thread of its parent's" {
    same_as_native "$VICTIMS/own_calls_forked"
}
