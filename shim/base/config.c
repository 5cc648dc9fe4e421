#include "base/config.h"

#include <fnmatch.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "base/libc.h"
#include "base/real.h"
#include "base/sys.h"
#include "base/text.h"

struct config config;

enum option_kind { CHOICE, NUMBER, TEXT };

struct option {
    const char *variable;
    enum option_kind kind;
    size_t offset;
    const char *values;
    long standard, min, max;
};

static const struct option options[] = {
#define OPTION_CHOICE(field, variable, values, help)                                                                   \
    {variable, CHOICE, offsetof(struct config, field), values, 0, 0, 0},
#define OPTION_NUMBER(field, variable, standard, min, max, help)                                                       \
    {variable, NUMBER, offsetof(struct config, field), NULL, standard, min, max},
#define OPTION_TEXT(field, variable, help) {variable, TEXT, offsetof(struct config, field), NULL, 0, 0, 0},
#include "base/options.def"
};

enum { OPTIONS = sizeof options / sizeof *options };

static void complain(const struct option *option, const char *value) {
    TEXT(line, 512);
    text_add(&line, "uringshim: ");
    text_add(&line, option->variable);
    text_add(&line, "=");
    text_add(&line, value);
    if (option->kind == CHOICE) {
        text_add(&line, " is not one of ");
        text_add(&line, option->values);
        text_add(&line, "; using the first\n");
    } else if (option->kind == TEXT) {
        text_add(&line, " is too long; ignoring it\n");
    } else {
        text_add(&line, " is not a number from ");
        text_number(&line, option->min);
        text_add(&line, " to ");
        text_number(&line, option->max);
        text_add(&line, "; using ");
        text_number(&line, option->standard);
        text_add(&line, "\n");
    }
    text_write(&line, 2);
}

/* The index of `value` among comma-separated words, or -1. */
static int choice_index(const char *words, const char *value) {
    size_t length = strlen(value);
    for (int i = 0;; i++) {
        size_t word = strcspn(words, ",");
        if (word == length && memcmp(words, value, length) == 0)
            return i;
        if (words[word] == '\0')
            return -1;
        words += word + 1;
    }
}

/* The program may write over its environment, to change its title. */
static char texts[OPTIONS][PATH_MAX] APART;

static void option_set(const struct option *option, const char *value) {
    char *field = (char *)&config + option->offset;
    if (option->kind == TEXT) {
        char *copy = texts[option - options];
        size_t size = strlen(value) + 1;
        if (size <= PATH_MAX)
            *(const char **)field = *value ? memcpy(copy, value, size) : NULL;
        else
            complain(option, value);
    } else if (option->kind == CHOICE) {
        int index = choice_index(option->values, value);
        if (index < 0)
            complain(option, value);
        else
            *(int *)field = index;
    } else {
        const char *end;
        long number = text_parse(value, &end);
        if (end == value || *end || number < option->min || number > option->max)
            complain(option, value);
        else
            *(long *)field = number;
    }
}

void config_read(char *const *environment) {
    static const char prefix[] = "URINGSHIM";
    for (int i = 0; i < OPTIONS; i++)
        if (options[i].kind == NUMBER)
            *(long *)((char *)&config + options[i].offset) = options[i].standard;
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, prefix, sizeof prefix - 1) != 0)
            continue;
        for (int i = 0; i < OPTIONS; i++) {
            size_t name = strlen(options[i].variable);
            if (strncmp(*environment, options[i].variable, name) == 0 && (*environment)[name] == '=')
                option_set(&options[i], *environment + name + 1);
        }
    }
}

bool config_matches(const char *globs, const char *name) {
    char glob[256];
    __typeof__(&fnmatch) matches = LIBC(fnmatch);
    while (*globs) {
        size_t length = strcspn(globs, ":");
        if (length && length < sizeof glob) {
            memcpy(glob, globs, length);
            glob[length] = '\0';
            if (matches(glob, name, 0) == 0)
                return true;
        }
        globs += length + (globs[length] == ':');
    }
    return false;
}

bool config_excludes(const char *program) {
    return (config.only && !config_matches(config.only, program)) ||
           (config.skip && config_matches(config.skip, program));
}

const char *config_choice(const char *variable, int value) {
    static char word[16];
    for (int i = 0; i < OPTIONS; i++) {
        if (strcmp(options[i].variable, variable) != 0)
            continue;
        const char *words = options[i].values;
        while (value-- > 0)
            words += strcspn(words, ",") + 1;
        size_t length = strcspn(words, ",");
        memcpy(word, words, length);
        word[length] = '\0';
        break;
    }
    return word;
}
