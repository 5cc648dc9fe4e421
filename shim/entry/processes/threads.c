/*
 * Who makes a thread, as far as base/single.h must be told: by programs of before glibc 2.34, whose libc may not say
 * itself whether there is one thread only. Exported under the version that these ask for, alone: a name without one
 * isn't met by it, for programs see by that whether they have the library that threads need.
 */
#include <pthread.h>
#include <threads.h>

#include "base/libc.h"
#include "base/single.h"
#include "entry/entry.h"

#define FIRST(name, version, parameters, arguments)                                                                    \
    EXPORT int late_##name parameters;                                                                                 \
    __asm__(".symver late_" #name ", " #name "@" version);                                                             \
    EXPORT int late_##name parameters {                                                                                \
        single_no_longer();                                                                                            \
        return CALL(name, arguments);                                                                                  \
    }

FIRST(pthread_create, LIBC_FIRST,
      (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument),
      (thread, attributes, run, argument))
FIRST(thrd_create, "GLIBC_2.28", (thrd_t * thread, thrd_start_t run, void *argument), (thread, run, argument))
