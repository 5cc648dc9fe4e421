#include "code/look.h"

#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/maps.h"
#include "base/real.h"
#include "base/sys.h"

/* What has been looked at and is clean. One that is forgotten is looked at again. */
enum { SEEN_MAX = 512 };
static struct seen { uint64_t start, end, device, inode; } seen[SEEN_MAX] APART;
static uint32_t seen_count;

enum { TRUSTED = 5 };

struct visit {
    struct calls_search search; /* first: what its callback is given */
    struct look *look;
    uintptr_t trusted[TRUSTED]; /* addresses in code that is known */
    uint64_t object;            /* where the object file begins of which this mapping is a part, if it is of one */
    uint64_t device, inode;
};

static bool read_memory(const struct code_source *source, uint64_t address, void *to, size_t n) {
    struct iovec local = {to, n}, remote = {(void *)address, n};
    return sys(SYS_process_vm_readv, source->process, &local, 1, &remote, 1, 0) == (long)n;
}

/* Where a filter forbids that, as for containers of before Linux 4.8. */
static bool read_memory_file(const struct code_source *source, uint64_t address, void *to, size_t n) {
    return sys(SYS_pread64, source->process, to, n, address) == (long)n;
}

static bool can_read(const struct code_source *memory) {
    uint8_t byte;
    return memory->read(memory, (uintptr_t)look_at_code, &byte, sizeof byte);
}

/* Before glibc 2.34 threads, and timers and message queues, were libraries of their own; those of threads may come
 * later. */
static void find_trusted(struct visit *visit) {
    visit->trusted[0] = (uintptr_t)look_at_code;
    visit->trusted[1] = (uintptr_t)real_loaded("gnu_get_libc_version"); /* the helper thread can't ask the loader */
    visit->trusted[2] = (uintptr_t)_r_debug.r_brk;
    visit->trusted[3] = (uintptr_t)real_libc("pthread_key_create");
    visit->trusted[4] = (uintptr_t)real_loaded("mq_notify");
}

static bool is_trusted(const struct visit *visit, const struct mapping *mapping) {
    if (strcmp(mapping->name, "[vdso]") == 0 || strcmp(mapping->name, "[vsyscall]") == 0 ||
        strcmp(mapping->name, "[uprobes]") == 0)
        return true;
    for (int i = 0; i < TRUSTED; i++)
        if (mapping->start <= visit->trusted[i] && visit->trusted[i] < mapping->end)
            return true;
    return false;
}

static bool was_seen(const struct mapping *mapping) {
    for (uint32_t i = 0; i < seen_count; i++)
        if (seen[i].start == mapping->start && seen[i].end == mapping->end && seen[i].device == mapping->device &&
            seen[i].inode == mapping->inode)
            return true;
    return false;
}

/* A child of fork may find it at any moment. What belongs to no file may change without a call, and is looked at anew.
 */
static void remember(const struct mapping *mapping) {
    if (mapping->inode == 0 || seen_count == SEEN_MAX)
        return;
    seen[seen_count] = (struct seen){mapping->start, mapping->end, mapping->device, mapping->inode};
    __atomic_store_n(&seen_count, seen_count + 1, __ATOMIC_RELEASE);
}

static bool overlaps(const struct seen *code, uintptr_t start, size_t length) {
    return start < code->end && (code->start <= start || code->start - start < length);
}

bool look_knows(uintptr_t start, size_t length) {
    for (uint32_t i = __atomic_load_n(&seen_count, __ATOMIC_ACQUIRE); i-- > 0;)
        if (overlaps(&seen[i], start, length))
            return true;
    return false;
}

void look_forget(uintptr_t start, size_t length) {
    for (uint32_t i = seen_count; i-- > 0;)
        if (overlaps(&seen[i], start, length))
            seen[i] = seen[--seen_count];
}

static bool note(struct calls_search *search, uint64_t address, int64_t number) {
    struct visit *visit = (struct visit *)search;
    visit->look->address = address;
    visit->look->number = number;
    return false;
}

static void note_place(struct look *look, const struct mapping *mapping) {
    size_t length = strlen(mapping->name);
    size_t over = length < sizeof look->name ? 0 : length - (sizeof look->name - 1);
    memcpy(look->name, mapping->name + over, length - over + 1);
    look->from = mapping->start - mapping->offset;
}

static enum calls_verdict examine(struct visit *visit, const struct mapping *mapping) {
    struct object object;
    if (mapping->inode == 0 || mapping->inode != visit->inode || mapping->device != visit->device ||
        !object_open(&object, visit->search.source, visit->object))
        return calls_in(&visit->search, NULL, mapping->start, mapping->end);
    enum calls_verdict verdict =
        object.go ? CALLS_FOUND : calls_in(&visit->search, &object, mapping->start, mapping->end);
    object_close(&object);
    return verdict;
}

static void see(const struct mapping *mapping, void *argument) {
    struct visit *visit = argument;
    if (mapping->inode && mapping->offset == 0) {
        visit->object = mapping->start;
        visit->device = mapping->device;
        visit->inode = mapping->inode;
    }
    if (visit->look->verdict != CALLS_NONE || !mapping->executable || is_trusted(visit, mapping) || was_seen(mapping))
        return;
    visit->look->verdict = examine(visit, mapping);
    if (visit->look->verdict == CALLS_NONE)
        remember(mapping);
    else
        note_place(visit->look, mapping);
}

static void look_at(struct look *look, const struct code_source *memory, const _Atomic bool *stop) {
    struct visit visit = {.search = {.source = memory, .found = note, .stop = stop}, .look = look};
    if (!calls_begin(&visit.search))
        return;
    find_trusted(&visit);
    look->verdict = CALLS_NONE;
    if (!maps_read(see, &visit) && look->verdict == CALLS_NONE)
        look->verdict = CALLS_UNKNOWN;
    calls_end(&visit.search);
}

void look_at_code(struct look *look, const _Atomic bool *stop) {
    struct code_source memory = {.read = read_memory, .process = sys(SYS_getpid)};
    *look = (struct look){.verdict = CALLS_UNKNOWN, .number = -1};
    if (can_read(&memory)) {
        look_at(look, &memory, stop);
        return;
    }
    long fd = sys(SYS_openat, AT_FDCWD, "/proc/thread-self/mem", O_RDONLY | O_CLOEXEC);
    memory = (struct code_source){.read = read_memory_file, .process = fd};
    if (fd >= 0 && can_read(&memory))
        look_at(look, &memory, stop);
    if (fd >= 0)
        sys(SYS_close, fd);
}
