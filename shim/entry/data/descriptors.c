/* Calls that change what a descriptor number means. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pty.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmp.h>

#include "base/kernel.h"
#include "base/passing.h"
#include "base/single.h"
#include "entry/data/descriptors.h"
#include "entry/data/sharing.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/lifecycle.h"

extern int __open(const char *path, int flags, ...);
extern int __open64(const char *path, int flags, ...);
extern int __dup2(int from, int to);
extern int __close(int fd);
extern int __fcntl(int fd, int command, ...);

/*
 * The mode needn't be there: then it is anything, as libc would find it, which takes it only if the call makes a file
 * (open(2)). It comes where a declared argument would on the processors we know.
 */
#define OPEN(name)                                                                                                     \
    REAL_SLOT(int, name, (const char *path, int flags, mode_t mode), (path, flags, mode))                              \
    static __attribute__((noinline)) int name##_attended(const char *path, int flags, mode_t mode) {                   \
        announce(#name);                                                                                               \
        return number_opened(CALL_BY(REAL_OF(name), (path, flags, mode)));                                             \
    }                                                                                                                  \
    EXPORT int shell_of_##name(const char *path, int flags, mode_t mode) __asm__(#name);                               \
    int shell_of_##name(const char *path, int flags, mode_t mode) {                                                    \
        return wb_quiet() ? number_opened(REAL_OF(name)(path, flags, mode)) : name##_attended(path, flags, mode);      \
    }
#define OPENAT(name)                                                                                                   \
    REAL_SLOT(int, name, (int dir, const char *path, int flags, mode_t mode), (dir, path, flags, mode))                \
    static __attribute__((noinline)) int name##_attended(int dir, const char *path, int flags, mode_t mode) {          \
        announce(#name);                                                                                               \
        return number_opened(CALL_BY(REAL_OF(name), (dir, path, flags, mode)));                                        \
    }                                                                                                                  \
    EXPORT int shell_of_##name(int dir, const char *path, int flags, mode_t mode) __asm__(#name);                      \
    int shell_of_##name(int dir, const char *path, int flags, mode_t mode) {                                           \
        return wb_quiet() ? number_opened(REAL_OF(name)(dir, path, flags, mode))                                       \
                          : name##_attended(dir, path, flags, mode);                                                   \
    }

OPEN(open)
OPEN(open64)
OPEN(__open)
OPEN(__open64)
OPENAT(openat)
OPENAT(openat64)

/*
 * What is pending at the position moves it, and what is pending of the file may be its end. The quick way takes note
 * only of one that is far.
 */
#define LSEEK(type, name)                                                                                              \
    REAL_SLOT(type, name, (int fd, type offset, int whence), (fd, offset, whence))                                     \
    static __attribute__((noinline)) type name##_attended(int fd, type offset, int whence) {                           \
        type position = unlikely(window_is_on(fd)) ? window_seek(thread_self(), fd, offset, whence) : WINDOW_MISS;     \
        if (position != WINDOW_MISS)                                                                                   \
            return position;                                                                                           \
        if (peek_is_on(fd) && (unsigned)whence <= SEEK_HOLE)                                                           \
            return (type)answer(-ESPIPE);                                                                              \
        announce_move(#name, fd);                                                                                      \
        announce_touch(#name, fd);                                                                                     \
        position = CALL_BY(REAL_OF(name), (fd, offset, whence));                                                       \
        files_moved(fd, position);                                                                                     \
        return position;                                                                                               \
    }                                                                                                                  \
    EXPORT type name(int fd, type offset, int whence) {                                                                \
        const struct fd_slot *slot = files_slot_near(fd);                                                              \
        if (wb_attention() || !slot || slot->reads > 0)                                                                \
            return name##_attended(fd, offset, whence);                                                                \
        type position = CALL_BY(REAL_OF(name), (fd, offset, whence));                                                  \
        if (unlikely((uint64_t)position >= FILE_SYSTEM_FAR)) /* or it failed */                                        \
            files_moved(fd, position);                                                                                 \
        return position;                                                                                               \
    }

extern off_t __lseek(int fd, off_t offset, int whence);
extern off64_t llseek(int fd, off64_t offset, int whence);

LSEEK(off_t, lseek)
LSEEK(off_t, __lseek)
LSEEK(off64_t, lseek64)
LSEEK(off64_t, llseek)

bool number_closing(void) {
    if (single_threaded() || !thread_free(thread_self()))
        return false;
    closing_begins();
    return true;
}

void number_closed(bool begun) {
    if (begun)
        closing_ends();
}

/* A close that succeeds may still have to bring an earlier write's error, as on NFS (close(2), "NOTES"). */
static int closed(int result, int late) {
    return unlikely(late && result == 0) ? (int)answer(-late) : result;
}

/* Where inputs aren't counted when it begins, what a close of a number that is no stream of ours answers isn't one. */
#define CLOSE(name)                                                                                                    \
    REAL_SLOT(int, name, (int fd), (fd))                                                                               \
    static __attribute__((noinline)) int name##_attended(int fd) {                                                     \
        report_before_close(#name, fd);                                                                                \
        int late = give_up_number_telling(#name, fd);                                                                  \
        bool begun = number_closing();                                                                                 \
        int result = CALL_BY(REAL_OF(name), (fd));                                                                     \
        number_closed(begun);                                                                                          \
        files_detached(fd);                                                                                            \
        return closed(result, late);                                                                                   \
    }                                                                                                                  \
    EXPORT int name(int fd) {                                                                                          \
        return given_up_at_once(fd) ? REAL_OF(name)(fd) : name##_attended(fd);                                         \
    }

CLOSE(close)
CLOSE(__close)

EXPORT int close_range(unsigned first, unsigned last, int flags) {
    if (flags & (int)CLOSE_RANGE_UNSHARE) /* this thread gets a table of its own: see unshare */
        keep_out("close_range");
    if (flags & (int)CLOSE_RANGE_CLOEXEC)
        announce("close_range");
    else
        give_up_range("close_range", first, last);
    bool begun = number_closing();
    int result = CALL(close_range, (first, last, flags));
    number_closed(begun);
    given_up_range(first, last);
    return result;
}

EXPORT void closefrom(int first) {
    give_up_range("closefrom", first < 0 ? 0 : (unsigned)first, ~0u);
    bool begun = number_closing();
    CALL(closefrom, (first));
    number_closed(begun);
    given_up_range(first < 0 ? 0 : (unsigned)first, ~0u);
}

/* libc closes a stream's number inside itself. (fileno would set errno for a stream that has none.) */
#define CLOSE_STREAM(name)                                                                                             \
    EXPORT int name(FILE *stream) {                                                                                    \
        int fd = stream->_fileno;                                                                                      \
        report_before_close(#name, fd);                                                                                \
        int late = give_up_number_telling(#name, fd);                                                                  \
        int result = CALL(name, (stream));                                                                             \
        files_detached(fd);                                                                                            \
        return closed(result, late);                                                                                   \
    }

CLOSE_STREAM(fclose)

EXPORT int closedir(DIR *directory) {
    int fd = REAL(dirfd)(directory);
    give_up_number("closedir", fd);
    int result = CALL(closedir, (directory));
    files_detached(fd);
    return result;
}

/* How many characters of a mode libc looks at (libio/iofdopen.c, libio/fileops.c). */
enum { FDOPEN_LOOKS_AT = 5, FOPEN_LOOKS_AT = 7 };

/*
 * With an `m` in its mode a stream reads through a mapping that libc makes inside itself, some time later: what comes
 * to be there is learned without a call.
 */
static void stream_maps(const char *call, int fd, const char *mode, int looked_at) {
    bool maps = false;
    for (int i = 1; i < looked_at && mode[i] && mode[i] != '+'; i++) /* libc looks no further */
        maps |= mode[i] == 'm';
    if (!maps)
        return;
    window_forbid();
    files_mark_mapped(fd);
    drain(call);
}

/* With an `a` in front of its mode libc sets O_APPEND, as F_SETFL would. */
EXPORT FILE *fdopen(int fd, const char *mode) {
    bool appends = mode[0] == 'a';
    if (appends)
        announce("fdopen");
    FILE *stream = CALL(fdopen, (fd, mode));
    if (appends)
        atomic_fetch_add(&files_generation, 1);
    if (stream)
        stream_maps("fdopen", fd, mode, FDOPEN_LOOKS_AT);
    return stream;
}

EXPORT FILE *popen(const char *command, const char *mode) {
    bool exclusive = exclusive_begins("popen");
    sharing_passed_on();
    FILE *result = CALL(popen, (command, mode));
    sharing_passed_on();
    exclusive_ends(exclusive);
    if (result)
        number_taken(result->_fileno);
    return result;
}

EXPORT int pclose(FILE *stream) {
    int fd = stream->_fileno;
    give_up_number("pclose", fd);
    int status = CALL(pclose, (stream)); /* the child's: no room for an error of ours */
    files_detached(fd);
    return status;
}

EXPORT int fcloseall(void) {
    give_up_range("fcloseall", 0, ~0u);
    int result = CALL(fcloseall, ());
    given_up_range(0, ~0u);
    return result;
}

static void stream_opened(const char *call, FILE *stream, const char *mode) {
    if (!stream)
        return;
    number_opened(stream->_fileno);
    stream_maps(call, stream->_fileno, mode, FOPEN_LOOKS_AT);
}

#define FOPEN(name)                                                                                                    \
    EXPORT FILE *name(const char *path, const char *mode) {                                                            \
        announce(#name);                                                                                               \
        FILE *stream = CALL(name, (path, mode));                                                                       \
        stream_opened(#name, stream, mode);                                                                            \
        return stream;                                                                                                 \
    }

FOPEN(fopen)
FOPEN(fopen64)

/* libc writes what the stream has, and closes its number later, inside itself: nothing is deferred meanwhile. */
#define REOPEN(name)                                                                                                   \
    EXPORT FILE *name(const char *path, const char *mode, FILE *stream) {                                              \
        int fd = stream->_fileno;                                                                                      \
        give_up_number(#name, fd);                                                                                     \
        visit_begins(#name);                                                                                           \
        FILE *result = CALL(name, (path, mode, stream));                                                               \
        visit_ends();                                                                                                  \
        files_detached(fd);                                                                                            \
        stream_opened(#name, result, mode);                                                                            \
        return result;                                                                                                 \
    }

REOPEN(freopen)
REOPEN(freopen64)

/* Another process's description: its position isn't ours. Or it is this one's: then the two numbers share it. */
void number_fetched(int fd, int result) {
    number_taken(result);
    if (result < 0 || !thread_free(thread_self()))
        return;
    files_passed_on();
    files_strays_come();
    if (users_followed())
        users_shared(fd);
    turn_end(thread_self());
}

EXPORT int pidfd_getfd(int pidfd, int fd, unsigned flags) {
    announce_reads("pidfd_getfd");
    int result = CALL(pidfd_getfd, (pidfd, fd, flags));
    number_fetched(fd, result);
    return result;
}

void number_duplicated(int from, int to) {
    if (to < 0 || !thread_free(thread_self()))
        return;
    files_share(from, to);
    if (users_followed()) {
        users_shared(from);
        users_shared(to);
        turn_end(thread_self());
    }
}

EXPORT int dup(int fd) {
    int to = CALL(dup, (fd));
    number_taken(to);
    number_duplicated(fd, to);
    return to;
}

/* dup2(2): nothing happens to `to` if it is the same, or if the call fails. Then its error stays. */
void number_replacing(const char *call, int from, int to, int flags) {
    announce(call);
    if (from == to || flags & ~O_CLOEXEC || (unlikely(ofd_in_error(to)) && sys(SYS_fcntl, from, F_GETFD) < 0))
        return;
    give_up_number(call, to);
}

#define DUP2(name)                                                                                                     \
    EXPORT int name(int from, int to) {                                                                                \
        number_replacing(#name, from, to, 0);                                                                          \
        bool begun = number_closing();                                                                                 \
        int result = CALL(name, (from, to));                                                                           \
        number_closed(begun);                                                                                          \
        number_duplicated(from, result);                                                                               \
        files_detached(to);                                                                                            \
        return result;                                                                                                 \
    }

DUP2(dup2)
DUP2(__dup2)

EXPORT int dup3(int from, int to, int flags) {
    number_replacing("dup3", from, to, flags);
    bool begun = number_closing();
    int result = CALL(dup3, (from, to, flags));
    number_closed(begun);
    number_duplicated(from, result);
    files_detached(to);
    return result;
}

/* Is it worth stopping the others, if there are any? Servers set flags of every connection. */
static bool may_be_file(int fd) {
    struct stat st;
    return single_threaded() || !wb_started() || sys(SYS_fstat, fd, &st) != 0 || S_ISREG(st.st_mode);
}

/*
 * Every fcntl is a barrier but those that only look at, or copy, the number itself. For two the kernel may answer a
 * write otherwise from then on.
 */
bool fcntl_begins(const char *call, int fd, int command) {
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
    case F_GETFD:
    case F_SETFD:
    case F_GETFL:
        return false;
    case F_SETFL:
    case F_ADD_SEALS:
        if (may_be_file(fd))
            return exclusive_begins(call);
        break;
    }
    announce(call);
    return false;
}

void fcntl_ends(int fd, int command, int result, bool exclusive) {
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) {
        number_taken(result);
        number_duplicated(fd, result);
    } else if (command == F_ADD_SEALS) {
        files_mark_mapped(fd);
    } else if (command == F_SETFL) { /* O_APPEND and O_DIRECT belong to the description, under all its numbers */
        atomic_fetch_add(&files_generation, 1);
    }
    exclusive_ends(exclusive);
}

/* What only looks at, or copies, the number's own flags or the description's. */
static inline bool fcntl_only_looks(int command) {
    return command >= F_GETFD && command <= F_GETFL;
}

/* Record locks, leases, pipe sizes: by far the most calls of those that write much and sync much. */
static inline bool fcntl_only_announces(int command) {
    return command > F_SETFL && command != F_DUPFD_CLOEXEC && command != F_ADD_SEALS;
}

/* The third argument is an int, a pointer or not there: it comes where a declared one would on the processors we know.
 */
#define FCNTL(name)                                                                                                    \
    REAL_SLOT(int, name, (int fd, int command, void *argument), (fd, command, argument))                               \
    static __attribute__((noinline)) int name##_attended(int fd, int command, void *argument) {                        \
        bool exclusive = fcntl_begins(#name, fd, command);                                                             \
        int result = CALL_BY(REAL_OF(name), (fd, command, argument));                                                  \
        fcntl_ends(fd, command, result, exclusive);                                                                    \
        return result;                                                                                                 \
    }                                                                                                                  \
    EXPORT int shell_of_##name(int fd, int command, void *argument) __asm__(#name);                                    \
    int shell_of_##name(int fd, int command, void *argument) {                                                         \
        if (!(fcntl_only_looks(command) || (fcntl_only_announces(command) && !wb_attention())))                        \
            return name##_attended(fd, command, argument);                                                             \
        return CALL_BY(REAL_OF(name), (fd, command, argument));                                                        \
    }

FCNTL(fcntl)
FCNTL(fcntl64)
FCNTL(__fcntl)

/* May the kernel refuse writes of the file after this? */
static bool refuses_writes(unsigned long request) {
    return request == FS_IOC_SETFLAGS || request == FS_IOC_FSSETXATTR;
}

bool ioctl_begins(const char *call, unsigned long request) {
    if (request == FIFREEZE) { /* what is pending would wait for the thaw, and with it whoever is to thaw */
        keep_out(call);
    } else if (request == IOCTL_USERFAULTFD_NEW) {
        wb_hinder(REASON_page_faults);
        drain(call);
    }
    bool exclusive = refuses_writes(request) && exclusive_begins(call);
    announce(call);
    sharing_by_ioctl(request);
    return exclusive;
}

void ioctl_ends(int fd, unsigned long request, bool exclusive) {
    if (request == FIONBIO || request == FIOASYNC)
        atomic_fetch_add(&files_generation, 1);
    if (refuses_writes(request))
        files_mark_mapped(fd);
    exclusive_ends(exclusive);
}

EXPORT int ioctl(int fd, unsigned long request, ...) {
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    bool exclusive = ioctl_begins("ioctl", request);
    int result = CALL(ioctl, (fd, request, argument));
    ioctl_ends(fd, request, exclusive);
    return result;
}

/* These replace the standard descriptors inside libc. */
EXPORT int daemon(int nochdir, int noclose) {
    if (noclose) {
        announce("daemon");
        return CALL(daemon, (nochdir, noclose));
    }
    give_up_range("daemon", 0, 2);
    int result = CALL(daemon, (nochdir, noclose));
    given_up_range(0, 2);
    return result;
}

EXPORT int login_tty(int fd) {
    give_up_range("login_tty", 0, 2);
    give_up_number("login_tty", fd);
    int result = CALL(login_tty, (fd));
    given_up_range(0, 2);
    files_detached(fd);
    return result;
}

EXPORT pid_t forkpty(int *master, char *name, const struct termios *terminal, const struct winsize *size) {
    announce("forkpty");
    pid_t pid = CALL(forkpty, (master, name, terminal, size));
    if (pid == 0) {
        give_up_range("forkpty", 0, 2);
        given_up_range(0, 2);
    }
    return pid;
}
