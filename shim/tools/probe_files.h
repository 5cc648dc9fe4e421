/*
 * The mounted file systems, a line each:
 *
 *   mount TYPE here|elsewhere known|full|unknown BW BR DW DR LEASE ALIGNMENT POLLED DIRECTORY
 *
 * `here` is the one of the working directory. What follows `known` was tried on a file without a name: whether buffered
 * writes and reads, direct writes and reads, are done inline (RWF_NOWAIT); a lease; what direct I/O must be aligned to,
 * or 0; whether the device can be polled. `-` stands for what couldn't be tried. `place DIRECTORY` says where
 * files can be made on the first such file system, or the one that is here.
 *
 * Only kinds that are local are touched: others may let one wait for ever.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "files/file_system.h"
#include "tools/any_libc.h"
#include "tools/probe_ring.h"

enum { BLOCK = 4096 };

struct mount {
    char directory[4096], type[64];
    dev_t device;
    bool read_only, on_device;
};

/* "ID PARENT MAJOR:MINOR ROOT DIRECTORY OPTIONS [FIELD]… - TYPE SOURCE OPTIONS", proc_pid_mountinfo(5) */
static bool mount_parse(struct mount *mount, const char *line) {
    unsigned major, minor;
    char options[256], source[2];
    const char *rest = strstr(line, " - ");
    if (!rest || scan(rest, " - %63s %1s", mount->type, source) != 2 ||
        scan(line, "%*d %*d %u:%u %*s %4095s %255s", &major, &minor, mount->directory, options) != 4)
        return false;
    mount->device = makedev(major, minor);
    mount->read_only = strncmp(options, "ro", 2) == 0;
    mount->on_device = major != 0;
    char *to = mount->directory;
    unsigned code;
    for (const char *from = to; *from; to++) { /* a space stands there as \040 */
        bool escaped = scan(from, "\\%3o", &code) == 1;
        *to = *from;
        if (escaped)
            *to = (char)code;
        from += escaped ? 4 : 1;
    }
    *to = '\0';
    return true;
}

static bool among(const char *type, const char *const *types) {
    while (*types && strcmp(type, *types) != 0)
        types++;
    return *types != NULL;
}

static bool is_local(const struct mount *mount) {
    static const char *const types[] = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", NULL};
    return among(mount->type, types);
}

/* Where people have files: on devices, and on some of what has none. */
static bool holds_files(const struct mount *mount) {
    static const char *const types[] = {"overlay", "nfs",      "nfs4", "cifs", "smb3",
                                        "9p",      "virtiofs", "ceph", "zfs",  NULL};
    return mount->on_device || among(mount->type, types) || strncmp(mount->type, "fuse.", 5) == 0;
}

static dev_t device_of(const char *directory) {
    struct stat st;
    return stat_file(directory, &st) && S_ISDIR(st.st_mode) ? st.st_dev : 0;
}

/* A file without a name on the file system; *place: where it could be made. */
static int file_make(const char *directory, dev_t device, const char **place) {
    const char *places[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", getenv("HOME"), ".", directory};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!places[i] || device_of(places[i]) != device)
            continue;
        int file = open(places[i], O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        *place = places[i];
        if (file >= 0)
            return file;
    }
    return -1;
}

/* Over what is there already: there is nothing to wait for but the file system's own locks, or the device. */
static const char *read_answer(int file, void *block) {
    struct iovec part = {block, BLOCK};
    ssize_t done = preadv2(file, &part, 1, 0, RWF_NOWAIT);
    return done == BLOCK ? "inline" : done >= 0 ? "short" : error_name(errno);
}

/*
 * The same, right after an ordinary write: where the file's time has to change there is something to wait for, and
 * Linux 7.3 finds that so for each write on ext4 that comes later. It may be so by chance the first time.
 */
static const char *write_answer(int file, void *block) {
    enum { TRIES = 10 };
    struct iovec part = {block, BLOCK};
    ssize_t done = -1;
    errno = EIO;
    for (int i = 0; i < TRIES && done != BLOCK; i++)
        if (pwrite(file, block, BLOCK, 0) == BLOCK)
            done = pwritev2(file, &part, 1, 0, RWF_NOWAIT);
    return done == BLOCK ? "inline" : done >= 0 ? "short" : error_name(errno);
}

static const char *lease_answer(int file) {
    if (fcntl(file, F_SETLEASE, F_WRLCK) != 0)
        return error_name(errno);
    fcntl(file, F_SETLEASE, F_UNLCK);
    return "ok";
}

static struct {
    int file;
    void *block;
} polled;

/* A read tells: a device that can't be polled refuses it, where writes may be done by a worker, unpolled. */
static void try_device_polling(void) {
    struct io_uring ring;
    int error = ring_set_up(&ring, RING_ENTRIES, RING_POLL_DEVICE);
    if (error == 0)
        error = io_uring_enable_rings(&ring);
    if (error == 0) {
        io_uring_prep_read(ring_request(&ring), polled.file, polled.block, BLOCK, 0);
        error = ring_perform(&ring, 1, BLOCK);
    }
    printf("%s ", error == 0 ? "ok" : error_name(-error));
}

static void try_file(int file, const struct file_system *fs) {
    char *block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED || pwrite(file, block, BLOCK, 0) != BLOCK || fdatasync(file) != 0) {
        printf("- - - - - 0 - ");
        return;
    }
    printf("%s ", write_answer(file, block));
    printf("%s ", read_answer(file, block));
    fdatasync(file);
    posix_fadvise(file, 0, BLOCK, POSIX_FADV_DONTNEED); /* what is in memory is in direct I/O's way */
    const char *lease = lease_answer(file);
    if (fcntl(file, F_SETFL, O_DIRECT) != 0) {
        printf("- - %s 0 - ", lease);
        return;
    }
    printf("%s ", write_answer(file, block));
    printf("%s ", read_answer(file, block));
    printf("%s %u ", lease, fs ? file_system_alignment(fs, file) : 0);
    polled.file = file;
    polled.block = block;
    fflush(stdout);
    if (!survived(try_device_polling))
        printf("died ");
}

/* Room for little more than the margin that the library keeps free is not where people have files. */
static bool too_small(int directory) {
    struct statfs st;
    return fstatfs(directory, &st) != 0 || (st.f_blocks && st.f_blocks * (uint64_t)st.f_bsize < 128 << 20);
}

static void print_local(const struct mount *mount, dev_t device, bool here) {
    static bool placed_here, placed;
    const char *place = NULL;
    int directory = open(mount->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return;
    if (too_small(directory)) {
        close(directory);
        return;
    }
    struct file_system *fs = file_system_get(directory, device);
    int file = file_make(mount->directory, device, &place);
    const char *state = !fs || !fs->known ? "unknown" : fs->headroom ? "known" : "full";
    printf("mount %s %s %s ", mount->type, here ? "here" : "elsewhere", state);
    if (file >= 0)
        try_file(file, fs);
    else
        printf("- - - - - 0 - ");
    printf("%s\n", mount->directory);
    if (file >= 0 && fs && fs->known && fs->headroom && !placed_here && (here || !placed)) {
        printf("place %s\n", place);
        placed = true;
        placed_here = here;
    }
    close(file);
    close(directory);
}

static dev_t seen[1024];
static size_t seen_count;

static bool is_seen(dev_t device) {
    for (size_t i = 0; i < seen_count; i++)
        if (seen[i] == device)
            return true;
    return false;
}

static void print_mount(const struct mount *mount, dev_t here) {
    bool systems_own = strncmp(mount->directory, "/sys/", 5) == 0 || strncmp(mount->directory, "/proc/", 6) == 0;
    if (mount->read_only || systems_own || (!is_local(mount) && !holds_files(mount)))
        return;
    dev_t device = is_local(mount) ? device_of(mount->directory) : mount->device;
    if (device == 0 || is_seen(device) || seen_count == sizeof seen / sizeof *seen)
        return;
    seen[seen_count++] = device;
    if (is_local(mount))
        print_local(mount, device, device == here);
    else
        printf("mount %s %s unknown - - - - - 0 - %s\n", mount->type, device == here ? "here" : "elsewhere",
               mount->directory);
}

static void print_mounts(void) {
    static char line[16384];
    static struct mount mount;
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    dev_t here = device_of(".");
    while (mounts && fgets(line, sizeof line, mounts))
        if (mount_parse(&mount, line))
            print_mount(&mount, here);
    if (is_seen(here)) /* not after a chroot(2) to what isn't a mount */
        return;
    mount = (struct mount){.type = "unlisted"};
    if (getcwd(mount.directory, sizeof mount.directory))
        print_local(&mount, here, true);
}
