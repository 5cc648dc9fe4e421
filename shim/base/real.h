/*
 * The next definition of each intercepted function: libc's, or that of a library preloaded after us. Looked up at the
 * first call, for most programs use few of them: what dlsym(RTLD_NEXT) would find, but without the loader's lock. For
 * the first call may come in a handler that jumps away, which would leave it locked, or while whoever has it waits for
 * the caller.
 */
#ifndef URINGSHIM_BASE_REAL_H
#define URINGSHIM_BASE_REAL_H

#include <stdbool.h>

#include "base/sys.h"

/* Never NULL: a function that is missing is answered by one that returns -1 with ENOSYS. Keeps errno. */
void *real_resolve(void **slot, const char *name);

/* The same for what the loader need not be asked for, for that would be asking for itself; or NULL. */
void *real_loaded(const char *name);
/*
 * A function of libc's itself, for the library's own needs, whoever else defines one of that name: a sanitizer's
 * runtime isn't ready yet when our constructor runs. NULL: libc has none.
 */
void *real_libc(const char *name);
#define LIBC(name) ((__typeof__(&name))real_libc(#name))
/*
 * The same where a part of libc's may have been loaded after the program began, and with it nobody else to see: waits
 * for the loader's lock. Not *stays: with the caller's library it may be unloaded, and isn't to be kept.
 */
void *real_libc_later(const char *name, bool *stays);
/* A variable of libc's as everybody sees it: the program may hold it (a copy relocation). By the constructor; or NULL.
 */
void *real_variable(const char *name);
/* A function of any other library that is loaded, and calls itself `file`. By the constructor; or NULL. */
void *real_in(const char *file, const char *name);

/* Does this library define a function of that name? */
bool real_is_ours(const char *name);
/* Is it found without a version? */
bool real_is_ours_plainly(const char *name);
/* Does anybody else who was loaded with the program? */
bool real_elsewhere(const char *name);

/*
 * Does anybody who is loaded now ask for that name in no version? He doesn't meet a function that has one, unless it is
 * that name's default. Waits for the loader's lock.
 */
bool real_asked_plainly(const char *name);

/* The path that this library was loaded from, or NULL. */
const char *real_own_path(void);

/* Calls `found` with the path of each object that was loaded after this one, until it says true: has any? */
bool real_behind_us(bool (*found)(const char *path));

#define REAL(name)                                                                                                     \
    ({                                                                                                                 \
        static void *slot_ ADDRESS_OF_ANOTHER;                                                                         \
        void *found_ = __atomic_load_n(&slot_, __ATOMIC_RELAXED);                                                      \
        (__typeof__(&name))(likely(found_) ? found_ : real_resolve(&slot_, #name));                                    \
    })

/*
 * For shells with a quick way, which spares the question whether the function is known already: after
 * REAL_SLOT(type, name, (parameters), (arguments)) REAL_OF(name) is what is to be called, at first a function that
 * looks up the real one. Where that takes a variable number of arguments the parameters are those that it may have.
 */
#define REAL_SLOT(type, name, parameters, arguments)                                                                   \
    static __attribute__((noinline, cold)) type name##_first parameters;                                               \
    static void *name##_slot = (void *)name##_first;                                                                   \
    static type name##_first parameters {                                                                              \
        return ((__typeof__(&name##_first))real_resolve(&name##_slot, #name))arguments;                                \
    }
#define REAL_OF(name) ((__typeof__(&name##_first))__atomic_load_n(&name##_slot, __ATOMIC_RELAXED))

#endif
