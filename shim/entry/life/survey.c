#include "entry/life/survey.h"
#include "entry/life/own_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unwind.h>

#include "ahead/peek.h"
#include "base/config.h"
#include "base/log.h"
#include "base/real.h"
#include "base/single.h"
#include "base/text.h"
#include "behind/turn.h"
#include "entry/data/libc_reads.h"
#include "entry/life/libc_version.h"
#include "files/readers.h"
#include "files/shared_memory.h"
#include "files/stream.h"
#include "policy/policy.h"

enum {
    PLACES = 512,
    CUTTERS = 8, /* different calls remembered for each place */
    SHORT = 4,   /* a batch, or window, with fewer calls than this gained nothing */
};

/* One place in the code that writes to, or reads, one file or stream. */
struct place {
    bool reads;
    const void *site;
    dev_t device;
    ino_t inode;
    bool regular;
    enum stream stream;
    enum reason against; /* why nothing could ever be gained with it */
    uint64_t shown;      /* the epoch in which a write has shown that the stream's other end is there */
    char file[200];
    uint64_t calls, bytes, saved, large, slow, quick, hindered;
    const char *hindrance;
    uint64_t last;  /* ticks */
    int64_t next;   /* where the last call ended; -1: at the position */
    uint32_t batch; /* calls in the batch or window that is open, or since what was peeked at was settled */
    uint32_t there; /* bytes of a stream that would have been peeked at, and are still in it */
    bool shared;    /* a look has found another process that may read it */
    struct {
        const char *call;
        uint64_t count;
    } cut[CUTTERS];
};

/* What stands against deferring only because it is surveyed, or for a moment. */
#define OURS                                                                                                           \
    (1ull << REASON_observe | 1ull << REASON_unready | WB_VISITING | 1ull << REASON_pausing | 1ull << REASON_batch_off)

bool survey_wanted;

static struct mutex lock;
static struct place places[PLACES] APART;
static int place_count LATER;
static const struct place *extended LATER; /* the last write that would be pending was made there */
static uint32_t piece LATER;               /* bytes that it goes on after, in the same piece for a stream */
static uint64_t epoch = 1;                 /* counts inputs; and the call that was the last */
static const char *last_input LATER;
static struct place *ahead LATER;  /* the last read that would have one */
static struct place *peeked LATER; /* the last one that would have been served from a peek, and could be again */
static char scratch[READERS_SCRATCH] APART;
static bool pending, started;
static uint64_t pending_since LATER;
static const char *last_read LATER; /* which is announced, too */

/* After a wait: calls for sockets, and those of them that the turn would have answered, as long as it lasts. */
static struct {
    enum { NO_TURN, TURN_LASTS, TURN_OVER } now;
    uint64_t turns, sockets, calls, answered;
} turn LATER;

/* Where an object lies in memory. */
struct range {
    uintptr_t start, end;
};
static struct range own_range LATER, libc_range LATER;

static int find_range(struct dl_phdr_info *object, size_t size, void *looked_for) {
    struct range *range = looked_for, all = {UINTPTR_MAX, 0};
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        uintptr_t start = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
        if (object->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        all.start = start < all.start ? start : all.start;
        all.end = start + object->dlpi_phdr[i].p_memsz > all.end ? start + object->dlpi_phdr[i].p_memsz : all.end;
    }
    if (range->start < all.start || range->start >= all.end)
        return 0;
    *range = all;
    return 1;
}

static bool is_within(const struct range *range, uintptr_t address) {
    return range->start <= address && address < range->end;
}

/*
 * Of the compiler's library, where that was loaded with the program (`uringshim advise` sees to it); without it no
 * place is known. A copy linked into ours would want the libc that it was made for; and loaded by us, from a
 * constructor that comes before libc's own, libc would get no environment.
 */
static __typeof__(&_Unwind_Backtrace) walk LATER;
static __typeof__(&_Unwind_GetIP) instruction LATER;

static _Unwind_Reason_Code look_at_frame(struct _Unwind_Context *context, void *found) {
    uintptr_t address = instruction(context);
    if (is_within(&own_range, address) || is_within(&libc_range, address))
        return _URC_NO_REASON;
    *(const void **)found = (const void *)address;
    return _URC_END_OF_STACK;
}

/*
 * Where the program, or a library of its own, called us or libc. Not backtrace(3), which loads a library and calls
 * malloc, perhaps in the middle of the program's own.
 */
static const void *calling_place(void) {
    const void *found = NULL;
    stack_t alternate;
    if (sys(SYS_sigaltstack, NULL, &alternate) == 0 && alternate.ss_flags & SS_ONSTACK)
        return NULL; /* which may be too small to walk on */
    if (walk)
        walk(look_at_frame, &found);
    return found;
}

/* dladdr(3); before glibc 2.34 that may not be there, but what it calls is. */
static int (*locate)(const void *address, Dl_info *info, struct link_map **object, const ElfW(Sym) * *symbol) LATER;

void survey_start(void) {
    if (!config.survey || config.mode != MODE_OBSERVE)
        return;
    own_range.start = (uintptr_t)survey_start;
    __typeof__(&dl_iterate_phdr) objects = LIBC(dl_iterate_phdr);
    locate = real_libc("dladdr");
    if (!locate)
        locate = real_libc("_dl_addr");
    if (!objects || !locate)
        return;
    instruction = real_in("libgcc_s.so.1", "_Unwind_GetIP");
    walk = instruction ? real_in("libgcc_s.so.1", "_Unwind_Backtrace") : NULL;
    libc_range.start = (uintptr_t)objects;
    objects(find_range, &own_range);
    objects(find_range, &libc_range);
    survey_wanted = true;
}

/* A file by its path; of a pipe or socket that only has a number, what it is. */
static void name_place(struct place *place, int fd, const struct stat *st) {
    char path[sizeof place->file];
    TEXT(link, 64);
    text_add(&link, "/proc/self/fd/");
    text_number(&link, fd);
    link_bytes[link.length] = '\0';
    long length = sys(SYS_readlinkat, AT_FDCWD, link_bytes, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    bool socket = S_ISSOCK(st->st_mode), pipe = S_ISFIFO(st->st_mode) && strncmp(path, "pipe:", 5) == 0;
    struct text name = {place->file, sizeof place->file - 1, 0};
    if (socket && place->against == REASON_NONE)
        text_add(&name, place->stream == STREAM_TCP ? "TCP " : "unix ");
    if (socket)
        text_add(&name, "socket");
    else if (S_ISFIFO(st->st_mode))
        text_add(&name, pipe ? "pipe" : "FIFO ");
    if (socket || pipe) {
        text_add(&name, " (descriptor ");
        text_number(&name, fd);
        text_add(&name, ")");
    } else {
        text_add(&name, path);
    }
    place->file[name.length] = '\0';
}

static bool same_file(const struct place *a, const struct place *b) {
    return a->inode == b->inode && a->device == b->device;
}

static struct place *find(bool reads, int fd) {
    struct stat st;
    const void *site = calling_place();
    if (sys(SYS_fstat, fd, &st) != 0)
        return NULL;
    struct place *other_file = NULL; /* where there is no room for one more */
    for (int i = 0; i < place_count; i++) {
        if (places[i].site != site || places[i].reads != reads)
            continue;
        other_file = &places[i];
        if (places[i].inode == st.st_ino && places[i].device == st.st_dev)
            return other_file;
    }
    if (place_count == PLACES)
        return other_file;
    struct place *place = &places[place_count++];
    *place = (struct place){.reads = reads,
                            .site = site,
                            .device = st.st_dev,
                            .inode = st.st_ino,
                            .regular = S_ISREG(st.st_mode),
                            .next = INT64_MIN};
    if (!place->regular)
        place->stream = stream_look(fd, &st, &place->against);
    name_place(place, fd, &st);
    return place;
}

static void cut_short(struct place *place, const char *call) {
    for (int i = 0; i < CUTTERS; i++)
        if (!place->cut[i].call || strcmp(place->cut[i].call, call) == 0) {
            place->cut[i].call = call;
            place->cut[i].count++;
            return;
        }
}

static void end_batch(const char *call) {
    for (int i = 0; pending && i < place_count; i++) {
        struct place *place = &places[i];
        if (place->reads || !place->batch)
            continue;
        if (place->batch < SHORT)
            cut_short(place, call);
        place->batch = 0;
    }
    pending = false;
    extended = NULL;
}

/* From here on the process may know that a stream's other end has gone. */
static void input(const char *call) {
    epoch++;
    last_input = call;
}

/* Goes straight: it shows whether the other end is there, to whoever writes to the stream in the same epoch. */
static bool first_after_input(struct place *place) {
    bool shown = false;
    for (int i = 0; i < place_count; i++)
        shown |= same_file(&places[i], place) && places[i].shown == epoch;
    place->shown = epoch;
    if (!shown && last_input)
        cut_short(place, last_input);
    return !shown;
}

static void end_window(const char *call) {
    if (ahead && ahead->batch < SHORT)
        cut_short(ahead, call);
    if (ahead)
        ahead->batch = 0;
    ahead = NULL;
}

/* What was served since it was last taken from the kernel is now. */
static void settle(const char *call) {
    if (peeked && peeked->batch < SHORT)
        cut_short(peeked, call);
    if (peeked)
        peeked->batch = 0;
}

static void turn_ends(void) {
    turn.now = turn.now == TURN_LASTS ? TURN_OVER : turn.now;
}

static void turn_has(const struct place *place, bool answers) {
    if (turn.now == NO_TURN || !place->stream || stream_is_pipe(place->stream))
        return;
    if (!answers)
        turn_ends();
    turn.calls++;
    turn.answered += turn.now == TURN_LASTS;
}

/* As policy.c has it: small, quick, and enough of them; of a stream, not the first one after a pause. */
static bool would_defer(struct place *place, size_t n, uint64_t now) {
    bool slow = place->calls > 1 && now - place->last > ticks_of_us(POLICY_QUICK_US);
    place->last = now;
    if ((!place->regular && !place->stream) || n == 0 || policy_large(place->stream, n, false)) {
        place->large += (place->regular || place->stream) && n;
        return false;
    }
    if (slow)
        place->quick = place->quick > POLICY_PAUSE ? place->quick - POLICY_PAUSE : 0;
    else
        place->quick++;
    if (place->quick >= (started ? POLICY_WARM_FILE : POLICY_WARM_PROCESS) && !(place->stream && slow && !pending))
        return started = true;
    place->slow += slow;
    return false;
}

static enum reason against(const struct place *place, int fd) {
    uint64_t hindrances = atomic_load(&wb_hindrances) & ~OURS;
    if (hindrances)
        return wb_first_hindrance(hindrances);
    if (place->against != REASON_NONE || !place->stream)
        return place->against == REASON_not_regular ? REASON_NONE : place->against;
    return stream_flags(place->stream, sys(SYS_fcntl, fd, F_GETFL));
}

static void written(const char *call, int fd, size_t n, int64_t offset) {
    uint64_t now = ticks_now();
    struct place *place = find(false, fd);
    if (!place)
        return;
    turn_has(place, n <= TURN_CALL_MAX);
    place->calls++;
    place->bytes += n;
    if (pending && now - pending_since > ticks_of_us((uint64_t)config.max_delay_us))
        end_batch("the delay bound");
    if (ahead && ahead->inode == place->inode)
        end_window(call);
    enum reason hindrance = against(place, fd);
    if (hindrance != REASON_NONE) {
        place->hindered++;
        place->hindrance = stats_reason(hindrance);
    }
    bool straight = place->stream && first_after_input(place);
    if (!would_defer(place, n, now) || straight || hindrance != REASON_NONE) {
        end_batch(call);
        settle(call);
        if (!place->regular && !place->stream)
            input(call);
        return;
    }
    bool joins = extended && same_file(extended, place) &&
                 (offset < 0 ? extended->next == -1 : extended->next == offset) &&
                 (!place->stream || piece + n <= stream_piece(place->stream));
    piece = (joins ? piece : 0) + (uint32_t)n;
    place->next = offset < 0 ? -1 : offset + (int64_t)n;
    place->saved += joins;
    place->batch++;
    if (!pending)
        pending_since = now;
    pending = true;
    extended = place;
}

/* Why no read of a stream would be served, or not yet; NULL: the process is its only reader. */
static const char *against_peek(struct place *place, struct ofd *ofd, int fd, bool worth) {
    bool due;
    if (place->against != REASON_NONE)
        return stats_reason(place->against);
    if (!ofd || !ofd->stream || !readers_peekable(ofd, fd))
        return stats_reason(REASON_stream_kind);
    if (!single_threaded())
        return "several threads";
    if (readers_alone(ofd, 1, &due))
        return NULL;
    bool looks = due && worth && ofd->look_after;
    if (due && worth && readers_look(ofd, scratch, false))
        return NULL;
    place->shared |= looks || !stream_is_pipe(ofd->stream) || atomic_load(&readers_forbidden);
    return place->shared ? "another process may read it, too" : "too few to find out who else may read it";
}

/* Would there be a peek from which the next reads of that size are served? */
static bool would_peek(struct place *place, int fd, size_t n) {
    struct fd_slot *slot = files_slot_make(fd);
    struct ofd *ofd = slot && !slot->other ? files_ofd(fd, slot) : NULL;
    int used = stream_used(fd);
    bool worth = used >= (int)(PEEK_WORTH * n);
    const char *why = against_peek(place, ofd, fd, worth);
    place->slow += !worth;
    if (worth && why) {
        place->hindered = place->shared ? place->calls : place->hindered + 1;
        place->hindrance = why;
    }
    place->there = !worth || why ? 0 : used < PEEK_MAX ? (uint32_t)used : PEEK_MAX;
    return place->there;
}

/* The read of a stream that is served is no input, and what is pending stays so. Each settling costs some reads. */
static void read_stream(struct place *place, const char *call, int fd, size_t n) {
    if (peeked && peeked != place && same_file(peeked, place))
        peeked->there = 0;
    if (n && n <= place->there) {
        place->there -= (uint32_t)n;
        place->saved += ++place->batch > PEEK_SETTLE;
        peeked = place;
        return;
    }
    place->there = 0;
    place->batch = 0;
    input(call);
    end_window(call);
    end_batch(call);
    place->large += n > PEEK_CALL_MAX;
    if (n && n <= PEEK_CALL_MAX && would_peek(place, fd, n)) {
        place->there -= (uint32_t)n;
        peeked = place;
    }
}

static void read_from(const char *call, int fd, size_t n, int64_t offset) {
    struct place *place = find(true, fd);
    if (!place)
        return;
    turn_has(place, true);
    place->calls++;
    place->bytes += n;
    if (place->stream || (!place->regular && place->against != REASON_not_regular)) {
        read_stream(place, call, fd, n);
        return;
    }
    bool near = offset < 0 || (place->next >= 0 && policy_near(place->next - (int64_t)n, n, offset));
    place->next = offset < 0 ? -1 : offset + (int64_t)n;
    if (!place->regular || n - 1 >= window_call()) {
        input(call);
        place->large += place->regular;
        end_window(call);
        if (!place->regular)
            end_batch(call);
        return;
    }
    if (near && ahead == place) {
        place->saved++;
    } else {
        input(call);
        end_window(call);
        ahead = near && place->calls > POLICY_READS_FILE ? place : NULL;
    }
    place->batch++;
}

/* What the model itself calls must not be surveyed; nor does a handler that interrupts it wait for it. */
#define SURVEYED(work)                                                                                                 \
    do {                                                                                                               \
        int saved = errno;                                                                                             \
        if (!thread_free(thread_self()))                                                                               \
            break;                                                                                                     \
        critical_enter();                                                                                              \
        mutex_lock(&lock);                                                                                             \
        work;                                                                                                          \
        mutex_unlock(&lock);                                                                                           \
        critical_leave();                                                                                              \
        errno = saved;                                                                                                 \
    } while (0)

void survey_write(const char *call, int fd, size_t n, int64_t offset) {
    SURVEYED(written(call, fd, n, offset));
}

void survey_read(const char *call, int fd, size_t n, int64_t offset) {
    SURVEYED({
        read_from(call, fd, n, offset);
        last_read = call;
    });
}

void survey_wait(int ready) {
    SURVEYED({
        bool several = ready >= POLICY_TURN_LEAST;
        turn.now = several ? TURN_LASTS : NO_TURN;
        turn.turns += several;
        turn.sockets += several ? (uint64_t)ready : 0;
    });
}

void survey_call(const char *call) {
    SURVEYED({
        turn_ends();
        input(call);
        end_batch(call);
        end_window(call);
        settle(call);
    });
}

static void touched(const char *call, int fd) {
    struct stat st;
    if (call == last_read || (peeked && sys(SYS_fstat, fd, &st) == 0 && st.st_ino == peeked->inode && peeked->there))
        return; /* what shells ask before each line is known of a stream (isatty, lseek) */
    turn_ends();
    input(call);
    end_window(call);
    settle(call);
    if (extended && sys(SYS_fstat, fd, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_ino == extended->inode))
        end_batch(call);
}

void survey_touch(const char *call, int fd) {
    SURVEYED(touched(call, fd));
}

static void describe_site(struct text *line, const void *site) {
    Dl_info info;
    if (!site || !locate(site, &info, NULL, NULL) || !info.dli_fname) {
        text_add(line, "?");
        return;
    }
    const char *name = strrchr(info.dli_fname, '/');
    const void *from = info.dli_sname ? info.dli_saddr : info.dli_fbase;
    text_add(line, name ? name + 1 : info.dli_fname);
    if (info.dli_sname) {
        text_add(line, ":");
        text_add(line, info.dli_sname);
    }
    text_add(line, "+0x");
    text_hex(line, (uintptr_t)site - (uintptr_t)from);
}

static void add_field(struct text *line, uint64_t number) {
    text_add(line, "\t");
    text_number(line, (long)number);
}

static void report_place(int to, const struct place *place) {
    int worst = 0;
    TEXT(line, 1024);
    text_add(&line, place->reads ? "read\t" : "write\t");
    text_add(&line, place->file);
    text_add(&line, "\t");
    describe_site(&line, place->site);
    bool no_file = place->against == REASON_not_regular;
    const uint64_t fields[] = {place->calls, place->bytes, place->saved,
                               place->large, place->slow,  no_file ? place->calls : 0};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        add_field(&line, fields[i]);
    for (int i = 1; i < CUTTERS; i++)
        if (place->cut[i].count > place->cut[worst].count)
            worst = i;
    text_add(&line, "\t");
    text_add(&line, place->cut[worst].call ? place->cut[worst].call : "-");
    add_field(&line, place->cut[worst].count);
    text_add(&line, "\t");
    text_add(&line, place->hindered ? place->hindrance : "-");
    add_field(&line, place->hindered);
    text_add(&line, "\n");
    text_write(&line, to);
}

/* What would have been found when the process began to defer. */
static void report_hindrances(int to) {
    uint64_t all = atomic_load(&wb_hindrances) & ~OURS;
    if (shared_memory_scan() && shared_memory_exists())
        all |= 1ull << REASON_shared_memory;
    if (shared_memory_asynchronous())
        all |= 1ull << REASON_own_io_uring;
    all |= 1ull << own_calls_now() & ~(1ull << REASON_NONE);
    if (libc_calls_unknown())
        all |= 1ull << REASON_newer_libc;
    if (conversions_by_user())
        all |= 1ull << REASON_libc_reads;
    for (int reason = 1; reason < REASONS; reason++) {
        TEXT(line, 128);
        text_add(&line, "against\t");
        text_add(&line, stats_reason((enum reason)reason));
        text_add(&line, "\n");
        if (all & 1ull << reason)
            text_write(&line, to);
    }
}

/* Each turn costs a look at all, a look whether they take what is sent, and performing it. */
static void report_turns(int to) {
    enum { COSTS = 3 };
    TEXT(line, 128);
    uint64_t saved = turn.answered > COSTS * turn.turns ? turn.answered - COSTS * turn.turns : 0;
    const uint64_t fields[] = {turn.turns, turn.sockets, turn.calls, saved};
    text_add(&line, "turns");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        add_field(&line, fields[i]);
    text_add(&line, "\n");
    if (turn.turns)
        text_write(&line, to);
}

static void report_left_out(int to) {
    for (int i = 0; i < ONE_SHOTS; i++) {
        uint32_t times = stats_times_left_out(i);
        TEXT(line, 128);
        text_add(&line, "left-out\t");
        text_add(&line, stats_one_shots[i]);
        add_field(&line, times);
        text_add(&line, "\n");
        if (times)
            text_write(&line, to);
    }
}

static void begin_anew(void) {
    place_count = 0;
    ahead = peeked = NULL;
    extended = NULL;
    last_input = NULL;
    pending = started = false;
    memset(&turn, 0, sizeof turn);
}

static void report(const char *program) {
    int to = text_open_target(config.survey);
    if (to < 0)
        return;
    TEXT(line, 512);
    text_add(&line, "process\t");
    text_number(&line, sys(SYS_getpid));
    text_add(&line, "\t");
    text_add(&line, program);
    text_add(&line, "\n");
    text_write(&line, to);
    report_hindrances(to);
    report_turns(to);
    report_left_out(to);
    for (int i = 0; i < place_count; i++)
        report_place(to, &places[i]);
    text_close_target(to);
    begin_anew();
}

void survey_forked(void) {
    if (!survey_wanted)
        return;
    lock = (struct mutex){0};
    begin_anew();
}

void survey_report(const char *program) {
    SURVEYED(report(program));
}
