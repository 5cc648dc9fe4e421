#include "entry/life/libc_version.h"

#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "base/config.h"
#include "base/libc.h"
#include "base/symbols.h"
#include "base/sys.h"
#include "base/text.h"

/* The functions of late.c, and the versions in which libc got them: in ascending order. */
static const struct late {
    const char *name;
    int since;
} late[] = {
#define BARRIER(...)
#define RECEIVE(...)
#define FEED(...)
#define TOUCH(...)
#define TAKE(...)
#define NEWFILE(...)
#define RESIZE(...)
#define SPAWN(...)
#define LAUNCH(...)
#define VISIT(...)
#define CLOCK(...)
#define ZONE(...)
#define ZONED(...)
#define HELPER(...)
#define OWN(name)
#define LATE(name, minor) {#name, minor},
#include "entry/calls.def"
};
enum { LATE_FUNCTIONS = sizeof late / sizeof *late };

/* Before the constructor nothing is configured. */
static int newest(void) {
    return config.newest ? (int)config.newest : LIBC_NEWEST;
}

/* Is there any function in this libc that must be looked for? */
static bool all_known(void) {
    return likely(libc_minor() <= newest() && libc_minor() < late[0].since);
}

bool libc_version_unknown(const char *version) {
    int minor = libc_version_minor(version);
    return minor > newest() && minor <= libc_minor();
}

static bool is_late(const char *name) {
    for (int i = 0; i < LATE_FUNCTIONS; i++)
        if (strcmp(late[i].name, name) == 0)
            return true;
    return false;
}

static bool is_libc(const char *file) {
    return file && text_after(file, "libc.so.");
}

/* libc stays where it is. Whoever looks at the same time finds the same. */
static const struct symbols *find_libc(void) {
    static struct symbols libc;
    static _Atomic bool found;
    if (likely(atomic_load_explicit(&found, memory_order_acquire)))
        return &libc;
    for (const struct link_map *object = _r_debug.r_map; object; object = object->l_next) {
        struct symbols symbols;
        if (object->l_ld == _DYNAMIC || !symbols_find(object, &symbols) || !is_libc(symbols.file))
            continue;
        libc = symbols;
        atomic_store_explicit(&found, true, memory_order_release);
        return &libc;
    }
    return NULL;
}

/* Would libc's function of this name, if it has one, pass us by? Most often the name alone says no. */
static bool passes_by(const char *name) {
    bool named = is_late(name);
    if (!named && libc_minor() <= newest())
        return false;
    const struct symbols *libc = find_libc();
    if (!libc)
        return true;
    uint32_t symbol = symbols_look_up(libc, name, symbols_hash(name), VERSION_DEFAULT);
    const char *version = symbol ? symbols_version(libc, symbol) : NULL;
    return symbol && (named || (version && libc_version_unknown(version)));
}

/* Is it linked with functions that libc has in a version newer than we know? */
static bool needs_newer(const struct symbols *symbols) {
    for (const Elf64_Verneed *file = symbols->needed; file;) {
        const Elf64_Vernaux *version = (const void *)((const char *)file + file->vn_aux);
        for (int left = is_libc(symbols->names + file->vn_file) ? file->vn_cnt : 0; left > 0; left--) {
            if (libc_version_unknown(symbols->names + version->vna_name))
                return true;
            version = (const void *)((const char *)version + version->vna_next);
        }
        file = file->vn_next ? (const void *)((const char *)file + file->vn_next) : NULL;
    }
    return false;
}

/* Or with a name alone, which then means libc's newest? What an object wants stands before what it has to give. */
static bool wants_by_name(const struct symbols *symbols) {
    enum { FIRST_NAMED = 2, ANY_VERSION = 0x7fff };
    uint32_t given = symbols->hashes[1];
    for (uint32_t i = 1; i < given; i++) {
        const Elf64_Sym *symbol = &symbols->table[i];
        bool bare = !symbols->versions || (symbols->versions[i] & ANY_VERSION) < FIRST_NAMED;
        if (bare && symbol->st_shndx == SHN_UNDEF && passes_by(symbols->names + symbol->st_name))
            return true;
    }
    return false;
}

/* Who hasn't a table of what it gives may want anything, but for the kernel's own part, which wants nothing. */
static bool wants_unknown(const struct link_map *object) {
    struct symbols symbols;
    if (object->l_ld == _DYNAMIC || object->l_addr == _r_debug.r_ldbase)
        return false;
    if (!symbols_find(object, &symbols))
        return symbols.needed != NULL;
    return !is_libc(symbols.file) && (needs_newer(&symbols) || wants_by_name(&symbols));
}

/* Those that were loaded with the program come first, and stay. */
bool libc_calls_unknown(void) {
    if (all_known())
        return false;
    for (const struct link_map *object = _r_debug.r_map; object; object = object->l_next) {
        if (wants_unknown(object))
            return true;
        if (object->l_addr == _r_debug.r_ldbase)
            break;
    }
    return false;
}

static int look_at_loaded(struct dl_phdr_info *loaded, size_t size, void *unused) {
    struct link_map object = symbols_object(loaded);
    (void)size, (void)unused;
    return object.l_ld && wants_unknown(&object);
}

bool libc_loaded_unknown(void) {
    return !all_known() && dl_iterate_phdr(look_at_loaded, NULL);
}

bool libc_name_unknown(const char *name) {
    return !all_known() && passes_by(name);
}
