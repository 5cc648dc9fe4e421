#!/usr/bin/env bats
# Same answers by libc itself: what it reads of files without being told their names.

load lib/common
load lib/compare
load lib/trace

@test "a time zone's file that isn't closed yet is read as it is" {
    same_as_native "$VICTIMS/libc_reads" zones
    assert_deferred
}

@test "so is the default zone's, when it changes" {
    need_root
    skip_unless "no mounts of its own" unshare -m true
    cp /etc/localtime zone
    # shellcheck disable=SC2016 # for the shell in between
    AROUND=(env -u TZ unshare -m bash -c 'cp "$0" "$0.now" && mount --bind "$0.now" /etc/localtime && "$@"' "$PWD/zone")
    skip_unless "no file over /etc/localtime" "${AROUND[@]}" true
    same_as_native "$VICTIMS/libc_reads" default
    assert_deferred
}

@test "so are message catalogues, locales, character sets, and libc's own messages" {
    local what wrong=0 module
    module=$(find /usr/lib -path '*/gconv/ISO8859-2.so' 2>/dev/null | head -n 1)
    for what in catalogues locales conversions strerror; do
        [[ $what != locales || -r /usr/lib/locale/C.utf8/LC_TIME ]] || continue
        [[ $what != conversions || $module ]] || continue
        rm -f "$STATS"
        same_as_native "$VICTIMS/libc_reads" "$what" "$module" || { echo "$what" && wrong=1; }
        [[ $what == strerror ]] || assert_deferred
    done
    ((wrong == 0))
    rm -f "$STATS"
    shim "$VICTIMS/libc_reads" strerror # from bindtextdomain on nobody sees when it is read
    (($(stat_value passed.libc_reads) > 0))
    rm -f "$STATS"
    GCONV_PATH=$SCRATCH shim "$VICTIMS/libc_reads" log 1000
    (($(stat_value passed.libc_reads) > 900 && $(stat_value write.deferred) == 0))
}

# Of a log's lines, each with the local time. strace sees the system calls that are left, natively three or two a line.
@test "who asks for the local time between his writes gains as before" {
    local zone calls barriers
    for zone in unset :/etc/localtime UTC EST5EDT America/New_York CET-1CEST,M3.5.0,M10.5.0/3; do
        [[ $zone != EST5EDT || -e /usr/share/zoneinfo/$zone ]] || continue # then libc looks for it each time
        if [[ $zone == unset ]]; then unset TZ; else export TZ=$zone; fi
        rm -rf log "$STATS"
        shim URINGSHIM_MAX_DELAY_US=1000000 "$VICTIMS/libc_reads" log 20000
        barriers=$(stat_value flush.barrier)
        ((barriers <= 2)) || fail "$zone: $barriers barriers: $(cat "$STATS")"
        assert_deferred
        rm -f log
        trace URINGSHIM_MAX_DELAY_US=1000000 "$VICTIMS/libc_reads" log 20000
        # libc's own looks at the default zone, and not many more
        calls=$(grep -Ecv 'newfstatat\(AT_FDCWD, "/etc/localtime"|^[0-9]+ +\+\+\+' calls)
        ((calls < 1000)) || fail "$zone: $calls calls"
        calls=$(grep -Ec 'newfstatat\(AT_FDCWD, "/etc/localtime"' calls) || true
        ((calls < 20200)) || fail "$zone: $calls looks at the default zone"
    done
}
