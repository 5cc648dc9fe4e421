#include "base/log.h"

#include <string.h>

#include "base/config.h"
#include "base/sys.h"
#include "base/text.h"

enum log_level log_level;
static const char *target = "stderr";

void log_start(void) {
    if (!config.log)
        return;
    static const char *const names[] = {"", "info", "debug"};
    for (int level = LOG_INFO; level <= LOG_DEBUG; level++) {
        size_t length = strlen(names[level]);
        if (strncmp(config.log, names[level], length) != 0)
            continue;
        if (config.log[length] == ':')
            target = config.log + length + 1;
        else if (config.log[length] != '\0')
            continue;
        log_level = (enum log_level)level;
        text_watch_stderr();
        return;
    }
    TEXT(line, 512);
    text_add(&line, "uringshim: URINGSHIM_LOG=");
    text_add(&line, config.log);
    text_add(&line, " is not info, debug, info:PATH or debug:PATH; not logging\n");
    text_write(&line, 2);
}

void log_text(enum log_level level, const struct text *what) {
    int fd = text_open_target(target);
    if (fd < 0)
        return;
    TEXT(line, 640);
    text_add(&line, "uringshim[");
    text_number(&line, sys(SYS_gettid));
    text_add(&line, level == LOG_INFO ? "] info: " : "] debug: ");
    text_append(&line, what);
    text_add(&line, "\n");
    text_write(&line, fd);
    text_close_target(fd);
}

void log_line(enum log_level level, const char *what, long number) {
    TEXT(line, 512);
    text_add(&line, what);
    text_add(&line, " ");
    text_number(&line, number);
    log_text(level, &line);
}
