#include "files/file_system.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/arena.h"
#include "base/kernel.h"
#include "base/sys.h"
#include "base/ticks.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/*
 * Space that must be left for writes to be deferred, how much may be deferred between two looks at it, and how old a
 * look may be. Others fill the file system too: the margin is what they may write meanwhile.
 */
#define HEADROOM_BYTES (64ull << 20)
#define CHECK_BYTES (8ull << 20)
#define CHECK_US (100ull * 1000)

/*
 * Offsets from which EFBIG may be near. The smallest limits are those of ext2/ext3-style block maps: 16 GiB with
 * 1 KiB blocks, 2 TiB with 4 KiB blocks (ext4(5)); everything else here allows at least 8 TiB.
 */
#define FAR_SMALL_BLOCKS FILE_SYSTEM_FAR
#define FAR_OFFSET (1ull << 40)

enum { DIRECT_STRICTEST = 4096 }; /* what direct I/O may have to be aligned to, for us to defer it */

static struct pool pool = {.size = sizeof(struct file_system)};
static struct file_system *all;

static void measure(struct file_system *fs, const struct statfs *st) {
    fs->known = st->f_type == EXT4_SUPER_MAGIC || st->f_type == XFS_SUPER_MAGIC || st->f_type == BTRFS_SUPER_MAGIC ||
                st->f_type == TMPFS_MAGIC || st->f_type == F2FS_SUPER_MAGIC;
    fs->takes_blocks =
        (st->f_type == EXT4_SUPER_MAGIC || st->f_type == XFS_SUPER_MAGIC) && st->f_bsize <= DIRECT_STRICTEST;
    fs->far_offset = st->f_type == EXT4_SUPER_MAGIC && st->f_bsize < 4096 ? FAR_SMALL_BLOCKS : FAR_OFFSET;
    uint64_t available = (uint64_t)st->f_bavail * (uint64_t)st->f_bsize;
    /* tmpfs without a size limit reports no blocks at all */
    bool unlimited = st->f_type == TMPFS_MAGIC && st->f_blocks == 0;
    fs->headroom = unlimited || available >= HEADROOM_BYTES;
    fs->unchecked = 0;
    fs->checked_at = ticks_now();
}

struct file_system *file_system_get(int fd, dev_t device) {
    for (struct file_system *fs = all; fs; fs = fs->next)
        if (fs->device == device)
            return fs;
    struct statfs st;
    struct file_system *fs = pool_get(&pool);
    if (!fs)
        return NULL;
    fs->device = device;
    if (sys(SYS_fstatfs, fd, &st) == 0)
        measure(fs, &st);
    fs->next = all;
    all = fs;
    return fs;
}

void file_system_check(int fd, struct file_system *fs, bool early) {
    struct statfs st;
    if (fs->unchecked < CHECK_BYTES >> early && ticks_now() - fs->checked_at < ticks_of_us(CHECK_US) >> early)
        return;
    if (sys(SYS_fstatfs, fd, &st) == 0)
        measure(fs, &st);
    else
        fs->headroom = false;
}

uint64_t file_systems_mark(void) {
    static uint64_t marks;
    uint64_t now = ticks_now();
    marks++;
    for (struct file_system *fs = all; fs; fs = fs->next)
        if (fs->headroom && now - fs->checked_at <= ticks_of_us(CHECK_US))
            atomic_store(&fs->mark, marks);
    return marks;
}

static bool is_power(uint32_t n) {
    return n && !(n & (n - 1));
}

/*
 * Linux tells by statx(2), STATX_DIOALIGN, from 6.1 on. These kinds do tell then; before, they took what was aligned to
 * the device's logical block, which is no larger than one of their own (set_blocksize in block/bdev.c).
 */
uint32_t file_system_alignment(const struct file_system *fs, int fd) {
    struct kernel_statx stx = {0};
    if (sys(SYS_statx, fd, "", AT_EMPTY_PATH, KERNEL_STATX_DIOALIGN, &stx) != 0)
        return 0;
    if (!(stx.mask & KERNEL_STATX_DIOALIGN))
        return fs->takes_blocks ? DIRECT_STRICTEST : 0;
    uint32_t most = stx.dio_memory > stx.dio_offset ? stx.dio_memory : stx.dio_offset;
    return is_power(stx.dio_memory) && is_power(stx.dio_offset) && most <= DIRECT_STRICTEST ? most : 0;
}
