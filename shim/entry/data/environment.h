/* The program's environment as it is now, whether by setenv(3), putenv(3) or a pointer of its own. */
#ifndef URINGSHIM_ENTRY_DATA_ENVIRONMENT_H
#define URINGSHIM_ENTRY_DATA_ENVIRONMENT_H

#include <stdint.h>
#include <unistd.h>

#include "base/text.h"

/* NULL: it isn't there. */
static inline const char *environment_value(const char *name) {
    for (char **entry = environ; entry && *entry; entry++) {
        const char *rest = text_after(*entry, name);
        if (rest && *rest == '=')
            return rest + 1;
    }
    return NULL;
}

/* FNV-1a: what was seen of a variable is kept as a number. */
#define ENVIRONMENT_HASH 14695981039346656037ull

static inline uint64_t environment_hash(uint64_t hash, const char *value) {
    for (; *value; value++)
        hash = (hash ^ (unsigned char)*value) * 1099511628211ull;
    return (hash ^ 256) * 1099511628211ull; /* where one ends and the next begins */
}

#endif
