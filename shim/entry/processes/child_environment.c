#include "entry/processes/child_environment.h"

#include <string.h>

#include "base/arena.h"
#include "base/copy.h"
#include "base/real.h"
#include "base/thread.h"

static const char preload[] = "LD_PRELOAD=", separators[] = ": "; /* ld.so(8) */

enum { PAGE = 4096, PAGES = 8, STACK_WORDS = 1024 };

/* Reads memory of the caller's, which may be bad: then the kernel's answer is EFAULT, and must not be our death. */
struct reader {
    uintptr_t readable[PAGES]; /* pages that are: the list's, and those of its strings, which lie here and there */
    unsigned next;
    bool failed;
};

static bool readable(uintptr_t page) {
    uint64_t last;
    return copy_in_asked(&last, (const void *)(page + PAGE - sizeof last), sizeof last);
}

static bool can_read(struct reader *reader, const void *at) {
    uintptr_t page = (uintptr_t)at & ~(uintptr_t)(PAGE - 1);
    for (size_t i = 0; i < PAGES; i++)
        if (page == reader->readable[i])
            return page != 0;
    reader->failed |= !readable(page);
    if (!reader->failed)
        reader->readable[reader->next++ % PAGES] = page;
    return !reader->failed;
}

static char byte_at(struct reader *reader, const char *at) {
    static const char end = '\0';
    return *(can_read(reader, at) ? at : &end);
}

static const char *string_at(struct reader *reader, char *const *at) {
    return can_read(reader, at) && can_read(reader, (const char *)(at + 1) - 1) ? *at : NULL;
}

static bool begins_with(struct reader *reader, const char *string, const char *prefix) {
    for (size_t i = 0; prefix[i]; i++)
        if (byte_at(reader, string + i) != prefix[i])
            return false;
    return true;
}

static bool is_string(const char *entry, size_t length, const char *string) {
    return string && strlen(string) == length && memcmp(entry, string, length) == 0;
}

/* By the path that we were loaded from, or by our name: the loader takes two of one name for the same. */
static bool is_us(const char *entry, size_t length) {
    size_t name = length;
    while (name > 0 && entry[name - 1] != '/')
        name--;
    return is_string(entry + name, length - name, "liburingshim.so") || is_string(entry, length, real_own_path());
}

/* The length of a variable's string, its end included. */
static size_t size_of(struct reader *reader, const char *string) {
    size_t size = 0;
    while (byte_at(reader, string + size++))
        ;
    return size;
}

/* The value of the variable that the prefix names, with its "=", if it can be read to its end; or NULL. */
static const char *value_of(struct reader *reader, const char *string, const char *prefix) {
    if (!begins_with(reader, string, prefix))
        return NULL;
    size_of(reader, string);
    return reader->failed ? NULL : string + strlen(prefix);
}

/* What the user wants of programs that could be left out: the child's environment says it. */
static void choose(struct child_choice *choice, struct reader *reader, const char *string) {
    const char *value = value_of(reader, string, "URINGSHIM_LEAVE_OUT=");
    if (value)
        choice->all = strcmp(value, "0") == 0;
    if ((value = value_of(reader, string, "URINGSHIM_ONLY=")) && *value)
        choice->only = value;
}

/* Copies a list of entries without ours; with each goes the separator behind it, or else the one before it. */
static size_t copy_without_us(char *to, const char *list) {
    char *out = to;
    while (*list) {
        size_t length = strcspn(list, separators);
        const char *next = list + length + (list[length] != '\0');
        if (length && is_us(list, length)) {
            out -= !list[length] && out > to;
        } else {
            memcpy(out, list, (size_t)(next - list));
            out += next - list;
        }
        list = next;
    }
    *out = '\0';
    return (size_t)(out - to);
}

static bool names_us(const char *list) {
    for (size_t length; *list; list += length + (list[length] != '\0')) {
        length = strcspn(list, separators);
        if (length && is_us(list, length))
            return true;
    }
    return false;
}

struct child_environment child_environment_of(char *const *envp) {
    struct reader reader = {0};
    size_t count = 0, bytes = 0;
    const char *string;
    struct child_choice choice = {0};
    bool named = false;
    if (thread_is_confined()) /* to look costs system calls */
        return (struct child_environment){.given = envp};
    for (; envp && (string = string_at(&reader, envp + count)); count++) {
        const char *list = value_of(&reader, string, preload);
        if (list && names_us(list)) {
            named = true;
            bytes += size_of(&reader, string);
        }
        choose(&choice, &reader, string);
    }
    return (struct child_environment){
        .given = envp,
        .words = named && !reader.failed ? count + 1 + (bytes + sizeof(char *) - 1) / sizeof(char *) : 0,
        .choice = choice,
    };
}

size_t child_environment_on_stack(const struct child_environment *child) {
    return child->words <= STACK_WORDS || thread_self()->vfork_child ? child->words : 0;
}

/* It may have changed since it was looked at: so not beyond the end. False: it has grown. */
static bool copy(char *const *given, char **to, size_t words) {
    struct reader reader = {0};
    size_t count = 0;
    while (given[count])
        count++;
    char *bytes = (char *)(to + count + 1), *end = (char *)(to + words);
    if (bytes > end)
        return false;
    for (size_t i = 0; i < count && given[i]; i++) {
        const char *string = given[i];
        const char *list = value_of(&reader, string, preload);
        if (!list || !names_us(list)) {
            *to++ = (char *)string;
            continue;
        }
        if (size_of(&reader, string) > (size_t)(end - bytes))
            return false;
        memcpy(bytes, preload, sizeof preload - 1);
        size_t length = copy_without_us(bytes + sizeof preload - 1, list);
        if (length)
            *to++ = bytes;
        bytes += sizeof preload + length;
    }
    *to = NULL;
    return true;
}

char *const *child_environment(struct child_environment *child, char **memory) {
    if (!child->words)
        return child->given;
    if (!child_environment_on_stack(child))
        memory = child->mapping = arena_map(child->words * sizeof *memory, ARENA_DONTFORK);
    return memory && copy(child->given, memory, child->words) ? (char *const *)memory : child->given;
}

void child_environment_end(struct child_environment *child) {
    if (child->mapping)
        arena_unmap(child->mapping, child->words * sizeof(char *));
}
