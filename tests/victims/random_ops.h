/* The state of random_ops and the two things every operation does: choose, and note what came back. */
#pragma once

#include "common.h"
#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

enum {
    FILES = 5,
    SLOTS = 10,
    STREAMS = 4,
    MAPS = 2,
    AREA = 200000,
    DATA_SIZE = 128 * 1024,
    LOG_SIZE = 32 << 20,
    SENTINEL = 4242,
    /* Beyond the numbers that programs choose from, so that one that outlives its file never means one of these. */
    LOG_FD = 400,
    PRIVATE_FD,
};

/* What operations are about. A program has some or all. */
#define FAMILIES(F) F(data) F(files) F(vectors) F(maps) F(stdio) F(signals) F(processes)
#define FAMILY_ENUM(name) FAMILY_##name,
#define FAMILY_NAME(name) #name,
enum family { FAMILIES(FAMILY_ENUM) FAMILY_COUNT };

struct stream {
    FILE *file;
    enum direction { FRESH, READING, WRITING } direction;
    char *memory; /* what open_memstream has made */
    size_t memory_size;
    char buffer[8192]; /* for setvbuf */
};

struct map {
    char *at;
    size_t size;
    bool writable;
    int fd;
};

/* What operations choose from: a thread's own, or what the threads take turns with. */
struct space {
    char prefix;
    int slots[SLOTS];
    struct stream streams[STREAMS];
    struct map maps[MAPS];
};

struct worker {
    int number;
    uint64_t rng;
    struct space own;
    bool mute;
    bool in_handler;
    int generation; /* 1 in a child, 2 in a child of a child */
    size_t log_used;
    char *log;
    char *data;
    char *edge;        /* a page of memory, then one that can't be touched */
    char *alternative; /* a stack for signals */
};

struct options {
    int threads;
    unsigned families;
    bool log_each, own_only;
    uint64_t seed;
    int ops;
    const char *program;
};

extern struct options options;

/* One operation, any that may be done here. */
static void perform(struct worker *w, struct space *s);

/* What concerns the whole process, or numbers that another thread may use meanwhile, is not for one among several. */
static inline bool alone(void) {
    return options.threads == 1;
}

static inline bool has_family(enum family family) {
    return options.families & 1u << family;
}

static inline uint64_t below(struct worker *w, uint64_t limit) {
    return rng_below(&w->rng, limit);
}
static inline bool one_in(struct worker *w, uint64_t n) {
    return below(w, n) == 0;
}

/* The log must not be a barrier for each call, so it stays in memory, unless the test asks for just that. */
__attribute__((format(printf, 2, 3))) static inline void note(struct worker *w, const char *format, ...) {
    if (w->mute)
        return;
    char line[256];
    int used = snprintf(line, sizeof(line), "t%d ", w->number);
    va_list arguments;
    va_start(arguments, format);
    used += vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, arguments);
    va_end(arguments);
    line[used++] = '\n';
    if (options.log_each) {
        require(write(LOG_FD, line, (size_t)used) == used);
        return;
    }
    require(w->log_used + (size_t)used < LOG_SIZE);
    memcpy(w->log + w->log_used, line, (size_t)used);
    w->log_used += (size_t)used;
}

/* Makes a call with an errno that must survive success, and notes what it returned. */
#define CALL(w, call)                                                                                                  \
    ({                                                                                                                 \
        errno = SENTINEL;                                                                                              \
        long long result_ = (long long)(call);                                                                         \
        int error_ = errno;                                                                                            \
        note(w, "%.20s = %lld %d", #call, result_, error_);                                                            \
        result_;                                                                                                       \
    })

/* The same for a call that returns a descriptor: its number is part of the answer where it can't depend on timing. */
#define CALL_FD(w, call)                                                                                               \
    ({                                                                                                                 \
        errno = SENTINEL;                                                                                              \
        int fd_ = (call);                                                                                              \
        int error_ = errno;                                                                                            \
        note(w, "%.20s = %d %d", #call, !alone() && fd_ >= 0 ? 0 : fd_, error_);                                       \
        fd_;                                                                                                           \
    })

/* And for one that returns a pointer. */
#define CALL_POINTER(w, call)                                                                                          \
    ({                                                                                                                 \
        errno = SENTINEL;                                                                                              \
        __auto_type pointer_ = (call);                                                                                 \
        int error_ = errno;                                                                                            \
        note(w, "%.20s = %d %d", #call, pointer_ != NULL, error_);                                                     \
        pointer_;                                                                                                      \
    })

static inline int *any_slot(struct worker *w, struct space *s) {
    return &s->slots[below(w, SLOTS)];
}

/* Mostly an open descriptor; now and then none. */
static inline int any_fd(struct worker *w, struct space *s) {
    int fd = *any_slot(w, s);
    for (int tries = 0; fd < 0 && tries < 8; tries++)
        fd = *any_slot(w, s);
    return fd;
}

struct name {
    char text[16];
};

static inline struct name file_name(struct space *s, int number) {
    struct name name;
    snprintf(name.text, sizeof(name.text), "%c%d", s->prefix, number);
    return name;
}

static inline struct name any_name(struct worker *w, struct space *s) {
    return file_name(s, (int)below(w, FILES));
}
