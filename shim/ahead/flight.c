#include "ahead/flight.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/config.h"
#include "base/log.h"
#include "common/attention.h"
#include "common/flusher.h"
#include "common/rings.h"
#include "files/alone.h"

struct part {
    char *data;
    int64_t from;
    bool landed;
    int32_t result;
};

enum { PAUSE = 16 };

static struct {
    bool of_use;
    unsigned pause;       /* windows to be fetched by plain calls: the file system would have had to wait */
    struct thread *owner; /* of the ring */
    struct ring *ring;
    struct ofd *ofd; /* without a reference: who closes it settles the flight */
    int fd;
    struct version version; /* from before the first part was submitted, when nobody could write */
    int64_t next;           /* where the next part begins */
    unsigned first, count;  /* those under way, and landed ones that weren't taken yet */
    struct part part[FLIGHT_PARTS];
} flight FORKED;

static bool version_now(int fd, struct version *version) {
    struct stat st;
    if (sys(SYS_fstat, fd, &st) != 0)
        return false;
    *version = (struct version){st.st_dev, st.st_ino, st.st_size, st.st_ctim};
    return true;
}

/* Has nobody changed it since? */
static bool unchanged(int fd, const struct version *since) {
    struct version now;
    return version_now(fd, &now) && now.device == since->device && now.number == since->number &&
           now.changed.tv_sec == since->changed.tv_sec && now.changed.tv_nsec == since->changed.tv_nsec;
}

/* Was the last change so long ago that another one would show? The kernel's clock for it has steps of up to 10 ms. */
static bool would_show(const struct version *version) {
    enum { STEPS_MS = 50 };
    struct timespec now;
    const struct timespec *then = &version->changed;
    return sys(SYS_clock_gettime, CLOCK_REALTIME_COARSE, &now) == 0 &&
           (now.tv_sec - then->tv_sec) * 1000 + (now.tv_nsec - then->tv_nsec) / 1000000 > STEPS_MS;
}

/*
 * Nobody may write while the device reads, for a byte might be older than one before it. Nobody can who doesn't open
 * the file for writing first, and nobody has if it hasn't changed at the end.
 */
static int64_t fetch_alone(struct fetch *fetch, char *data) {
    struct version *version = &fetch->version;
    if (!version_now(fetch->fd, version) || !would_show(version))
        return -EBUSY;
    int error = alone_with(fetch->ofd, fetch->fd, ALONE_TO_READ, flusher_id());
    if (error) {
        stats_fallback("alone", -error);
        return -EAGAIN;
    }
    int64_t got = sys(SYS_pread64, fetch->fd, data, fetch->size, fetch->from);
    return unchanged(fetch->fd, version) ? got : -EAGAIN;
}

static struct part *part_at(unsigned i) {
    return &flight.part[(flight.first + i) % FLIGHT_PARTS];
}

static uint64_t tag(const struct part *part) {
    return (uint64_t)(part - flight.part);
}

/* By the ring's owner: takes out what has landed. */
static void note_landed(void) {
    uint64_t landed;
    int32_t result;
    while (ring_take(flight.ring, &landed, &result)) {
        flight.part[landed].landed = true;
        flight.part[landed].result = result;
    }
}

static bool under_way(const struct part *part) {
    int32_t result;
    return !part->landed && !ring_completed(flight.ring, tag(part), &result);
}

static bool all_landed(void) {
    for (unsigned i = 0; i < flight.count; i++)
        if (under_way(part_at(i)))
            return false;
    return true;
}

/* May anything be under way? A real-time thread could keep the helper from its processor, and wait for it. */
static bool permitted(void) {
    return config.engine != ENGINE_DIRECT && !(atomic_load(&wb_hindrances) & 1ull << REASON_real_time);
}

/* The bytes, if they are under way, and still what the file has now. -ENODATA: they aren't under way. */
static int64_t take(struct thread *self, char **data, const struct fetch *fetch) {
    struct part *part = part_at(0);
    if (!flight.of_use || flight.count == 0 || flight.owner != self || flight.ofd != fetch->ofd ||
        flight.fd != fetch->fd || part->from != fetch->from || fetch->direction < 0 || !permitted())
        return -ENODATA;
    for (note_landed(); !part->landed; note_landed())
        self->stats->count[COUNT_RING_ENTERS] += ring_wait(flight.ring, 1);
    if (part->result == -EAGAIN)
        flight.pause = PAUSE;
    else if (part->result == -EOPNOTSUPP)
        atomic_store_explicit(&fetch->ofd->inode->file_system->direct, INLINE_NO, memory_order_relaxed);
    if (part->result < 0) {
        stats_fallback("read_ahead", -part->result);
        return -ENODATA;
    }
    if (!unchanged(fetch->fd, &flight.version))
        return -EAGAIN;
    char *used = *data;
    *data = part->data;
    part->data = used;
    flight.first++;
    flight.count--;
    return part->result;
}

/* What is under way won't be used. It lands all the same. */
static void be_of_no_use(void) {
    if (flight.of_use && flight.count)
        log_debug("read for nothing; windows", (long)flight.count);
    flight.of_use = false;
}

int64_t flight_fetch(struct thread *self, char **data, struct fetch *fetch) {
    int64_t got = take(self, data, fetch);
    if (got < 0)
        be_of_no_use();
    if (got == -ENODATA) {
        got = fetch_alone(fetch, *data);
        fetch->alone = true;
    }
    fetch->whole = got == fetch->size;
    return got;
}

/* A new flight, behind what has just been fetched. False: not possible now. */
static bool begin(struct thread *self, char *memory, const struct fetch *fetch) {
    if (!all_landed())
        return false;
    flight.ring = NULL; /* it may be given up now */
    flight.count = 0;
    struct ring *ring = rings_get_reader(self, memory, (size_t)FLIGHT_BUFFERS * FLIGHT_PART);
    if (!ring)
        return false;
    ring_drain(ring);
    if (!flight.part[0].data)
        for (unsigned i = 0; i < FLIGHT_PARTS; i++)
            flight.part[i].data = memory + (1 + i) * (size_t)FLIGHT_PART;
    flight.of_use = true;
    flight.owner = self;
    flight.ring = ring;
    flight.ofd = fetch->ofd;
    flight.fd = fetch->fd;
    flight.version = fetch->version;
    flight.next = fetch->from + fetch->size;
    flight.first = 0;
    fetch->ofd->flown = true;
    return true;
}

/* How many windows are to be under way, behind one that is being used. */
static unsigned depth(const struct fetch *fetch) {
    if (!permitted() || fetch->direction < 0 ||
        atomic_load_explicit(&fetch->ofd->inode->file_system->direct, memory_order_relaxed) == INLINE_NO)
        return 0;
    if (config.engine == ENGINE_RING || fetch->run / FLIGHT_RUN > FLIGHT_PARTS)
        return FLIGHT_PARTS;
    return fetch->run / FLIGHT_RUN;
}

/* Submits as many as are missing, if the helper thread isn't busy. */
static void launch(struct thread *self, const struct fetch *fetch) {
    unsigned count = flight.count;
    int64_t next = flight.next;
    for (; count < depth(fetch) && next < flight.version.size; count++, next += fetch->size) {
        struct part *part = part_at(count);
        *part = (struct part){part->data, next, false, 0};
        ring_prepare_read(flight.ring, flight.fd, part->data, (uint32_t)fetch->size, next, tag(part));
    }
    if (count == flight.count)
        return;
    if (!flusher_try_submit(flight.ring, self->reading.generation)) {
        ring_drop(flight.ring);
        return;
    }
    self->stats->count[COUNT_RING_READS] += count - flight.count;
    self->stats->count[COUNT_RING_ENTERS]++;
    flight.count = count;
    flight.next = next;
}

void flight_goes_on(struct thread *self, char *memory, const struct fetch *fetch) {
    if (!fetch->whole || depth(fetch) == 0)
        return;
    if (fetch->alone && flight.pause) {
        flight.pause--;
        return;
    }
    if (fetch->alone ? begin(self, memory, fetch) : flight.of_use)
        launch(self, fetch);
}

static void await_landing(void) {
    struct timespec pause = {0, 20000};
    be_of_no_use();
    for (unsigned i = 0; i < flight.count; i++)
        while (under_way(part_at(i)))
            sys(SYS_nanosleep, &pause, NULL);
    flight.count = 0;
    flight.ofd = NULL;
}

void flight_settle(struct ofd *ofd) {
    if (!ofd && !flight.ofd)
        return;
    if (!ofd || flight.ofd == ofd)
        await_landing();
    flusher_pass();
    if (ofd)
        ofd->flown = false;
}

void flight_thread_ends(struct thread *self) {
    if (flight.owner == self) {
        flight_settle(NULL);
        flight.owner = NULL;
        flight.ring = NULL;
    }
    if (!(atomic_load(&wb_hindrances) & 1ull << REASON_seccomp))
        rings_reader_ends(self);
    self->reading.ring = NULL;
}

void flight_forked(void) {
    memset(&flight, 0, sizeof flight);
}
