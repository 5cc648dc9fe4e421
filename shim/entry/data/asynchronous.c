/*
 * libaio's ways to begin. What the program does by itself with the kernel then can't be put in order with ours; a
 * program that only is linked with libaio does nothing of the kind. libaio's functions aren't called, for where a
 * library was loaded with a scope of its own they couldn't be found: they are system calls with another form of answer
 * (io_setup(2)).
 */
#include <errno.h>

#include "entry/entry.h"
#include "entry/life/activate.h"

static int begin(const char *call, int events, void **context) {
    wb_hinder(REASON_own_io_uring);
    deactivate(call);
    return (int)sys(SYS_io_setup, events, context);
}

extern int io_setup(int events, void **context);
extern int io_queue_init(int events, void **context);

EXPORT int io_setup(int events, void **context) {
    return begin("io_setup", events, context);
}

EXPORT int io_queue_init(int events, void **context) {
    if (events <= 0)
        return -EINVAL;
    *context = NULL;
    return begin("io_queue_init", events, context);
}
