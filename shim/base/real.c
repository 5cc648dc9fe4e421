#include "base/real.h"

#include <dlfcn.h>
#include <errno.h>

static long missing(void) {
    errno = ENOSYS;
    return -1;
}

void *real_resolve(void **slot, const char *name) {
    int saved = errno;
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        found = (void *)missing;
    __atomic_store_n(slot, found, __ATOMIC_RELAXED);
    errno = saved;
    return found;
}
