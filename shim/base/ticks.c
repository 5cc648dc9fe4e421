#include "base/ticks.h"

#include <stdatomic.h>

#include "base/sys.h"

uint64_t ticks_a_call(void) {
    enum { CALLS = 3 };
    static _Atomic uint64_t known;
    uint64_t least = atomic_load_explicit(&known, memory_order_relaxed);
    if (least)
        return least;
    least = UINT64_MAX;
    for (int i = 0; i < CALLS; i++) {
        uint64_t before = ticks_now();
        sys(SYS_getppid);
        uint64_t took = ticks_now() - before;
        least = took < least ? took : least;
    }
    atomic_store_explicit(&known, least, memory_order_relaxed);
    return least;
}
