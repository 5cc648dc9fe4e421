#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

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

void text_append(struct text *text, const struct text *other) {
    for (size_t i = 0; i < other->length && text->length < text->capacity; i++)
        text->bytes[text->length++] = other->bytes[i];
}

static void add_digits(struct text *text, unsigned long number, unsigned base) {
    char digits[24];
    char *p = digits + sizeof digits - 1;
    *p = '\0';
    do
        *--p = "0123456789abcdef"[number % base];
    while (number /= base);
    text_add(text, p);
}

void text_number(struct text *text, long number) {
    if (number < 0)
        text_add(text, "-");
    add_digits(text, number < 0 ? 0UL - (unsigned long)number : (unsigned long)number, 10);
}

void text_hex(struct text *text, unsigned long number) {
    add_digits(text, number, 16);
}

long text_parse(const char *string, const char **end) {
    const char *digit = string + (*string == '-');
    long number = 0;
    bool any = false;
    for (; *digit >= '0' && *digit <= '9'; digit++, any = true)
        number = number > (LONG_MAX - 9) / 10 ? LONG_MAX : 10 * number + (*digit - '0');
    *end = any ? digit : string;
    return *string == '-' ? -number : number;
}

/* A reader that has gone, or a limit, must not be the program's death: the signal is taken away again. */
void text_write(const struct text *text, int fd) {
    uint64_t set = 1ull << (SIGPIPE - 1) | 1ull << (SIGXFSZ - 1), before, already = 0;
    struct timespec none = {0, 0};
    sys(SYS_rt_sigprocmask, SIG_BLOCK, &set, &before, sizeof set);
    sys(SYS_rt_sigpending, &already, sizeof already);
    long result = sys(SYS_write, fd, text->bytes, text->length);
    if ((result == -EPIPE || result == -EFBIG) && !(already & set))
        sys(SYS_rt_sigtimedwait, &set, NULL, &none, sizeof set);
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

long text_read(const char *path, char *bytes, size_t size) {
    long fd = sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fd;
    long got = sys(SYS_read, fd, bytes, size - 1);
    sys(SYS_close, fd);
    bytes[got > 0 ? got : 0] = '\0';
    return got;
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

static long open_path(const char *path) {
    return sys(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

/* Apart, for the path takes much of a small stack. */
static __attribute__((noinline)) long open_pattern(const char *pattern) {
    char path[4096];
    return text_path(path, sizeof path, pattern) ? open_path(path) : -1;
}

int text_open_target(const char *target) {
    if (strcmp(target, "stderr") == 0) {
        dev_t device;
        ino_t inode;
        bool same = watched_stderr.inode && stderr_identity(&device, &inode) && device == watched_stderr.device &&
                    inode == watched_stderr.inode;
        return same ? 2 : -1;
    }
    long fd = strstr(target, "%p") ? open_pattern(target) : open_path(target);
    return fd < 0 ? -1 : (int)fd;
}

void text_close_target(int fd) {
    if (fd > 2)
        sys(SYS_close, fd);
}
