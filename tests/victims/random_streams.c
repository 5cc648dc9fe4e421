/*
 * random_streams [--families NAME,…] [--keep N,N-N,…] SEED OPS DIR
 *
 * Some processes and some streams between them, pipes and sockets, that all of them have. They take turns; whose turn
 * it is and how it's handed on depends on nothing but the seed, and so does what each does: writes and reads in every
 * way, ends, children, signals, threads, with regular files in between. Whoever has the turn knows what must be in each
 * stream and in each file, and looks. What each was answered is printed at the end: two runs with the same seed, one of
 * them under the library, must say the same.
 *
 * Some operations are races, on streams of their own: of those it's printed what must come out.
 *
 * The operations are those of all families, or of the named ones. --keep performs only the turns of these numbers.
 */
#include "random_streams_threads.h"
#include <sys/resource.h>

#define OPERATION(name, weight, family)                                                                                \
    { #name, op_##name, weight, FAMILY_##family, false }
#define ALONE(name, weight, family)                                                                                    \
    { #name, op_##name, weight, FAMILY_##family, true }

static const struct operation {
    const char *name;
    void (*perform)(void);
    unsigned weight;
    enum family family;
    bool alone; // needs no turn
} operations[] = {
    OPERATION(burst, 40, data),
    OPERATION(turns, 12, data),
    OPERATION(put, 12, data),
    OPERATION(take, 30, data),
    OPERATION(answered, 6, data),
    OPERATION(look, 8, data),
    OPERATION(beyond, 4, data),
    OPERATION(refused, 6, data),
    OPERATION(mixed, 16, files),
    OPERATION(file_write, 8, files),
    OPERATION(file_check, 6, files),
    OPERATION(file_sync, 1, files),
    OPERATION(file_rename, 2, files),
    OPERATION(stdio, 12, stdio),
    OPERATION(stdio_take, 4, stdio),
    ALONE(popen, 1, stdio),
    OPERATION(splice_in, 4, splices),
    OPERATION(sendfile, 4, splices),
    OPERATION(vmsplice, 3, splices),
    OPERATION(tee, 3, splices),
    OPERATION(splice_out, 4, splices),
    OPERATION(dup, 8, ends),
    ALONE(closed, 5, ends),
    ALONE(shutdown, 3, ends),
    ALONE(broken, 4, ends),
    OPERATION(nonblocking, 4, ends),
    ALONE(filled, 2, ends),
    OPERATION(option, 4, ends),
    OPERATION(passed, 3, ends),
    OPERATION(reopened, 3, ends),
    OPERATION(replaced, 3, ends),
    OPERATION(seen, 4, processes),
    OPERATION(seen_by_image, 2, processes),
    OPERATION(continued, 2, processes),
    OPERATION(vforked, 2, processes),
    ALONE(piped, 2, processes),
    OPERATION(ended, 5, processes),
    ALONE(race, 4, crowds),
    ALONE(left, 3, crowds),
    ALONE(died_of_it, 2, crowds),
    ALONE(killed, 1, crowds),
    ALONE(crowd, 2, crowds),
    OPERATION(handled, 8, signals),
    OPERATION(awaited, 4, signals),
    OPERATION(anywhere, 2, signals),
    ALONE(interrupted, 2, signals),
    OPERATION(threads, 4, threads),
    ALONE(thread_race, 3, threads),
};

static bool suits(const struct operation *operation) {
    return has_family(operation->family) && (me.has_turn || operation->alone);
}

static void perform(void) {
    unsigned total = 0;
    const struct operation *operation = operations;
    for (size_t i = 0; i < COUNT_OF(operations); i++)
        total += suits(&operations[i]) ? operations[i].weight : 0;
    if (!total)
        return;
    for (uint64_t chosen = below(total);; operation++) {
        uint64_t weight = suits(operation) ? operation->weight : 0;
        if (chosen < weight)
            break;
        chosen -= weight;
    }
    note("-- %s", operation->name);
    operation->perform();
}

static void write_log(void) {
    struct name name;
    snprintf(name.text, sizeof name.text, "log.%d", me.number);
    int fd = open(name.text, O_CREAT | O_WRONLY | O_APPEND, 0600);
    require(fd >= 0);
    for (size_t done = 0; done < me.log_used;) {
        ssize_t written = write(fd, me.log + done, me.log_used - done);
        require(written > 0);
        done += (size_t)written;
    }
    require(!close(fd));
    me.log_used = 0;
}

static bool is_kept(int step) {
    for (char *at = (char *)options.kept; *at; at += *at == ',') {
        long first = strtol(at, &at, 10), last = *at == '-' ? strtol(at + 1, &at, 10) : first;
        if (first <= step && step <= last)
            return true;
    }
    return !*options.kept;
}

static int actor_of(int step) {
    return (int)(common_number(step, 0) % (unsigned)options.actors);
}

static void hand_on(int step) {
    if (step + 1 < options.ops && actor_of(step + 1) == me.number)
        return;
    world.step = step + 1;
    save_world();
    world.step = step;
    if (step + 1 < options.ops)
        give_token(step + 1, actor_of(step + 1));
    if (one_in(2))
        compute(); // the next one looks meanwhile
}

// What one does while the others go on.
static void go_on_alone(int step) {
    me.rng = common_number(step, 3);
    me.has_turn = false;
    if (one_in(4))
        perform();
    me.has_turn = true;
}

static void take_turn(int step) {
    world.step = step;
    if (!is_kept(step))
        return;
    me.rng = common_number(step, 2);
    note("%d", step);
    if (one_in(2) && has_family(FAMILY_data))
        op_look();
    for (unsigned ops = 1 + (unsigned)below(6); ops; ops--)
        perform();
    if (one_in(2) && has_family(FAMILY_data))
        op_turns(); // still under way when the turn is handed on
    if (has_family(FAMILY_processes) && one_in(30)) {
        note("exec");
        write_log();
        exec_self();
    }
}

static void play(int from, bool resumed) {
    for (int step = from; step < options.ops; step++) {
        if (actor_of(step) != me.number)
            continue;
        if (!resumed) {
            if (step == 0 || actor_of(step - 1) != me.number) {
                await_token(step);
                load_world(step);
                receive_ends();
            }
            take_turn(step);
        }
        resumed = false;
        hand_on(step);
        if (is_kept(step))
            go_on_alone(step);
    }
    write_log();
}

static void start_actor(int number) {
    struct name name;
    snprintf(name.text, sizeof name.text, "scratch.%d", number);
    me.number = number;
    me.has_turn = true;
    me.scratch = open(name.text, O_CREAT | O_RDWR, 0600);
    require(me.scratch >= 0);
    me.scratch_size = (uint64_t)lseek(me.scratch, 0, SEEK_END);
    for (int i = 0; i < FILES; i++)
        me.files[i] = -1;
    me.log = malloc(LOG_SIZE);
    require(me.log);
    signal(SIGPIPE, SIG_IGN);
}

static void resume(const char *counts, const char *numbers, const char *generations) {
    int number, step;
    unsigned streams;
    char *at = (char *)numbers, *generation = (char *)generations;
    require(sscanf(counts, "%d %d %u", &number, &step, &streams) == 3);
    start_actor(number);
    me.streams = streams;
    for (int i = 0; i < SLOTS; i++) {
        me.ends[i].in = (int)strtol(at, &at, 10);
        me.ends[i].out = (int)strtol(at, &at, 10);
        me.generations[i] = (unsigned)strtoul(generation, &generation, 10);
    }
    load_world(step);
    play(step, true);
    exit(0);
}

static void make_world(void) {
    int fd = open("world", O_CREAT | O_RDWR, 0600);
    require(fd >= 0);
    put_at(fd, WORLD_FD);
    for (int slot = 0; slot < SLOTS; slot++)
        me.ends[slot] =
            make_stream(&world.streams[slot], (enum kind)below(KIND_COUNT), (unsigned)slot, fifo_name(slot, 0).text);
    const char *tokens[] = {"token", "growing"};
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        fd = open(tokens[i], O_CREAT | O_WRONLY, 0600);
        require(fd >= 0 && !close(fd));
    }
    for (int file = 0; file < FILES; file++) {
        fd = open(file_name(file, 0).text, O_CREAT | O_WRONLY, 0600);
        require(fd >= 0 && !close(fd));
    }
    for (int actor = 0; actor < options.actors; actor++)
        make_channels(actor);
    save_world();
}

// One that fails ends the others.
static void await_all(const pid_t *actors) {
    for (int left = options.actors; left; left--) {
        int status = 0;
        pid_t ended = wait(&status);
        require(ended > 0);
        if (!status)
            continue;
        for (int i = 0; i < options.actors; i++)
            if (actors[i] != ended)
                kill(actors[i], SIGKILL);
        fprintf(stderr, "seed %llu: an actor ends with status %x\n", (unsigned long long)options.seed,
                (unsigned)status);
        exit(99);
    }
}

static void print_logs(void) {
    for (int actor = 0; actor < options.actors; actor++) {
        struct name name;
        ssize_t got;
        snprintf(name.text, sizeof name.text, "log.%d", actor);
        int fd = open(name.text, O_RDONLY);
        require(fd >= 0);
        while ((got = read(fd, data, sizeof data)) > 0)
            require(write(STDOUT_FILENO, data, (size_t)got) == got);
        require(!close(fd) && !unlink(name.text));
        snprintf(name.text, sizeof name.text, "scratch.%d", actor); // its size may depend on a race
        require(!unlink(name.text));
    }
}

static void conduct(void) {
    pid_t actors[ACTORS], parent = getpid();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, token_signal());
    require(!sigprocmask(SIG_BLOCK, &set, NULL)); // in all of them
    alarm(HANG_SECONDS);                          // the actors, who use it, too, end with this process
    make_world();
    for (int i = 0; i < options.actors; i++) {
        actors[i] = fork();
        require(actors[i] >= 0);
        if (actors[i] == 0) {
            require(!prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == parent);
            start_actor(i);
            play(0, false);
            exit(0);
        }
    }
    int fd = open("pids", O_CREAT | O_WRONLY, 0600);
    require(fd >= 0 && write(fd, actors, sizeof actors) == sizeof actors && !close(fd));
    give_token(0, actor_of(0));
    await_all(actors);
    print_logs();
    load_world(options.ops);
    for (int slot = 0; slot < SLOTS; slot++)
        if (world.streams[slot].kind == KIND_FIFO)
            require(!unlink(fifo_name(slot, world.generations[slot]).text));
    require(!unlink("world") && !unlink("pids") && !unlink("token") && !unlink("growing"));
}

static unsigned parse_families(char *names) {
    static const char *const known[] = {FAMILIES(NAME_TEXT)};
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

int main(int argc, char **argv) {
    char **resumed = NULL;
    int at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "--families"))
            options.families = parse_families(argv[++at]);
        else if (!strcmp(argv[at], "--keep"))
            options.kept = argv[++at];
        else if (!strcmp(argv[at], "--family-bits"))
            options.families = (unsigned)atoi(argv[++at]);
        else if (!strcmp(argv[at], "--look"))
            look_at(argv[++at]);
        else if (!strcmp(argv[at], "--resume") && at + 3 < argc)
            resumed = &argv[at + 1], at += 3;
        else
            break;
    }
    if (argc - at != 3)
        die("usage: random_streams [--families NAME,…] [--keep N,N-N,…] SEED OPS DIR");
    options.program = realpath("/proc/self/exe", NULL);
    options.seed = strtoull(argv[at], NULL, 0);
    options.ops = atoi(argv[at + 1]);
    require(!chdir(argv[at + 2]));
    require(!setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}));
    me.rng = options.seed;
    options.actors = 2 + (int)below(ACTORS - 1);
    if (resumed)
        resume(resumed[0], resumed[1], resumed[2]);
    conduct();
    return 0;
}
