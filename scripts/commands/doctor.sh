# shellcheck shell=sh
# uringshim doctor: what this system allows, and what to change. Sourced by uringshim, whose variables and functions it
# uses. What only a program can try, uringshim-probe tries.
# shellcheck disable=SC2154

command_main() {
    # shellcheck source=scripts/commands/findings.sh
    . "$shim_commands/findings.sh"
    [ $# -eq 0 ] || fail 125 "doctor takes no arguments"
    shim_probe=${shim_library%/*}/uringshim-probe
    shim_facts=$(ask uringshim-probe) || exit 125
    shim_partly='' shim_inert='' shim_filters=''
    look_at_kernel
    look_at_container
    look_at_filters
    look_at_switch
    look_at_rings
    look_at_streams
    look_at_limits
    look_at_memory
    look_at_file_systems
    look_at_library
    echo
    if [ -n "$shim_inert" ]; then
        verdict 2 "uringshim does nothing here: $shim_inert."
    elif [ -n "$shim_partly" ]; then
        verdict 1 "uringshim is partly effective here: $shim_partly."
    else
        verdict 0 "uringshim is fully effective here."
    fi
}

verdict() { # STATUS SENTENCE
    printf '%s\n' "$2" | fold -s -w 80 | sed 's/ *$//'
    exit "$1"
}

# What the verdict is made of.
partly() { # REASON
    shim_partly=$(joined "$shim_partly" "$1")
}

inert() { # REASON
    shim_inert=$(joined "$shim_inert" "$1")
}

fact() { # WORD: what the probe says of it
    printf '%s\n' "$shim_facts" | sed -n "s/^$1 //p" | tail -n 1
}

look_at_kernel() {
    shim_release=$(uname -r)
    shim_minor=${shim_release#*.}
    shim_number=$((${shim_release%%.*} * 1000 + ${shim_minor%%[!0-9]*}))
    if [ $shim_number -ge 6004 ]; then
        found ok "kernel: Linux $shim_release"
    else
        found warn "kernel: Linux $shim_release, older than 6.4"
        means "Its rings may lack what uringshim needs; that was tried, see below."
    fi
    if [ "$(fact code)" = ok ]; then
        found ok "code: can be looked at, for system calls that programs make themselves"
    else
        found no "code: can't be looked at (process_vm_readv, /proc/self/mem)"
        means "Nobody knows whether programs make system calls themselves: nothing is deferred, nor read ahead."
        change "URINGSHIM_OWN_CALLS=ignore" "(for programs that don't)"
        inert "programs' code can't be looked at"
    fi
    if [ "$(fact membarrier)" = yes ]; then
        found ok "membarrier: there"
    else
        found warn "membarrier: refused"
        means "Each deferred write takes a lock, where the thread that usually takes it could do without."
        partly "no membarrier"
    fi
    if [ -r /proc/self/maps ]; then
        found ok "/proc: there"
    else
        found no "/proc: not there"
        means "Without it nobody knows what is mapped or shared: nothing is deferred, nor read ahead."
        change "mount -t proc proc /proc"
        inert "no /proc"
    fi
}

look_at_container() {
    shim_signs=
    for shim_sign in /.dockerenv /run/.containerenv /run/systemd/container; do
        [ ! -e "$shim_sign" ] || shim_signs="$shim_signs, $shim_sign"
    done
    grep -Eq 'docker|kubepods|containerd|libpod|lxc' /proc/1/cgroup 2>/dev/null &&
        shim_signs="$shim_signs, /proc/1/cgroup"
    grep -Eq '^([^ ]+ ){4}/ .* - overlay ' /proc/self/mountinfo 2>/dev/null &&
        shim_signs="$shim_signs, an overlay on /"
    shim_theirs=$(readlink /proc/1/ns/mnt 2>/dev/null)
    [ -z "$shim_theirs" ] || [ "$shim_theirs" = "$(readlink /proc/self/ns/mnt)" ] ||
        shim_signs="$shim_signs, a mount namespace of its own"
    shim_signs=${shim_signs#, }
    found ok "container: ${shim_signs:-no sign of one}"
}

status_of() { # PID FIELD
    sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" 2>/dev/null
}

# The library compares itself with its parent, too (may_make_processes in shim/entry/life/trial.c).
look_at_filters() {
    [ -r /proc/self/status ] || return 0
    shim_privileges="no_new_privs: $(status_of $$ NoNewPrivs)"
    if [ "$(status_of $$ Seccomp)" != 2 ]; then
        found ok "seccomp: no filter; $shim_privileges"
        return
    fi
    shim_filters=$(status_of $$ Seccomp_filters) shim_filters=${shim_filters:-0}
    shim_theirs=$(status_of "$PPID" Seccomp_filters)
    if [ "${shim_theirs:--1}" -ge "$shim_filters" ]; then
        found ok "seccomp: a filter is in force, as for the parent process; $shim_privileges"
    else
        found no "seccomp: a filter is in force that the parent process isn't under; $shim_privileges"
        means "The library's own calls might be fatal: nothing is deferred, nor read ahead."
        change "sh -c 'uringshim CMD; exit \$?'" \
            "(so that the parent process is under the same filter; for a container: docker run --init)"
        inert "a seccomp filter that the parent process isn't under"
    fi
}

look_at_switch() {
    shim_value=$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null)
    case $shim_value in
    '') found ok "kernel.io_uring_disabled: not there (it is from Linux 6.6 on)" ;;
    0) found ok "kernel.io_uring_disabled: 0" ;;
    1)
        shim_group=$(cat /proc/sys/kernel/io_uring_group)
        if [ "$(fact ring)" = ok ]; then
            found ok "kernel.io_uring_disabled: 1, but not for this user"
        else
            found no "kernel.io_uring_disabled: 1; kernel.io_uring_group: $shim_group"
            means "No rings but for root and that group."
            change "sysctl kernel.io_uring_group=$(id -g)"
        fi
        ;;
    *)
        found no "kernel.io_uring_disabled: $shim_value"
        means "No rings for anybody."
        change "sysctl kernel.io_uring_disabled=0"
        ;;
    esac
}

# The probe's word, what it stands for, and what the library does without it.
ring_steps() {
    cat <<'TABLE'
ring|a ring|no rings
ring.number|known by a number (Linux 5.18)|no rings
ring.table|registered files that are let go at once (Linux 6.4)|rings for direct I/O only
ring.buffers|registered buffers|no registered buffers
ring.restrictions|restricted to what it is for (Linux 5.10)|no rings
ring.start|enabled|no rings
ring.hidden|registering a file when its descriptor is closed (Linux 6.3)|no rings
ring.forbidden|refusing what it is restricted from|rings that could do more
ring.write|writing|no rings
ring.write_fixed|writing from a registered buffer|no registered buffers
ring.stream|writing to a pipe without waiting|no rings for pipes
ring.fsync|syncing|no rings
ring.link|linked requests|no rings
TABLE
}

look_at_rings() {
    while IFS='|' read -r shim_word shim_what shim_without; do
        shim_answer=$(fact "$shim_word")
        [ "$shim_word" != ring ] || [ -n "$shim_answer" ] || shim_answer="whoever tries is killed"
        case $shim_answer in
        '') ;; # not tried: something before it is missing
        ok) found ok "io_uring: $shim_what" ;;
        *)
            found no "io_uring: $shim_what: $shim_answer"
            partly "$shim_without"
            ;;
        esac
    done <<TABLE
$(ring_steps)
TABLE
    case $shim_partly in
    *"no rings"*) explain_no_rings "$(fact ring)" ;;
    *"direct I/O only"*)
        means "Other writes are made by plain system calls: as few, but never in the background."
        look_at_polling
        ;;
    *) look_at_polling ;;
    esac
}

# Docker: moby/moby#46762; @aio: src/shared/seccomp-util.c in systemd.
explain_no_rings() { # ERRNO, or ok: something else was refused
    means "What was deferred is written by plain system calls: as few, but never in the background."
    case $1 in
    EINVAL) means "Linux 5.18 would do it." ;;
    ENOSYS) means "The kernel is made without it (CONFIG_IO_URING), or a sandbox says so." ;;
    ENOMEM) change "prlimit --pid \$\$ --memlock=unlimited:unlimited" "(as root: rings are locked memory)" ;;
    esac
    if [ -n "$shim_filters" ] && [ "$1" != ok ]; then
        change "docker run --security-opt seccomp=FILE" "(a profile that allows io_uring_setup, io_uring_enter and \
io_uring_register: Docker's own doesn't since version 25; in a service of systemd: SystemCallFilter=@aio)"
    fi
}

look_at_polling() {
    shim_answer=$(fact sqpoll)
    if [ "$shim_answer" = ok ]; then
        found ok "io_uring: a polling thread, for URINGSHIM_SQPOLL=1"
    else
        found no "io_uring: a polling thread: ${shim_answer:-killed}"
        means "URINGSHIM_SQPOLL=1 changes nothing here."
    fi
    if printf '%s\n' "$shim_facts" | grep -Eq '^mount( [^ ]+){9} ok '; then
        found ok "io_uring: a device that is polled, for URINGSHIM_IOPOLL=1"
    else
        found no "io_uring: no device that is polled, where files can be made"
        means "URINGSHIM_IOPOLL=1 changes nothing here."
        change "nvme.poll_queues=N" "(on the kernel's command line, for NVMe)"
    fi
}

# A flush never waits for a reader. RWF_NOWAIT is for files that pipe(2) made, never for those with a name.
look_at_streams() {
    shim_again=$(fact stream.again)
    if [ "$(fact stream.nowait)" = ok ]; then
        found ok "pipes: written to without waiting (Linux 6.4)"
        shim_what=FIFOs
    else
        found warn "pipes: not written to without waiting by the kernel itself (Linux 6.4)"
        shim_what="pipes and FIFOs"
    fi
    if [ "$shim_again" = ok ]; then
        found ok "$shim_what: opened once more for that, by /proc/self/fd"
    else
        found no "$shim_what: not to be opened once more for that, by /proc/self/fd: ${shim_again:-killed}"
        means "Writes to them are passed through."
        partly "writes to $shim_what are passed through"
    fi
    if [ "$(fact stream.quiet)" = ok ]; then
        found ok "pipes: written to without SIGPIPE (Linux 6.18)"
    else
        found ok "pipes: a SIGPIPE of a flush is taken away again (Linux 6.18 would send none)"
    fi
    shim_answer=$(fact stream.socket)
    if [ "$shim_answer" = ok ]; then
        found ok "sockets: written to without waiting"
    else
        found no "sockets: not written to without waiting: ${shim_answer:-killed}"
        partly "writes to sockets are passed through"
    fi
}

keeps_out() { # WHAT WHY CHANGE
    found no "$1"
    means "No write is deferred: $2. Reads are answered from windows."
    change "$3"
    partly "no write is deferred"
}

look_at_limits() {
    shim_value=$(fact processes)
    if [ "$shim_value" = unlimited ] || [ "$shim_value" -ge 256 ]; then
        found ok "limit of processes: $shim_value"
    else
        keeps_out "limit of processes: $shim_value" \
            "the helper thread counts, and with fewer than 256 the program may need them all" \
            "prlimit --pid \$\$ --nproc=4096"
    fi
    shim_value=$(fact files)
    if [ "$shim_value" = unlimited ]; then
        found ok "limit of file sizes: none"
    else
        keeps_out "limit of file sizes: $shim_value bytes" "the signal must come at the write that goes beyond" \
            "prlimit --pid \$\$ --fsize=unlimited"
    fi
    if [ "$(fact scheduler)" = ordinary ]; then
        found ok "scheduling: ordinary"
    else
        keeps_out "scheduling: real-time, or for idle times" "the helper thread might not get a processor in time" \
            "chrt --other --pid 0 \$\$"
    fi
}

look_at_memory() {
    case $(fact ring) in
    ok | ENOMEM) ;;
    *) return 0 ;; # only rings lock any
    esac
    shim_value=$(fact memory)
    if [ "$(fact exempt)" = ok ]; then
        found ok "locked memory: any (CAP_IPC_LOCK)"
        return
    elif [ "$shim_value" = unlimited ]; then
        found ok "locked memory: unlimited"
        return
    fi
    shim_threads=$((shim_value / $(fact ring_memory)))
    shim_what="locked memory: $((shim_value / 1024)) KiB: rings with buffers for $shim_threads threads"
    if [ "$shim_threads" -ge "$(fact processors)" ]; then
        found ok "$shim_what"
    else
        found warn "$shim_what"
        means "All of a user's processes share it. What doesn't fit does without registered buffers, or without a ring."
        change "prlimit --pid \$\$ --memlock=unlimited:unlimited" "(as root)"
        partly "little locked memory"
    fi
}

# The probe's lines (shim/tools/probe_files.h), those of the same answers in one.
look_at_file_systems() {
    while read -r shim_type shim_here shim_state shim_tried shim_where; do
        shim_what="$shim_type on $shim_where"
        case $shim_state in
        known) found ok "$shim_what: $(in_words "$shim_tried")" ;;
        full)
            found warn "$shim_what: less than 64 MiB left"
            means "No write is deferred there: one might fail for want of space."
            ;;
        unknown)
            found warn "$shim_what: not known to uringshim"
            means "Files there are left alone. Known are ext2/3/4, XFS, btrfs, F2FS and tmpfs."
            ;;
        esac
        [ "$shim_state $shim_here" = "known here" ] || [ "$shim_here" = elsewhere ] ||
            partly "files on this directory's file system are left alone"
    done <<LINES
$(printf '%s\n' "$shim_facts" | gathered_mounts)
LINES
    means "(inline: the kernel does it at once, so rings pay. By workers: a thread of the kernel's would, so plain \
calls are made.)"
}

gathered_mounts() {
    awk '
    $1 == "mount" {
        key = $2 " " $3 " " $4 " " $5 ":" $6 ":" $7 ":" $8 ":" $9 ":" $10
        if (!(key in where))
            keys[++n] = key
        for (i = 0; i < 11; i++) # old mawks know no {11}
            sub(/^[^ ]+ /, "")
        if (where[key] == "" || length(where[key]) + length($0) < 24)
            where[key] = where[key] (where[key] == "" ? "" : ", ") $0
        else
            more[key]++
    }
    END {
        for (i = 1; i <= n; i++)
            print keys[i], where[keys[i]] (more[keys[i]] ? " and " more[keys[i]] " more" : "")
    }'
}

# Direct I/O is deferred where the kernel tells how it wants it aligned, and grants leases (shim/files/alone.c).
in_words() { # WRITE:READ:DIRECT WRITE:DIRECT READ:LEASE:ALIGNMENT
    printf '%s\n' "$1" | awk -F: '
    function add(list, word) { return list (list == "" ? "" : ", ") word }
    {
        if ($1 == "-") {
            print "no file can be made there to try it"
            exit
        }
        direct = $3 != "-" && $5 == "ok" && $6 > 0 && $6 <= 4096
        if ($2 == "inline") now = add(now, "reads"); else later = add(later, "reads")
        if ($1 == "inline") now = add(now, "writes"); else later = add(later, "writes")
        if (direct && $3 $4 == "inlineinline") now = add(now, "direct I/O")
        else if (direct) later = add(later, "direct I/O")
        text = now == "" ? "" : "inline: " now
        if (later != "") text = text (text == "" ? "" : "; ") "by workers: " later
        print text (direct ? "" : "; no direct I/O")
    }'
}

# The library itself, in a program that writes and reads.
look_at_library() {
    shim_place=$(fact place)
    if [ -z "$shim_place" ]; then
        found no "trial: no file system that uringshim knows where a file can be made"
        inert "no file system to act on"
        return
    fi
    TMPDIR=$shim_place
    make_temp
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    (
        # The probe makes system calls itself.
        URINGSHIM_STATS=$shim_temp/stats.json URINGSHIM_ENGINE=ring URINGSHIM_TEST_EAGER=1 URINGSHIM_OWN_CALLS=ignore
        URINGSHIM_MAX_DELAY_US=1000000 # or on a slow machine the helper thread, which has no ring, would do the writing
        export URINGSHIM_STATS URINGSHIM_ENGINE URINGSHIM_TEST_EAGER URINGSHIM_OWN_CALLS URINGSHIM_MAX_DELAY_US
        run "$shim_probe" work "$shim_temp/file"
    ) 2>"$shim_temp/said"
    if [ ! -s "$shim_temp/stats.json" ]; then
        found no "trial: the library doesn't load, or is turned off"
        means "$(head -n 1 "$shim_temp/said")$(env | grep ^URINGSHIM)"
        inert "the library doesn't act"
        return
    fi
    found ok "trial: the library loads"
    look_at_stdio
    look_at_trial
}

counted() { # STATISTIC of the trial
    sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$shim_temp/stats.json"
}

named() { # FAMILY: which of its statistics the trial has
    grep -o "\"$1\.[^\"]*\"" "$shim_temp/stats.json" | tr -d '"' | paste -s -d ' ' -
}

look_at_stdio() {
    if [ -z "$(counted fallback.stdio)" ]; then
        found ok "glibc: $(fact glibc), its stdio is known"
    else
        found no "glibc: $(fact glibc), its stdio isn't the one that uringshim knows"
        means "What it writes would not be seen: nothing is deferred, nor read ahead."
        inert "a stdio that it doesn't know"
    fi
    if [ "$(fact glibc_known)" != ok ]; then
        found warn "glibc: newer than $(fact glibc_known), of which all functions are known"
        means "A program that uses a function that came later, or asks the loader for one, is left alone (newer_libc)."
    fi
}

look_at_trial() {
    shim_streams=$(counted stream.deferred) shim_served=$(counted read.served) shim_peeked=$(counted peek.served)
    shim_deferred=$(($(counted write.deferred) - shim_streams))
    if [ "$shim_deferred" -gt 0 ]; then
        found ok "trial: $shim_deferred of 1000 small writes were deferred"
    else
        found no "trial: no write was deferred: $(named passed)"
        partly "no write is deferred"
    fi
    if [ "$shim_streams" -gt 0 ]; then
        found ok "trial: $shim_streams of 50 small writes to a pipe were deferred"
    else
        found no "trial: no write to a pipe was deferred: $(named passed)"
        [ "$shim_deferred" -eq 0 ] || partly "writes to pipes are passed through"
    fi
    if [ "$shim_served" -gt 0 ]; then
        found ok "trial: $shim_served of 1000 small reads were answered from windows"
    else
        found no "trial: nothing was read ahead"
        partly "nothing is read ahead"
    fi
    if [ "$shim_peeked" -gt 0 ]; then
        found ok "trial: $shim_peeked of 1000 small reads of a pipe were answered from peeks"
    else # which may be so for another moment only: no verdict
        found warn "trial: no read of a pipe was answered from a peek"
        means "Nothing is deferred, it is turned off, this is a PID namespace of its own, or there are young processes \
whose descriptors can't be read (/proc/PID/fd): one of them could read the pipe, too."
    fi
    if [ "$(counted ring.writes)" -gt 0 ]; then
        found ok "trial: written by a ring"
    elif [ "$(fact ring.table).$(fact ring.write)" = EOPNOTSUPP.ok ]; then
        found ok "trial: written by plain calls, for it isn't direct I/O"
    elif [ "$shim_deferred" -gt 0 ]; then
        found no "trial: written by plain calls: $(named fallback)"
        partly "no rings"
    fi
    [ "$shim_deferred$shim_served" != 00 ] || inert "it neither defers nor reads ahead"
}
