#include "base/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/config.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"

struct live {
    char header[LIVE_HEADER];
    struct stats place[LIVE_PLACES];
};

static struct live *live;
static _Atomic int used;
static const char *program;

static void file_name(char *name, size_t size) {
    struct text text = {name, size - 1, 0};
    text_add(&text, "/dev/shm/uringshim.");
    text_number(&text, sys(SYS_getpid));
    name[text.length] = '\0';
}

static void describe(struct live *to) {
    struct text text = {to->header, LIVE_HEADER - 1, 0};
    text_add(&text, "uringshim-live 1\ncounters ");
    text_number(&text, STATS_KEYS);
    text_add(&text, " places ");
    text_number(&text, LIVE_PLACES);
    text_add(&text, " program ");
    text_add(&text, program);
    text_add(&text, "\n");
    for (int i = 0; i < STATS_KEYS; i++) {
        text_add(&text, stats_key_family(i));
        text_add(&text, stats_key(i));
        text_add(&text, "\n");
    }
}

/* What is there under our number is of a process that has gone, or isn't ours to take away. */
static long make_file(void) {
    char name[64];
    struct rlimit limit;
    if (sys(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) != 0 || limit.rlim_cur < sizeof *live)
        return -EFBIG; /* or else there is a signal */
    file_name(name, sizeof name);
    sys(SYS_unlinkat, AT_FDCWD, name, 0);
    return sys(SYS_openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

void live_restart(void) {
    if (!config.live)
        return;
    long start, fd = make_file();
    if (fd < 0) {
        log_info("no live counters; errno", -fd);
        return;
    }
    long error = sys(SYS_fallocate, fd, 0, 0, sizeof *live); /* a page that isn't there is a SIGBUS */
    start = error ? error : sys(SYS_mmap, NULL, sizeof *live, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    sys(SYS_close, fd);
    if (SYS_IS_ERROR(start)) {
        log_info("no live counters; errno", -start);
        live_end();
        return;
    }
    live = (struct live *)start;
    atomic_store(&used, 0);
    describe(live);
    stats_move(live_place());
}

void live_start(const char *name) {
    program = name;
    live_restart();
}

struct stats *live_place(void) {
    int place = live ? atomic_fetch_add(&used, 1) : 0;
    return live && place < LIVE_PLACES ? &live->place[place] : NULL;
}

const void *live_mapping(void) {
    return live;
}

void live_forked(void) {
    if (!live)
        return;
    sys(SYS_munmap, live, sizeof *live);
    live = NULL;
}

void live_end(void) {
    char name[64];
    file_name(name, sizeof name);
    if (config.live)
        sys(SYS_unlinkat, AT_FDCWD, name, 0);
}
