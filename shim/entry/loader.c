/*
 * dlsym and dlvsym: what they answer depends on who asks (RTLD_NEXT), so libc's are jumped to, with the caller's return
 * address where it was. Before that the name is looked at, and the answer is where to jump to. Anybody may call them at
 * any moment: an allocator at its first call, a sanitizer before we are ready.
 */
#include "entry/loader.h"

#include "entry/activate.h"
#include "entry/entry.h"
#include "entry/libc_version.h"

/* Before the constructor nothing is to be undone. */
static void keep_away(const char *call) {
    uint64_t before = atomic_load(&wb_hindrances);
    wb_hinder(REASON_newer_libc);
    if (!(before & (1ull << REASON_unready | 1ull << REASON_newer_libc)))
        deactivate(call);
}

void loader_loaded(const char *call) {
    if (libc_loaded_unknown())
        keep_away(call);
}

/* Not REAL: where that can't find a function it asks dlsym. */
static void *next_one(void **slot, const char *name) {
    void *found = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (unlikely(!found)) {
        found = real_loaded(name);
        __atomic_store_n(slot, found, __ATOMIC_RELAXED);
    }
    return found;
}

__attribute__((visibility("hidden"), used)) void *dlsym_asked(const char *name) {
    static void *real;
    int saved = errno;
    if (libc_name_unknown(name))
        keep_away("dlsym");
    errno = saved;
    return next_one(&real, "dlsym");
}

/* With its version a function of late.c is found here. */
__attribute__((visibility("hidden"), used)) void *dlvsym_asked(const char *version) {
    static void *real;
    int saved = errno;
    if (libc_version_unknown(version))
        keep_away("dlvsym");
    errno = saved;
    return next_one(&real, "dlvsym");
}

#if defined(__x86_64__)
#define ASKED(name, argument)                                                                                          \
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
            "    mov %" argument ", %rdi\n"                                                                            \
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
ASKED(dlsym, "rsi");
ASKED(dlvsym, "rdx");
#elif defined(__aarch64__)
#define ASKED(name, argument)                                                                                          \
    __asm__(".text\n"                                                                                                  \
            ".globl " #name "\n"                                                                                       \
            ".type " #name ", %function\n" #name ":\n"                                                                 \
            "    .cfi_startproc\n"                                                                                     \
            "    stp x29, x30, [sp, -48]!\n"                                                                           \
            "    .cfi_def_cfa_offset 48\n"                                                                             \
            "    .cfi_offset 29, -48\n"                                                                                \
            "    .cfi_offset 30, -40\n"                                                                                \
            "    stp x0, x1, [sp, 16]\n"                                                                               \
            "    str x2, [sp, 32]\n"                                                                                   \
            "    mov x0, " argument "\n"                                                                               \
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
ASKED(dlsym, "x1");
ASKED(dlvsym, "x2");
#endif
