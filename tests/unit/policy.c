// The policy as a table: each row is a write with all that is known about it, and what is to become of it.
#include "policy/policy.h"

#include <stdio.h>

#define GAP ticks_of_us(POLICY_QUICK_US)

static int failures;

static void expect(const char *what, int got, int wanted) {
    if (got != wanted) {
        printf("%s: %d, not %d\n", what, got, wanted);
        failures++;
    }
}

static struct file_system disk = {.known = true, .headroom = true, .far_offset = 1 << 30};

static void one_fact_at_a_time(void) {
    static const struct {
        const char *what;
        enum reason wanted;
        struct write_facts facts;
        uint8_t other;
        enum reason of_ofd;
        bool mapped, far;
    } rows[] = {
        {"a small write to a plain file", REASON_NONE, {.size = 10, .eager = true}, 0, 0, false, false},
        {"just below the limit", REASON_NONE, {.size = WB_LARGE - 1, .eager = true}, 0, 0, false, false},
        {"at the limit", REASON_large, {.size = WB_LARGE, .eager = true}, 0, 0, false, false},
        {"nothing", REASON_flags, {.size = 0, .eager = true}, 0, 0, false, false},
        {"a pipe", REASON_not_regular, {.size = 10, .eager = true}, REASON_not_regular, 0, false, false},
        {"O_DSYNC", REASON_sync_flag, {.size = 10, .eager = true}, 0, REASON_sync_flag, false, false},
        {"a mapped file", REASON_mapped, {.size = 10, .eager = true}, 0, 0, true, false},
        {"ends at the far offset", REASON_NONE, {.size = 10, .end = 1 << 30, .eager = true}, 0, 0, false, false},
        {"ends beyond it", REASON_far_offset, {.size = 10, .end = (1 << 30) + 1, .eager = true}, 0, 0, false, false},
        {"at a far position", REASON_far_offset, {.size = 10, .eager = true}, 0, 0, false, true},
        {"at an offset, the position being far", REASON_NONE, {.size = 1, .end = 9, .eager = true}, 0, 0, false, true},
        {"a hindrance", REASON_seccomp, {.hindrances = 1ull << REASON_seccomp, .size = 10, .eager = true}, 0, 0, 0, 0},
        {"the first of two hindrances",
         REASON_vfork,
         {.hindrances = 1ull << REASON_seccomp | 1ull << REASON_vfork, .size = 10},
         0,
         0,
         0,
         0},
        {"a hindrance before all else",
         REASON_seccomp,
         {.hindrances = 1ull << REASON_seccomp},
         REASON_not_regular,
         0,
         0,
         0},
        {"going on",
         REASON_NONE,
         {.size = 10, .now = 123456789012, .running = true, .started = true},
         0,
         0,
         false,
         false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct inode inode = {.file_system = &disk, .mapped = rows[i].mapped};
        struct ofd ofd = {.inode = &inode, .reason = rows[i].of_ofd, .far = rows[i].far};
        struct fd_slot slot = {.other = rows[i].other};
        expect(rows[i].what, (int)policy_write(&rows[i].facts, &slot, &ofd), (int)rows[i].wanted);
    }
}

/*
 * How many of `count` writes, `gap` ticks apart, and one in so many far apart, go through before the first is deferred;
 * -1: none was.
 */
static int passed_first(bool started, uint64_t gap, int one_in, int count) {
    struct fd_slot slot = {.other = 0};
    struct write_facts facts = {.size = 10, .now = 123456789012, .started = started};
    for (int i = 0; i < count; i++, facts.now += i % one_in ? gap : 3 * GAP)
        if (policy_write(&facts, &slot, NULL) == REASON_NONE)
            return i;
    return -1;
}

static void warming(void) {
    int passed = POLICY_FRESH + POLICY_WARM_PROCESS;
    expect("a quick writer starts the process", passed_first(false, GAP / 10, 1000, 1000), passed);
    expect("a second file comes quicker", passed_first(true, GAP / 10, 1000, 1000), POLICY_WARM_FILE);
    expect("a slow writer never", passed_first(true, 3 * GAP, 1, 100000), -1);
    expect("nor one of short bursts", passed_first(false, GAP / 10, POLICY_PAUSE, 100000), -1);
    expect("held up now and then", passed_first(false, GAP / 10, 3 * POLICY_PAUSE, 1000) > 0, true);
}

/* The shells ask the shorter question, where it is enough: it must be answered as the long one is. */
static void asked_shortly(bool started) {
    struct fd_slot slot = {.other = 0}, same = slot;
    struct write_facts facts = {.size = 10, .now = 123456789012, .started = started};
    int different = 0, warmed = 0;
    for (int i = 0; i < 10000; i++, facts.now += i % 311 == 0 || i * 7 % 97 == 0 ? 3 * GAP : GAP / 10) {
        facts.interrupted = i % 13 == 0 || i % 1000 < 100;
        bool warming = policy_skips(&slot, started) || policy_warming(&slot, facts.now, started, facts.interrupted);
        different += warming != (policy_write(&facts, &same, NULL) != REASON_NONE);
        warmed += !warming;
    }
    expect("times the short question was answered otherwise", different, 0);
    expect("both answers came", warmed > 100 && warmed < 9900, true);
}

/* After a batch that paid, a pause doesn't count: it may have been the machine's. After one that didn't it does. */
static void pausing(void) {
    struct inode inode = {.file_system = &disk};
    struct ofd ofd = {.inode = &inode};
    struct fd_slot slot = {.quick = 200, .last = 1};
    struct write_facts facts = {.size = 10, .now = 123456789012, .started = true};
    ofd.habit = (struct habit){.paid = 1, .paid_last = true};
    expect("after a pause, and a batch that paid", (int)policy_write(&facts, &slot, &ofd), REASON_NONE);
    ofd.habit = (struct habit){.paid = 1, .wasted = 1};
    expect("after a pause, and one that didn't", (int)policy_write(&facts, &slot, &ofd), REASON_warming);
    ofd.habit = (struct habit){.wasted = POLICY_WASTED};
    facts.running = true;
    expect("what doesn't pay, though some is pending", (int)policy_write(&facts, &slot, &ofd), REASON_unprofitable);
}

/* Somebody waits for the first line after a pause. */
static void first_line(void) {
    struct inode inode = {.file_system = &disk};
    struct ofd ofd = {.inode = &inode, .stream = STREAM_PIPE};
    struct fd_slot slot = {.quick = 200, .last = 1};
    struct write_facts facts = {.size = 10, .now = 123456789012, .started = true, .stream = true};
    ofd.habit = (struct habit){.paid = 1, .paid_last = true};
    expect("a stream's first after a pause", (int)policy_write(&facts, &slot, &ofd), REASON_warming);
    facts.now += GAP / 10;
    expect("and the next", (int)policy_write(&facts, &slot, &ofd), REASON_NONE);
    facts.now += 3 * GAP;
    facts.running = true;
    expect("while some is pending", (int)policy_write(&facts, &slot, &ofd), REASON_NONE);
    facts.size = STREAM_CALL_MAX + 1;
    expect("half a page and more", (int)policy_write(&facts, &slot, &ofd), REASON_large);
}

/* Each write waits for something, as in a dialogue: it is left alone. Who writes several in a row never is. */
static void dialogue(void) {
    struct inode inode = {.file_system = &disk};
    struct ofd ofd = {.inode = &inode, .stream = STREAM_TCP};
    struct fd_slot slot = {.other = 0};
    struct write_facts facts = {.size = 10, .now = 123456789012, .started = true, .stream = STREAM_TCP};
    int looked_at = 0, left = 0;
    for (int i = 0; i < 100000; i++, facts.now += 3 * GAP)
        looked_at += policy_write(&facts, &slot, &ofd) != REASON_unprofitable;
    if (looked_at > 60) {
        printf("looked at %d of 100000 writes of a dialogue\n", looked_at);
        failures++;
    }
    ofd = (struct ofd){.inode = &inode, .stream = STREAM_TCP, .habit = {.paid = 1, .paid_last = true}};
    slot = (struct fd_slot){.quick = 200, .last = 1};
    for (int i = 0; i < 1000; i++, facts.now += 3 * GAP) {
        expect("the first of several", (int)policy_write(&facts, &slot, &ofd), REASON_warming);
        facts.now += GAP / 10;
        left += policy_write(&facts, &slot, &ofd) != REASON_NONE;
        ofd.straight = false;
        ofd.habit.paid++;
    }
    expect("of the others left alone", left, 0);
}

/* The writes that aren't timed must not make a quick writer look slow: one just within the gap is found out too. */
static void fresh(void) {
    struct fd_slot slot = {.other = 0};
    struct write_facts facts = {.size = 10, .now = 123456789012};
    int passed = 0;
    for (; passed < 1000; passed++, facts.now += GAP * 4 / 5)
        if (policy_write(&facts, &slot, NULL) == REASON_NONE)
            break;
    expect("after writes that aren't timed", passed, POLICY_FRESH + POLICY_WARM_PROCESS);
}

/* A file whose deferred writes never save anything is tried less and less often. */
static void backing_off(void) {
    struct inode inode = {.file_system = &disk};
    struct ofd ofd = {.inode = &inode};
    struct fd_slot slot = {.other = 0};
    struct write_facts facts = {.size = 10, .now = 123456789012, .started = true};
    int deferred = 0;
    for (int i = 0; i < 100000; i++, facts.now += 1000)
        if (policy_write(&facts, &slot, &ofd) == REASON_NONE) {
            deferred++;
            ofd.habit.wasted++;
        }
    if (deferred < 4 || deferred > 40) {
        printf("tried %d times in 100000 writes\n", deferred);
        failures++;
    }
    expect("its means may go", policy_rests(&ofd.habit), true);
    /* One batch that pays, and it is trusted as at first. */
    ofd.habit.paid++;
    while (policy_write(&facts, &slot, &ofd) != REASON_NONE)
        facts.now += 1000;
    expect("its means are wanted again", policy_rests(&ofd.habit), false);
    ofd.habit.wasted += POLICY_WASTED;
    int skipped = 0;
    while (policy_write(&facts, &slot, &ofd) != REASON_NONE && skipped < 100000)
        skipped++;
    expect("left alone for the shortest time", skipped, POLICY_SKIP_MIN + POLICY_WARM_FILE - 1);
}

/*
 * Of `count` writes that come `run` at a time between interruptions: how many go through before the first is deferred;
 * -1: none was. And how many are rehearsed.
 */
static int passed_in_runs(bool started, int run, int count, int *rehearsed) {
    struct fd_slot slot = {.other = 0};
    struct write_facts facts = {.size = 10, .now = 123456789012, .started = started};
    bool kept = false;
    for (int i = 0; i < count; i++, facts.now += 1000) {
        facts.interrupted = !kept || i % run == 0;
        if (policy_write(&facts, &slot, NULL) == REASON_NONE)
            return i;
        kept = policy_rehearses(&slot);
        *rehearsed += kept;
    }
    return -1;
}

/* What would be performed after each few writes is found out before anything is started for it, and costs ever less. */
static void rehearsing(void) {
    for (int run = 1; run <= POLICY_WORTH; run++) {
        int rehearsed = 0;
        expect("runs that are too short", passed_in_runs(false, run, 100000, &rehearsed), -1);
        expect("are looked at less and less often", rehearsed > 0 && rehearsed < 1000, true);
    }
    int rehearsed = 0;
    expect("runs that just pay", passed_in_runs(false, POLICY_WORTH + 1, 300, &rehearsed) > 0, true);
    expect("without a flusher to start", passed_in_runs(true, POLICY_WORTH + 1, 10, &rehearsed) > 0, true);
    struct fd_slot slot = {.rehearsals = POLICY_REHEARSALS};
    struct write_facts facts = {.size = 10, .now = 123456789012};
    while (policy_write(&facts, &slot, NULL) != REASON_NONE)
        facts.now += 1000;
    expect("a rehearsal that goes well", slot.rehearsals, 1);
    expect("its means may stay", policy_gave_up(&slot), false);
}

/* Small reads that get on by small steps, either way; a jump begins anew. */
static void reading(void) {
    struct fd_slot slot = {.other = 0};
    for (int i = 0; i < POLICY_READS_FILE; i++) {
        expect("too few reads", policy_reads_on(&slot, true, false), false);
        policy_read_passed(&slot, 100, WINDOW_AT_POSITION, true);
    }
    expect("enough for a file", policy_reads_on(&slot, true, false), true);
    expect("but not for the first one", policy_reads_on(&slot, false, false), false);
    expect("eager needs none", policy_reads_on(&(struct fd_slot){.other = 0}, false, true), true);
    policy_read_passed(&slot, 0, WINDOW_AT_POSITION, true);
    expect("the end of the file", policy_reads_on(&slot, true, false), false);
    for (int i = 0; i < 2 * POLICY_READS_FILE; i++)
        policy_read_passed(&slot, 100, 5000 + 400 * i, true);
    expect("a stride", policy_reads_on(&slot, true, false), true);
    policy_read_passed(&slot, 100, 100000, true);
    expect("a jump", policy_reads_on(&slot, true, false), false);
    policy_read_passed(&slot, (ssize_t)window_call() + 1, WINDOW_AT_POSITION, true);
    expect("a large read", slot.reads, 0);

    for (int i = 0; i < 1000; i++)
        policy_read_passed(&slot, 100, WINDOW_AT_POSITION, false);
    expect("in turns with another", policy_reads_on(&slot, true, false), false);

    expect("the next one", policy_direction(1000, 100, 1100), 1);
    expect("backwards", policy_direction(1000, 100, 900), -1);
    expect("the same again", policy_direction(1000, 100, 1000), 0);
    expect("a long step", policy_direction(1000, 100, 1000 + 100 * POLICY_STRIDE + 1), 0);
    expect("at the position", policy_direction(1000, 100, WINDOW_AT_POSITION), 1);

    struct ofd ofd = {.reading = {.wasted = POLICY_WASTED}};
    int skipped = 0;
    while (!policy_read(&ofd, false))
        skipped++;
    expect("left alone after wasted windows", skipped, POLICY_SKIP_MIN);
    ofd.reading.wasted += POLICY_WASTED;
    expect("unless eager", policy_read(&ofd, true), true);
}

// So many times POLICY_SYNCS syncs that take so long shared, or not: how many of them weren't shared.
static int times_apart(struct sync_habit *habit, int times, int shared, int apart) {
    static bool shares = true;
    int count = 0;
    for (int i = 0; i < times; i++) {
        count += !shares;
        int noise = i * 37 % 9 - 4;
        shares = policy_shares_syncs(habit, (uint64_t)((shares ? shared : apart) * (100 + noise)));
    }
    return count;
}

static void sharing_syncs(void) {
    struct sync_habit habit = {0};
    expect("shared, where that is faster", times_apart(&habit, 500, 60, 100) < 60, true);
    expect("not, where it is slower", times_apart(&habit, 20000, 100, 80) > 17000, true);
    expect("shared, when it is faster again", times_apart(&habit, 20000, 60, 100) < 5000, true);
    habit = (struct sync_habit){0};
    int apart = times_apart(&habit, 500, 100, 100);
    expect("not, where it makes no difference", apart > 420, true);
    expect("tried still", times_apart(&habit, 5000, 100, 100) < 5000, true);
    habit = (struct sync_habit){0};
    expect(
        "nor for one long period",
        (times_apart(&habit, 16, 100, 100), policy_shares_syncs(&habit, 5000), times_apart(&habit, 60, 100, 100) > 55),
        true);
}

int main(void) {
    sharing_syncs();
    one_fact_at_a_time();
    warming();
    asked_shortly(false);
    asked_shortly(true);
    pausing();
    first_line();
    dialogue();
    fresh();
    backing_off();
    rehearsing();
    reading();
    return failures != 0;
}
