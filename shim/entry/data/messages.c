/*
 * Locales and message catalogues. A locale is read when it is asked for: rarely, so these are barriers. A catalogue is
 * read when the first message of it is asked for, and kept: only the first call for each domain and locale is
 * announced.
 */
#include <libintl.h>
#include <locale.h>
#include <string.h>

#include "entry/data/environment.h"
#include "entry/data/libc_reads.h"
#include "entry/entry.h"
#include "entry/life/activate.h"

#undef gettext
#undef dgettext
#undef ngettext
#undef dngettext

extern locale_t __newlocale(int categories, const char *name, locale_t base);
extern locale_t __duplocale(locale_t locale);
extern char *__dgettext(const char *domain, const char *text);
extern char *__dcgettext(const char *domain, const char *text, int category);

/* Counts what may change which catalogue a domain means. */
static _Atomic uint64_t changes;

/* The catalogues that libc has looked for already, each where its hash says. */
enum { CATALOGUES = 32 };
static _Atomic uint64_t catalogues[CATALOGUES] LATER;

static void changed(void) {
    atomic_fetch_add(&changes, 1);
}

/* From now on nobody knows when libc reads a file that the program may have written. */
static void reads_unseen(const char *call) {
    wb_hinder(REASON_libc_reads);
    deactivate(call);
}

/* Conversions are loaded with the first wide character in a locale: they can't all be watched. */
bool conversions_by_user(void) {
    return environment_value("GCONV_PATH") != NULL;
}

static uint64_t number_hash(uint64_t hash, uint64_t value) {
    for (int i = 0; i < 64; i += 8)
        hash = (hash ^ (value >> i & 255)) * 1099511628211ull;
    return hash;
}

static uint64_t catalogue(const char *domain, int category) {
    const char *languages = environment_value("LANGUAGE");
    uint64_t hash = environment_hash(ENVIRONMENT_HASH, domain ? domain : "");
    hash = environment_hash(hash, languages ? languages : "");
    hash = number_hash(hash, (uint64_t)category << 1 | !domain);
    hash = number_hash(hash, (uintptr_t)REAL(uselocale)(NULL));
    return number_hash(hash, atomic_load(&changes));
}

/* Might libc read a file now? Then what was there to be done before has been done. */
static bool message_reads(const char *call, const char *domain, int category) {
    if (likely(!wb_attention()) || !thread_free(thread_self()))
        return false;
    uint64_t hash = catalogue(domain, category);
    _Atomic uint64_t *place = &catalogues[hash % CATALOGUES];
    if (atomic_load_explicit(place, memory_order_relaxed) == hash)
        return false;
    announce(call);
    atomic_store_explicit(place, hash, memory_order_relaxed);
    return true;
}

#define MESSAGE(name, parameters, arguments, domain, category)                                                         \
    EXPORT char *name parameters {                                                                                     \
        if (unlikely(message_reads(#name, domain, category)))                                                          \
            return CALL(name, arguments);                                                                              \
        return REAL(name) arguments;                                                                                   \
    }

MESSAGE(gettext, (const char *text), (text), NULL, LC_MESSAGES)
MESSAGE(dgettext, (const char *domain, const char *text), (domain, text), domain, LC_MESSAGES)
MESSAGE(__dgettext, (const char *domain, const char *text), (domain, text), domain, LC_MESSAGES)
MESSAGE(dcgettext, (const char *domain, const char *text, int category), (domain, text, category), domain, category)
MESSAGE(__dcgettext, (const char *domain, const char *text, int category), (domain, text, category), domain, category)
MESSAGE(ngettext, (const char *one, const char *many, unsigned long n), (one, many, n), NULL, LC_MESSAGES)
MESSAGE(dngettext, (const char *domain, const char *one, const char *many, unsigned long n), (domain, one, many, n),
        domain, LC_MESSAGES)
MESSAGE(dcngettext, (const char *domain, const char *one, const char *many, unsigned long n, int category),
        (domain, one, many, n, category), domain, category)

#define DOMAIN(name, parameters, arguments)                                                                            \
    EXPORT char *name parameters {                                                                                     \
        changed();                                                                                                     \
        return REAL(name) arguments;                                                                                   \
    }

DOMAIN(textdomain, (const char *domain), (domain))
DOMAIN(bind_textdomain_codeset, (const char *domain, const char *codeset), (domain, codeset))

/* libc's own messages are those of a domain, too; many functions ask for them, strerror(3) for one. */
EXPORT char *bindtextdomain(const char *domain, const char *directory) {
    changed();
    if (domain && directory && strcmp(domain, "libc") == 0)
        reads_unseen("bindtextdomain");
    return REAL(bindtextdomain)(domain, directory);
}

static void locale_read(const char *call) {
    changed();
    announce(call);
    if (unlikely(conversions_by_user()))
        reads_unseen(call);
}

/* Without a name it is only a question. */
EXPORT char *setlocale(int category, const char *name) {
    if (!name)
        return REAL(setlocale)(category, name);
    locale_read("setlocale");
    return CALL(setlocale, (category, name));
}

EXPORT locale_t newlocale(int categories, const char *name, locale_t base) {
    locale_read("newlocale");
    return CALL(newlocale, (categories, name, base));
}

EXPORT locale_t __newlocale(int categories, const char *name, locale_t base) {
    locale_read("__newlocale");
    return CALL(__newlocale, (categories, name, base));
}

/* The new one may be where one was that has been freed. */
EXPORT locale_t duplocale(locale_t locale) {
    changed();
    return REAL(duplocale)(locale);
}

EXPORT locale_t __duplocale(locale_t locale) {
    changed();
    return REAL(__duplocale)(locale);
}
