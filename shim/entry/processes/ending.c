/* Calls by which a process, or a thread of it, ends. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "entry/entry.h"
#include "entry/life/lifecycle.h"

extern void __assert(const char *expression, const char *file, int line) __attribute__((noreturn));
extern void __chk_fail(void) __attribute__((noreturn));
extern void __stack_chk_fail(void) __attribute__((noreturn));

static void *exit_real;

EXPORT void exit(int status) {
    thread_waits_no_more(thread_self());
    announce("exit");
    void *real = __atomic_load_n(&exit_real, __ATOMIC_RELAXED);
    ((__typeof__(&exit))(real ? real : real_resolve(&exit_real, "exit")))(status);
    __builtin_unreachable();
}

void exit_find(void) {
    real_resolve(&exit_real, "exit");
}

EXPORT void _exit(int status) {
    finish_for_good("_exit");
    for (;;)
        sys(SYS_exit_group, status);
}

EXPORT void _Exit(int status) {
    _exit(status);
}

EXPORT void quick_exit(int status) {
    finish_for_good("quick_exit");
    REAL(quick_exit)(status);
    __builtin_unreachable();
}

/* Dying without a return: what was written is in the file. */
#define DEATH(name, parameters, arguments)                                                                             \
    EXPORT void name parameters {                                                                                      \
        thread_waits_no_more(thread_self());                                                                           \
        wb_hinder(REASON_unready);                                                                                     \
        drain_reads_too(#name);                                                                                        \
        REAL(name) arguments;                                                                                          \
        __builtin_unreachable();                                                                                       \
    }

DEATH(abort, (void), ())
DEATH(__assert_fail, (const char *expression, const char *file, unsigned line, const char *function),
      (expression, file, line, function))
DEATH(__assert_perror_fail, (int error, const char *file, unsigned line, const char *function),
      (error, file, line, function))
DEATH(__assert, (const char *expression, const char *file, int line), (expression, file, line))
DEATH(__chk_fail, (void), ())
DEATH(__stack_chk_fail, (void), ())

/* From now on writes must be what libc's are: places where a thread can be cancelled. */
EXPORT int pthread_cancel(pthread_t thread) {
    wb_hinder(REASON_cancellation);
    drain("pthread_cancel");
    thread_cancelling();
    return CALL(pthread_cancel, (thread));
}

EXPORT int pthread_setcanceltype(int type, int *old) {
    announce("pthread_setcanceltype");
    if (type == PTHREAD_CANCEL_ASYNCHRONOUS) {
        attached_self();
        thread_set_cancelable(true);
    }
    int result = CALL(pthread_setcanceltype, (type, old));
    if (type == PTHREAD_CANCEL_DEFERRED)
        thread_set_cancelable(false);
    return result;
}
