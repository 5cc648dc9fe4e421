#include "ring/direct.h"

#include <errno.h>
#include <sys/uio.h>

#include "base/sys.h"

int direct_write(int fd, const void *buffer, uint32_t length, int64_t offset, uint32_t *written, uint64_t *calls) {
    const char *bytes = buffer;
    *written = 0;
    while (*written < length) {
        long done = offset < 0 ? sys(SYS_write, fd, bytes + *written, length - *written)
                               : sys(SYS_pwrite64, fd, bytes + *written, length - *written, offset + *written);
        ++*calls;
        if (done == -EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? (int)done : -EIO; /* a write of something that writes nothing: would never end */
        *written += (uint32_t)done;
    }
    return 0;
}

long direct_write_inline(int fd, const void *buffer, uint32_t length, int64_t offset) {
    struct iovec vector = {(void *)(uintptr_t)buffer, length};
    long done = sys(SYS_pwritev2, fd, &vector, 1, offset, 0, RWF_NOWAIT);
    return done > 0 || done == -EOPNOTSUPP ? done : 0;
}

int direct_sync(int fd, bool data_only) {
    long result;
    do
        result = sys(data_only ? SYS_fdatasync : SYS_fsync, fd);
    while (result == -EINTR);
    return (int)result;
}
