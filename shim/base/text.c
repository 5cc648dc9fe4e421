#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"

static struct {
    dev_t device;
    ino_t inode;
} watched_stderr;

void text_add(struct text *text, const char *string) {
    size_t length = strlen(string);
    if (length > text->capacity - text->length)
        length = text->capacity - text->length;
    memcpy(text->bytes + text->length, string, length);
    text->length += length;
}

void text_number(struct text *text, long number) {
    char digits[24];
    char *p = digits + sizeof digits - 1;
    unsigned long rest = number < 0 ? 0UL - (unsigned long)number : (unsigned long)number;
    *p = '\0';
    do
        *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0)
        *--p = '-';
    text_add(text, p);
}

void text_write(const struct text *text, int fd) {
    sys(SYS_write, fd, text->bytes, text->length);
}

bool text_path(char *path, size_t size, const char *pattern) {
    struct text out = {path, size, 0};
    for (; *pattern; pattern++) {
        if (pattern[0] == '%' && pattern[1] == 'p') {
            text_number(&out, sys(SYS_getpid));
            pattern++;
        } else {
            text_add(&out, (char[]){*pattern, '\0'});
        }
    }
    if (out.length == size)
        return false;
    path[out.length] = '\0';
    return true;
}

static bool stderr_identity(dev_t *device, ino_t *inode) {
    struct stat st;
    if (sys(SYS_newfstatat, 2, "", &st, AT_EMPTY_PATH) != 0)
        return false;
    *device = st.st_dev;
    *inode = st.st_ino;
    return true;
}

void text_watch_stderr(void) {
    if (!stderr_identity(&watched_stderr.device, &watched_stderr.inode))
        watched_stderr.inode = 0;
}

int text_open_target(const char *target) {
    if (strcmp(target, "stderr") == 0) {
        dev_t device;
        ino_t inode;
        bool same = watched_stderr.inode && stderr_identity(&device, &inode) && device == watched_stderr.device &&
                    inode == watched_stderr.inode;
        return same ? 2 : -1;
    }
    char path[4096];
    if (!text_path(path, sizeof path, target))
        return -1;
    long fd = sys(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return fd < 0 ? -1 : (int)fd;
}

void text_close_target(int fd) {
    if (fd > 2)
        sys(SYS_close, fd);
}
