#include "files/readers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/passing.h"
#include "base/text.h"
#include "base/ticks.h"

struct entry { /* getdents64(2) */
    uint64_t number;
    int64_t next;
    uint16_t length;
    uint8_t type;
    char name[];
};

_Atomic int readers_forbidden;

/* Directories that are read at the same time. */
enum { PROCESSES, THREADS, DESCRIPTORS, DEPTHS, PART = READERS_SCRATCH / DEPTHS & ~7 };

enum { MOST_PATIENT = 1 << 12 };

/* No look takes longer. The time is asked for each process, and each so many descriptors. */
enum { LOOK_US = 10000, LOOK_EACH = 16 };

enum { NOBODY = 0, FIRST = 1 };      /* parents: of the first process, of orphans and services */
enum { KERNEL_THREAD = 0x00200000 }; /* PF_KTHREAD (include/linux/sched.h) */

/* One look: for what, with which memory, and what it has found. */
struct look {
    char target[40]; /* as /proc shows it: pipe:[NUMBER] */
    char *entries[DEPTHS];
    long own, session;
    uint64_t session_began;
    uint64_t ends; /* ticks: it has taken too long then */
    uint32_t seen; /* names in a directory */
    bool unreadable, unsure, shared;
};

/* Of /proc/PID/stat: what tells whose relative a process is. */
struct relations {
    long parent, session, flags;
    uint64_t began;
};

enum { PATH = 48 };

static char *joined(char path[PATH], const char *before, const char *name, const char *after) {
    struct text text = {path, PATH - 1, 0};
    text_add(&text, before);
    text_add(&text, name);
    text_add(&text, after);
    path[text.length] = '\0';
    return path;
}

static bool relations_of(const char *process, struct relations *found) {
    char text[512], path[PATH];
    joined(path, "/proc/", process, "/stat");
    if (text_read(path, text, sizeof text) <= 0)
        return false;
    const char *rest = strrchr(text, ')'); /* the name may have any letters */
    long fields[20] = {0};                 /* from the state on, which is no number */
    for (int i = 0; rest && *rest && i < 20; i++) {
        while (*rest && *rest != ' ')
            rest++;
        if (*rest)
            fields[i] = text_parse(rest + 1, &rest);
    }
    *found = (struct relations){fields[1], fields[3], fields[6], (uint64_t)fields[19]};
    return fields[19] > 0;
}

static void number_name(char *name, size_t size, long number) {
    struct text text = {name, size - 1, 0};
    text_number(&text, number);
    name[text.length] = '\0';
}

/*
 * Its descriptors can't be read. It has nothing to do with us if it is the kernel's, or the first process, or a child
 * of that, of another session and older than ours. Then it can't have inherited what was made in this session; and
 * whoever made a pipe for others to read doesn't read from it himself. The first one may be of our session, where none
 * has been made (setsid(2)) on the way from it to us: such a machine was made for one program.
 */
static bool is_stranger(const struct look *look, const char *process) {
    struct relations one;
    if (!relations_of(process, &one))
        return false;
    if (one.flags & KERNEL_THREAD || one.parent == NOBODY)
        return true;
    return one.parent == FIRST && one.session != look->session && look->session_began &&
           one.began < look->session_began;
}

typedef void visitor(struct look *look, int directory, const char *name);

/* Each name in a directory that is a number; none more once its process has gone. False: not all could be read. */
static bool each_number(struct look *look, int directory, int depth, visitor *visit) {
    long got;
    while ((got = sys(SYS_getdents64, directory, look->entries[depth], PART)) > 0)
        for (long at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(look->entries[depth] + at);
            if (entry->name[0] >= '0' && entry->name[0] <= '9')
                look->seen++, visit(look, directory, entry->name);
            at += entry->length;
        }
    return got == 0 || got == -ENOENT || got == -ESRCH;
}

static void visit_descriptor(struct look *look, int directory, const char *name) {
    if (look->shared || look->unsure)
        return;
    if (look->seen % LOOK_EACH == 0 && ticks_now() > look->ends)
        look->unsure = true;
    char link[sizeof look->target];
    struct stat st;
    long length = sys(SYS_readlinkat, directory, name, link, sizeof link);
    look->unreadable |=
        length < 0 && length != -ENOENT && length != -ESRCH; /* as if the directory were (proc_fd_access_allowed) */
    if (length != (long)strlen(look->target) || memcmp(link, look->target, (size_t)length) != 0)
        return;
    /* The link's own mode says how it is open. */
    if (sys(SYS_newfstatat, directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return; /* closed meanwhile */
    look->shared |= (st.st_mode & S_IRUSR) != 0;
}

/* The descriptors of a process or, in its own directory of tasks, of a thread. */
static void visit_descriptors(struct look *look, int directory, const char *name) {
    char path[PATH];
    joined(path, "", name, "/fd");
    long descriptors = sys(SYS_openat, directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    look->unreadable |= descriptors < 0 && descriptors != -ENOENT && descriptors != -ESRCH;
    if (descriptors < 0)
        return;
    if (!each_number(look, (int)descriptors, DESCRIPTORS, visit_descriptor))
        look->unreadable = true;
    sys(SYS_close, descriptors);
}

/* Whose first thread has ended shows none of its own: they are the other threads', if there are any. */
static void visit_threads(struct look *look, int directory, const char *name) {
    enum { ONE_THREAD = 3 }; /* links of its directory of tasks: two, and one for each */
    char path[PATH];
    struct stat st;
    joined(path, "", name, "/task");
    if (sys(SYS_newfstatat, directory, path, &st, 0) != 0 || st.st_nlink <= ONE_THREAD)
        return;
    long threads = sys(SYS_openat, directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (threads < 0)
        return;
    if (!each_number(look, (int)threads, THREADS, visit_descriptors))
        look->unreadable = true;
    sys(SYS_close, threads);
}

static void visit_process(struct look *look, int directory, const char *name) {
    if (look->shared || look->unsure || text_parse(name, &(const char *){NULL}) == look->own)
        return;
    if (ticks_now() > look->ends) {
        look->unsure = true;
        return;
    }
    look->unreadable = false;
    look->seen = 0;
    visit_descriptors(look, directory, name);
    if (!look->seen && !look->unreadable)
        visit_threads(look, directory, name);
    if (look->unreadable && !is_stranger(look, name))
        look->unsure = true;
}

/* The youngest process's, or thread's, number, and how many there are: the end of /proc/loadavg (proc(5)). */
static long youngest(long *tasks) {
    char text[80];
    if (text_read("/proc/loadavg", text, sizeof text) <= 0)
        return -1;
    const char *slash = strchr(text, '/'), *end;
    if (!slash)
        return -1;
    *tasks = text_parse(slash + 1, &end);
    return *end == ' ' ? text_parse(end + 1, &end) : -1;
}

/* Those that have come since: of a reader that has forked, and gone. One of our own threads is none of them. */
static void look_at_young(struct look *look, int processes, long after, long last) {
    enum { FEW = 256 };
    look->unsure |= last < after || last - after > FEW;
    for (long number = after + 1; number <= last && !look->unsure && !look->shared; number++) {
        char name[24], path[PATH];
        number_name(name, sizeof name, number);
        if (sys(SYS_faccessat, processes, joined(path, "self/task/", name, ""), F_OK) != 0)
            visit_process(look, processes, name);
    }
}

/*
 * Who sees the first process, in the namespace that was there first (PROC_PID_INIT_INO), and by its own /proc, sees
 * all. In another namespace a pipe may come from outside, where its readers can't be seen.
 */
static bool sees_all(const struct look *look, int processes) {
    static const char first[] = "pid:[4026531836]";
    char link[sizeof first], own[24];
    number_name(own, sizeof own, look->own);
    long length = sys(SYS_readlinkat, processes, "self/ns/pid", link, sizeof link);
    if (length != sizeof first - 1 || memcmp(link, first, sizeof first - 1) != 0)
        return false;
    length = sys(SYS_readlinkat, processes, "self", link, sizeof link);
    return length == (long)strlen(own) && memcmp(link, own, (size_t)length) == 0 &&
           sys(SYS_faccessat, processes, "1/stat", R_OK) == 0;
}

static void begin(struct look *look, const struct ofd *ofd, char *scratch) {
    struct text target = {look->target, sizeof look->target - 1, 0};
    struct relations leader;
    char name[24];
    text_add(&target, "pipe:[");
    text_number(&target, (long)ofd->inode->number);
    text_add(&target, "]");
    look->target[target.length] = '\0';
    for (int i = 0; i < DEPTHS; i++)
        look->entries[i] = scratch + (size_t)i * PART;
    look->own = sys(SYS_getpid);
    look->session = sys(SYS_getsid, 0);
    number_name(name, sizeof name, look->session);
    look->session_began = look->session > 0 && relations_of(name, &leader) ? leader.began : 0;
}

/* `last`: the youngest process at the beginning. */
static bool look_at_all(struct look *look, int processes, long last) {
    enum { ROUNDS = 8 };
    long tasks, before;
    if (!sees_all(look, processes))
        return false;
    if (!each_number(look, processes, PROCESSES, visit_process))
        look->unsure = true;
    for (int i = 0; i < ROUNDS && !look->unsure && !look->shared; i++) {
        before = last;
        if ((last = youngest(&tasks)) == before)
            return true;
        look_at_young(look, processes, before, last);
    }
    return false;
}

static bool look(const struct ofd *ofd, char *scratch) {
    struct look look = {.ends = ticks_now() + ticks_of_us(LOOK_US)};
    long tasks, last;
    bool alone = false;
    passing_begins();
    begin(&look, ofd, scratch);
    long processes = sys(SYS_openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (processes >= 0) {
        alone = (last = youngest(&tasks)) > 0 && look_at_all(&look, (int)processes, last);
        sys(SYS_close, processes);
    }
    passing_ends();
    return alone;
}

/* After how many reads a look at all processes is worth its price. */
static uint32_t price(void) {
    long tasks = 0;
    passing_begins();
    youngest(&tasks);
    passing_ends();
    return (uint32_t)(READERS_LOOK_TASKS * tasks);
}

/* A socket without options that change what a look at it shows, or when a read of it ends (socket(7)). */
static bool is_plain(int fd) {
    int value = -1;
    socklen_t size = sizeof value;
    bool at_front = sys(SYS_getsockopt, fd, SOL_SOCKET, SO_PEEK_OFF, &value, &size) != 0 || value < 0;
    return at_front && sys(SYS_getsockopt, fd, SOL_SOCKET, SO_RCVLOWAT, &value, &size) == 0 && value == 1;
}

bool readers_peekable(const struct ofd *ofd, int fd) {
    struct statfs st;
    long flags = sys(SYS_fcntl, fd, F_GETFL);
    if (flags < 0 || flags & O_PATH)
        return false;
    if (!stream_is_pipe(ofd->stream))
        return ofd->reason != REASON_stream_kind && is_plain(fd);
    return (flags & O_ACCMODE) == O_RDONLY && !(flags & O_DIRECT) && sys(SYS_fstatfs, fd, &st) == 0 &&
           st.f_type == PIPEFS_MAGIC;
}

bool readers_look(struct ofd *ofd, char *scratch, bool eager) {
    if (!ofd->look_after && !eager) {
        uint32_t dear = price();
        ofd->look_after = dear > READERS_LOOK_AFTER ? dear : READERS_LOOK_AFTER;
        return false;
    }
    uint32_t passings = atomic_load_explicit(&files_passings, memory_order_relaxed);
    uint64_t began = ticks_now();
    bool alone = look(ofd, scratch);
    uint32_t cost = eager ? READERS_EAGER : (uint32_t)(READERS_IN_US * (ticks_now() - began) / ticks_of_us(1));
    bool paid = ofd->served > cost;
    if (!ofd->patience || paid)
        ofd->patience = 1;
    else if (ofd->patience < MOST_PATIENT)
        ofd->patience *= 2;
    ofd->served = ofd->small_reads = 0;
    ofd->look_after = ofd->patience * cost;
    if (alone)
        ofd->alone_in = passings;
    return alone;
}
