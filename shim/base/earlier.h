/*
 * Handlers that ran already when ours were put before them (signals.h). Such a one may have interrupted a call of the
 * library's between its announcing and the kernel, and nobody notices when it returns: what it deferred would then come
 * after that call. So a thread defers, and reads ahead, only once it is known that none is running in it.
 */
#ifndef URINGSHIM_BASE_EARLIER_H
#define URINGSHIM_BASE_EARLIER_H

#include "base/thread.h"

/* To be called once, by the constructor, with the end of the stack that it runs on. */
void earlier_start(const void *end_of_stack);

/*
 * The kernel has been told of a handler of the program's, and is to let it return to that address: 0 says that it is
 * one that is known. Any thread.
 */
void earlier_handler(int signal, uintptr_t return_address);
bool earlier_return_known(void);

bool earlier_all_gone(struct thread *self);

/* To be asked once the handlers are ours: each later one is called by ours, so that the answer stays true. */
static inline bool handlers_are_ours(struct thread *self) {
    return likely(self->handlers_ours) || earlier_all_gone(self);
}

#endif
