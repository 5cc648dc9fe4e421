#include "base/stats.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/config.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/trace.h"

/* Events that have a name instead of a number: few different ones, so a list is searched. */
enum { NAMED_MAX = 96 };
struct named {
    const char *name;
    int error;
    uint64_t count;
};
struct named_list {
    struct named entry[NAMED_MAX];
    int used;
};

bool stats_wanted;

const char *const stats_one_shots[ONE_SHOTS] = {
#define ONE_SHOT(name) name,
#include "base/one_shots.def"
};
static _Atomic uint32_t left_out[ONE_SHOTS] APART;

static struct mutex lock;
static struct stats own_total LATER, *total = &own_total;
static struct named_list barriers APART, inputs APART, fallbacks APART;

static const char *const counter_names[COUNTERS] = {
    [COUNT_CALLS] = "calls",
    [COUNT_DEFERRED] = "write.deferred",
    [COUNT_DEFERRED_BYTES] = "deferred.bytes",
    [COUNT_EXTENTS] = "deferred.extents",
    [COUNT_STREAM_DEFERRED] = "stream.deferred",
    [COUNT_STREAM_BYTES] = "stream.deferred_bytes",
    [COUNT_STREAM_PIECES] = "stream.pieces",
    [COUNT_STREAM_WAITS] = "stream.waits",
    [COUNT_RINGS] = "ring.created",
    [COUNT_RING_ENTERS] = "ring.enters",
    [COUNT_RING_WRITES] = "ring.writes",
    [COUNT_RING_FSYNCS] = "ring.fsyncs",
    [COUNT_RING_READS] = "ring.reads",
    [COUNT_SYNCS_SHARED] = "fsync.shared",
    [COUNT_POLLING_US] = "polling.cpu_us",
    [COUNT_DIRECT_CALLS] = "direct.calls",
    [COUNT_LATE_ERRORS] = "late.errors",
    [COUNT_WINDOWS] = "window.filled",
    [COUNT_WINDOW_BYTES] = "window.bytes",
    [COUNT_WINDOWS_WASTED] = "window.wasted",
    [COUNT_READS] = "read.served",
    [COUNT_READ_BYTES] = "read.bytes",
    [COUNT_SEEKS] = "lseek.served",
    [COUNT_PEEKS] = "peek.filled",
    [COUNT_PEEKS_SETTLED] = "peek.settled",
    [COUNT_PEEK_READS] = "peek.served",
    [COUNT_PEEK_BYTES] = "peek.bytes",
    [COUNT_TURNS] = "turn.begun",
    [COUNT_TURN_SOCKETS] = "turn.sockets",
    [COUNT_TURN_READS] = "turn.served",
    [COUNT_TURN_BYTES_READ] = "turn.bytes",
    [COUNT_TURN_WRITES] = "turn.deferred",
    [COUNT_TURN_BYTES_WRITTEN] = "turn.deferred_bytes",
};
static const char *const cause_names[FLUSH_CAUSES] = {
    [FLUSH_FULL] = "flush.full",   [FLUSH_BARRIER] = "flush.barrier", [FLUSH_DELAY] = "flush.delay",
    [FLUSH_FSYNC] = "flush.fsync", [FLUSH_EXIT] = "flush.exit",
};
static const char *const end_names[WINDOW_ENDS] = {
    [WINDOW_USED] = "window.used",           [WINDOW_INPUT] = "window.input", [WINDOW_WRITE] = "window.write",
    [WINDOW_ELSEWHERE] = "window.elsewhere", [WINDOW_OLD] = "window.old",
};
static const char *const reason_names[REASONS] = {
    "none",
#define REASON(name) #name,
#include "base/reasons.def"
};

const char *stats_key_family(int index) {
    return index >= COUNTERS && index < COUNTERS + REASONS ? "passed." : "";
}

const char *stats_key(int index) {
    const struct {
        const char *const *names;
        int count;
    } parts[] = {
        {counter_names, COUNTERS}, {reason_names, REASONS}, {cause_names, FLUSH_CAUSES}, {end_names, WINDOW_ENDS}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; index -= parts[i++].count)
        if (index < parts[i].count)
            return parts[i].names[index];
    return "";
}

const char *stats_cause(enum flush_cause cause) {
    return cause_names[cause];
}

const char *stats_end(enum window_end end) {
    return end_names[end];
}

const char *stats_reason(enum reason reason) {
    return reason_names[reason];
}

void stats_move(struct stats *to) {
    total = to ? to : &own_total;
    memset(total, 0, sizeof *total);
}

void stats_start(void) {
    stats_wanted = config.stats || config.live || (config.survey && config.mode == MODE_OBSERVE);
    if (stats_wanted)
        text_watch_stderr();
}

static void named_count(struct named_list *list, const char *name, int error) {
    mutex_lock(&lock);
    int i = 0;
    while (i < list->used && (list->entry[i].error != error || strcmp(list->entry[i].name, name) != 0))
        i++;
    if (i < NAMED_MAX) {
        list->entry[i].name = name;
        list->entry[i].error = error;
        list->entry[i].count++;
        list->used = i < list->used ? list->used : i + 1;
    }
    mutex_unlock(&lock);
}

void stats_barrier(const char *call) {
    trace_barrier(call);
    if (stats_wanted)
        named_count(&barriers, call, 0);
}

void stats_window_closed(const char *call) {
    if (stats_wanted)
        named_count(&inputs, call, 0);
}

void stats_fallback(const char *what, int error) {
    trace_fallback(what, error);
    if (stats_wanted)
        named_count(&fallbacks, what, error);
}

void stats_left_out(int one_shot) {
    if (stats_wanted)
        atomic_fetch_add(&left_out[one_shot], 1);
}

uint32_t stats_times_left_out(int one_shot) {
    return atomic_load(&left_out[one_shot]);
}

/* What is kept beside `total`: the next report begins from zero. With the lock held, for a list must stay whole. */
static void forget_names(void) {
    memset(&barriers, 0, sizeof barriers);
    memset(&inputs, 0, sizeof inputs);
    memset(&fallbacks, 0, sizeof fallbacks);
    for (int i = 0; i < ONE_SHOTS; i++)
        atomic_store(&left_out[i], 0);
}

void stats_collect(struct stats *thread) {
    mutex_lock(&lock);
    uint64_t *to = (uint64_t *)total;
    uint64_t *from = (uint64_t *)thread;
    for (size_t i = 0; i < STATS_KEYS; i++) {
        to[i] += from[i];
        from[i] = 0;
    }
    mutex_unlock(&lock);
}

/* How one number is written: `"key":1,` or `  key 1\n`. */
struct form {
    const char *before, *between, *after;
};
static const struct form json = {"\"", "\":", ","}, plain = {"  ", " ", "\n"};

static void add(struct text *text, const struct form *form, const char *family, const char *key, uint64_t value) {
    text_add(text, form->before);
    text_add(text, family);
    text_add(text, key);
    text_add(text, form->between);
    text_number(text, (long)value);
    text_add(text, form->after);
}

/* The errnos by which the kernel refuses what we ask for; any other is shown as its number. */
static const char *errno_name(int error, char number[16]) {
    static const struct {
        int error;
        const char *name;
    } names[] = {{EPERM, "EPERM"},        {ENOSYS, "ENOSYS"}, {ENOMEM, "ENOMEM"}, {EMFILE, "EMFILE"},
                 {ENFILE, "ENFILE"},      {EINVAL, "EINVAL"}, {EACCES, "EACCES"}, {EAGAIN, "EAGAIN"},
                 {ENOENT, "ENOENT"},      {EBUSY, "EBUSY"},   {EFAULT, "EFAULT"}, {EOPNOTSUPP, "EOPNOTSUPP"},
                 {EOVERFLOW, "EOVERFLOW"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].error == error)
            return names[i].name;
    struct text text = {number, 15, 0};
    text_number(&text, error);
    number[text.length] = '\0';
    return number;
}

static void add_numbers(struct text *text, const struct form *form) {
    uint64_t passed = 0;
    for (int i = 0; i < REASONS; i++)
        passed += total->passed[i];
    total->count[COUNT_CALLS] += total->count[COUNT_DEFERRED] + total->count[COUNT_READS] + total->count[COUNT_SEEKS];
    for (int i = 0; i < COUNTERS; i++)
        add(text, form, "", counter_names[i], total->count[i]);
    add(text, form, "", "write.calls", passed + total->count[COUNT_DEFERRED]);
    add(text, form, "", "write.passed", passed);
    for (int i = 0; i < REASONS; i++)
        if (total->passed[i])
            add(text, form, "passed.", reason_names[i], total->passed[i]);
    for (int i = 0; i < FLUSH_CAUSES; i++)
        add(text, form, "", cause_names[i], total->flushes[i]);
    for (int i = 0; i < barriers.used; i++)
        add(text, form, "barrier.", barriers.entry[i].name, barriers.entry[i].count);
    for (int i = 0; i < WINDOW_ENDS; i++)
        add(text, form, "", end_names[i], total->ended[i]);
    for (int i = 0; i < inputs.used; i++)
        add(text, form, "input.", inputs.entry[i].name, inputs.entry[i].count);
    for (int i = 0; i < fallbacks.used; i++) {
        char number[16];
        TEXT(name, 64);
        text_add(&name, fallbacks.entry[i].name);
        if (fallbacks.entry[i].error) {
            text_add(&name, ".");
            text_add(&name, errno_name(fallbacks.entry[i].error, number));
        }
        name_bytes[name.length < 63 ? name.length : 63] = '\0';
        add(text, form, "fallback.", name_bytes, fallbacks.entry[i].count);
    }
    for (int i = 0; i < ONE_SHOTS; i++)
        if (stats_times_left_out(i))
            add(text, form, "left_out.", stats_one_shots[i], stats_times_left_out(i));
}

/* A program's name inside a JSON string: anything unusual becomes '?'. */
static void add_program(struct text *text, const char *program) {
    for (; *program; program++) {
        char c = *program;
        bool usual = c >= ' ' && c != '"' && c != '\\' && (unsigned char)c < 0x7f;
        text_add(text, (char[]){(char)(usual ? c : '?'), '\0'});
    }
}

static void add_word(struct text *text, const char *key, const char *word) {
    text_add(text, "\"");
    text_add(text, key);
    text_add(text, "\":\"");
    add_program(text, word);
    text_add(text, "\",");
}

void stats_report(const char *program, const char *mode) {
    static char bytes[16384] APART;
    int fd;
    if (stats_wanted && !config.stats) { /* the survey has told it */
        mutex_lock(&lock);
        forget_names();
        mutex_unlock(&lock);
    }
    if (!stats_wanted || !config.stats || (fd = text_open_target(config.stats)) < 0)
        return;
    mutex_lock(&lock);
    struct text text = {bytes, sizeof bytes, 0};
    size_t length = strlen(config.stats);
    if (length > 5 && strcmp(config.stats + length - 5, ".json") == 0) {
        text_add(&text, "{");
        add_word(&text, "program", program);
        add_word(&text, "mode", mode);
        add_word(&text, "engine", config_choice("URINGSHIM_ENGINE", config.engine));
        add_word(&text, "order", config_choice("URINGSHIM_ORDER", config.order));
        add_numbers(&text, &json);
        add(&text, &json, "", "pid", (uint64_t)sys(SYS_getpid));
        text.length--; /* the last comma */
        text_add(&text, "}\n");
    } else {
        text_add(&text, "uringshim: ");
        add_program(&text, program);
        text_add(&text, " (");
        text_add(&text, mode);
        text_add(&text, "), process ");
        text_number(&text, sys(SYS_getpid));
        text_add(&text, "\n");
        add_numbers(&text, &plain);
    }
    text_write(&text, fd);
    text_close_target(fd);
    memset(total, 0, sizeof *total);
    forget_names();
    mutex_unlock(&lock);
}

void stats_fork_prepare(void) {
    mutex_lock(&lock);
}

void stats_fork_done(bool child) {
    if (child && stats_wanted) { /* the parent reports what was before */
        stats_move(NULL);
        forget_names();
    }
    mutex_unlock(&lock);
}
