#include "base/copy.h"

#include <errno.h>
#include <signal.h>

#include "base/sys.h"

enum { WORD = sizeof(uint64_t), PAGE = 4096 }; /* the smallest there is, which divides the others */

typedef long ask(uintptr_t word);

/* Bytes of one page can all be read, or none: a word in each is enough. */
static bool all_pages(ask *asked, uintptr_t from, size_t n) {
    uintptr_t last = from + n - WORD;
    if (n < WORD || last < from || !from) /* nowhere would be no question */
        return n == 0;
    for (uintptr_t at = from; at < last; at += PAGE)
        if (asked(at) == -EFAULT)
            return false;
    return asked(last) != -EFAULT;
}

/* Refused, after the mask was read: there is no such way to change it. */
static long read_word(uintptr_t word) {
    const int no_such_how = -1;
    uint64_t before;
    return sys(SYS_rt_sigprocmask, no_such_how, word, &before, WORD);
}

static long write_word(uintptr_t word) {
    return sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, word, WORD);
}

bool copy_in_asked(void *to, const void *from, size_t n) {
    return all_pages(read_word, (uintptr_t)from, n) && copy_in(to, from, n);
}

bool writable_asked(void *to, size_t n) {
    return all_pages(write_word, (uintptr_t)to, n);
}

#if defined(__x86_64__)

/*
 * Up to 32 bytes by two overlapping moves, up to 512 by 32 at a time with an overlapping end, more by `rep movsb`
 * (fast from there on: "Intel 64 and IA-32 Architectures Optimization Reference Manual", ERMSB). No stack is used, so
 * that a fault anywhere can go on at copy_in_fault.
 */
__asm__(".text\n"
        ".p2align 5\n"
        ".globl copy_in\n"
        ".hidden copy_in\n"
        ".type copy_in, @function\n"
        "copy_in:\n"
        "    .cfi_startproc\n"
        "    cmp $32, %rdx\n"
        "    ja 3f\n"
        "    cmp $16, %rdx\n"
        "    jae 2f\n"
        "    cmp $8, %rdx\n"
        "    jae 1f\n"
        "    cmp $4, %rdx\n"
        "    jae 0f\n"
        "    test %rdx, %rdx\n"
        "    je 9f\n"
        "    movzbl (%rsi), %eax\n" /* 1 to 3 bytes: first, middle, last */
        "    movzbl -1(%rsi,%rdx), %ecx\n"
        "    mov %rdx, %r9\n"
        "    shr $1, %r9\n"
        "    movzbl (%rsi,%r9), %r8d\n"
        "    mov %al, (%rdi)\n"
        "    mov %r8b, (%rdi,%r9)\n"
        "    mov %cl, -1(%rdi,%rdx)\n"
        "    jmp 9f\n"
        "0:  mov (%rsi), %eax\n"
        "    mov -4(%rsi,%rdx), %ecx\n"
        "    mov %eax, (%rdi)\n"
        "    mov %ecx, -4(%rdi,%rdx)\n"
        "    jmp 9f\n"
        "1:  mov (%rsi), %rax\n"
        "    mov -8(%rsi,%rdx), %rcx\n"
        "    mov %rax, (%rdi)\n"
        "    mov %rcx, -8(%rdi,%rdx)\n"
        "    jmp 9f\n"
        "2:  movups (%rsi), %xmm0\n"
        "    movups -16(%rsi,%rdx), %xmm1\n"
        "    movups %xmm0, (%rdi)\n"
        "    movups %xmm1, -16(%rdi,%rdx)\n"
        "    jmp 9f\n"
        "3:  cmp $512, %rdx\n"
        "    ja 5f\n"
        "    movups -32(%rsi,%rdx), %xmm2\n"
        "    movups -16(%rsi,%rdx), %xmm3\n"
        "    lea -32(%rdi,%rdx), %r8\n"
        "4:  movups (%rsi), %xmm0\n"
        "    movups 16(%rsi), %xmm1\n"
        "    movups %xmm0, (%rdi)\n"
        "    movups %xmm1, 16(%rdi)\n"
        "    add $32, %rsi\n"
        "    add $32, %rdi\n"
        "    cmp %r8, %rdi\n"
        "    jb 4b\n"
        "    movups %xmm2, (%r8)\n"
        "    movups %xmm3, 16(%r8)\n"
        "    jmp 9f\n"
        "5:  mov %rdx, %rcx\n"
        "    rep movsb\n"
        "9:  mov $1, %eax\n"
        "    ret\n"
        "copy_in_fault:\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size copy_in, . - copy_in\n");

#elif defined(__aarch64__)

/*
 * Up to 64 bytes by moves from both ends, which overlap; more by 64 at a time, with an overlapping end. No stack is
 * used here either. It is only branched to directly, and so is what goes on after a fault, by the kernel: neither needs
 * a landing pad (BTI).
 */
__asm__(".text\n"
        ".p2align 5\n"
        ".globl copy_in\n"
        ".hidden copy_in\n"
        ".type copy_in, %function\n"
        "copy_in:\n"
        "    .cfi_startproc\n"
        "    add x4, x1, x2\n" /* the ends */
        "    add x5, x0, x2\n"
        "    cmp x2, #16\n"
        "    b.hs 2f\n"
        "    tbnz x2, #3, 1f\n"
        "    tbnz x2, #2, 0f\n"
        "    cbz x2, 9f\n"
        "    lsr x3, x2, #1\n" /* 1 to 3 bytes: first, middle, last */
        "    ldrb w6, [x1]\n"
        "    ldrb w7, [x1, x3]\n"
        "    ldrb w8, [x4, #-1]\n"
        "    strb w6, [x0]\n"
        "    strb w7, [x0, x3]\n"
        "    strb w8, [x5, #-1]\n"
        "    b 9f\n"
        "0:  ldr w6, [x1]\n"
        "    ldr w7, [x4, #-4]\n"
        "    str w6, [x0]\n"
        "    str w7, [x5, #-4]\n"
        "    b 9f\n"
        "1:  ldr x6, [x1]\n"
        "    ldr x7, [x4, #-8]\n"
        "    str x6, [x0]\n"
        "    str x7, [x5, #-8]\n"
        "    b 9f\n"
        "2:  cmp x2, #32\n"
        "    b.hi 3f\n"
        "    ldr q0, [x1]\n"
        "    ldr q1, [x4, #-16]\n"
        "    str q0, [x0]\n"
        "    str q1, [x5, #-16]\n"
        "    b 9f\n"
        "3:  cmp x2, #64\n"
        "    b.hi 4f\n"
        "    ldp q0, q1, [x1]\n"
        "    ldp q2, q3, [x4, #-32]\n"
        "    stp q0, q1, [x0]\n"
        "    stp q2, q3, [x5, #-32]\n"
        "    b 9f\n"
        "4:  sub x4, x4, #64\n"
        "5:  ldp q0, q1, [x1]\n"
        "    ldp q2, q3, [x1, #32]\n"
        "    add x1, x1, #64\n"
        "    stp q0, q1, [x0]\n"
        "    stp q2, q3, [x0, #32]\n"
        "    add x0, x0, #64\n"
        "    cmp x1, x4\n"
        "    b.lo 5b\n"
        "    ldp q0, q1, [x4]\n"
        "    ldp q2, q3, [x4, #32]\n"
        "    stp q0, q1, [x5, #-64]\n"
        "    stp q2, q3, [x5, #-32]\n"
        "9:  mov w0, #1\n"
        "    ret\n"
        "copy_in_fault:\n"
        "    mov w0, #0\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size copy_in, . - copy_in\n");

#endif

extern const char copy_in_fault[] __attribute__((visibility("hidden")));

uintptr_t copy_recovery(uintptr_t instruction) {
    uintptr_t fault = (uintptr_t)copy_in_fault;
    return (uintptr_t)copy_in <= instruction && instruction < fault ? fault : 0;
}
