/* Forking and ending, and calls that a helper thread or other means of ours would disturb. */
#include <assert.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ulimit.h>
#include <unistd.h>

#include "base/single.h"
#include "entry/activate.h"
#include "entry/entry.h"
#include "entry/lifecycle.h"
#include "entry/loader.h"
#include "entry/sharing.h"

extern int capset(cap_user_header_t header, const cap_user_data_t data);
extern void __assert(const char *expression, const char *file, int line) __attribute__((noreturn));
extern void __chk_fail(void) __attribute__((noreturn));
extern void __stack_chk_fail(void) __attribute__((noreturn));

EXPORT pid_t _Fork(void) {
    fork_prepare();
    pid_t pid = CALL(_Fork, ());
    if (pid == 0)
        fork_child();
    else
        fork_parent();
    return pid;
}

/*
 * vfork: the child runs in our memory, on our stack, while the parent waits. It must find a frame that still exists
 * when the parent returns through it, hence assembly; and it must leave our state alone, hence the mark on the thread.
 */
__attribute__((visibility("hidden"), used)) int vfork_before(void) {
    struct thread *self = attached_self();
    if (!thread_attached(self) || !thread_free(self))
        return 0;
    self->vfork_exclusive = exclusive_begins("vfork");
    sharing_passed_on();
    self->vfork_parent = (int)sys(SYS_getpid);
    self->vfork_confined = false;
    self->vfork_child = true;
    return 1;
}

__attribute__((visibility("hidden"), used)) pid_t vfork_in_parent(long result) {
    struct thread *self = thread_self();
    self->vfork_child = false;
    sharing_passed_on();
    exclusive_ends(self->vfork_exclusive);
    window_learned();
    return (pid_t)answer(result);
}

__attribute__((visibility("hidden"), used)) pid_t vfork_as_fork(void) {
    return fork();
}

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, @function\n"
        ".globl __vfork\n"
        ".type __vfork, @function\n"
        "vfork:\n"
        "__vfork:\n"
        "    .cfi_startproc\n"
        "    sub $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    call vfork_before\n"
        "    add $8, %rsp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    test %eax, %eax\n"
        "    jz 1f\n"
        "    pop %rdi\n"      /* the return address: the child will use the stack beneath it; kept in a register */
        "    mov $58, %eax\n" /* SYS_vfork */
        "    syscall\n"
        "    push %rdi\n"
        "    test %rax, %rax\n"
        "    jz 2f\n"
        "    mov %rax, %rdi\n"
        "    jmp vfork_in_parent\n"
        "2:  ret\n"
        "1:  jmp vfork_as_fork\n"
        "    .cfi_endproc\n"
        ".size vfork, . - vfork\n");
#elif defined(__aarch64__)
/* The return address is in a register as it is, which is the child's, too. Both names may be called by pointer (BTI).
 */
__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, %function\n"
        ".globl __vfork\n"
        ".type __vfork, %function\n"
        "vfork:\n"
        "__vfork:\n"
        "    .cfi_startproc\n"
        "    hint #34\n" /* BTI c */
        "    stp x29, x30, [sp, #-16]!\n"
        "    .cfi_def_cfa_offset 16\n"
        "    .cfi_offset 29, -16\n"
        "    .cfi_offset 30, -8\n"
        "    bl vfork_before\n"
        "    ldp x29, x30, [sp], #16\n"
        "    .cfi_restore 29\n"
        "    .cfi_restore 30\n"
        "    .cfi_def_cfa_offset 0\n"
        "    cbz w0, 1f\n"
        "    mov x0, #0x4111\n" /* CLONE_VFORK | CLONE_VM | SIGCHLD, and the stack that there is */
        "    mov x1, #0\n"
        "    mov x2, #0\n"
        "    mov x3, #0\n"
        "    mov x4, #0\n"
        "    mov x8, #220\n" /* SYS_clone */
        "    svc #0\n"
        "    cbz x0, 2f\n"
        "    b vfork_in_parent\n"
        "2:  ret\n"
        "1:  b vfork_as_fork\n"
        "    .cfi_endproc\n"
        ".size vfork, . - vfork\n");
#endif

struct clone_start {
    int (*function)(void *);
    void *argument;
};

static int clone_child(void *argument) {
    struct clone_start start = *(struct clone_start *)argument;
    fork_child();
    end_thread("clone", start.function(start.argument));
    return 0; /* not reached */
}

/*
 * clone used directly. A child with memory of its own is a fork. One that shares our memory without being a thread of
 * libc's would share our thread structures too, and one that shares our descriptors changes what they mean: nothing is
 * deferred any more.
 */
EXPORT int clone(int (*function)(void *), void *stack, int flags, void *argument, ...) {
    va_list list;
    va_start(list, argument);
    pid_t *parent_tid = va_arg(list, pid_t *);
    void *tls = va_arg(list, void *);
    pid_t *child_tid = va_arg(list, pid_t *);
    va_end(list);
    if (flags & (CLONE_VM | CLONE_FILES))
        keep_out("clone");
    if (flags & CLONE_VM) {
        thread_strangers_come();
        single_no_longer();
    }
    if (flags & CLONE_NEWIPC)
        sharing_names_changed();
    if (flags & CLONE_VM || !function || !stack) {
        announce("clone");
        sharing_passed_on();
        return CALL(clone, (function, stack, flags, argument, parent_tid, tls, child_tid));
    }
    struct clone_start start = {function, argument};
    fork_prepare();
    int pid = CALL(clone, (clone_child, stack, flags, &start, parent_tid, tls, child_tid));
    fork_parent();
    return pid;
}

static void *exit_real;

EXPORT void exit(int status) {
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
    return CALL(pthread_cancel, (thread));
}

/*
 * From now on this thread may be cancelled between any two instructions, and must not be amid anything that others wait
 * for then. Nothing is deferred or fetched in this process any more, so that its calls need no help: they go straight
 * through.
 */
EXPORT int pthread_setcanceltype(int type, int *old) {
    if (type == PTHREAD_CANCEL_ASYNCHRONOUS) {
        wb_hinder(REASON_cancellation);
        drain_reads_too("pthread_setcanceltype");
        files_rest();
        critical_cancelable = true;
    }
    int result = CALL(pthread_setcanceltype, (type, old));
    if (type == PTHREAD_CANCEL_DEFERRED)
        critical_cancelable = false;
    return result;
}

/*
 * A second thread makes these fail, or leaves it behind with other credentials or namespaces than the program's. No
 * other thread starts anything anew meanwhile.
 */
EXPORT int unshare(int flags) {
    if (flags & CLONE_FILES)
        keep_out("unshare");
    if (flags & CLONE_NEWIPC)
        sharing_names_changed();
    visit_begins("unshare");
    deactivate("unshare");
    int result = CALL(unshare, (flags));
    visit_ends();
    return result;
}

EXPORT int setns(int fd, int kind) {
    sharing_names_changed();
    visit_begins("setns");
    deactivate("setns");
    int result = CALL(setns, (fd, kind));
    visit_ends();
    return result;
}

/* And a polling thread of the kernel's keeps the credentials that it was made with. */
#define IDENTITY(name, parameters, arguments)                                                                          \
    EXPORT int name parameters {                                                                                       \
        visit_begins(#name);                                                                                           \
        wb_forbid_queue_polling();                                                                                     \
        deactivate(#name);                                                                                             \
        int result = CALL(name, arguments);                                                                            \
        visit_ends();                                                                                                  \
        return result;                                                                                                 \
    }

IDENTITY(setuid, (uid_t user), (user))
IDENTITY(setgid, (gid_t group), (group))
IDENTITY(seteuid, (uid_t user), (user))
IDENTITY(setegid, (gid_t group), (group))
IDENTITY(setreuid, (uid_t real, uid_t effective), (real, effective))
IDENTITY(setregid, (gid_t real, gid_t effective), (real, effective))
IDENTITY(setresuid, (uid_t real, uid_t effective, uid_t saved), (real, effective, saved))
IDENTITY(setresgid, (gid_t real, gid_t effective, gid_t saved), (real, effective, saved))
IDENTITY(setgroups, (size_t n, const gid_t *groups), (n, groups))
IDENTITY(initgroups, (const char *user, gid_t group), (user, group))

/* These change the calling thread only: from now on one thread must not write for another. */
#define OWN_CREDENTIALS(name, parameters, arguments)                                                                   \
    EXPORT int name parameters {                                                                                       \
        wb_hinder(REASON_credentials);                                                                                 \
        wb_forbid_queue_polling();                                                                                     \
        deactivate(#name);                                                                                             \
        return CALL(name, arguments);                                                                                  \
    }

OWN_CREDENTIALS(setfsuid, (uid_t user), (user))
OWN_CREDENTIALS(setfsgid, (gid_t group), (group))
OWN_CREDENTIALS(capset, (cap_user_header_t header, const cap_user_data_t data), (header, data))

/* A thread that is never preempted could keep the flusher from running: then the delay has no bound. */
#define REAL_TIME(name, parameters, arguments)                                                                         \
    EXPORT int name parameters {                                                                                       \
        wb_hinder(REASON_real_time);                                                                                   \
        drain_reads_too(#name);                                                                                        \
        return CALL(name, arguments);                                                                                  \
    }

extern int __sched_setscheduler(pid_t pid, int policy, const struct sched_param *parameters);

REAL_TIME(sched_setparam, (pid_t pid, const struct sched_param *parameters), (pid, parameters))
REAL_TIME(sched_setscheduler, (pid_t pid, int policy, const struct sched_param *parameters), (pid, policy, parameters))
REAL_TIME(__sched_setscheduler, (pid_t pid, int policy, const struct sched_param *parameters),
          (pid, policy, parameters))
REAL_TIME(pthread_setschedparam, (pthread_t thread, int policy, const struct sched_param *parameters),
          (thread, policy, parameters))

REAL_TIME(pthread_setschedprio, (pthread_t thread, int priority), (thread, priority))

/* A thread made with these attributes is a real-time one, and so is one that locks such a mutex. */
EXPORT int pthread_attr_setschedpolicy(pthread_attr_t *attributes, int policy) {
    if (policy == SCHED_FIFO || policy == SCHED_RR) {
        wb_hinder(REASON_real_time);
        drain_reads_too("pthread_attr_setschedpolicy");
    }
    return CALL(pthread_attr_setschedpolicy, (attributes, policy));
}

EXPORT int pthread_mutexattr_setprotocol(pthread_mutexattr_t *attributes, int protocol) {
    if (protocol == PTHREAD_PRIO_PROTECT) {
        wb_hinder(REASON_real_time);
        drain_reads_too("pthread_mutexattr_setprotocol");
    }
    return CALL(pthread_mutexattr_setprotocol, (attributes, protocol));
}

/* What is pending is performed under the old limit, and whether more may be deferred is decided under the new one. */
bool limit_begins(const char *call) {
    bool exclusive = exclusive_begins(call);
    wb_hinder(REASON_size_limit);
    drain(call);
    return exclusive;
}

void limit_ends(bool exclusive) {
    limits_refresh();
    exclusive_ends(exclusive);
}

#define LIMIT(name, parameters, arguments)                                                                             \
    EXPORT int name parameters {                                                                                       \
        bool exclusive = limit_begins(#name);                                                                          \
        int result = CALL(name, arguments);                                                                            \
        limit_ends(exclusive);                                                                                         \
        return result;                                                                                                 \
    }

LIMIT(setrlimit, (__rlimit_resource_t resource, const struct rlimit *limit), (resource, limit))
LIMIT(setrlimit64, (__rlimit_resource_t resource, const struct rlimit64 *limit), (resource, limit))
LIMIT(prlimit, (pid_t pid, enum __rlimit_resource resource, const struct rlimit *limit, struct rlimit *old),
      (pid, resource, limit, old))
LIMIT(prlimit64, (pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *limit, struct rlimit64 *old),
      (pid, resource, limit, old))

EXPORT long ulimit(int command, ...) {
    va_list list;
    va_start(list, command);
    long limit = va_arg(list, long);
    va_end(list);
    bool exclusive = limit_begins("ulimit");
    long result = CALL(ulimit, (command, limit));
    limit_ends(exclusive);
    return result;
}

/* PR_SET_SYSCALL_USER_DISPATCH (Linux 5.11): calls of ours would come to the program's handler, too. */
enum { DISPATCH = 59 };

void announce_prctl(const char *call, int option, unsigned long argument) {
    if (option == PR_SET_SECCOMP)
        confined(call);
    else if ((option == PR_SET_TSC && argument == PR_TSC_SIGSEGV) || (option == DISPATCH && argument))
        keep_out(call);
    else
        announce(call);
}

EXPORT int prctl(int option, ...) {
    va_list list;
    va_start(list, option);
    unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long);
    unsigned long c = va_arg(list, unsigned long), d = va_arg(list, unsigned long);
    va_end(list);
    announce_prctl("prctl", option, a);
    return CALL(prctl, (option, a, b, c, d));
}

EXPORT long ptrace(enum __ptrace_request request, ...) {
    va_list list;
    va_start(list, request);
    pid_t pid = va_arg(list, pid_t);
    void *address = va_arg(list, void *), *data = va_arg(list, void *);
    va_end(list);
    announce("ptrace");
    return CALL(ptrace, (request, pid, address, data));
}

static void loaded(const char *call, int flags) {
    loader_loaded(call, flags);
    code_added(NULL, loader_unloaded() ? SIZE_MAX : 0);
}

/*
 * A library that is loaded may bring asynchronous I/O, or system calls, of its own, and with dlmopen a libc of its own:
 * looked for when deferring starts again.
 */
EXPORT void *dlopen(const char *path, int flags) {
    bool exclusive = exclusive_begins("dlopen"); /* who began anew now would look around too early */
    deactivate("dlopen");
    if (flags & RTLD_DEEPBIND) /* it doesn't see our names */
        single_no_longer();
    void *result = CALL(dlopen, (path, flags));
    loaded("dlopen", flags);
    exclusive_ends(exclusive);
    return result;
}

EXPORT void *dlmopen(Lmid_t list, const char *path, int flags) {
    single_no_longer(); /* by another libc */
    bool exclusive = exclusive_begins("dlmopen");
    deactivate("dlmopen");
    void *result = CALL(dlmopen, (list, path, flags));
    loaded("dlmopen", flags);
    exclusive_ends(exclusive);
    return result;
}
