#include "base/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/symbols.h"

static long missing(void) {
    errno = ENOSYS;
    return -1;
}

static const struct link_map *own_object(void) {
    const struct link_map *object = _r_debug.r_map;
    while (object && object->l_ld != _DYNAMIC)
        object = object->l_next;
    return object;
}

static bool defined_by_us(const char *name, enum wanted wanted) {
    struct symbols symbols;
    const struct link_map *object = own_object();
    return object && symbols_find(object, &symbols) && symbols_look_up(&symbols, name, symbols_hash(name), wanted);
}

bool real_is_ours(const char *name) {
    return defined_by_us(name, VERSION_ANY);
}

bool real_is_ours_plainly(const char *name) {
    return defined_by_us(name, VERSION_DEFAULT);
}

const char *real_own_path(void) {
    const struct link_map *object = own_object();
    return object ? object->l_name : NULL;
}

bool real_behind_us(bool (*found)(const char *path)) {
    const struct link_map *object = own_object();
    while (object && (object = object->l_next))
        if (found(object->l_name))
            return true;
    return false;
}

/*
 * In the objects that were loaded with the program, after this one: the loader's list begins with them, in the order of
 * the search. They stay, so no lock is needed. From the loader itself on none is looked at. NULL: it may know better.
 */
static void *next_definition(const char *name, enum wanted wanted) {
    struct symbols symbols;
    uint32_t hash = symbols_hash(name);
    const struct link_map *object = own_object();
    while (object && (object = object->l_next) && object->l_addr != _r_debug.r_ldbase) {
        bool readable = symbols_find(object, &symbols);
        if (!readable && wanted == VERSION_DEFAULT)
            return NULL;
        if (!readable) /* the loader has found nothing there */
            continue;
        uint32_t symbol = symbols_look_up(&symbols, name, hash, wanted);
        if (symbol)
            return symbols_address(&symbols, symbol);
    }
    return NULL;
}

void *real_loaded(const char *name) {
    void *found = next_definition(name, VERSION_DEFAULT);
    return found ? found : next_definition(name, VERSION_ANY);
}

/* The parts of libc, which are one since glibc 2.34: until then each comes only with who is linked with it. */
static const char *const part_files[] = {
    "libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libresolv.so.2", "libanl.so.1", "libutil.so.1",
};
enum { PARTS = sizeof part_files / sizeof *part_files };
static struct part {
    struct link_map object;
    struct symbols symbols;
    _Atomic bool found; /* it stays then */
} parts[PARTS];

/* Of libc's parts the one that is this object, or NULL. */
static struct part *part_of(const struct link_map *object, struct symbols *symbols) {
    if (object->l_ld && symbols_find(object, symbols) && symbols->file)
        for (int i = 0; i < PARTS; i++)
            if (strcmp(symbols->file, part_files[i]) == 0)
                return &parts[i];
    return NULL;
}

static void keep(struct part *part, const struct symbols *symbols) {
    if (atomic_load_explicit(&part->found, memory_order_acquire))
        return;
    part->object = (struct link_map){.l_addr = symbols->object->l_addr, .l_ld = symbols->object->l_ld};
    part->symbols = *symbols;
    part->symbols.object = &part->object;
    atomic_store_explicit(&part->found, true, memory_order_release);
}

/* By the constructor, before there can be a second thread. What is there stays. */
static void find_parts(void) {
    static bool looked;
    if (looked)
        return;
    looked = true;
    for (const struct link_map *object = _r_debug.r_map; object; object = object->l_next) {
        struct symbols symbols;
        struct part *part = part_of(object, &symbols);
        if (part)
            keep(part, &symbols);
    }
}

struct search {
    const char *name;
    void *found;
};

/* What came later isn't kept if it may be unloaded again. */
static int look_at_loaded(struct dl_phdr_info *loaded, size_t size, void *wanted) {
    struct search *search = wanted;
    struct link_map object = symbols_object(loaded);
    struct symbols symbols;
    uint32_t symbol;
    (void)size;
    struct part *part = part_of(&object, &symbols);
    if (part && symbols.stays)
        keep(part, &symbols);
    else if (part && !search->found &&
             (symbol = symbols_look_up(&symbols, search->name, symbols_hash(search->name), VERSION_DEFAULT)))
        search->found = symbols_address(&symbols, symbol);
    return 0;
}

void *real_libc(const char *name) {
    uint32_t hash = symbols_hash(name), symbol;
    find_parts();
    for (int i = 0; i < PARTS; i++)
        if (atomic_load_explicit(&parts[i].found, memory_order_acquire) &&
            (symbol = symbols_look_up(&parts[i].symbols, name, hash, VERSION_DEFAULT)))
            return symbols_address(&parts[i].symbols, symbol);
    return NULL;
}

/* The loader's lock keeps what is looked at from being unloaded; what is kept has been relocated. */
void *real_libc_later(const char *name, bool *stays) {
    __typeof__(&dl_iterate_phdr) objects = LIBC(dl_iterate_phdr);
    struct search search = {name, NULL};
    if (objects)
        objects(look_at_loaded, &search);
    void *found = real_libc(name);
    *stays = found || !search.found;
    return found ? found : search.found;
}

/* One whose names can't be read may ask for any. */
static int asks_plainly(struct dl_phdr_info *loaded, size_t size, void *name) {
    struct link_map object = symbols_object(loaded);
    struct symbols symbols;
    (void)size;
    if (!object.l_ld)
        return 0;
    symbols_find(&object, &symbols);
    return !symbols.table || !symbols.names || symbols_asks_plainly(&symbols, name);
}

bool real_asked_plainly(const char *name) {
    __typeof__(&dl_iterate_phdr) objects = LIBC(dl_iterate_phdr);
    return !objects || objects(asks_plainly, (void *)name);
}

/* Of the objects that were loaded with the program the first that has it: in the order of the search, we left out. */
static bool find_elsewhere(struct symbols *symbols, uint32_t *symbol, const char *name) {
    uint32_t hash = symbols_hash(name);
    for (const struct link_map *object = _r_debug.r_map; object; object = object->l_next) {
        if (object->l_ld != _DYNAMIC && symbols_find(object, symbols) &&
            (*symbol = symbols_look_up(symbols, name, hash, VERSION_DEFAULT)))
            return true;
        if (object->l_addr == _r_debug.r_ldbase)
            break;
    }
    return false;
}

bool real_elsewhere(const char *name) {
    struct symbols symbols;
    uint32_t symbol;
    return find_elsewhere(&symbols, &symbol, name);
}

void *real_variable(const char *name) {
    struct symbols program;
    uint32_t symbol = 0;
    if (symbols_find(_r_debug.r_map, &program))
        symbol = symbols_look_up(&program, name, symbols_hash(name), VERSION_DEFAULT);
    return symbol ? symbols_address(&program, symbol) : real_libc(name);
}

void *real_in(const char *file, const char *name) {
    struct symbols symbols;
    uint32_t hash = symbols_hash(name), symbol;
    for (const struct link_map *object = _r_debug.r_map; object; object = object->l_next)
        if (symbols_find(object, &symbols) && symbols.file && strcmp(symbols.file, file) == 0 &&
            (symbol = symbols_look_up(&symbols, name, hash, VERSION_DEFAULT)))
            return symbols_address(&symbols, symbol);
    return NULL;
}

static void *ask_loader(const char *name) {
    __typeof__(&dlsym) ask = real_loaded("dlsym");
    void *found = ask ? ask(RTLD_NEXT, name) : NULL;
    __asm__ volatile("" : "+r"(found)); /* no jump: it looks at who calls it */
    return found;
}

void *real_resolve(void **slot, const char *name) {
    int saved = errno;
    bool stays = true;
    void *found = next_definition(name, VERSION_DEFAULT);
    if (unlikely(!found) && (found = ask_loader(name)))
        real_libc_later(name, &stays);
    if (unlikely(!found))
        found = next_definition(name, VERSION_ANY);
    if (unlikely(!found))
        found = real_libc_later(name, &stays);
    if (unlikely(!found))
        found = (void *)missing;
    if (likely(stays))
        __atomic_store_n(slot, found, __ATOMIC_RELAXED);
    errno = saved;
    return found;
}
