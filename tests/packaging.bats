#!/usr/bin/env bats
# What a stranger gets: make install and uninstall, the manual, completion in bash, and the Debian package.

# $stderr is bats's, and what stands in single quotes is for another shell.
# shellcheck disable=SC2154,SC2016

bats_require_minimum_version 1.5.0
load lib/common

# run_make TARGET [NAME=VALUE]…: as a user would, not as a part of the make that may run the tests.
run_make() {
    env -u MAKEFLAGS -u MAKELEVEL make -s --no-print-directory -C "$ROOT" "$@"
}

version() {
    "$ROOT/scripts/uringshim" --version | cut -d' ' -f2
}

# The names of the subcommands, from the lines of --help that show how each is used.
subcommands() {
    "$ROOT/scripts/uringshim" --help | sed -nE 's/^ +uringshim ([a-z]+) .*/\1/p'
}

# complete_words WORD…: what bash offers for the last of the words, in words of its own.
complete_words() {
    bash -c 'source "$0" && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) && _uringshim
        printf "%s\n" "${COMPREPLY[@]}" | sort -u | paste -sd " "' "$ROOT/scripts/completion.bash" uringshim "$@"
}

@test "what is installed works, and uninstall leaves nothing of it" {
    local bin=$SCRATCH/root/usr/local/bin
    mkdir root
    run_make install DESTDIR="$SCRATCH/root"
    run -0 "$bin/uringshim" grep -c "$SCRATCH/root/usr/local/lib/uringshim" /proc/self/maps
    run -0 --separate-stderr "$bin/uringshim" stat true
    [[ $stderr == *"1 process (true)"* ]]
    for command in "$ROOT"/scripts/commands/*.sh; do
        cmp "$command" "root/usr/local/lib/uringshim/commands/${command##*/}"
    done
    for tool in "$ROOT"/shim/tools/*.c; do
        [ ! -f "$tool" ] || [ -x "root/usr/local/lib/uringshim/uringshim-$(basename "$tool" .c)" ]
    done
    [ -z "$(find root -type f ! -perm 644 ! -perm 755)" ]
    run_make uninstall DESTDIR="$SCRATCH/root"
    [ -z "$(find root ! -type d -o -name '*uringshim*')" ]
}

@test "another PREFIX, in which others have files" {
    mkdir -p other/lib other/bin
    echo theirs | tee other/lib/uringshim.conf >other/bin/theirs
    cp -r other before
    run_make install PREFIX="$SCRATCH/other"
    run -0 other/bin/uringshim true
    run_make uninstall PREFIX="$SCRATCH/other"
    [ "$(cd other && find . -type f | sort)" = "$(cd before && find . -type f | sort)" ]
}

@test "the manual renders without warnings" {
    need_command man
    for page in "$ROOT"/docs/uringshim.[17]; do
        run -0 bash -o pipefail -c 'man --warnings -E UTF-8 -l -Tutf8 -Z "$0" 2>&1 >/dev/null' "$page"
        [ -z "$output" ]
        run -0 env MANWIDTH=80 man -l "$page"
        [[ $output == *URINGSHIM* ]]
    done
}

@test "the manual has every subcommand, variable, statistic and reason" {
    local page=$ROOT/docs/uringshim.7 found=0
    for command in $(subcommands); do
        grep -q "^\.It Cm $command\$" "$ROOT/docs/uringshim.1" || fail "no subcommand $command"
        found=$((found + 1))
    done
    [ "$found" -ge 2 ]
    while read -r name values; do
        grep -E "^\.It Ev (URINGSHIM_ONLY , )?$name( |$)" "$page" | grep -qF -- "${values//,/ , }" ||
            fail "$name ($values) isn't as in the option table"
        found=$((found + 1))
    done < <(sed -nE 's/^OPTION_[A-Z]+\([a-z_]+, "([A-Z_]+)", "?([^", ][^" ]*|[0-9]+)("?,.*)/\1 \2/p; s/^OPTION_TEXT\([a-z_]+, "([A-Z_]+)".*/\1/p' \
        "$ROOT/shim/base/options.def" | grep -v _TEST_)
    [ "$found" -gt 12 ]
    while read -r name; do
        grep -E '^\.It Sy ' "$page" | grep -qE "[ ,]$name( |$)" || fail "no $name"
        found=$((found + 1))
    done < <(sed -nE 's/.*\[(COUNT|FLUSH|WINDOW)_[A-Z_]+\] = "([a-z._]+)".*/\2/p' "$ROOT/shim/base/stats.c"
        sed -nE 's/^REASON\(([a-z_]+)\).*/\1/p' "$ROOT/shim/base/reasons.def")
    [ "$found" -gt 60 ]
}

@test "bash completes subcommands, their options, commands and processes" {
    for command in $(subcommands); do
        [[ " $(complete_words "${command:0:2}") " == *" $command "* ]]
    done
    [ "$(complete_words --v)" = --version ]
    [[ " $(complete_words mkfif) " == *" mkfifo "* ]]
    [ "$(complete_words compare -)" = "-- --json --output --runs" ]
    [ "$(complete_words compare --json --runs 5 --r)" = --runs ]
    [ -z "$(complete_words compare --runs mkfif)" ]
    [[ " $(complete_words compare --runs 5 mkfif) " == *" mkfifo "* ]]
    [[ " $(complete_words stat -- mkfif) " == *" mkfifo "* ]]
    [ -z "$(complete_words -- top -)" ]
    [ -z "$(complete_words stat mkfifo --)" ]
    URINGSHIM_LIVE=1 sleep 30 3>&- &
    local live=$!
    [[ " $(complete_words top -n 1 '') " == *" $live "* ]]
    [[ " $(complete_words top '') " != *" $$ "* ]]
    kill "$live"
    run -0 bash -c 'source "$0" && complete -p uringshim' "$ROOT/scripts/completion.bash"
    [[ $output == *"-F _uringshim uringshim" ]]
}

@test "the command and the package have one version" {
    [ "$(sed -n '1s/^uringshim (\(.*\)) .*/\1/p' "$ROOT/debian/changelog")" = "$(version)" ]
}

@test "the Debian package builds from a tree that stays clean, and holds what make install installs" {
    need_command dpkg-buildpackage
    need_command dh
    local missing tree package
    missing=$(dpkg-checkbuilddeps "$ROOT/debian/control" 2>&1) || skip "$missing"
    tree=$(git -C "$ROOT" status --porcelain 2>&1) || true
    run -0 run_make deb BUILD="$SCRATCH/build"
    [ "$(git -C "$ROOT" status --porcelain 2>&1)" = "$tree" ]
    package=$SCRATCH/build/deb/uringshim_$(version)_$(dpkg --print-architecture).deb
    [[ $(dpkg-deb -f "$package" Depends) =~ ^libc6\ \([^,|]*\)$ ]]
    run_make install DESTDIR="$SCRATCH/installed" PREFIX=/usr
    dpkg-deb -x "$package" packaged
    (cd installed && find . -type f -printf '%m %p\n' | sed 's/LICENSE$/copyright/'
        echo 644 ./usr/share/doc/uringshim/changelog) | sort >want
    (cd packaged && find . -type f -printf '%m %p\n' | sed 's/\.gz$//') | sort >got
    diff want got
    mv "$package" "$BATS_FILE_TMPDIR/uringshim.deb" # for the next test
}

# A Debian of essential packages in root/, from where this machine has its own, and in the same way.
clean_root() {
    local suite mirrors
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
    mapfile -t mirrors < <(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' "Codename: $suite" 'Component: main')
    ((${#mirrors[@]} > 0)) || skip "apt knows no mirror of $suite, or hasn't been updated"
    apt-config dump Acquire | grep -v ::IndexTargets >apt.conf
    "${PATIENTLY[@]}" mmdebstrap --variant=essential --dpkgopt=force-unsafe-io --aptopt=apt.conf \
        "$suite" root "${mirrors[@]}" 2>mmdebstrap.log ||
        skip "no clean Debian could be made: $(grep -m 1 '^E: ' mmdebstrap.log || echo it takes too long)"
}

in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root URINGSHIM_TEST_EAGER=1 \
        unshare --mount --pid --fork --mount-proc=root/proc chroot root "$@"
}

# Every file with its kind, mode, owner, target and contents; not the package manager's own diary.
listing() {
    find root -path root/proc -prune -o -printf '%P %M %U:%G %l\n' -type f -exec cksum {} + |
        grep -v -e 'var/lib/dpkg/status-old' -e 'var/log/dpkg\.log' | sort
}

@test "the Debian package installs, works, and goes without a trace, in a clean Debian" {
    [ -f "$BATS_FILE_TMPDIR/uringshim.deb" ] || skip "no package was built"
    need_root
    need_command mmdebstrap
    skip_unless "may not make namespaces" unshare --mount --pid --fork true
    clean_root
    cp "$BATS_FILE_TMPDIR/uringshim.deb" root/uringshim.deb
    listing >before
    in_root dpkg -i /uringshim.deb
    [ "$(in_root uringshim --version)" = "uringshim $(version)" ]
    run -0 --separate-stderr in_root uringshim stat \
        perl -e 'open F, ">/home/out"; syswrite F, "line $_\n" for 1 .. 1000'
    [ "$(awk '$1 == "deferred" { print $2 }' <<<"$stderr")" -gt 900 ]
    [ "$(tail -n 1 root/home/out)" = "line 1000" ]
    rm root/home/out
    in_root dpkg --purge uringshim
    listing >after
    diff before after
}
