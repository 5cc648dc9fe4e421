#include "base/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnu/lib-names.h>
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

bool real_is_ours(const char *name) {
    struct symbols symbols;
    const struct link_map *object = own_object();
    return object && symbols_find(object, &symbols) && symbols_look_up(&symbols, name, symbols_hash(name), VERSION_ANY);
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

static bool find_libc(struct symbols *symbols) {
    for (const struct link_map *object = _r_debug.r_map; object; object = object->l_next)
        if (symbols_find(object, symbols) && symbols->file && strcmp(symbols->file, LIBC_SO) == 0)
            return true;
    symbols->object = NULL;
    return false;
}

void *real_libc(const char *name) {
    static struct symbols libc; /* found by the constructor, before there can be a second thread */
    if (!libc.object && !find_libc(&libc))
        return NULL;
    uint32_t symbol = symbols_look_up(&libc, name, symbols_hash(name), VERSION_DEFAULT);
    return symbol ? symbols_address(&libc, symbol) : NULL;
}

void *real_resolve(void **slot, const char *name) {
    int saved = errno;
    void *found = next_definition(name, VERSION_DEFAULT);
    if (unlikely(!found))
        found = dlsym(RTLD_NEXT, name);
    if (unlikely(!found))
        found = next_definition(name, VERSION_ANY);
    if (unlikely(!found))
        found = (void *)missing;
    __atomic_store_n(slot, found, __ATOMIC_RELAXED);
    errno = saved;
    return found;
}
