# shellcheck shell=bash
# The real programs that the demo and the benchmark run, each unmodified, in a directory of its own.
# Needs measure.bash; sets what its readers use.
# shellcheck disable=SC2034,SC2154

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=bench GIT_AUTHOR_EMAIL=bench@localhost GIT_AUTHOR_DATE='2024-01-01T00:00:00Z'
export GIT_COMMITTER_NAME=bench GIT_COMMITTER_EMAIL=bench@localhost GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'

all_programs() {
    local mode
    echo perl python dd dash mawk bash-outside bash-inside gawk sed sed-unbuffered logging
    echo sort split tar zip unzip gcc make git
    echo bash-read dash-read perl-lines perl-bytes python-lines python-bytes tar-create cmp sort-merge grep rsync
    echo git-status git-log sql-scan sql-lookup
    for mode in delete truncate persist wal; do
        echo "sqlite-$mode-normal" "sqlite-$mode-full"
    done
    stream_programs
    steady_programs
}

# Each writes $lines lines into a pipe, one at a time.
stream_programs() {
    echo pipe-python pipe-perl pipe-mawk pipe-gawk pipe-stdbuf pipe-grep pipe-sed pipe-mawk-sort
}

# Pipes and sockets in which nothing can be gained: large pieces, or a question and its answer.
steady_programs() {
    echo pipe-tee pipe-cat pipe-gzip pipe-tar rsync-shell git-clone git-clone-pipes make-jobserver ssh-true proxy
}

# program NAME: sets command (what is measured), stdin, before (what is prepared for each run, in an empty
# directory or, if kept is set, in what the last run left) and outcome (prints what must not differ between runs,
# besides standard output). Fails, having said why, where this machine cannot run it.
program() {
    stdin=/dev/null before=: outcome='cat out' kept=
    all_programs | tr ' ' '\n' | grep -qxF -e "$1" || die "no such program: $1"
    case $1 in
    python | python-* | logging) have "$1" /usr/bin/python3 ;;
    sqlite-* | sql-*) have "$1" sqlite3 ;;
    zip | unzip) have "$1" zip unzip ;;
    bash-*) have "$1" bash ;;
    dash-*) have "$1" dash ;;
    perl-*) have "$1" perl ;;
    tar-*) have "$1" tar ;;
    sort-*) have "$1" sort ;;
    sed-*) have "$1" sed ;;
    git-*) have "$1" git ;;
    rsync-*) have "$1" rsync ;;
    pipe-python) have "$1" /usr/bin/python3 ;;
    pipe-mawk-sort) have "$1" mawk sort ;;
    pipe-*) have "$1" "${1#pipe-}" ;;
    make-jobserver) have "$1" make gcc ;;
    ssh-true) have "$1" ssh ssh-keygen /usr/sbin/sshd ;;
    proxy) have "$1" socat ;;
    *) have "$1" "$1" ;;
    esac || return
    case $1 in
    perl)
        # shellcheck disable=SC2016 # perl's variables
        command=(perl -e 'open F,">out"; syswrite F,"line $_\n" for 1..100000')
        ;;
    python)
        # The interpreter itself: a version manager's python3 is a shell script.
        command=(/usr/bin/python3 -c 'f = open("out", "wb", buffering=0)
for i in range(100000):
    f.write(b"line %d\n" % i)')
        ;;
    dd)
        make_input words 'seq 20000000 | head -c 102400000 >words'
        command=(dd bs=512 count=200000 status=none "if=$inputs/words" of=out)
        ;;
    dash)
        # shellcheck disable=SC2016 # dash's variables
        command=(dash -c 'i=0; while [ $i -lt 100000 ]; do echo "line $i"; i=$((i + 1)); done >out')
        ;;
    mawk) # interactive: standard output is written line by line, and piece by piece
        command=(mawk -W interactive 'BEGIN { for (i = 1; i <= 400000; i++) print "line " i }')
        outcome=:
        ;;
    bash-outside)
        # shellcheck disable=SC2016 # bash's variables
        command=(bash -c 'for ((i = 0; i < 20000; i++)); do echo "line $i"; done >out')
        ;;
    bash-inside)
        # shellcheck disable=SC2016 # bash's variables
        command=(bash -c 'for ((i = 0; i < 20000; i++)); do echo "line $i" >>out; done')
        ;;
    gawk) # flushed after each line, as for somebody who watches
        make_input text make_text
        command=(gawk '{ print; fflush() }' "$inputs/text")
        outcome=:
        ;;
    sed)
        make_input text make_text
        command=(sed s/quick/slow/ "$inputs/text")
        outcome=:
        ;;
    sed-unbuffered)
        make_input text make_text
        command=(sed -u s/quick/slow/ "$inputs/text")
        outcome=:
        ;;
    sort)
        make_input lines make_lines
        command=(sort -o out "$inputs/lines")
        ;;
    split)
        make_input lines make_lines
        command=(split -l 1000 "$inputs/lines" part.)
        outcome='echo part.*; cat part.*'
        ;;
    logging) # what logging.basicConfig(filename=…) makes: a handler that flushes after each record
        command=(/usr/bin/python3 -c 'import logging
logging.basicConfig(filename="out", level=logging.INFO)
log = logging.getLogger("bench")
for i in range(50000):
    log.info("record %d of 50000", i)')
        ;;
    zip)
        make_input tree make_tree
        command=(zip -qr out.zip "$inputs/tree")
        outcome='unzip -Z1 out.zip; unzip -p out.zip' # the archive itself has the times of access in it
        ;;
    unzip)
        make_input tree make_tree
        make_input tree.zip 'zip -qr tree.zip tree'
        command=(unzip -q "$inputs/tree.zip")
        outcome=whole_tree
        ;;
    gcc)
        make_input large.c make_large_c
        command=(gcc -c -o out "$inputs/large.c")
        ;;
    make)
        { have make gcc bzip2 && fetch make zlib; } || return
        kept=zlib # configuring it takes as long as building it
        before="[ -d zlib ] || { mkdir zlib && tar xf $inputs/zlib.tar -C zlib --strip-components=1 &&
            (cd zlib && ./configure >/dev/null); }; cd zlib; make -s clean >/dev/null"
        command=(make -s -j2)
        outcome='find . -name "*.[oa]" | sort; find . -name "*.[oa]" | sort | xargs cat'
        ;;
    tar)
        make_input tree make_tree
        make_input tree.tar 'tar cf tree.tar tree'
        command=(tar xf "$inputs/tree.tar")
        outcome=whole_tree
        ;;
    sqlite-*-*)
        local mode=${1#sqlite-}
        make_input "$1.sql" "inserts ${mode%-*} ${mode#*-} >$1.sql"
        stdin=$inputs/$1.sql
        command=(sqlite3 out.db)
        outcome='cat out.db'
        ;;
    git)
        make_input tree make_tree
        kept=tree # hundreds of thousands of copied files would say nothing of git
        before="[ -d tree ] || cp -r $inputs/tree tree; rm -rf tree/.git; git -C tree init -q -b main; cd tree"
        # Not the housekeeping that a large commit starts in the background: it would run into the next sample.
        command=(sh -c 'git add -A && git -c gc.auto=0 -c maintenance.auto=false commit -q -m tree')
        outcome='git rev-parse HEAD; git fsck --full; git status --porcelain'
        ;;
    bash-read | dash-read)
        make_input text make_text
        make_input some 'head -n 20000 text >some'
        command=("${1%-read}" -c "n=0; while read -r line; do n=\$((n + \${#line})); done <$inputs/some; echo \$n")
        outcome=:
        ;;
    perl-lines)
        make_input text make_text
        # shellcheck disable=SC2016 # perl's variables
        command=(perl -e 'open F, "<", shift; while (<F>) { $n += length } print $n' "$inputs/text")
        outcome=:
        ;;
    perl-bytes)
        make_input text make_text
        # shellcheck disable=SC2016 # perl's variables
        command=(perl -e 'open F, "<", shift; while (sysread F, $c, 1) { $n += ord $c } print $n' "$inputs/text")
        outcome=:
        ;;
    python-lines)
        make_input text make_text
        command=(/usr/bin/python3 -c 'import sys; print(sum(len(line) for line in open(sys.argv[1])))' "$inputs/text")
        outcome=:
        ;;
    python-bytes)
        make_input text make_text
        command=(/usr/bin/python3 -c 'import sys
file = open(sys.argv[1], "rb", buffering=0)
total = 0
while byte := file.read(1):
    total += byte[0]
print(total)' "$inputs/text")
        outcome=:
        ;;
    tar-create)
        make_input tree make_tree
        command=(tar cf out -C "$inputs" tree)
        ;;
    cmp) # two files in turns
        make_input text make_text
        make_input copy 'cp text copy'
        command=(cmp "$inputs/text" "$inputs/copy")
        outcome=:
        ;;
    sort-merge)
        make_input text make_text
        make_input copy 'cp text copy'
        command=(sort -m -o out "$inputs/text" "$inputs/copy")
        ;;
    grep)
        make_input tree make_tree
        command=(grep -rc 'to go: the quick' "$inputs/tree")
        outcome=:
        ;;
    rsync)
        make_input tree make_tree
        command=(rsync -a "$inputs/tree" .)
        outcome=whole_tree
        ;;
    git-status | git-log)
        make_repository
        command=(git -C "$inputs/repository" status)
        [ "$1" = git-status ] || command=(git -C "$inputs/repository" log -p)
        outcome=:
        ;;
    sql-scan | sql-lookup)
        make_input rows.db make_rows
        local queries='SELECT sum(length(text)), max(id) FROM t WHERE text LIKE "%7%";'
        make_input scan.sql "for i in 1 2 3 4 5; do echo '$queries'; done >scan.sql"
        make_input lookup.sql "seq 20000 | awk '{ print \"SELECT text FROM t WHERE id=\" \$1 * 7919 % 200000 \";\" }' >lookup.sql"
        stdin=$inputs/${1#sql-}.sql
        command=(sqlite3 "$inputs/rows.db")
        outcome=:
        ;;
    pipe-python)
        into_wc "/usr/bin/python3 -u -c 'for i in range($lines): print(f\"line {i}\")'"
        ;;
    pipe-perl)
        into_wc "perl -e '\$| = 1; print \"line \$_\\n\" for 1 .. $lines'"
        ;;
    pipe-mawk)
        into_wc "mawk -W interactive 'BEGIN { for (i = 1; i <= $lines; i++) print \"line \" i }'"
        ;;
    pipe-mawk-sort)
        command=(sh -c "mawk -W interactive 'BEGIN { for (i = 1; i <= $lines; i++) print \"line \" i }' | sort | tail -n 1")
        outcome=:
        ;;
    pipe-gawk)
        make_input many make_many
        into_wc "gawk '{ print; fflush() }' $inputs/many"
        ;;
    pipe-stdbuf)
        make_input many make_many
        into_wc "stdbuf -oL cut -d ' ' -f 2 $inputs/many"
        ;;
    pipe-grep)
        make_input many make_many
        into_wc "grep --line-buffered line $inputs/many"
        ;;
    pipe-sed) # which reads byte by byte, too
        make_input many make_many
        into_wc "sed -u s/line/record/ $inputs/many"
        ;;
    pipe-cat)
        make_input large make_large
        into_wc "cat $inputs/large | cat"
        ;;
    pipe-tee)
        make_input large make_large
        into_wc "tee copy <$inputs/large"
        outcome='cat copy'
        ;;
    pipe-gzip)
        make_input large make_large
        command=(sh -c "gzip -1 -n <$inputs/large | gzip -d | cksum")
        outcome=:
        ;;
    pipe-tar)
        make_input tree make_tree
        command=(sh -c "tar cf - -C $inputs tree | tar xf -")
        outcome=whole_tree
        ;;
    rsync-shell) # as over ssh: two processes, and a socket pair between them
        make_input tree make_tree
        make_input remote 'printf "#!/bin/sh\nshift\nexec \"\$@\"\n" >remote && chmod +x remote'
        command=(rsync -a -e "$inputs/remote" "$inputs/tree" here:.)
        outcome=whole_tree
        ;;
    make-jobserver) # two makes below one, which share its jobs
        make_input jobs make_jobs
        before="cp -r $inputs/jobs ."
        command=(make -s -j2 -C jobs)
        outcome='find jobs -name "*.o" | sort; find jobs -name "*.o" | sort | xargs cat'
        ;;
    ssh-true)
        # No daemon and no port: each ssh starts an sshd of its own, and talks to it over two pipes. scripts/setup doesn't
        # install one, for it would listen.
        make_input ssh make_ssh
        ssh -F "$inputs/ssh/config" there true 2>"$work/printed" ||
            { skipped "$1" "no sshd can be had: $(tail -n 1 "$work/printed")" && return 1; }
        command=(sh -c "for i in 1 2 3 4 5 6 7 8 9 10; do ssh -F $inputs/ssh/config there true || exit; done")
        outcome=:
        ;;
    proxy) # in place of ssh, which isn't everywhere: socat talks to cat over a socket pair
        make_input large make_large
        into_wc "socat -t 60 - EXEC:cat <$inputs/large"
        ;;
    git-clone | git-clone-pipes)
        make_repository
        command=(git clone -q "file://$inputs/repository" clone) # by URL: the objects are sent, not linked or copied
        # As through ssh: one more process hands on what comes and goes.
        [ "$1" = git-clone ] ||
            command=(git -c protocol.ext.allow=always clone -q "ext::git upload-pack $inputs/repository" clone)
        outcome='cd clone; git rev-parse HEAD; git fsck --full; git status --porcelain'
        ;;
    esac
}

# into_wc SHELL-COMMAND: its lines are counted at the other end of a pipe.
into_wc() {
    command=(sh -c "$1 | wc -l")
    outcome=:
}

have() { # PROGRAM COMMAND…
    local program=$1 command
    shift
    for command; do
        command -v "$command" >/dev/null || { skipped "$program" "needs $command" && return 1; }
    done
}

skipped() { # PROGRAM REASON
    printf '%s: skipped: %s\n' "$1" "$2" >&2
}

# make_input NAME SCRIPT: $inputs/NAME, which SCRIPT makes in the current directory, once.
make_input() {
    [ -e "$inputs/$1" ] || (cd "$inputs" && eval "$2") || die "cannot make the input $1"
}

# fetch PROGRAM PACKAGE: $inputs/PACKAGE.tar, the source of a package, compressed or not.
fetch() {
    local archive
    [ ! -e "$inputs/$2.tar" ] || return 0
    archive=$(cd "$inputs" && "$root/scripts/fetch-source" "$2") || { skipped "$1" "no source of $2" && return 1; }
    mv "$inputs/$archive" "$inputs/$2.tar"
}

whole_tree() {
    find tree -type f -printf "%p %s %m %T@\n" | sort
    find tree -type f | sort | xargs cat
}

# 3 MB of lines.
make_text() {
    seq 60000 | awk '{ printf "%06d the quick brown fox jumps over the lazy dog\n", $1 }' >text
}

# 400,000 lines in no order.
make_lines() {
    seq 400000 | awk '{ printf "%06d line %d\n", $1 * 7919 % 400009, $1 }' >lines
}

# 20,000 lines of C.
make_large_c() {
    seq 4000 | awk '{ printf "int f%d(int a, int b) {\n    int c = a * %d + b;\n", $1, $1
                      printf "    return c > %d ? c - b : c + a;\n}\n\n", $1 % 97 }' >large.c
}

# $lines lines, short ones: sed -u reads them byte by byte.
make_many() {
    seq "$lines" | sed 's/^/line /' >many
}

# 200 bytes for each of $lines: 80 MB.
make_large() {
    seq "$lines" | awk '{ printf "%06d", $1
                          for (i = 0; i < 4; i++)
                              printf " the quick brown fox jumps over the lazy dog %d", i
                          print "" }' >large
}

# Two directories of C files, each with a make of its own.
# shellcheck disable=SC2016 # make's variables
make_jobs() {
    local directory i
    mkdir -p jobs/a jobs/b
    printf '.PHONY: a b\nall: a b\na b:\n\t+@$(MAKE) -s -C $@\n' >jobs/Makefile
    for directory in jobs/a jobs/b; do
        echo 'all: $(patsubst %.c,%.o,$(wildcard *.c))' >"$directory/Makefile"
        for i in 1 2 3 4 5 6; do
            seq 200 | awk -v file="$i" '{ printf "int f%d_%d(int a) { return a * %d; }\n", file, $1, $1 }' >"$directory/$i.c"
        done
    done
}

make_ssh() {
    mkdir -p ssh && ssh-keygen -q -t ed25519 -N '' -f ssh/host && ssh-keygen -q -t ed25519 -N '' -f ssh/user &&
        cat >ssh/sshd_config <<SSHD && cat >ssh/config <<SSH
HostKey $inputs/ssh/host
AuthorizedKeysFile $inputs/ssh/user.pub
StrictModes no
UsePAM no
PidFile none
SSHD
Host there
ProxyCommand /usr/sbin/sshd -i -f $inputs/ssh/sshd_config
IdentityFile $inputs/ssh/user
IdentitiesOnly yes
BatchMode yes
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
SSH
}

# $tree_files files of 100 to 8000 bytes, a hundred a directory: like a source tree.
make_tree() {
    local directory
    for ((directory = 0; directory < tree_files / 100; directory++)); do
        mkdir -p "tree/d$directory"
    done
    awk -v files="$tree_files" 'BEGIN {
        for (i = 0; i < files; i++) {
            name = sprintf("tree/d%d/f%d", int(i / 100), i % 100)
            for (left = 100 + i * 7919 % 7900; left > 0; left -= length(line)) {
                line = sprintf("file %d, %d bytes to go: the quick brown fox jumps over the lazy dog\n", i, left)
                printf "%s", line > name
            }
            close(name)
        }
    }'
}

# Git reads files again that are as young as its index, and writes that anew: it does so here, before anything is counted.
make_repository() {
    make_input tree make_tree
    make_input repository 'cp -r tree repository && git -C repository init -q -b main &&
        git -C repository add -A && git -C repository -c gc.auto=0 -c maintenance.auto=false commit -q -m tree &&
        sleep 1.1 && git -C repository status >/dev/null'
}

# 200,000 rows, some 20 MB: more than sqlite3 keeps in its cache.
make_rows() {
    { echo 'PRAGMA synchronous=off; BEGIN; CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT);'
      seq 0 199999 | awk '{ printf "INSERT INTO t VALUES(%d, \"row %d, some text to make it a row of usual size\");\n", $1, $1 }'
      echo 'COMMIT;'; } | sqlite3 rows.db
}

inserts() { # JOURNAL-MODE SYNCHRONOUS
    printf 'PRAGMA journal_mode=%s;\nPRAGMA synchronous=%s;\nCREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT);\n' "$@"
    seq 1000 | awk '{ printf "INSERT INTO t VALUES(%d, \"row %d, some text to make it a row of usual size\");\n", $1, $1 }'
}

# Natively and shimmed; and, if it is to be compared, with an empty library: what loading any library costs.
modes=(native shimmed)

preload_of() { # MODE: sets preload, as an assignment
    case $1 in
    native) preload=() ;;
    empty) preload=("LD_PRELOAD=$empty") ;;
    shimmed) preload=("LD_PRELOAD=$library") ;;
    esac
}

# run MODE trace|time|count FILE: the current program once, as prepared, its figures into FILE. Every run's
# outcome is compared with the first one's.
run() {
    local preload tracer
    preload_of "$1"
    cd "$work" || exit
    [ -n "$kept" ] || rm -rf run
    mkdir -p run
    cd run || exit
    eval "$before"
    if [ "$2" = trace ]; then
        tracer=(strace -f -c -o "$3" "${preload[@]/#/-E}" --)
    elif [ "$2" = count ]; then
        rm -f "$3".*
        tracer=(env "${preload[@]}" valgrind --tool=callgrind --trace-children=yes "--callgrind-out-file=$3.%p" -q)
    else
        tracer=("$timed" "$3" "${preload[@]}")
    fi
    "${tracer[@]}" "${command[@]}" <"$stdin" >"$work/stdout" || die "${command[0]} failed ($1)"
    local digest
    digest=$( (eval "$outcome" && cat "$work/stdout") | sha256sum)
    [ "${expected:=$digest}" = "$digest" ] || die "${command[*]:0:2}…: the outcome differs ($1)"
}

# What measure found, by native and shimmed: system calls, and medians in seconds. Paired: the quartiles of
# shimmed / native, each of one round; of wall time also of empty / native, and, as speed, of native / shimmed.
declare -A writes reads all wall cpu
paired_wall='' paired_cpu='' paired_empty='' paired_speed=''

measure() { # NAME ROUNDS; fails if the program cannot be run here
    local mode round i taken user sys
    local -A walls=() cpus=()
    program "$1" || return
    expected=
    rm -rf "$work/run"
    for mode in native shimmed; do
        run "$mode" trace "$work/calls"
        read -r "writes[$mode]" "reads[$mode]" "all[$mode]" < <(traced_calls "$work/calls")
    done
    for ((round = 0; round < $2; round++)); do
        # Each goes first in turn: what the second finds warm or dirty must not be counted as the library's.
        for ((i = 0; i < ${#modes[@]}; i++)); do
            mode=${modes[(round + i) % ${#modes[@]}]}
            run "$mode" time "$work/time"
            read -r taken user sys <"$work/time"
            walls[$mode]+=" $taken"
            cpus[$mode]+=" $(awk -v a="$user" -v b="$sys" 'BEGIN { print a + b }')"
        done
    done
    for mode in "${modes[@]}"; do
        # shellcheck disable=SC2086 # lists of numbers
        wall[$mode]=$(median ${walls[$mode]}) cpu[$mode]=$(median ${cpus[$mode]})
    done
    paired_wall=$(quartiles "${walls[shimmed]}" "${walls[native]}")
    paired_cpu=$(quartiles "${cpus[shimmed]}" "${cpus[native]}")
    paired_speed=$(quartiles "${walls[native]}" "${walls[shimmed]}")
    paired_empty=$(quartiles "${walls[empty]-}" "${walls[native]}")
    cd "$work" && rm -rf run
}

# How many instructions a program executes in user mode, with all its processes: the same each time, on any machine.
declare -A instructions

count_instructions() { # NAME; fails if the program cannot be run here
    local mode
    program "$1" || return
    expected=
    rm -rf "$work/run"
    for mode in native shimmed; do
        run "$mode" count "$work/instructions"
        instructions[$mode]=$(awk '$1 == "totals:" { sum += $2 } END { printf "%d", sum }' "$work/instructions".*)
        run "$mode" trace "$work/calls"
        read -r _ _ "all[$mode]" < <(traced_calls "$work/calls")
    done
    cd "$work" && rm -rf run
}
