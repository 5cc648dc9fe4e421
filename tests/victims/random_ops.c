/*
 * random_ops [--threads N] [--forks] [--log-each] [--own-only] SEED OPS DIR
 *
 * Performs a sequence of file operations that depends on nothing but the seed, and says what each returned, what it
 * left in errno and what was read. At the end, says what all files contain. Two runs with the same seed, one of them
 * under the library, must say the same and leave the same files.
 *
 * With threads, each works on files of its own and takes turns with the others on common ones (not with --own-only),
 * handing the turn over in a way that no libc call shows.
 */
#include "random_ops_data.h"
#include "random_ops_files.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>

struct options options = {.threads = 1};

static struct space common = {.prefix = 'c'};
static char *program;

static void perform(struct worker *w, struct space *s);

static void write_log(struct worker *w) {
    for (size_t done = 0; done < w->log_used;) {
        ssize_t written = write(STDOUT_FILENO, w->log + done, w->log_used - done);
        require(written > 0);
        done += (size_t)written;
    }
    w->log_used = 0;
}

/* The last writes before a process ends, in each way it can end, are the easiest to lose. */
static void leave(struct worker *w, struct space *s, int way) {
    char slots[SLOTS * 16] = "", seed[24];
    w->mute = true;
    op_burst(w, s);
    switch (way) {
    case 0:
        exit(3);
    case 1:
        abort();
    case 2:
        kill(getpid(), SIGKILL);
        break;
    case 3:
        raise(SIGTERM);
        break;
    case 4:
        if (options.threads > 1) /* the numbers depend on timing, and the new image would show them */
            break;
        for (int i = 0; i < SLOTS; i++)
            sprintf(slots + strlen(slots), "%d ", s->slots[i]);
        snprintf(seed, sizeof(seed), "%llu", (unsigned long long)rng_next(&w->rng));
        execl(program, program, options.log_each ? "--log-each" : "--forks", "--inherit", slots, seed, "20", ".", NULL);
        break;
    case 5:
        execl("missing", "missing", NULL);
        op_burst(w, s);
    }
    _exit(4);
}

static void op_fork(struct worker *w, struct space *s) {
    enum { VFORK = 6, SPAWN, WAYS };
    int way = (int)below(w, WAYS), status = 0;
    uint64_t seed = rng_next(&w->rng);
    char *arguments[] = {"true", NULL};
    pid_t child = -1;
    if (!options.forks)
        return;
    op_write(w, s);
    if (way == SPAWN) {
        require(!posix_spawn(&child, "/bin/true", NULL, NULL, arguments, NULL));
    } else if (way == VFORK) {
        child = vfork();
        if (child == 0)
            _exit(7);
    } else {
        child = fork();
        if (child == 0) {
            alarm(60); /* not inherited */
            w->log_used = 0;
            w->rng = seed;
            options.forks = false;
            for (int i = 0; i < 20; i++)
                perform(w, s);
            write_log(w);
            leave(w, s, way);
        }
    }
    require(child > 0);
    require(waitpid(child, &status, 0) == child);
    note(w, "child %d", status & ~0x80);
    op_stat(w, s);
    op_read(w, s);
}

static const struct {
    void (*perform)(struct worker *w, struct space *s);
    unsigned weight;
} operations[] = {
    {op_burst, 30},     {op_write, 8},        {op_read, 14}, {op_open, 12}, {op_close, 3}, {op_dup, 6},
    {op_flags, 3},      {op_seek, 10},        {op_size, 8},  {op_names, 5}, {op_stat, 8},  {op_times, 2},
    {op_sync, 4},       {op_map, 3},          {op_copy, 6},  {op_stdio, 2}, {op_fork, 3},  {op_bad_buffer, 3},
    {op_size_limit, 1}, {op_bad_argument, 5}, {op_ioctl, 2},
};

static void perform(struct worker *w, struct space *s) {
    unsigned total = 0, at = 0;
    for (size_t i = 0; i < COUNT_OF(operations); i++)
        total += operations[i].weight;
    uint64_t chosen = below(w, total);
    while (chosen >= operations[at].weight)
        chosen -= operations[at++].weight;
    operations[at].perform(w, s);
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

static void *work(void *argument) {
    struct worker *w = argument;
    for (int i = 0; i < options.ops; i++) {
        perform(w, &w->own);
        if (options.threads == 1 || options.own_only || i % 8)
            continue;
        take_turn(w);
        for (int common_ops = 1 + (int)below(w, 3); common_ops; common_ops--)
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

static void *memory(size_t size) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(at != MAP_FAILED);
    return at;
}

int main(int argc, char **argv) {
    const char *inherited = NULL;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "--threads"))
            options.threads = atoi(argv[++at]);
        else if (!strcmp(argv[at], "--inherit"))
            inherited = argv[++at];
        else if (!strcmp(argv[at], "--forks"))
            options.forks = true;
        else if (!strcmp(argv[at], "--log-each"))
            options.log_each = true;
        else if (!strcmp(argv[at], "--own-only"))
            options.own_only = true;
    }
    if (argc - at != 3 || options.threads < 1 || options.threads > 16)
        die("usage: random_ops [--threads N] [--forks] [--log-each] [--own-only] SEED OPS DIR");
    program = realpath("/proc/self/exe", NULL);
    options.seed = strtoull(argv[at], NULL, 0);
    options.ops = atoi(argv[at + 1]);
    require(!chdir(argv[at + 2]));
    require(!setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}));
    signal(SIGXFSZ, SIG_IGN);
    alarm(60);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    struct worker workers[16] = {0};
    pthread_t threads[16];
    start_space(&common, NULL);
    for (int i = 0; i < options.threads; i++) {
        workers[i] =
            (struct worker){.number = i, .rng = options.seed * 1000 + (uint64_t)i, .own.prefix = (char)('f' + i)};
        workers[i].log = memory(LOG_SIZE);
        workers[i].data = memory(DATA_SIZE);
        workers[i].edge = memory(2 * page);
        require(!mprotect(workers[i].edge + page, page, PROT_NONE));
        start_space(&workers[i].own, inherited);
    }
    if (options.threads == 1)
        work(&workers[0]);
    else
        for (int i = 0; i < options.threads; i++)
            require(!pthread_create(&threads[i], NULL, work, &workers[i]));
    for (int i = 0; i < options.threads && options.threads > 1; i++)
        require(!pthread_join(threads[i], NULL));
    for (int i = 0; i < options.threads; i++) {
        dump(&workers[i], &workers[i].own);
        write_log(&workers[i]);
    }
    dump(&workers[0], &common);
    write_log(&workers[0]);
    return 0;
}
