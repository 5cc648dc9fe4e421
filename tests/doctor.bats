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

# doctor STATUS [CMD…]: runs doctor, by way of CMD.
doctor() {
    local status=$1
    shift
    run "-$status" "${PATIENTLY[@]}" "$@" "$COMMAND" doctor
}

# verdict WORDS: the last sentence ends with them.
verdict() {
    [[ ${output//$'\n'/ } == *"$1." ]] || fail "not '$1' in:" "$output"
}

# As another user, who may lock no more memory than the limit says. It's one whom no other test is: what is locked is counted
# by user.
NOBODY=(setpriv --reuid=$((70000 + $$ % 50000)) --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all)
need_nobody() {
    need_root
    need_command setpriv
    skip_unless "the library is out of another user's reach" "${NOBODY[@]}" test -r "$LIB"
    chmod 777 .
}

# changed SED_SCRIPT: what the probe finds is changed so, for $COMMAND.
changed() {
    mkdir -p changed/build
    cp -r "$ROOT/scripts" "$LIB" changed
    mv changed/*.so changed/build
    printf '#!/bin/sh\n[ $# -eq 0 ] || exec %s "$@"\n%s | sed "%s"\n' "$PROBE" "$PROBE" "$1" \
        >changed/build/uringshim-probe
    chmod +x changed/build/uringshim-probe
    COMMAND=$PWD/changed/scripts/uringshim
    export URINGSHIM_SKIP=sh # only the program of the trial reports
}

need_tracing() {
    need_command strace
    skip_unless "strace may not trace here" strace -o /dev/null true
}

@test "doctor: findings, and a last line that says what the status says" {
    run "${PATIENTLY[@]}" "$COMMAND" doctor
    echo "$output"
    ! grep -Ev '^$|^(ok  |warn|no  ) [^ ]|^     [^ ]|^uringshim ' <<<"$output" || fail "what is that?"
    [ "$(awk 'length > 80' <<<"$output")" = "" ]
    [ "$(grep -c '^uringshim ' <<<"$output")" = 1 ]
    case $status in
    0) [[ $output == *"uringshim is fully effective here." ]] ;;
    1) [[ $output == *"uringshim is partly effective here: "* ]] ;;
    2) [[ $output == *"uringshim does nothing here: "* ]] ;;
    *) fail "status $status" ;;
    esac
}

@test "doctor: what it says is so" {
    run "${PATIENTLY[@]}" "$COMMAND" doctor
    found '(ok|warn)' "kernel: Linux $(uname -r)"
    found '(ok|no)' "glibc: $(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2),"
    found '(ok|no)' "limit of processes: $(ulimit -u)$"
    found '(ok|no)' "kernel\.io_uring_disabled: $(cat /proc/sys/kernel/io_uring_disabled || echo not)"
    found '(ok|no)' "seccomp: .*no_new_privs: $(awk '/^NoNewPrivs/ { print $2 }' /proc/self/status)"
    if [ -e /.dockerenv ]; then
        found ok 'container: .*/\.dockerenv'
    fi
    local type
    type=$(findmnt -no FSTYPE -T .)
    case $type in
    ext[234] | xfs | btrfs | f2fs | tmpfs) found '(ok|warn)' "$type on [^ ]+.*: (inline|by workers|less than)" ;;
    *) found warn "$type on " ;;
    esac
}

@test "doctor: everything is there for rings, where rings are made" {
    shim URINGSHIM_TEST_EAGER=1 URINGSHIM_ENGINE=ring "$VICTIMS/refuse_work" >/dev/null
    (($(stat_value ring.writes) > 0)) || skip "no rings here"
    run "${PATIENTLY[@]}" "$COMMAND" doctor
    not_found no 'io_uring: [a-l]'
    local what
    for what in 'a ring' 'known by a number' 'registered files' 'registered buffers' 'restricted' 'registering a file when' \
        'refusing' 'writing' 'writing from a reg' 'writing to a pipe' 'syncing' 'linked requests' '(a|no) device'; do
        found '(ok|no)' "io_uring: $what"
    done
    found ok 'trial: the library loads'
    found ok 'code: can be looked at, .*'
    found ok 'trial: (9..|1000) of 1000 small writes were deferred'
    found ok 'trial: (9..|1000) of 1000 small reads were answered'
    found ok 'trial: written by a ring'
}

# written_to FLAG: a byte goes into a pipe with this flag of pwritev2's.
written_to() {
    /usr/bin/python3 -c 'import os, sys; os.pwritev(os.pipe()[1], [b"x"], -1, int(sys.argv[1], 0))' "$1" 2>/dev/null
}

@test "doctor: how pipes and sockets are written to here" {
    run "${PATIENTLY[@]}" "$COMMAND" doctor
    if written_to 8; then # RWF_NOWAIT
        found ok 'pipes: written to without waiting'
        found ok 'FIFOs: opened once more for that'
    else
        found warn 'pipes: not written to without waiting'
        found ok 'pipes and FIFOs: opened once more for that'
    fi
    if written_to 0x100; then # RWF_NOSIGNAL
        found ok 'pipes: written to without SIGPIPE'
    else
        found ok 'pipes: a SIGPIPE of a flush is taken away again'
    fi
    found ok 'sockets: written to without waiting'
    found ok 'trial: (4.|50) of 50 small writes to a pipe were deferred'
    if blinded; then
        found warn 'trial: no read of a pipe was answered from a peek'
    else
        found ok 'trial: (9..|1000) of 1000 small reads of a pipe were answered from peeks'
    fi
    URINGSHIM_STREAMS=0 run "${PATIENTLY[@]}" "$COMMAND" doctor
    found ok 'trial: (9..|1000) of 1000 small writes were deferred'
    found no 'trial: no write to a pipe was deferred: passed\.streams_off'
    found warn 'trial: no read of a pipe was answered from a peek'
    verdict "writes to pipes are passed through"
}

@test "doctor: a kernel that waits for pipes, or sends a signal, and one that doesn't open them once more" {
    changed 's/^stream.nowait .*/stream.nowait EOPNOTSUPP/; s/^stream.quiet .*/stream.quiet EOPNOTSUPP/'
    doctor 0
    found warn 'pipes: not written to without waiting'
    found ok 'pipes and FIFOs: opened once more for that'
    found ok 'pipes: a SIGPIPE of a flush is taken away again'
    changed 's/^stream.again .*/stream.again EACCES/'
    doctor 1
    found no 'FIFOs: not to be opened once more .*'
    verdict "partly effective here: writes to FIFOs are passed through"
    changed '/^stream/d'
    doctor 1
    verdict "partly effective here: writes to pipes and FIFOs are passed through; writes to sockets are passed through"
    need_tracing
    run -0 "${PATIENTLY[@]}" strace -f -qq -o trace -e inject=pwritev2:error=EOPNOTSUPP "$PROBE"
    [[ $output == *$'\nstream.nowait EOPNOTSUPP\nstream.quiet EOPNOTSUPP\nstream.again ok\n'* ]] || fail "$output"
}

@test "doctor: limits that keep writes from being deferred" {
    local case
    for case in '--nproc=255 limit of processes: 255' '--fsize=1000000000 limit of file sizes: 1000000000'; do
        doctor 1 prlimit "${case%% *}"
        found no "${case#* }"
        found no 'trial: no write was deferred: passed\.'
        [[ $output == *"change: prlimit --pid \$\$ ${case%%=*}="* ]]
        verdict "partly effective here: no write is deferred"
    done
    run "${PATIENTLY[@]}" prlimit --nproc=256 "$COMMAND" doctor
    found ok 'limit of processes: 256'
}

@test "doctor: a real-time scheduler" {
    skip_unless "may not be real-time here" chrt -f 1 true
    doctor 1 chrt -f 1
    found no 'scheduling'
    verdict "partly effective here: no write is deferred"
}

@test "doctor: locked memory" {
    need_nobody
    doctor 1 "${NOBODY[@]}" prlimit --memlock=600000
    found warn 'locked memory: 585 KiB: rings with buffers for 1 threads'
    verdict "little locked memory"
    doctor 1 "${NOBODY[@]}" prlimit --memlock=0
    found no 'io_uring: a ring: ENOMEM'
    found warn 'locked memory: 0 KiB: .* 0 threads'
    found no 'trial: written by plain calls: fallback.ring.ENOMEM'
    run "${PATIENTLY[@]}" "${NOBODY[@]}" prlimit --memlock=8000000 "$COMMAND" doctor
    found '(ok|warn)' 'locked memory: 7812 KiB: rings with buffers for 15 threads'
    run "${PATIENTLY[@]}" prlimit --memlock=0 "$COMMAND" doctor
    found ok 'locked memory: any'
    changed 's/^exempt .*/exempt ENOMEM/; s/^processors .*/processors 187/; s/^memory .*/memory 100000000/'
    doctor 0
    found ok 'locked memory: 97656 KiB: rings with buffers for 187 threads'
    changed 's/^exempt .*/exempt ENOMEM/; s/^memory .*/memory unlimited/'
    doctor 0
    found ok 'locked memory: unlimited'
}

@test "doctor: what a ring takes of locked memory is what it counts" {
    local needed
    need_nobody
    needed=$("$PROBE" | sed -n 's/^ring_memory //p')
    run -0 "${NOBODY[@]}" prlimit --memlock="$needed" "$PROBE"
    [[ $output == *"ring.buffers ok"* ]]
    sleep 0.5 # until the kernel has freed that ring
    run -0 "${NOBODY[@]}" prlimit --memlock=$((needed - 4096)) "$PROBE"
    [[ $output == *"ring.buffers ENOMEM"* ]]
}

@test "doctor: a filter that refuses rings, or kills who makes them" {
    skip_unless "a filter is in force here" grep -q '^Seccomp:.*0' /proc/self/status
    local within=(io_uring sh -c '"$@"; exit $?' sh) # a shell under the filter, as a container's is
    doctor 1 "$VICTIMS/refuse_seccomp" EPERM "${within[@]}"
    found no 'io_uring: a ring: EPERM'
    found ok 'seccomp: a filter is in force, as for the parent'
    found no 'trial: written by plain calls: fallback.ring.EPERM'
    [[ $output == *"change: docker run --security-opt"* ]]
    doctor 1 "$VICTIMS/refuse_seccomp" KILL "${within[@]}"
    found no 'io_uring: a ring: whoever tries is killed'
    verdict "partly effective here: no rings"
    ulimit -c unlimited
    run "${PATIENTLY[@]}" "$VICTIMS/refuse_seccomp" KILL io_uring "$PROBE"
    [[ $output == *died* && -z $(find . -name 'core*') ]]
}

@test "doctor: a filter that the parent isn't under" {
    skip_unless "a filter is in force here" grep -q '^Seccomp:.*0' /proc/self/status
    doctor 2 "$VICTIMS/refuse_seccomp" EPERM io_uring
    found no 'seccomp: a filter is in force that the parent'
    verdict "uringshim does nothing here: a seccomp filter that the parent process isn't under"
}

@test "doctor: rings refused by the kernel, at each step" {
    need_tracing
    doctor 1 strace -f -qq -o trace -e inject=io_uring_setup:error=EPERM
    found no 'io_uring: a ring: EPERM'
    verdict "partly effective here: no rings"
    doctor 1 strace -f -qq -o trace -e inject=io_uring_setup:error=ENOSYS
    [[ $output == *"CONFIG_IO_URING"* ]]
    local step=0 what
    for what in 'known by' 'buffers' 'restricted' 'enabled' 'registering'; do
        ((++step != 2)) || step=5 # the table of files, and what is tried on it
        run "${PATIENTLY[@]}" strace -f -qq -o trace -e inject=io_uring_register:error=EINVAL:when=$step \
            "$PROBE"
        [ "$(grep -c '^ring\..* EINVAL$' <<<"$output")" = 1 ] || fail "$what: $output"
    done
    doctor 1 strace -f -qq -o trace -e inject=io_uring_register:error=EINVAL:when=2
    found no 'io_uring: registered files .*: EOPNOTSUPP'
    found ok 'io_uring: writing'
    found ok 'trial: written by plain calls, for it'
    verdict "partly effective here: rings for direct I/O only"
}

@test "doctor: no membarrier" {
    need_tracing
    doctor 1 strace -f -qq -o trace -e inject=membarrier:error=EPERM
    found warn 'membarrier: refused'
    verdict "no membarrier"
}

# mounted SCRIPT: in namespaces of its own, where it may mount.
mounted() {
    need_root
    skip_unless "needs mount namespaces" unshare -m true
    mkdir mnt
    run "${PATIENTLY[@]}" unshare -m sh -ec "$1"' && exec "$0" doctor' "$COMMAND"
}

@test "doctor: no /proc" {
    mounted 'mount -t tmpfs none /proc'
    [ "$status" -eq 2 ]
    found no '/proc: not there'
    [[ $output == *"change: mount -t proc"* ]]
    found no '.*FIFOs: not to be opened once more for that, by /proc/self/fd: ENOENT'
}

@test "doctor: a file system that is nearly full" {
    mounted 'mount -t tmpfs -o size=160m none mnt; dd if=/dev/zero of=mnt/full bs=1M count=100 status=none'
    found warn "tmpfs on $PWD/mnt: less than 64 MiB left"
    not_found '..' 'files on'
    rm -r mnt
    mounted 'mount -t tmpfs -o size=160m none mnt; cd mnt; dd if=/dev/zero of=full bs=1M count=100 status=none'
    [ "$status" -eq 1 ]
    verdict "files on this directory's file system are left alone"
}

@test "doctor: a file system that isn't known" {
    mkdir "with space"
    mounted 'mount -t tmpfs none mnt; mkdir mnt/upper mnt/work
        mount -t overlay -o lowerdir=/usr/lib,upperdir=mnt/upper,workdir=mnt/work none "with space"; cd "with space"'
    [ "$status" -ne 32 ] || skip "no overlays here"
    [ "$status" -eq 1 ]
    found warn "overlay on $PWD/with space: not known to uringshim"
    verdict "files on this directory's file system are left alone"
}

@test "doctor: direct I/O and leases, where they are and where not" {
    mounted 'mount -t tmpfs none mnt; cd mnt'
    found ok "tmpfs on .*: (inline|by workers): reads, writes; no direct I/O"
    dd if=/dev/zero of=probe bs=4096 count=1 oflag=direct status=none || skip "no direct I/O on this file system"
    run "${PATIENTLY[@]}" "$COMMAND" doctor
    found ok "$(findmnt -no FSTYPE -T .) on .*direct I/O"
    case $(findmnt -no FSTYPE -T .) in
    ext4 | xfs) found ok "[^ ]+ on .*inline:[^;]* direct I/O" ;;
    *) not_found ok "$(findmnt -no FSTYPE -T .) on .*no direct I/O" ;;
    esac
    changed 's/ ok \([0-9]*\) / EAGAIN \1 /' # leases
    doctor 0
    found ok "$(findmnt -no FSTYPE -T .) on .*no direct I/O"
    run "${PATIENTLY[@]}" strace -f -qq -o trace -e inject=fcntl:error=EAGAIN:when=1 "$PROBE"
    [[ $output == *" EAGAIN "[0-9]* ]]
}

@test "doctor: what is inline, and what by workers" {
    changed "s/known.*\$/known inline inline inline inline ok 512 ok \/a b/"
    doctor 0
    found ok '[a-z0-9]+ on /a b(, /a b)?: inline: reads, writes, direct I/O$'
    found ok 'io_uring: a device that is polled'
    changed "s/known.*\$/known EOPNOTSUPP inline inline EAGAIN ok 512 EOPNOTSUPP \/a/"
    doctor 0
    found ok '[a-z0-9]+ on /a(, /a)?: inline: reads; by workers: writes, direct I/O$'
    found no 'io_uring: no device that is polled'
    changed "s/known.*\$/known - - - - - 0 - \/a/"
    doctor 0
    found ok '[a-z0-9]+ on /a(, /a)?: no file can be made there'
}

@test "doctor: the switch that turns io_uring off" {
    local value
    [ -e /proc/sys/kernel/io_uring_disabled ] || skip "an older kernel"
    changed 's/^ring .*/ring EPERM/; /^ring\./d'
    for value in 1 2; do
        rm -rf mnt
        echo $value >value
        mounted 'mount --bind value /proc/sys/kernel/io_uring_disabled'
        [ "$status" -eq 1 ]
        found no "kernel.io_uring_disabled: $value"
        [[ $output == *"change: sysctl kernel.io_uring_"* ]]
    done
    rm -rf mnt
    COMMAND=$ROOT/scripts/uringshim
    echo 1 >value
    mounted 'mount --bind value /proc/sys/kernel/io_uring_disabled'
    found ok "kernel.io_uring_disabled: 1, but not for this user"
}

@test "doctor: a container's signs" {
    mounted 'mount -t tmpfs none /run; : >/run/.containerenv'
    found ok 'container: .*/run/\.containerenv'
    ! readlink /proc/1/ns/mnt || found ok 'container: .*a mount namespace of its own'
}

@test "doctor: an old kernel" {
    local release
    mkdir bin
    printf '#!/bin/sh\ncat release\n' >bin/uname
    chmod +x bin/uname
    for release in 5.15.0-91-generic 6.3.13 6.1-rc1; do
        echo $release >release
        PATH=$PWD/bin:$PATH run "${PATIENTLY[@]}" "$COMMAND" doctor
        found warn "kernel: Linux $release, older"
    done
    for release in 6.4.0 6.12.30-amd64 7.0 10.1; do
        echo $release >release
        PATH=$PWD/bin:$PATH run "${PATIENTLY[@]}" "$COMMAND" doctor
        found ok "kernel: Linux $release"
    done
}

@test "doctor: a libc whose stdio isn't known" {
    echo 'long _IO_file_read(void *stream, void *bytes, long n) { return 0; }' >other.c
    gcc -shared -fPIC -o other.so other.c
    LD_PRELOAD=$PWD/other.so doctor 2
    found no 'glibc: .* its stdio isn.t the one'
    found no 'trial: no write was deferred: passed.stdio'
}

@test "doctor: a libc newer than all that is known" {
    echo 'const char *gnu_get_libc_version(void) { return "2.99"; }' >other.c
    gcc -shared -fPIC -o other.so other.c
    LD_PRELOAD=$PWD/other.so run "${PATIENTLY[@]}" "$COMMAND" doctor
    found warn 'glibc: newer than 2\.[0-9]*, of which all functions are known'
    run "${PATIENTLY[@]}" "$COMMAND" doctor
    [[ $output != *"glibc: newer"* || $(getconf GNU_LIBC_VERSION) > "glibc 2.43" ]]
}

@test "doctor: a library that doesn't load, or is turned off" {
    cp -r "$ROOT/scripts" .
    mkdir build
    cp "$PROBE" build
    echo garbage >build/liburingshim.so
    COMMAND=scripts/uringshim doctor 2
    found no "trial: the library doesn't load"
    [[ $output == *"ERROR: ld.so"* ]]
    URINGSHIM=off doctor 2
    [[ $output == *"URINGSHIM=off"* ]]
    URINGSHIM=observe doctor 2
    found no 'trial: no write was deferred: passed.observe'
    found no 'trial: nothing was read ahead'
}

@test "doctor: leaves no file behind, and takes no arguments" {
    mkdir temp
    TMPDIR=$PWD/temp HOME=$PWD/temp run "${PATIENTLY[@]}" "$COMMAND" doctor
    [ -z "$(ls -A temp)" ]
    TMPDIR=$PWD/temp run -125 --separate-stderr "$COMMAND" doctor something
    [[ $stderr == uringshim:* && ${#stderr_lines[@]} -eq 1 ]]
}

# checked STATUS PROGRAM [REASON]: what check says of it.
checked() {
    run "-$1" --separate-stderr "${PATIENTLY[@]}" "$COMMAND" check "$2"
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
        printf '\1\2\7' | dd of=other bs=1 seek=$at skip=$((at < 18 ? at - 4 : 2)) count=1 conv=notrunc status=none
        checked 1 ./other 'of 32 bits, or for another processor'
    done
    for at in 0 3 63 64 100 700 4000 4096 8192 12000 12288; do
        head -c $at ordinary >part
        chmod +x part
        run "${PATIENTLY[@]}" "${PROBE%/*}/uringshim-elf" ./part
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

@test "check: nor can those that use functions of a newer libc" {
    echo 'GLIBC_2.43 { known; }; GLIBC_2.99 { unknown; };' >versions
    echo 'void known(void) {} void unknown(void) {}' | gcc -shared -fPIC -nostdlib -Wl,-soname,libc.so.6 \
        -Wl,--version-script=versions -x c -o libnew.so -
    echo 'void known(void); void unknown(void); void _start(void) { WHICH(); }' >new.c
    gcc -DWHICH=known -nostdlib -o within new.c libnew.so
    gcc -DWHICH=unknown -nostdlib -o beyond new.c libnew.so
    gcc -DWHICH=unknown -shared -fPIC -nostdlib -o libother.so new.c libnew.so
    compile indirect -Wl,--no-as-needed,-rpath,"$PWD",--allow-shlib-undefined libother.so
    checked 0 ./within
    checked 1 ./beyond 'uses functions of glibc 2.99'
    checked 1 ./indirect 'uses functions of glibc 2.99'
}

@test "check: nor can those with the rights of others" {
    need_nobody
    local id reason
    for id in 4 2; do
        compile set-id
        chmod "${id}755" set-id
        checked 0 ./set-id # root's own
        run -1 "${PATIENTLY[@]}" "${NOBODY[@]}" "$COMMAND" check ./set-id
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
    run -1 "${PATIENTLY[@]}" "${NOBODY[@]}" "$COMMAND" check ./capable
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
    : >nothing && chmod +x nothing
    checked 1 ./nothing 'neither a program nor a script with #!'
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

@test "doctor: in a chroot that no mount point is" {
    need_root
    skip_unless "may not make namespaces" unshare --mount --pid --fork true
    mkdir parent
    # shellcheck disable=SC2016 # for the shell in the namespace
    unshare --mount --pid --fork bash -c '
        mount -t tmpfs -o size=256m none parent && mkdir -p parent/root/here parent/root/proc parent/root/tmp
        for place in bin sbin usr lib lib64 etc dev; do
            [ ! -d "/$place" ] || { mkdir "parent/root/$place" && mount --rbind "/$place" "parent/root/$place"; }
        done
        mount --bind "$1" parent/root/here && mount -t proc proc parent/root/proc &&
            exec chroot parent/root /bin/bash -c "cd /tmp && exec /here/scripts/uringshim doctor"' bash "$ROOT" >told || true
    cat told
    grep -Eq '^ok   unlisted on /tmp: ' told
    grep -Eq '^ok   trial: [0-9]+ of 1000 small writes were deferred' told
}
