#!/usr/bin/env bats
# The commands doctor and check: what they find is there, and what isn't there they don't find.

# $output and $stderr are bats's, and what stands in single quotes is for another shell.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load lib/common

COMMAND=$ROOT/scripts/uringshim
PROBE=${LIB%/*}/uringshim-probe

# found ok|warn|no WHAT: the last run had this finding, whose text begins with the pattern.
found() {
    grep -Eq "^$1 +$2" <<<"$output" || fail "no line '$1 $2' in:" "$output"
}

not_found() {
    ! grep -Eq "^$1 +$2" <<<"$output" || fail "a line '$1 $2' in:" "$output"
}

# As another user, who may lock no more memory than the limit says.
NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all)
need_nobody() {
    need_root
    need_command setpriv
    skip_unless "the library is out of another user's reach" "${NOBODY[@]}" test -r "$LIB"
    chmod 777 .
}

# checked STATUS PROGRAM [REASON]: what check says of it.
checked() {
    run "-$1" --separate-stderr timeout 60 "$COMMAND" check "$2"
    [ -z "$stderr" ]
    [ "$(awk 'length > 80' <<<"${output//$PWD/}")" = "" ]
    if (($1)); then
        [[ $output == *"$2 cannot be shimmed: $3." ]] || fail "$output"
    else
        [[ $output == *"$2 can be shimmed." ]] || fail "$output"
    fi
}

compile() { # PROGRAM [OPTION]…
    [ -e main.c ] || echo 'int main(void) { return 7; }' >main.c
    gcc -o "$@" main.c
}

@test "check: an ordinary program can be shimmed" {
    compile ordinary
    checked 0 ./ordinary
    not_found '(no|warn)' .
    PATH=$PWD:$PATH checked 0 ordinary
    gcc -shared -fPIC -Wl,-soname,libaio.so.1 -o libaio.so.1 -x c /dev/null
    compile with_libaio -Wl,--no-as-needed,-rpath,"$PWD" libaio.so.1
    checked 0 ./with_libaio
    found warn 'links libaio'
}

@test "check: static programs can't" {
    compile static -static
    compile pie -static-pie
    checked 1 ./static 'statically linked'
    checked 1 ./pie 'statically linked'
}

@test "check: nor can those of another libc, or of another loader" {
    compile musl -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1
    compile odd -Wl,--dynamic-linker=/odd/loader
    checked 1 ./musl 'uses musl, not glibc'
    checked 1 ./odd "uses a loader that isn't glibc's: /odd/loader"
}

@test "check: nor can Go's" {
    echo '__attribute__((section(".go.buildinfo"), used)) static char info[] = "go"; int main(void) { return 7; }' >go.c
    gcc -o go go.c
    sed 's/\.go\.buildinfo/.note.go.buildid/' go.c >note.c
    gcc -o note note.c
    gcc -static -o static note.c
    checked 1 ./go 'made by Go'
    checked 1 ./note 'made by Go'
    checked 1 ./static 'statically linked; made by Go'
}

@test "check: nor can those of 32 bits, of another processor, or cut off" {
    compile ordinary
    chmod +x ordinary
    local at
    for at in 4 5 18; do # EI_CLASS, EI_DATA, e_machine (elf(5))
        cp ordinary other
        printf '\2\1\x7' | dd of=other bs=1 seek=$at skip=$((at == 5 ? 0 : at == 4 ? 1 : 2)) count=1 conv=notrunc status=none
        checked 1 ./other 'of 32 bits, or for another processor'
    done
    for at in 0 3 63 64 100 700 4000 4096 8192 12000 12288; do
        head -c $at ordinary >part
        chmod +x part
        run timeout 60 "${PROBE%/*}/uringshim-elf" ./part
        ((status <= 1)) || fail "$at bytes: $output"
    done
}

@test "check: nor can those that make rings" {
    echo 'int io_uring_queue_init(void); int main(void) { return io_uring_queue_init(); }' >ring.c
    echo 'int io_uring_queue_init(void) { return 7; }' >liburing.c
    gcc -shared -fPIC -Wl,-soname,liburing.so.2 -o liburing.so.2 liburing.c
    gcc -o shared ring.c liburing.so.2 -Wl,-rpath,"$PWD"
    gcc -shared -fPIC -o libother.so -Wl,--no-as-needed liburing.so.2 -x c /dev/null
    compile indirect -Wl,--no-as-needed,-rpath,"$PWD" libother.so
    gcc -o within ring.c liburing.c
    checked 1 ./shared 'links liburing'
    checked 1 ./indirect 'links liburing'
    checked 0 ./within
    found warn 'io_uring is named in it'
}

@test "check: nor can those with the rights of others" {
    need_nobody
    local id reason
    for id in 4 2; do
        compile set-id
        chmod "${id}755" set-id
        checked 0 ./set-id # root's own
        run -1 timeout 60 "${NOBODY[@]}" "$COMMAND" check ./set-id
        reason=$([ $id = 4 ] && echo set-user-ID || echo set-group-ID)
        found no "$reason"
        [[ $output == *"./set-id cannot be shimmed: $reason." ]]
    done
}

@test "check: nor can those with file capabilities, but by root" {
    local PATH=$PATH:/sbin:/usr/sbin
    need_nobody
    compile capable
    skip_unless "no file capabilities here" setcap cap_net_raw+ep capable
    checked 0 ./capable
    found warn 'file capabilities'
    run -1 timeout 60 "${NOBODY[@]}" "$COMMAND" check ./capable
    [[ $output == *"./capable cannot be shimmed: has file capabilities." ]]
}

@test "check: of a script its interpreter is looked at, through env, too" {
    compile static -static
    local perl
    perl=$(command -v perl)
    printf '#!/bin/sh\n' >plain
    printf '#! /usr/bin/env perl\n' >by_env
    printf '#!/usr/bin/env -S A=1 perl -w\n' >options
    printf '#!%s/static -x\n' "$PWD" >not
    printf '#!%s/not\n' "$PWD" >nested
    printf '#!%s/missing\n' "$PWD" >missing
    printf '#!%s/endless\n' "$PWD" >endless
    printf 'only words\n' >text
    chmod +x plain by_env options not nested missing endless text
    checked 0 ./plain
    found ok './plain is a script, run by /bin/sh$'
    for script in by_env options; do
        checked 0 "./$script"
        found ok "./$script is a script, run by /usr/bin/env, which starts $perl"
        found ok "$perl is a program"
    done
    checked 1 ./not 'statically linked'
    checked 1 ./nested 'statically linked'
    checked 1 ./text 'neither a program nor a script with #!'
    run -126 "$COMMAND" check ./missing
    run -126 "$COMMAND" check ./endless
}

@test "check: what isn't there, or isn't one program, is said in one line" {
    local case
    mkdir directory
    echo words >words
    for case in '127 no-such-command-here' '127 ./missing' '126 ./words' '126 ./directory' '127 cd' '125' \
        '125 --nonsense' '125 ls -l'; do
        # shellcheck disable=SC2086 # words
        run "-${case%% *}" --separate-stderr "$COMMAND" check ${case#"${case%% *}"}
        [ -z "$output" ]
        [[ $stderr == uringshim:* && ${#stderr_lines[@]} -eq 1 ]] || fail "$case: $stderr"
    done
}

@test "a plain run of a script under env is warned of what env starts" {
    compile static -static
    printf '#!/usr/bin/env static\n' >script
    chmod +x script
    PATH=$PWD:$PATH run -7 --separate-stderr "$COMMAND" ./script
    [ "$stderr" = "uringshim: ./script runs as without the library: it is statically linked" ]
}

@test "a plain run doesn't take for static what it can't judge" {
    compile ordinary
    { printf '\x7fELF\1'; head -c 64 ordinary | tail -c 59; } >foreign
    chmod +x foreign
    run "$COMMAND" ./foreign
    [[ $output != *statically* ]]
    compile static -static
    cp -r "$ROOT/scripts" .
    mkdir build
    cp "$LIB" build # alone
    run -7 --separate-stderr scripts/uringshim ./static
    [ -z "$stderr" ]
}
