#include "base/trace.h"

#include <sys/stat.h>

#include "base/config.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"

#if __has_include(<sys/sdt.h>)
#define PROBE1(name, a) DTRACE_PROBE1(uringshim, name, a)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(uringshim, name, a, b, c)
#else
#define PROBE1(name, a) ((void)(a))
#define PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

/* SAY(words): a line of the debug log, put together from `line`; nothing without that log. */
#define SAY(...)                                                                                                       \
    do {                                                                                                               \
        if (unlikely(log_level >= LOG_DEBUG)) {                                                                        \
            TEXT(line, 512);                                                                                           \
            __VA_ARGS__;                                                                                               \
            log_text(LOG_DEBUG, &line);                                                                                \
        }                                                                                                              \
    } while (0)

static void words(struct text *line, const char *before, long number, const char *after) {
    text_add(line, before);
    text_number(line, number);
    text_add(line, after);
}

void trace_start(const char *program) {
    SAY({
        text_add(&line, program);
        words(&line, " begins, process ", sys(SYS_getpid), "; engine ");
        text_add(&line, config_choice("URINGSHIM_ENGINE", config.engine));
    });
}

static const char *where(int fd, int64_t offset) {
    struct stat st;
    if (offset >= 0)
        return "from offset ";
    if (sys(SYS_fstat, fd, &st) == 0 && !S_ISREG(st.st_mode))
        return S_ISSOCK(st.st_mode) ? "to a socket" : "to a pipe";
    return "at its position";
}

void trace_extent(int fd, int64_t offset) {
    SAY({
        words(&line, "writes of descriptor ", fd, " are deferred, ");
        text_add(&line, where(fd, offset));
        if (offset >= 0)
            words(&line, "", offset, " on");
    });
}

void trace_flush(const char *cause, uint32_t extents, uint64_t bytes) {
    PROBE3(flush, cause, extents, bytes);
    SAY({
        words(&line, "performed: extents ", extents, "");
        words(&line, ", bytes ", (long)bytes, "; ");
        text_add(&line, cause);
    });
}

void trace_barrier(const char *call) {
    PROBE1(barrier, call);
    SAY({
        text_add(&line, "barrier: ");
        text_add(&line, call);
    });
}

void trace_stream_wait(int fd) {
    PROBE1(stream_wait, fd);
    SAY(words(&line, "waits for room in descriptor ", fd, ""));
}

void trace_window_fill(int fd, int64_t offset, int64_t bytes) {
    PROBE3(window_fill, fd, offset, bytes);
    SAY({
        words(&line, "read ahead of descriptor ", fd, "");
        words(&line, ": bytes ", bytes, "");
        words(&line, " from offset ", offset, " on");
    });
}

void trace_window_end(const char *cause, uint64_t reads) {
    PROBE2(window_end, cause, reads);
    SAY({
        words(&line, "window ends after ", (long)reads, " reads; ");
        text_add(&line, cause);
    });
}

void trace_peek_fill(int fd, int64_t bytes) {
    PROBE2(peek_fill, fd, bytes);
    SAY({
        words(&line, "looked at what is in descriptor ", fd, "");
        words(&line, ": ", bytes, " bytes");
    });
}

void trace_peek_settle(int fd, uint64_t reads, uint64_t bytes) {
    PROBE3(peek_settle, fd, reads, bytes);
    SAY({
        words(&line, "took from descriptor ", fd, " what was read");
        words(&line, ": ", (long)bytes, " bytes");
    });
}

void trace_turn(uint32_t sockets) {
    PROBE1(turn, sockets);
    SAY(words(&line, "a turn: ", (long)sockets, " sockets are looked at"));
}

void trace_fallback(const char *what, int error) {
    PROBE2(fallback, what, error);
    if (log_level < LOG_INFO)
        return;
    TEXT(line, 512);
    text_add(&line, "refused, and done without: ");
    text_add(&line, what);
    if (error)
        words(&line, "; errno ", error, "");
    log_text(LOG_INFO, &line);
}

void trace_hindrance(const char *reason, bool up) {
    SAY({
        text_add(&line, up ? "nothing is deferred from now on: " : "no longer a hindrance: ");
        text_add(&line, reason);
    });
}
