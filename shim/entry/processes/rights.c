/* Calls that change what the process is and may do: namespaces, credentials, scheduling, limits. */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <ulimit.h>
#include <unistd.h>

#include "entry/data/sharing.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/lifecycle.h"
#include "entry/processes/rights.h"

extern int capset(cap_user_header_t header, const cap_user_data_t data);

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
