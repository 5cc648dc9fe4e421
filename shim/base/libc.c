#include "base/libc.h"

#include <gnu/libc-version.h>
#include <limits.h>
#include <stdatomic.h>

#include "base/real.h"
#include "base/text.h"

/* Of "2.43": 43, and what follows. */
static int minor_of(const char *version, const char **rest) {
    int minor = 0;
    *rest = "";
    if (version[0] != '2' || version[1] != '.')
        return INT_MAX;
    for (version += 2; *version >= '0' && *version <= '9' && minor < 1000000; version++)
        minor = 10 * minor + *version - '0';
    *rest = version;
    return minor;
}

int libc_minor(void) {
    static _Atomic int known;
    int minor = atomic_load_explicit(&known, memory_order_relaxed);
    if (!minor) {
        const char *(*version)(void) = real_loaded("gnu_get_libc_version"); /* not by dlsym, which asks for this */
        const char *rest;
        minor = minor_of(version ? version() : "2.0", &rest);
        minor += *rest == '.'; /* "2.43.9000" is on its way to 2.44 */
        atomic_store_explicit(&known, minor, memory_order_relaxed);
    }
    return minor;
}

int libc_version_minor(const char *version) {
    const char *number = text_after(version, "GLIBC_"), *rest;
    return number && *number >= '0' && *number <= '9' ? minor_of(number, &rest) : -1;
}
