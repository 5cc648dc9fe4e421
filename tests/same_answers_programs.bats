#!/usr/bin/env bats
# Same answers, for programs that know nothing of any of this: what they print and what they leave is the same
# to the byte, in every mode.
# shellcheck disable=SC2016 # the variables are the programs' own

load lib/common
load lib/compare

# Each script runs in a directory of its own, all of it, children too, under the library.

# some_tree DIR FILES: a tree of small and some larger files, the same every time.
some_tree() {
    perl -e 'my ($dir, $files) = @ARGV; srand 1; mkdir $dir;
        for (1 .. $files) {
            my $sub = "$dir/" . $_ % 20; mkdir $sub;
            open F, ">", "$sub/$_" or die; print F chr(97 + rand 26) x rand 200, "\n" for 1 .. rand($_ % 50 ? 30 : 3000)
        }' "$@"
}

@test "perl" {
    works_as_natively perl -e '
        open F, "+>", "file" or die; open A, ">>", "log" or die; $| = 1;
        for (1 .. 3000) {
            syswrite F, "line $_\n"; syswrite A, "did $_\n" if $_ % 3 == 0;
            if ($_ % 500 == 0) { sysseek F, -100, 1; sysread F, my $back, 60; print $back, -s "file", " ", -s "log", "\n" }
            if ($_ % 700 == 0) { truncate F, 5000 }
        }
        rename "log", "log.1"; syswrite A, "under another name\n";
        open P, "|-", "cat >piped" or die; print P "$_\n" for 1 .. 1000; close P;
        if (!fork) { syswrite F, "child\n" x 10; exit 0 } wait; syswrite F, "parent\n"; print `cat file | wc -c`'
}

@test "python" {
    need_command /usr/bin/python3
    works_as_natively /usr/bin/python3 -c '
import os, subprocess, tempfile, shutil, threading
f = open("raw", "wb", buffering=0)
for i in range(3000):
    f.write(b"line %d\n" % i)
    if i % 1000 == 999:
        print(os.stat("raw").st_size, subprocess.run(["tail", "-n1", "raw"], capture_output=True).stdout)
        subprocess.run("echo from a child >&%d" % f.fileno(), shell=True, pass_fds=[f.fileno()], check=True)
with open("text", "w") as text:
    for i in range(3000):
        print("text", i, file=text, flush=i % 7 == 0)
fd = os.open("random", os.O_RDWR | os.O_CREAT)
for i in range(2000):
    os.pwrite(fd, b"%07d" % i, i * 7919 % 100000)
os.fsync(fd)
print(os.pread(fd, 50, 7919), os.lseek(fd, 0, os.SEEK_END))
def work(n):
    with open("thread.%d" % n, "wb", buffering=0) as g:
        for i in range(500):
            g.write(b"%d %d\n" % (n, i))
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
shutil.copyfile("raw", "copy")
with tempfile.NamedTemporaryFile(dir=".", delete=False) as t:
    [t.write(b"x" * 100) or t.flush() for i in range(300)]
os.replace(t.name, "temporary")'
}

@test "dd" {
    seq 200000 >numbers
    works_as_natively dash -c 'dd if=../numbers of=plain bs=512 status=none
        dd if=../numbers of=plain bs=100 seek=7 count=2000 conv=notrunc status=none
        dd if=../numbers of=swapped bs=777 conv=swab,noerror status=none
        dd if=../numbers of=appended bs=1000 oflag=append conv=notrunc status=none
        dd if=../numbers of=synced bs=512 count=300 conv=fsync status=none
        dd if=../numbers of=sparse bs=333 count=50 seek=9999 status=none
        dd if=plain bs=512 status=none | cksum'
}

@test "tar" {
    some_tree tree 300
    works_as_natively dash -c 'tar -cf a.tar --sort=name --mtime=@0 -C .. tree && tar -xf a.tar && tar -df a.tar &&
        tar -rf a.tar --mtime=@0 tree/1 && tar -tf a.tar | wc -l && tar -czf b.tgz --sort=name --mtime=@0 tree &&
        tar -xzf b.tgz --transform s/tree/again/ && diff -r tree again && find tree -newermt 1971-01-01 -type f | wc -l'
}

@test "sqlite3 in every journal mode" {
    need_command sqlite3
    local mode sync
    for mode in delete truncate persist memory wal off; do
        for sync in normal full; do
            {
                echo "PRAGMA journal_mode = $mode; PRAGMA synchronous = $sync;"
                echo "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB); CREATE INDEX i ON t (name);"
                for i in {1..60}; do
                    echo "INSERT INTO t (name, data) VALUES ('name $((i * 7 % 60))', zeroblob($((i * 97 % 3000))));"
                done
                echo "BEGIN; UPDATE t SET name = name || '!'; SAVEPOINT s; DELETE FROM t WHERE id % 3 = 0; ROLLBACK TO s;"
                echo "COMMIT; BEGIN; DELETE FROM t WHERE id > 20; ROLLBACK; VACUUM; PRAGMA integrity_check;"
            } >"$mode.$sync.sql"
        done
        # The salts in a log are random: what counts is what it says.
        works_as_natively dash -c "for s in normal full; do
            sqlite3 db.\$s <../$mode.\$s.sql && sqlite3 db.\$s 'PRAGMA integrity_check; SELECT count(*) FROM t;' .dump
            rm -f db.\$s*; done" || fail "$mode"
    done
}

@test "git" {
    need_command git
    some_tree tree 100
    works_as_natively env HOME=/nonexistent GIT_AUTHOR_DATE='1000000000 +0000' GIT_COMMITTER_DATE='1000000000 +0000' GIT_AUTHOR_NAME=a \
        GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a dash -c 'git init -q . && cp -r ../tree . &&
        git add . && git commit -q -m one && rm -r tree/3 && git mv tree/4 four && echo more >>tree/1/1 &&
        git add -A && git commit -q -m two && git gc -q && git fsck --full && git log --format=%H%s && git status -s &&
        git ls-files -s | cksum && git clone -q . ../clone && git -C ../clone rev-parse HEAD; rm -rf .git ../clone'
}

@test "shells" {
    works_as_natively bash -c 'for ((i = 0; i < 1500; i++)); do echo "line $i"; done >out
        while read -r line; do [[ $line == *7* ]] && echo "$line" >>sevens; done <out
        exec 5>log; for i in {1..500}; do echo "$i" >&5; done; (echo subshell >&5); cat out >&5; echo end >&5; exec 5>&-
        wc -l <<<"$(cat log)"; cat <<<"here" >>log; { echo one; ls / >/dev/null; echo two; } >mixed; trap "echo bye >>log" EXIT'
    works_as_natively dash -c 'i=0; while [ $i -lt 1500 ]; do echo "line $i"; i=$((i + 1)); done >out
        while read -r line; do echo "$line" >>copy; done <out; cmp out copy; wc -c <copy'
}

@test "gzip, sort, cp, sed, split, tee, awk and patch" {
    seq 8000 | sort -R --random-source=<(yes) >numbers
    some_tree tree 100
    works_as_natively bash -c 'cp ../numbers n && gzip -nk n && zcat n.gz | cmp - n && sort -n n >sorted &&
        sort -n -S 64k -T . -o n2 n && cmp sorted n2 && cp -r ../tree . && cp -a tree copied && sed -i s/a/bb/g tree/*/* &&
        sed -n "w written" n && split -l 700 n part. && cat part.* | cmp - n && tee one two <n | cksum && shuf --random-source=n n >s &&
        awk "{ print > (\"awk.\" \$1 % 7); if (\$1 % 100 == 0) fflush() }" n && (diff -ru copied tree >p; true) &&
        cp -r copied patched && patch -s -d patched -p1 <p && diff -r patched tree && rm -r patched p && touch -d @5 n && stat -c %Y n'
}

@test "mawk, gawk and sed that flush each line" {
    need_command mawk
    seq 3000 >numbers
    works_as_natively mawk -W interactive 'BEGIN { for (i = 0; i < 3000; i++) { print "line " i; print i > "other"
        if (i % 500 == 0) { fflush("other"); while (("wc -l <other" | getline n) > 0) print n; close("wc -l <other") } } }'
    # shellcheck disable=SC2016 # the variables are awk's
    works_as_natively bash -c 'awk "{ print; fflush() }" ../numbers >out; sed -u s/1/one/ ../numbers | sed -u s/2/two/ >both
        sed -u -n "s/7/seven/w sevens" ../numbers; ! command -v gawk >/dev/null || gawk "{ print; fflush() }" ../numbers >more'
}

@test "bash that opens the file for each line" {
    works_as_natively bash -c 'for ((i = 0; i < 300; i++)); do echo "line $i" >>out; echo "$i" >last; done; cat out last'
}

@test "python's logging" {
    need_command /usr/bin/python3
    works_as_natively /usr/bin/python3 -c '
import logging, logging.handlers, threading
logging.basicConfig(filename="log", level=logging.INFO)
log = logging.getLogger("test")
log.addHandler(logging.handlers.RotatingFileHandler("rotated", maxBytes=5000, backupCount=3))
for i in range(2000):
    log.info("record %d", i)
    if i % 500 == 0:
        print(sum(1 for line in open("log")))
logging.shutdown()'
}

@test "zip and unzip" {
    need_command zip
    need_command unzip
    some_tree tree 100
    works_as_natively bash -c 'zip -qr tree.zip ../tree -x "*/9*" && unzip -Z1 tree.zip && unzip -q tree.zip -d out &&
        (cd .. && zip -q run/tree.zip tree/9/*) && unzip -qo tree.zip -d out && unzip -tq tree.zip; ls out; rm tree.zip'
}

@test "gcc and make" {
    need_command gcc
    need_command make
    # shellcheck disable=SC2016 # the variables are awk's
    seq 40 | awk '{ f = "f" $1 ".c"; for (i = 1; i <= 50; i++) printf "int f%d_%d(int a) { return a * %d + %d; }\n", $1, i, i, $1 >f
        close(f) }'
    # shellcheck disable=SC2016 # the variables are make's
    printf '%b\n' 'OBJECTS := $(patsubst ../%.c,%.o,$(sort $(wildcard ../f*.c)))' 'libf.a: $(OBJECTS)' \
        '\t$(AR) rcD $@ $^' '%.o: ../%.c' '\t$(CC) -O1 -c -o $@ $<' >Makefile.test
    MODES=("${MODES[@]:0:3}")
    works_as_natively make -s -j2 -f ../Makefile.test
}
