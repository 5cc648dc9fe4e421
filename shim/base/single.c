#include "base/single.h"

#include "base/real.h"

static char ours;
static _Atomic bool more_came;
const char *single_word = &ours;

/* libstdc++ does, for it isn't linked with the library that threads were in. */
static bool may_be_made_past_us(void) {
    return real_libc("pthread_create") && (real_asked_plainly("pthread_create") || real_asked_plainly("thrd_create"));
}

void single_start(void) {
    const char *of_libc = real_variable("__libc_single_threaded");
    if (of_libc)
        single_word = of_libc;
    else
        ours = more_came || may_be_made_past_us() ? 0 : 1;
}

void single_library_loaded(void) {
    if (ours && may_be_made_past_us())
        single_no_longer();
}

void single_no_longer(void) {
    more_came = true;
    __atomic_store_n(&ours, 0, __ATOMIC_RELAXED);
}
