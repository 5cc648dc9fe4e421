/*
 * The next definition of each intercepted function: libc's, or that of a library preloaded after us. Looked up with
 * dlsym(RTLD_NEXT) at the first call: most programs use few of them, and a look-up costs about half a microsecond.
 */
#ifndef URINGSHIM_BASE_REAL_H
#define URINGSHIM_BASE_REAL_H

#include "base/sys.h"

/* Never NULL: a function that is missing is answered by one that returns -1 with ENOSYS. Keeps errno. */
void *real_resolve(void **slot, const char *name);

#define REAL(name)                                                                                                     \
    ({                                                                                                                 \
        static void *slot_;                                                                                            \
        void *found_ = __atomic_load_n(&slot_, __ATOMIC_RELAXED);                                                      \
        (__typeof__(&name))(likely(found_) ? found_ : real_resolve(&slot_, #name));                                    \
    })

#endif
