/*
 * random_ops [--families NAME,…] [--threads N] [--own-only] [--log-each] [--keep N,N-N,…] SEED OPS DIR
 *
 * Performs a sequence of operations that depends on nothing but the seed, and says what each returned, what it left in
 * errno and what was read. At the end, says what all files contain. Two runs with the same seed, one of them under the
 * library, must say the same and leave the same files.
 *
 * The operations are those of all families, or of the named ones. With threads, each works on files of its own and
 * takes turns with the others on common ones (not with --own-only), handing the turn over in a way that no libc call
 * shows. --keep performs only the operations of these numbers: each has random numbers of its own, so that the others
 * stay what they are.
 */
#include "random_ops_maps.h"
#include "random_ops_processes.h"
#include "random_ops_signals.h"
#include "random_ops_stdio.h"
#include "random_ops_vectors.h"
#include <locale.h>
#include <sched.h>
#include <stdatomic.h>

struct options options = {.threads = 1, .families = (1u << FAMILY_COUNT) - 1};

static struct space common = {.prefix = 'c'};
static bool *kept; /* which operations, with --keep */

#define OPERATION(name, weight, family)                                                                                \
    { #name, op_##name, weight, FAMILY_##family }

static const struct operation {
    const char *name;
    void (*perform)(struct worker *w, struct space *s);
    unsigned weight;
    enum family family;
} operations[] = {
    OPERATION(burst, 30, data),
    OPERATION(write, 8, data),
    OPERATION(read, 14, data),
    OPERATION(read_run, 10, data),
    OPERATION(copy, 6, data),
    OPERATION(ioctl, 2, data),
    OPERATION(size_limit, 1, data),
    OPERATION(open, 12, files),
    OPERATION(close, 3, files),
    OPERATION(dup, 6, files),
    OPERATION(flags, 3, files),
    OPERATION(seek, 10, files),
    OPERATION(size, 8, files),
    OPERATION(names, 5, files),
    OPERATION(stat, 8, files),
    OPERATION(times, 2, files),
    OPERATION(sync, 4, files),
    OPERATION(vector, 8, vectors),
    OPERATION(bad_buffer, 3, vectors),
    OPERATION(bad_argument, 5, vectors),
    OPERATION(map, 2, maps),
    OPERATION(map_open, 1, maps),
    OPERATION(map_use, 5, maps),
    OPERATION(stream_open, 8, stdio),
    OPERATION(stream_write, 12, stdio),
    OPERATION(stream_read, 6, stdio),
    OPERATION(stream_run, 4, stdio),
    OPERATION(stream_seek, 6, stdio),
    OPERATION(stream_state, 6, stdio),
    OPERATION(stream_mix, 10, stdio),
    OPERATION(stream_dup, 3, stdio),
    OPERATION(stream_close, 2, stdio),
    OPERATION(stream_reopen, 2, stdio),
    OPERATION(stdio, 2, stdio),
    OPERATION(memory_stream, 1, stdio),
    OPERATION(mapped_stream, 2, stdio),
    OPERATION(wide_stream, 2, stdio),
    OPERATION(command, 1, stdio),
    OPERATION(standard, 4, stdio),
    OPERATION(signal, 10, signals),
    OPERATION(alarm, 1, signals),
    OPERATION(interrupted, 4, signals),
    OPERATION(fault, 2, signals),
    OPERATION(signal_of_write, 2, signals),
    OPERATION(fork, 2, processes),
    OPERATION(spawn, 1, processes),
    OPERATION(watched, 2, processes),
    OPERATION(turns, 2, processes),
    OPERATION(pass, 1, processes),
    OPERATION(stopped, 1, processes),
};

static bool suits(const struct worker *w, const struct operation *operation) {
    if (operation->family == FAMILY_processes && (w->in_handler || w->generation >= GENERATIONS))
        return false;
    return has_family(operation->family) && !(operation->family == FAMILY_signals && w->in_handler);
}

static void perform(struct worker *w, struct space *s) {
    unsigned total = 0;
    const struct operation *operation = operations;
    for (size_t i = 0; i < COUNT_OF(operations); i++)
        total += suits(w, &operations[i]) ? operations[i].weight : 0;
    for (uint64_t chosen = below(w, total);; operation++) {
        uint64_t weight = suits(w, operation) ? operation->weight : 0;
        if (chosen < weight)
            break;
        chosen -= weight;
    }
    note(w, "-- %s", operation->name);
    operation->perform(w, s);
}

static struct turn {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    atomic_int next;
} turn = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

/* By a lock for even seeds; for odd ones by an atomic alone. */
static void take_turn(struct worker *w) {
    if (options.seed % 2) {
        while (atomic_load_explicit(&turn.next, memory_order_acquire) != w->number)
            sched_yield();
        return;
    }
    pthread_mutex_lock(&turn.lock);
    while (turn.next != w->number)
        pthread_cond_wait(&turn.moved, &turn.lock);
}

static void give_turn(struct worker *w) {
    atomic_store_explicit(&turn.next, (w->number + 1) % options.threads, memory_order_release);
    if (options.seed % 2)
        return;
    pthread_cond_broadcast(&turn.moved);
    pthread_mutex_unlock(&turn.lock);
}

static void renew(struct worker *w, int operation, int common_too) {
    w->rng = options.seed * 1000003 + (uint64_t)w->number * 1009 + (uint64_t)operation * 17 + (uint64_t)common_too;
    rng_next(&w->rng);
}

static void *work(void *argument) {
    struct worker *w = argument;
    for (int i = 0; i < options.ops; i++) {
        bool performed = !kept || kept[i];
        if (performed) {
            note(w, "%d", i);
            renew(w, i, 0);
            perform(w, &w->own);
        }
        if (alone() || options.own_only || i % 8)
            continue;
        take_turn(w);
        renew(w, i, 1);
        for (int common_ops = 1 + (int)below(w, 3); common_ops && performed; common_ops--)
            perform(w, &common);
        give_turn(w);
    }
    return NULL;
}

static void start_space(struct space *s, const char *slots) {
    char *at = (char *)slots;
    for (int i = 0; i < SLOTS; i++)
        s->slots[i] = slots ? (int)strtol(at, &at, 10) : -1;
}

static void dump(struct worker *w, struct space *s) {
    for (int i = 0; i < FILES; i++) {
        int fd = open(file_name(s, i).text, O_RDONLY);
        off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
        char *content = malloc(size > 0 ? (size_t)size : 1);
        require(size <= 0 || pread(fd, content, (size_t)size, 0) == size);
        note(w, "file %s %lld %08x", file_name(s, i).text, (long long)size,
             checksum(content, size > 0 ? (size_t)size : 0));
        free(content);
        close(fd);
    }
}

/* Streams are closed, or left to the exit. */
static void finish(struct worker *w, struct space *s) {
    w->rng = options.seed + (uint64_t)w->number;
    for (int i = 0; i < STREAMS; i++)
        if (one_in(w, 2))
            close_stream(w, s, &s->streams[i]);
    dump(w, s);
    write_log(w);
}

static void *memory(size_t size) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(at != MAP_FAILED);
    return at;
}

static unsigned parse_families(char *names) {
    static const char *const known[] = {FAMILIES(FAMILY_NAME)};
    unsigned families = 0;
    for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
        unsigned at = 0;
        while (at < FAMILY_COUNT && strcmp(name, known[at]))
            at++;
        if (at == FAMILY_COUNT)
            die("no family of operations: %s", name);
        families |= 1u << at;
    }
    return families;
}

static void parse_kept(const char *list) {
    kept = calloc(1 << 20, sizeof(*kept));
    for (char *at = (char *)list; *at;) {
        long first = strtol(at, &at, 10), last = *at == '-' ? strtol(at + 1, &at, 10) : first;
        for (; first <= last && last < 1 << 20; first++)
            kept[first] = true;
        at += *at == ',';
    }
}

/* The log keeps the first standard output; what the program says is a file like the others. */
static void set_log_apart(void) {
    require(dup2(STDOUT_FILENO, LOG_FD) == LOG_FD);
    int fd = open("stdout", O_RDWR | O_CREAT, 0600);
    require(fd >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO && !close(fd));
}

/* libc loads its conversions at the first wide stream, under a lock that a fork by another thread would leave taken. */
static void load_conversions(void) {
    mbstate_t state = {0};
    wchar_t wide;
    require(mbrtowc(&wide, "a", 1, &state) == 1);
}

int main(int argc, char **argv) {
    const char *inherited = NULL;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "--log-each"))
            options.log_each = true;
        else if (!strcmp(argv[at], "--own-only"))
            options.own_only = true;
        else if (at + 1 == argc)
            break;
        else if (!strcmp(argv[at], "--threads"))
            options.threads = atoi(argv[++at]);
        else if (!strcmp(argv[at], "--families"))
            options.families = parse_families(argv[++at]);
        else if (!strcmp(argv[at], "--keep"))
            parse_kept(argv[++at]);
        else if (!strcmp(argv[at], "--family-bits"))
            options.families = (unsigned)atoi(argv[++at]);
        else if (!strcmp(argv[at], "--inherit"))
            inherited = argv[++at];
        else
            break;
    }
    if (argc - at != 3 || options.threads < 1 || options.threads > 8)
        die("usage: random_ops [--families NAME,…] [--threads N] [--own-only] [--log-each] [--keep N,N-N,…] SEED OPS "
            "DIR");
    options.program = realpath("/proc/self/exe", NULL);
    options.seed = strtoull(argv[at], NULL, 0);
    options.ops = atoi(argv[at + 1]);
    require(!chdir(argv[at + 2]));
    require(!setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}));
    require(setlocale(LC_CTYPE, "C.UTF-8"));
    signal(SIGXFSZ, SIG_IGN);
    alarm(HANG_SECONDS);
    if (!inherited)
        set_log_apart();
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    static struct worker workers[8];
    pthread_t threads[8];
    start_space(&common, NULL);
    for (int i = 0; i < options.threads; i++) {
        workers[i].number = i;
        workers[i].own.prefix = (char)('f' + i);
        workers[i].log = memory(LOG_SIZE);
        workers[i].data = memory(DATA_SIZE);
        workers[i].edge = memory(2 * page);
        workers[i].alternative = memory(256 * 1024);
        require(!mprotect(workers[i].edge + page, page, PROT_NONE));
        start_space(&workers[i].own, inherited);
    }
    load_conversions();
    if (alone())
        work(&workers[0]);
    else
        for (int i = 0; i < options.threads; i++)
            require(!pthread_create(&threads[i], NULL, work, &workers[i]));
    for (int i = 0; i < options.threads && !alone(); i++)
        require(!pthread_join(threads[i], NULL));
    for (int i = 0; i < options.threads; i++)
        finish(&workers[i], &workers[i].own);
    finish(&workers[0], &common);
    return 0;
}
