/*
 * What the loader brings into the process, and who asks it for functions of libc's.
 *
 * dlsym and dlvsym: what they answer depends on who asks (RTLD_NEXT), so libc's are jumped to, with the caller's return
 * address where it was. Before that the name and who asks are looked at, and the answer is where to jump to. Anybody
 * may call them at any moment: an allocator at its first call, a sanitizer before we are ready.
 */
#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "base/config.h"
#include "base/single.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/libc_version.h"

/* Before the constructor nothing is to be undone. */
static void keep_away(const char *call, enum reason reason) {
    uint64_t before = atomic_load(&wb_hindrances);
    wb_hinder(reason);
    if (!(before & (1ull << REASON_unready | 1ull << reason)))
        deactivate(call);
}

/*
 * Objects were loaded, with dlopen's flags: nothing is deferred from now on if they may call what we don't know. With
 * RTLD_DEEPBIND their own libraries come first, and so libc's functions before ours.
 */
static void loaded_known(const char *call, int flags) {
    thread_library_loaded();
    single_library_loaded();
    if (libc_loaded_unknown())
        keep_away(call, REASON_newer_libc);
    if (flags & RTLD_DEEPBIND && config.own_calls == OWN_CALLS_STRICT)
        keep_away(call, REASON_own_calls);
}

/* Were some unloaded since it was asked last? Others may be where they were, from files that have the same numbers. */
static int read_unloaded(struct dl_phdr_info *object, size_t size, void *unloaded) {
    (void)size;
    *(unsigned long long *)unloaded = object->dlpi_subs;
    return 1;
}

static bool unloaded(void) {
    static unsigned long long seen;
    unsigned long long now = 0, before = seen;
    __typeof__(&dl_iterate_phdr) objects = LIBC(dl_iterate_phdr);
    if (objects)
        objects(read_unloaded, &now);
    seen = now;
    return now != before;
}

static void loaded(const char *call, int flags) {
    loaded_known(call, flags);
    code_added(NULL, unloaded() ? SIZE_MAX : 0);
}

/*
 * A library that is loaded may bring asynchronous I/O, or system calls, of its own, and with dlmopen a libc of its own:
 * looked for when deferring starts again.
 */
EXPORT void *dlopen(const char *path, int flags) {
    bool exclusive = exclusive_begins("dlopen"); /* who began anew now would look around too early */
    deactivate("dlopen");
    if (flags & RTLD_DEEPBIND) /* it doesn't see our names */
        single_no_longer();
    void *result = CALL(dlopen, (path, flags));
    loaded("dlopen", flags);
    exclusive_ends(exclusive);
    return result;
}

EXPORT void *dlmopen(Lmid_t list, const char *path, int flags) {
    single_no_longer(); /* by another libc */
    bool exclusive = exclusive_begins("dlmopen");
    deactivate("dlmopen");
    void *result = CALL(dlmopen, (list, path, flags));
    loaded("dlmopen", flags);
    exclusive_ends(exclusive);
    return result;
}

struct asker {
    uintptr_t address;
    bool before_us;
};

/* In the order of the search; what was loaded later comes behind us. True: that's enough. */
static int look_for_asker(struct dl_phdr_info *object, size_t size, void *wanted) {
    struct asker *asker = wanted;
    bool ours = false;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        ours |= segment->p_type == PT_DYNAMIC && start == (uintptr_t)_DYNAMIC;
        if (segment->p_type == PT_LOAD && asker->address - start < segment->p_memsz)
            asker->before_us = true;
    }
    return ours || asker->before_us;
}

/* What comes next to who stands before us is ours. */
static bool stands_before_us(const void *caller) {
    struct asker asker = {(uintptr_t)caller, false};
    __typeof__(&dl_iterate_phdr) objects = LIBC(dl_iterate_phdr);
    if (objects)
        objects(look_for_asker, &asker);
    return asker.before_us;
}

/* These may be called past us, when it is known that they may be (jemalloc does that, for its background thread). */
static bool makes_threads(const char *name) {
    return strcmp(name, "pthread_create") == 0 || strcmp(name, "thrd_create") == 0;
}

/*
 * Who looks into a library of his own, or into libc, by a handle (foreign function interfaces do), finds libc's
 * functions there and not ours; and so does a library that stands behind us, and asks for the next one. In the
 * program's own scope ours come first.
 */
static bool goes_past_us(void *handle, const char *name, const void *caller) {
    return handle != RTLD_DEFAULT && handle != _r_debug.r_map && config.own_calls == OWN_CALLS_STRICT &&
           real_is_ours(name) && !makes_threads(name) && !(handle == RTLD_NEXT && stands_before_us(caller));
}

/* Not REAL: where that can't find a function it asks dlsym. Before glibc 2.34 that may have come later. */
static void *next_one(void **slot, const char *name) {
    void *found = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (unlikely(!found)) {
        bool stays = true;
        found = real_loaded(name);
        if (!found)
            found = real_libc_later(name, &stays);
        if (stays)
            __atomic_store_n(slot, found, __ATOMIC_RELAXED);
    }
    return found;
}

/* In place of the real one: nobody behind us has it, and that is what the caller is told. */
static void *look_behind_us(void *handle, const char *name) {
    void *(*real)(void *, const char *) = real_loaded("dlsym");
    (void)handle;
    void *found = real ? real(RTLD_NEXT, name) : NULL;
    __asm__ volatile("" : "+r"(found)); /* no jump: it looks at who calls it */
    return found;
}

/* Only we have it: it came with a newer libc than this one. (What has a version isn't found without one anyway.) */
static bool is_ours_alone(void *handle, const char *name) {
    return (handle == RTLD_DEFAULT || handle == _r_debug.r_map) && real_is_ours_plainly(name) && !real_elsewhere(name);
}

__attribute__((visibility("hidden"), used)) void *dlsym_asked(void *handle, const char *name, const char *unused,
                                                              const void *caller) {
    static void *real;
    int saved = errno;
    (void)unused;
    if (libc_name_unknown(name))
        keep_away("dlsym", REASON_newer_libc);
    if (makes_threads(name))
        single_no_longer();
    if (unlikely(goes_past_us(handle, name, caller)))
        keep_away("dlsym", REASON_own_calls);
    bool alone = is_ours_alone(handle, name);
    errno = saved;
    return alone ? (void *)look_behind_us : next_one(&real, "dlsym");
}

/* With its version a function of late.c is found here. */
__attribute__((visibility("hidden"), used)) void *dlvsym_asked(void *handle, const char *name, const char *version,
                                                               const void *caller) {
    static void *real;
    int saved = errno;
    if (makes_threads(name))
        single_no_longer();
    if (libc_version_unknown(version))
        keep_away("dlvsym", REASON_newer_libc);
    if (unlikely(goes_past_us(handle, name, caller)))
        keep_away("dlvsym", REASON_own_calls);
    errno = saved;
    return next_one(&real, "dlvsym");
}

#if defined(__x86_64__)
#define ASKED(name)                                                                                                    \
    __asm__(".text\n"                                                                                                  \
            ".globl " #name "\n"                                                                                       \
            ".type " #name ", @function\n" #name ":\n"                                                                 \
            "    .cfi_startproc\n"                                                                                     \
            "    push %rdi\n"                                                                                          \
            "    .cfi_adjust_cfa_offset 8\n"                                                                           \
            "    push %rsi\n"                                                                                          \
            "    .cfi_adjust_cfa_offset 8\n"                                                                           \
            "    push %rdx\n"                                                                                          \
            "    .cfi_adjust_cfa_offset 8\n"                                                                           \
            "    mov 24(%rsp), %rcx\n"                                                                                 \
            "    call " #name "_asked\n"                                                                               \
            "    pop %rdx\n"                                                                                           \
            "    .cfi_adjust_cfa_offset -8\n"                                                                          \
            "    pop %rsi\n"                                                                                           \
            "    .cfi_adjust_cfa_offset -8\n"                                                                          \
            "    pop %rdi\n"                                                                                           \
            "    .cfi_adjust_cfa_offset -8\n"                                                                          \
            "    jmp *%rax\n"                                                                                          \
            "    .cfi_endproc\n"                                                                                       \
            ".size " #name ", . - " #name "\n")
ASKED(dlsym);
ASKED(dlvsym);
#elif defined(__aarch64__)
#define ASKED(name)                                                                                                    \
    __asm__(".text\n"                                                                                                  \
            ".globl " #name "\n"                                                                                       \
            ".type " #name ", %function\n" #name ":\n"                                                                 \
            "    .cfi_startproc\n"                                                                                     \
            "    hint #34\n" /* BTI c: they may be called by pointer */                                                \
            "    stp x29, x30, [sp, -48]!\n"                                                                           \
            "    .cfi_def_cfa_offset 48\n"                                                                             \
            "    .cfi_offset 29, -48\n"                                                                                \
            "    .cfi_offset 30, -40\n"                                                                                \
            "    stp x0, x1, [sp, 16]\n"                                                                               \
            "    str x2, [sp, 32]\n"                                                                                   \
            "    mov x3, x30\n"                                                                                        \
            "    bl " #name "_asked\n"                                                                                 \
            "    mov x16, x0\n"                                                                                        \
            "    ldp x0, x1, [sp, 16]\n"                                                                               \
            "    ldr x2, [sp, 32]\n"                                                                                   \
            "    ldp x29, x30, [sp], 48\n"                                                                             \
            "    .cfi_def_cfa_offset 0\n"                                                                              \
            "    .cfi_restore 29\n"                                                                                    \
            "    .cfi_restore 30\n"                                                                                    \
            "    br x16\n"                                                                                             \
            "    .cfi_endproc\n"                                                                                       \
            ".size " #name ", . - " #name "\n")
ASKED(dlsym);
ASKED(dlvsym);
#endif
