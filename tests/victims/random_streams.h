// The state of random_streams: who may write and read what, what everybody knows of it, and the notes of each actor.
#pragma once

#include "common.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum {
    ACTORS = 5,
    SLOTS = 5,
    FILES = 3,
    DATA_SIZE = 128 * 1024,
    LOG_SIZE = 16 << 20,
    SENTINEL = 4242,
    // Numbers beyond those that operations get.
    WORLD_FD = 400,
    CHANNELS_FD, // of all actors: random_streams_tokens.h
};

// What operations are about. A program has some or all.
#define FAMILIES(F) F(data) F(files) F(stdio) F(splices) F(ends) F(processes) F(crowds) F(signals) F(threads)
#define FAMILY_ENUM(name) FAMILY_##name,
#define NAME_TEXT(name) #name,
enum family { FAMILIES(FAMILY_ENUM) FAMILY_COUNT };

#define KINDS(K) K(PIPE) K(FIFO) K(PAIR) K(LOCAL) K(TCP)
#define KIND_ENUM(name) KIND_##name,
enum kind { KINDS(KIND_ENUM) KIND_COUNT };
static const char *const kinds[] = {KINDS(NAME_TEXT)};

// One direction of a stream. Each byte in it is a function of the lane's identity and of the byte's position.
struct lane {
    uint64_t id;
    uint64_t written, taken;
    // Since it was last empty: how many writes, and pages that nothing can be added to.
    unsigned writes, pieces;
};

struct stream {
    enum kind kind;
    unsigned slots; // of a pipe: how many pages it holds
    struct lane lanes[2];
};

struct ends {
    int in, out;
};

// What whoever has the token knows, and hands on: a file, for memory that is shared would keep anybody from deferring.
struct world {
    int step;
    unsigned generations[SLOTS]; // a slot's stream is replaced now and then
    struct stream streams[SLOTS];
    uint64_t sizes[FILES];
    unsigned versions[FILES]; // part of the name
};

struct options {
    unsigned families;
    uint64_t seed;
    int ops;
    int actors;
    const char *program;
    const char *kept; // the numbers of those turns that are performed, or none: all
};

struct actor {
    int number;
    uint64_t rng;
    bool mute;        // a child of an actor: what it does may depend on timing
    bool has_turn;    // or else it keeps to streams of its own
    unsigned streams; // how many it has made for itself
    struct ends ends[SLOTS];
    unsigned generations[SLOTS];
    int files[FILES];
    int scratch; // a file of its own
    uint64_t scratch_size;
    size_t log_used;
    char *log;
};

static struct options options = {.families = (1u << FAMILY_COUNT) - 1, .kept = ""};
static struct actor me;
static struct world world;
static char data[DATA_SIZE], expected[DATA_SIZE];

static inline uint64_t below(uint64_t limit) {
    return rng_below(&me.rng, limit);
}
static inline bool one_in(uint64_t n) {
    return below(n) == 0;
}

static inline bool has_family(enum family family) {
    return options.families & 1u << family;
}

// A number that all actors know, without having talked.
static inline uint64_t common_number(int step, unsigned purpose) {
    uint64_t state = options.seed * 1000003 + (uint64_t)step * 64 + purpose;
    rng_next(&state);
    return rng_next(&state);
}

// The log must not be a barrier for each call, so it stays in memory.
__attribute__((format(printf, 1, 2))) static inline void note(const char *format, ...) {
    if (me.mute)
        return;
    char line[256];
    int used = snprintf(line, sizeof line, "a%d ", me.number);
    va_list arguments;
    va_start(arguments, format);
    used += vsnprintf(line + used, sizeof line - (size_t)used - 1, format, arguments);
    va_end(arguments);
    line[used++] = '\n';
    require(me.log_used + (size_t)used < LOG_SIZE);
    memcpy(me.log + me.log_used, line, (size_t)used);
    me.log_used += (size_t)used;
}

// Makes a call with an errno that must survive success, and notes what it returned.
#define CALL(call)                                                                                                     \
    ({                                                                                                                 \
        errno = SENTINEL;                                                                                              \
        long long result_ = (long long)(call);                                                                         \
        int error_ = errno;                                                                                            \
        note("%.24s = %lld %d", #call, result_, error_);                                                               \
        errno = error_;                                                                                                \
        result_;                                                                                                       \
    })

// A check that fails says where in the program that was.
static inline void say_where(void) {
    size_t at = me.log_used;
    for (int lines = 0; at && lines < 12; lines++)
        while (at > 1 && me.log[--at - 1] != '\n')
            ;
    fprintf(stderr, "seed %llu, actor %d%s, step %d, after\n%.*s", (unsigned long long)options.seed, me.number,
            me.mute ? ", muted," : "", world.step, (int)(me.log_used - at), me.log + at);
}

#define wrong(...) (say_where(), die(__VA_ARGS__))

// Letters, digits and now and then the end of a line: printf and friends can write it.
static inline void fill(uint64_t id, uint64_t position, char *at, size_t size) {
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
    uint64_t word = 0, known = UINT64_MAX;
    for (size_t i = 0; i < size; i++, position++) {
        if (position / 8 != known) {
            known = position / 8;
            uint64_t state = options.seed * 31 + id * 0x100000001b3u + known;
            word = rng_next(&state);
        }
        at[i] = letters[word >> position % 8 * 8 & 63];
    }
}

static inline void expect(uint64_t id, uint64_t position, const char *at, size_t size) {
    fill(id, position, expected, size);
    for (size_t i = 0; i < size; i++)
        if (at[i] != expected[i])
            wrong("stream %llu, byte %llu: %02x instead of %02x", (unsigned long long)id,
                  (unsigned long long)(position + i), at[i] & 0xff, expected[i] & 0xff);
}

static inline uint64_t filled(const struct lane *lane) {
    return lane->written - lane->taken;
}

// How much surely goes in without waiting, in that many writes.
static inline size_t room(const struct stream *stream, struct lane *lane, unsigned writes) {
    int64_t left;
    if (filled(lane) == 0) // how many went in before it was full depends on how they came
        lane->writes = lane->pieces = 0;
    switch (stream->kind) {
    case KIND_PIPE:
    case KIND_FIFO: // two pages that follow each other hold more than one between them; the first may be begun
        left = ((int64_t)stream->slots - 3 - 2 * (int64_t)lane->pieces) * 2048 - (int64_t)filled(lane);
        break;
    case KIND_TCP: // nothing must wait for the reader to open its window
        left = lane->writes + writes > 100 ? 0 : 30000 - (int64_t)filled(lane);
        break;
    default: // SO_SNDBUF counts the kernel's own memory
        left = (200000 - (int64_t)(lane->writes + writes) * 1600) / 2 - (int64_t)filled(lane);
    }
    return left < 0 ? 0 : (size_t)left;
}

static inline void has_written(struct lane *lane, size_t size) {
    if (filled(lane) == 0)
        lane->writes = lane->pieces = 0;
    lane->written += size;
    lane->writes += 1 + (unsigned)(size / 4096); // dprintf may have made several
}

// A child that ends with the one that has made it, whatever happens. Notes nothing.
static inline pid_t start_child(void) {
    pid_t parent = getpid(), child = fork();
    require(child >= 0);
    if (child == 0) {
        require(!prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == parent);
        me.mute = true;
        rng_next(&me.rng);
        me.rng ^= 0x5bd1e995;
    }
    return child;
}
