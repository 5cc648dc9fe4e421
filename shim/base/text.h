/*
 * Text put together in a fixed buffer and written by one raw system call: works before libc does, and in signal
 * handlers. What doesn't fit is cut.
 */
#ifndef URINGSHIM_BASE_TEXT_H
#define URINGSHIM_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *bytes;
    size_t capacity, length;
};

/* Declares `struct text name` with room for `size` bytes on the stack. */
#define TEXT(name, size)                                                                                               \
    char name##_bytes[size];                                                                                           \
    struct text name = {name##_bytes, size, 0}

/* What follows the prefix, or NULL. */
static inline const char *text_after(const char *text, const char *prefix) {
    for (; *prefix; text++, prefix++)
        if (*text != *prefix)
            return NULL;
    return text;
}

void text_add(struct text *text, const char *string);
void text_append(struct text *text, const struct text *other);
void text_number(struct text *text, long number);
void text_hex(struct text *text, unsigned long number);
/* A decimal number, and where it ends: at `string` if there is none. One beyond what a long can be is the nearest. */
long text_parse(const char *string, const char **end);
/* One write(2); errors are ignored: there is nobody to tell. */
void text_write(const struct text *text, int fd);
/* The beginning of a file, at most size - 1 bytes, with an end: how many, or -errno. */
long text_read(const char *path, char *bytes, size_t size);
/* Copies a path, replacing each %p by the process id. False: too long. */
bool text_path(char *path, size_t size, const char *pattern);

/*
 * Where unasked-for output must not go wrong: a target is "stderr" or a path pattern. Standard error is used only
 * while it is still the file that it was when text_watch_stderr was called: a program may have reopened number 2.
 */
void text_watch_stderr(void);
/* A descriptor to write to (text_close_target it), or -1. */
int text_open_target(const char *target);
void text_close_target(int fd);

#endif
