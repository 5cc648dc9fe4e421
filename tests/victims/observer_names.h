// Channels through which nothing is sent: the observer watches names, attributes, or the sender itself.
#pragma once

#include "observer_records.h"

#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/xattr.h>

static struct stat flag_status(void) {
    struct stat status;
    MUST(stat(path_of("flag"), &status));
    return status;
}

// Names. Every round has its own, since a name that is reset would be seen too early.
static const char *name_of(long round) {
    return path_of("name.%ld", round);
}

static void begin_unlinked(void) {
    if (now)
        MUST(unlink(name_of(now - 1)));
}

static void begin_rmdired(void) {
    if (now)
        MUST(rmdir(name_of(now - 1)));
}

static void hear_name(void) {
    POLL_UNTIL(there(name_of(now)));
}
static void tell_create(void) {
    close(MUST(open(name_of(now), O_WRONLY | O_CREAT | O_EXCL, 0600)));
}
static void tell_creat(void) {
    close(MUST(creat(name_of(now), 0600)));
}
static void tell_link(void) {
    MUST(link(path_of("flag"), name_of(now)));
}
static void tell_symlink(void) {
    MUST(symlink("log", name_of(now)));
}
static void tell_mkdir(void) {
    MUST(mkdir(name_of(now), 0700));
}
static void tell_mkfifo(void) {
    MUST(mkfifo(name_of(now), 0600));
}
static void tell_mknod(void) {
    MUST(mknod(name_of(now), S_IFREG | 0600, 0));
}
static void make_first_name(void) {
    close(MUST(creat(name_of(-1), 0600)));
}
static void tell_rename(void) {
    MUST(rename(name_of(now - 1), name_of(now)));
}
static void tell_renameat2(void) {
    MUST(renameat2(AT_FDCWD, name_of(now - 1), AT_FDCWD, name_of(now), 1));
}

static void make_name(void) {
    close(MUST(creat(name_of(0), 0600)));
}
static void begin_next_name(void) {
    close(MUST(creat(name_of(now + 1), 0600)));
}
static void tell_unlink(void) {
    MUST(unlink(name_of(now)));
}
static void tell_remove(void) {
    MUST(remove(name_of(now)));
}
static void hear_no_name(void) {
    POLL_UNTIL(!there(name_of(now)));
}
static void make_directory(void) {
    MUST(mkdir(name_of(0), 0700));
}
static void begin_next_directory(void) {
    MUST(mkdir(name_of(now + 1), 0700));
}
static void tell_rmdir(void) {
    MUST(rmdir(name_of(now)));
}

// Woken by the kernel instead of looking for the name all the time.
static void make_inotify(void) {
    MUST(mkdir(path_of("watched"), 0700));
    flag_fd = MUST(inotify_init1(IN_CLOEXEC));
    MUST(inotify_add_watch(flag_fd, path_of("watched"), IN_CREATE));
}

static void tell_watched(void) {
    MUST(mkdir(path_of("watched/%ld", now), 0700));
}

static void hear_inotify(void) {
    char events[4096];
    MUST(read(flag_fd, events, sizeof events));
}

// Attributes of a flag file.
static mode_t flag_mode(void) {
    return now % 2 ? 0600 : 0640;
}
static void tell_chmod(void) {
    MUST(chmod(path_of("flag"), flag_mode()));
}
static void tell_fchmod(void) {
    MUST(fchmod(flag_fd, flag_mode()));
}
static void hear_mode(void) {
    POLL_UNTIL((flag_status().st_mode & 0777) == flag_mode());
}

static void make_owned(void) {
    if (geteuid())
        _exit(CANNOT);
    make_flag();
}

static void tell_chown(void) {
    MUST(chown(path_of("flag"), (uid_t)now % 2 + 1, 0));
}
static void hear_owner(void) {
    POLL_UNTIL(flag_status().st_uid == now % 2 + 1);
}

static void tell_setxattr(void) {
    if (setxattr(path_of("flag"), "user.round", &now, sizeof now, 0) && errno == ENOTSUP)
        _exit(CANNOT);
}

static void tell_fsetxattr(void) {
    MUST(fsetxattr(flag_fd, "user.round", &now, sizeof now, 0));
}

static void hear_xattr(void) {
    long value = -1;
    POLL_UNTIL((getxattr(path_of("flag"), "user.round", &value, sizeof value), value == now));
}

static struct timespec *flag_times(void) {
    static struct timespec times[2];
    times[0].tv_sec = times[1].tv_sec = now + 1;
    return times;
}

static void tell_utimensat(void) {
    MUST(utimensat(AT_FDCWD, path_of("flag"), flag_times(), 0));
}
static void tell_futimens(void) {
    MUST(futimens(flag_fd, flag_times()));
}
static void hear_time(void) {
    POLL_UNTIL(flag_status().st_mtime == now + 1);
}

static void tell_truncate(void) {
    MUST(truncate(path_of("flag"), now + 2));
}
static void tell_ftruncate(void) {
    MUST(ftruncate(flag_fd, now + 2));
}
static void tell_fallocate(void) {
    MUST(fallocate(flag_fd, 0, now + 1, 1));
}

static void tell_copy_range(void) {
    off_t from = 0, to = now + 1;
    MUST(copy_file_range(flag_fd, &from, flag_fd, &to, 1, 0));
}

static void hear_size(void) {
    POLL_UNTIL(flag_status().st_size == now + 2);
}

// A description that both have moves its position.
static void make_shared_position(void) {
    make_flag();
    MUST(ftruncate(flag_fd, 1 << 20));
    MUST(lseek(flag_fd, 0, SEEK_SET));
}

static void tell_seek(void) {
    MUST(lseek(flag_fd, now + 1, SEEK_SET));
}
static void tell_position_read(void) {
    char byte;
    require(read(flag_fd, &byte, 1) == 1);
}
static void hear_shared_position(void) {
    POLL_UNTIL(lseek(flag_fd, 0, SEEK_CUR) == now + 1);
}

// The sender itself, as anybody may see it.
static const char *corner(void) {
    return path_of("corner.%ld", now % 2);
}

static void make_corners(void) {
    MUST(mkdir(path_of("corner.0"), 0700));
    MUST(mkdir(path_of("corner.1"), 0700));
}

static void tell_chdir(void) {
    MUST(chdir(corner()));
}

static void hear_chdir(void) {
    char link[64], target[sizeof dir + 64];
    snprintf(link, sizeof link, "/proc/%d/cwd", sender);
    ssize_t length;
    do {
        length = MUST(readlink(link, target, sizeof target - 1));
        target[length] = '\0';
    } while (strcmp(target, corner()) != 0);
}

static void tell_prctl(void) {
    char name[16];
    snprintf(name, sizeof name, "round %ld", now);
    MUST(prctl(PR_SET_NAME, name));
}

static void hear_prctl(void) {
    char path[64], want[16], name[17] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", sender);
    int length = snprintf(want, sizeof want, "round %ld", now);
    do {
        int fd = MUST(open(path, O_RDONLY));
        MUST(read(fd, name, sizeof name - 1));
        close(fd);
    } while (strncmp(name, want, (size_t)length) != 0 || name[length] != '\n');
}

static rlim_t core_limit(void) {
    return 4096 + (rlim_t)now % 2;
}

static void tell_setrlimit(void) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_CORE, &limit));
    if (limit.rlim_max <= core_limit())
        _exit(CANNOT);
    limit.rlim_cur = core_limit();
    MUST(setrlimit(RLIMIT_CORE, &limit));
}

static void hear_setrlimit(void) {
    struct rlimit limit;
    do
        MUST(prlimit(sender, RLIMIT_CORE, NULL, &limit));
    while (limit.rlim_cur != core_limit());
}

// A second file that is deferred as well: no barrier is needed, but when its size shows a round the first has it.
static void run_size(void) {
    open_files(0);
    MUST(observer = fork());
    if (observer) {
        warm_up();
        int fd = MUST(open(path_of("second"), O_WRONLY));
        for (now = 0; now < rounds; now++) {
            write_records();
            MUST(write(fd, &now, sizeof now));
        }
        close(fd);
        await_observer();
        return;
    }
    struct stat status;
    for (long shown = 0; shown < rounds; shown = status.st_size / (long)sizeof shown) {
        if (shown) {
            now = shown - 1;
            look();
        }
        MUST(stat(path_of("second"), &status));
    }
    _exit(0);
}

static void make_second(void) {
    close(MUST(creat(path_of("second"), 0600)));
}
