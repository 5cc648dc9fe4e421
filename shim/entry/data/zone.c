/*
 * libc reads a time zone's file when TZ isn't what it was; it looks at the default zone's each time whether it has
 * changed (time/tzset.c, time/tzfile.c in glibc: the same from 2.27 to 2.43). That is done around stdio, by stat.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "entry/data/environment.h"
#include "entry/data/libc_reads.h"
#include "entry/entry.h"

enum { ZONE_UNKNOWN };
#define DEFAULT "/etc/localtime"

/* What TZ said, as a hash, when libc last looked. */
static _Atomic uint64_t zone;
static _Atomic bool looked;

/* Nothing was pending of the files that libc looks at each time when so many files had begun to have something. */
static _Atomic uint64_t seen = UINT64_MAX;

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool begins_name(char c) {
    return c == '<' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "EST5EDT": names for summer and winter without a rule. If no file has that name, libc takes the rule for all. */
static bool lacks_rule(const char *value) {
    bool digit = false, names = false;
    if (strchr(value, '/'))
        return false;
    for (const char *c = value; *c; c++) {
        if (*c == ',' && c[1])
            return false;
        digit |= is_digit(*c);
        names |= digit && begins_name(*c);
    }
    return names;
}

/* The zone as the environment has it: its hash. `each_time`: the file that libc looks at each time, or NULL. */
static uint64_t zone_now(const char **each_time) {
    const char *value = environment_value("TZ");
    uint64_t hash = environment_hash(ENVIRONMENT_HASH, value ? value : DEFAULT);
    *each_time = value ? NULL : DEFAULT;
    if (value && lacks_rule(value)) {
        const char *place = environment_value("TZDIR");
        hash = environment_hash(hash, place ? place : "");
        *each_time = value + (*value == ':');
    }
    return hash == ZONE_UNKNOWN ? hash + 1 : hash;
}

static bool path_pending(const char *path) {
    struct stat st;
    return sys(SYS_newfstatat, AT_FDCWD, path, &st, 0) == 0 && files_pending(&st);
}

static bool zone_pending(const char *name) {
    enum { LONG = 512 };
    const char *place = environment_value("TZDIR");
    TEXT(path, LONG);
    text_add(&path, place && *place ? place : "/usr/share/zoneinfo");
    text_add(&path, "/");
    text_add(&path, name);
    if (path.length >= LONG - 1)
        return true;
    path_bytes[path.length] = '\0';
    return path_pending(path_bytes);
}

/* Is anything pending of it, or of the rule for all? While something is, no name in the file system changes. */
static bool looked_at_pending(const char *file) {
    uint64_t begun = atomic_load(&files_begun);
    if (begun == atomic_load_explicit(&seen, memory_order_relaxed))
        return false;
    if (*file == '/' ? path_pending(file) : zone_pending(file) || zone_pending("posixrules"))
        return true;
    atomic_store_explicit(&seen, begun, memory_order_relaxed);
    return false;
}

void zone_asked(const char *call) {
    uint64_t known = atomic_load_explicit(&zone, memory_order_relaxed);
    bool pending = wb_any_pending();
    if (likely(!pending && known == ZONE_UNKNOWN))
        return;
    const char *each_time;
    uint64_t now = zone_now(&each_time);
    if (pending && thread_free(thread_self()) && (now != known || (each_time && looked_at_pending(each_time))))
        announce(call);
    if (now != known)
        atomic_store_explicit(&zone, now, memory_order_relaxed);
    if (!atomic_load_explicit(&looked, memory_order_relaxed))
        atomic_store_explicit(&looked, true, memory_order_relaxed);
}

void zone_used(const char *call) {
    if (likely(!wb_any_pending()) || atomic_load_explicit(&looked, memory_order_relaxed))
        return;
    announce(call);
    atomic_store_explicit(&looked, true, memory_order_relaxed);
}
