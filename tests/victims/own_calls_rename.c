/* Writes by libc, renames and looks by system calls of its own, as programs made with rustix, Go and others do. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bare.h"
#include "common.h"

enum { FILES = 100, WRITES = 200 };

int main(void) {
    int wrong = 0;
    for (int i = 0; i < FILES; i++) {
        static char bytes[4096];
        int file = open("before", O_CREAT | O_TRUNC | O_WRONLY, 0600);
        for (int k = 0; k < WRITES; k++)
            require(write(file, "0123456789", 10) == 10);
        require(bare_call(SYS_renameat, AT_FDCWD, "before", AT_FDCWD, "after") == 0);
        int again = (int)bare_call(SYS_openat, AT_FDCWD, "after", O_RDONLY, 0);
        wrong += bare_call(SYS_read, again, bytes, sizeof bytes, 0) != 10 * WRITES;
        bare_call(SYS_close, again, 0, 0, 0);
        close(file);
    }
    printf("renamed before its content was there: %d of %d\n", wrong, FILES);
    return 0;
}
