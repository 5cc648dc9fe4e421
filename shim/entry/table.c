/* The shells of calls.def that only announce themselves and go on. */
#include <aio.h>
#include <aliases.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmtmsg.h>
#include <fstab.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <gshadow.h>
#include <iconv.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <mcheck.h>
#include <mntent.h>
#include <mqueue.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <nl_types.h>
#include <poll.h>
#include <pty.h>
#include <pwd.h>
#include <resolv.h>
#include <sched.h>
#include <semaphore.h>
#include <shadow.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/quota.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <syslog.h>
#include <termios.h>
#include <threads.h>
#include <time.h>
#include <ttyent.h>
#include <unistd.h>
#include <utime.h>
#include <utmp.h>
#include <utmpx.h>
#include <wchar.h>
#include <wordexp.h>

#include "entry/data/libc_reads.h"
#include "entry/data/sharing.h"
#include "entry/entry.h"
#include "entry/processes/child_environment.h"
#include "entry/processes/child_program.h"
#include "files/readers.h"

/* Before glibc 2.34 <resolv.h> gives these names to others, which libc exports, too. */
#undef res_mkquery
#undef res_nquery
#undef res_nquerydomain
#undef res_nsearch
#undef res_nsend
#undef res_query
#undef res_querydomain
#undef res_search
#undef res_send

struct mount_attr;

/* Exported by libc, declared by no header: names for old or fortified binaries, and internal aliases. */
#define BARRIER(type, name, parameters, arguments) extern type name parameters;
#define RECEIVE(type, name, parameters, arguments, fd) extern type name parameters;
#define FEED(type, name, parameters, arguments, from, to) extern type name parameters;
#define TOUCH(type, name, parameters, arguments, fd) extern type name parameters;
#define TAKE(type, name, parameters, arguments, fd) extern type name parameters;
#define NEWFILE(type, name, parameters, arguments, fd) extern type name parameters;
#define RESIZE(type, name, parameters, arguments, end) extern type name parameters;
#define SPAWN(type, name, parameters, arguments) extern type name parameters;
#define LAUNCH(type, name, parameters, arguments, with_us) extern type name parameters;
#define VISIT(type, name, parameters, arguments) extern type name parameters;
#define CLOCK(type, name, parameters, arguments) extern type name parameters;
#define ZONE(type, name, parameters, arguments) extern type name parameters;
#define ZONED(type, name, parameters, arguments) extern type name parameters;
#define HELPER(type, name, parameters, arguments) extern type name parameters;
#define OWN(name)
#define LATE(name, minor)
#include "entry/calls.def"

#define SPAWN(type, name, parameters, arguments)                                                                       \
    EXPORT type name parameters {                                                                                      \
        bool exclusive = exclusive_begins(#name);                                                                      \
        sharing_passed_on();                                                                                           \
        type result = CALL(name, arguments);                                                                           \
        sharing_passed_on(); /* with it, what another thread opened meanwhile */                                       \
        exclusive_ends(exclusive);                                                                                     \
        return result;                                                                                                 \
    }
/* A path that isn't absolute is looked for from here, though the child may be told to go elsewhere first. */
#define LAUNCH(type, name, parameters, arguments, with_us)                                                             \
    EXPORT type name parameters {                                                                                      \
        bool exclusive = exclusive_begins(#name);                                                                      \
        sharing_passed_on();                                                                                           \
        CHILD_ENVIRONMENT(child, envp, with_us);                                                                       \
        envp = child_environment(&child, child_memory);                                                                \
        type result = CALL(name, arguments);                                                                           \
        child_environment_end(&child);                                                                                 \
        sharing_passed_on(); /* as above */                                                                            \
        exclusive_ends(exclusive);                                                                                     \
        return result;                                                                                                 \
    }
#define VISIT(type, name, parameters, arguments)                                                                       \
    EXPORT type name parameters {                                                                                      \
        visit_begins(#name);                                                                                           \
        type result = CALL(name, arguments);                                                                           \
        visit_ends();                                                                                                  \
        input_now_unsure();                                                                                            \
        return result;                                                                                                 \
    }
#define CLOCK(type, name, parameters, arguments)                                                                       \
    EXPORT type name parameters {                                                                                      \
        type result = REAL(name) arguments;                                                                            \
        window_timed();                                                                                                \
        return result;                                                                                                 \
    }
#define ZONE(type, name, parameters, arguments)                                                                        \
    EXPORT type name parameters {                                                                                      \
        zone_asked(#name);                                                                                             \
        return REAL(name) arguments;                                                                                   \
    }
#define ZONED(type, name, parameters, arguments)                                                                       \
    EXPORT type name parameters {                                                                                      \
        zone_used(#name);                                                                                              \
        return REAL(name) arguments;                                                                                   \
    }
#define HELPER(type, name, parameters, arguments)                                                                      \
    EXPORT type name parameters {                                                                                      \
        window_forbid();                                                                                               \
        announce_reads(#name);                                                                                         \
        return CALL(name, arguments);                                                                                  \
    }
#define BARRIER(type, name, parameters, arguments)                                                                     \
    EXPORT type name parameters {                                                                                      \
        announce(#name);                                                                                               \
        return CALL(name, arguments);                                                                                  \
    }
#define RECEIVE(type, name, parameters, arguments, fd)                                                                 \
    EXPORT type name parameters {                                                                                      \
        announce_reads_of(#name, fd);                                                                                  \
        int error = socket_error_due(fd, 1);                                                                           \
        return unlikely(error) ? (type)answer(-error) : CALL(name, arguments);                                         \
    }
#define FEED(type, name, parameters, arguments, from, to)                                                              \
    EXPORT type name parameters {                                                                                      \
        atomic_fetch_or(&readers_forbidden, READERS_PAGES);                                                            \
        announce_reads(#name);                                                                                         \
        int error = feed_error_due(from, to);                                                                          \
        if (unlikely(error))                                                                                           \
            return (type)answer(-error);                                                                               \
        type result = CALL(name, arguments);                                                                           \
        input_now_unsure();                                                                                            \
        return result;                                                                                                 \
    }
#define TOUCH(type, name, parameters, arguments, fd)                                                                   \
    EXPORT type name parameters {                                                                                      \
        announce_touch(#name, fd);                                                                                     \
        return CALL(name, arguments);                                                                                  \
    }
#define TAKE(type, name, parameters, arguments, fd)                                                                    \
    EXPORT type name parameters {                                                                                      \
        announce_read(#name, fd);                                                                                      \
        int error = socket_error_due(fd, 1);                                                                           \
        return unlikely(error) ? (type)answer(-error) : CALL(name, arguments);                                         \
    }
#define RESIZE(type, name, parameters, arguments, end)                                                                 \
    EXPORT type name parameters {                                                                                      \
        announce(#name);                                                                                               \
        files_go_to(end);                                                                                              \
        return CALL(name, arguments);                                                                                  \
    }
#define NEWFILE(type, name, parameters, arguments, fd)                                                                 \
    EXPORT type name parameters {                                                                                      \
        announce(#name);                                                                                               \
        type result = CALL(name, arguments);                                                                           \
        number_opened(fd);                                                                                             \
        return result;                                                                                                 \
    }
#define OWN(name)
#define LATE(name, minor)
#include "entry/calls.def"
