/*
 * The next definition of each intercepted function: libc's, or that of a library preloaded after us. Looked up at the
 * first call, for most programs use few of them: what dlsym(RTLD_NEXT) would find, but without the loader's lock. For
 * the first call may come in a handler that jumps away, which would leave it locked, or while whoever has it waits for
 * the caller.
 */
#ifndef URINGSHIM_BASE_REAL_H
#define URINGSHIM_BASE_REAL_H

#include "base/sys.h"

/* Never NULL: a function that is missing is answered by one that returns -1 with ENOSYS. Keeps errno. */
void *real_resolve(void **slot, const char *name);

/* The same for what the loader need not be asked for, for that would be asking for itself; or NULL. */
void *real_loaded(const char *name);

#define REAL(name)                                                                                                     \
    ({                                                                                                                 \
        static void *slot_;                                                                                            \
        void *found_ = __atomic_load_n(&slot_, __ATOMIC_RELAXED);                                                      \
        (__typeof__(&name))(likely(found_) ? found_ : real_resolve(&slot_, #name));                                    \
    })

#endif
