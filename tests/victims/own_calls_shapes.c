/* Shapes of code: each function's name says whether its system call counts, or that it only looks like one. */
#include <stdio.h>

#if defined(__x86_64__)
#define FUNCTION(name, body)                                                                                           \
    __asm__(".text\n.globl " #name "\n.type " #name ", @function\n" #name ":\n.cfi_startproc\n" body                   \
            "ret\n.cfi_endproc\n.size " #name ", . - " #name "\n");

FUNCTION(counts_constant, "mov $82, %eax\nsyscall\n")
FUNCTION(counts_pushed, "push $1\npop %rax\nsyscall\n")
FUNCTION(counts_zero, "xor %eax, %eax\nsyscall\n")
FUNCTION(counts_argument, "mov %rdi, %rax\nmov %rsi, %rdi\nsyscall\n")
FUNCTION(counts_rex, "mov $2, %eax\n.byte 0x48\nsyscall\n")
FUNCTION(counts_interrupt, "mov $4, %eax\nint $0x80\n")
FUNCTION(counts_sysenter, "mov $202, %eax\nsysenter\n")
FUNCTION(counts_one_of_two, "mov $202, %eax\ntest %edi, %edi\nje 1f\nmov $82, %eax\n1: syscall\n")
FUNCTION(counts_jumped_into, "mov $82, %eax\njmp 1f\n2: mov $202, %eax\n1: syscall\ntest %eax, %eax\njne 2b\n")
FUNCTION(counts_after_call, "mov $202, %ebx\ncall counts_zero\nadd $1, %ebx\nmov %ebx, %eax\nsyscall\n")
FUNCTION(counts_by_table, "mov $202, %eax\njmp *%rdi\nsyscall\n")
FUNCTION(counts_exchanged, "mov $82, %r8d\nmov $202, %eax\nxchg %rax, %r8\nsyscall\n")
FUNCTION(counts_entered, "mov $202, %eax\n.Lmiddle: syscall\n")
FUNCTION(counts_mapped_executable, "mov $9, %eax\nmov $7, %edx\nmov $0x22, %r10d\nmov $-1, %r8d\nsyscall\n")
FUNCTION(counts_mapped_file, "mov $9, %eax\nmov $3, %edx\nmov $0x22, %r10d\nmov %edi, %r8d\nsyscall\n")
FUNCTION(counts_mapped_shared, "mov $9, %eax\nmov $3, %edx\nmov $0x21, %r10d\nmov $-1, %r8d\nsyscall\n")

FUNCTION(harmless_futex,
         "mov $202, %ebx\nmov %ebx, %eax\nsyscall\ncmp $-38, %rax\njne 1f\nmov %ebx, %eax\nsyscall\n1: ")
FUNCTION(harmless_gettid, "push %rbp\nmov $186, %eax\npause\nsyscall\npop %rbp\n")
FUNCTION(harmless_mapped, "mov $9, %eax\nmov $3, %edx\nmov $0x22, %r10d\nmov $-1, %r8d\nsyscall\n")
FUNCTION(harmless_mapped_64, "mov $9, %eax\nxor %edx, %edx\nmov $0x22, %r10d\nor $-1, %r8\nsyscall\n")

FUNCTION(no_call_immediate, "mov $0x050f, %eax\nmov $0x80cd, %ecx\nmov $0x340f050f, %edx\n")
FUNCTION(no_call_displacement, "mov 0x050f(%rdi), %eax\nlea 0x80cd(%rip), %rcx\nvmovups 0x050f(%rdi), %ymm0\n")

/* What is rarely run, as compilers put it elsewhere. */
__asm__(".section .text.unlikely\nenters: .cfi_startproc\nmov $82, %eax\njmp .Lmiddle\n.cfi_endproc\n");

/* Data among the code, as cryptographers have it, and a function that nothing is known of but where it stands. */
__asm__(".text\n.balign 64\nno_call_table:\n"
        ".long 0x428a2f98, 0x71374491, 0xb5c0050f, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x80cdeb12, 0xab1c5ed5\n"
        ".long 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19b050f\n"
        ".balign 16\n.globl counts_undescribed\n.type counts_undescribed, @function\ncounts_undescribed:\n"
        "mov %rdi, %rax\nmov %rsi, %rdi\nmov %rdx, %rsi\nmov %rcx, %rdx\nsyscall\nret\n"
        ".size counts_undescribed, . - counts_undescribed\n");
#else
#define FUNCTION(name, body)                                                                                           \
    __asm__(".text\n.globl " #name "\n.type " #name ", %function\n" #name ":\n.cfi_startproc\n" body                   \
            "ret\n.cfi_endproc\n.size " #name ", . - " #name "\n");
FUNCTION(counts_constant, "mov x8, #38\nsvc #0\n")
FUNCTION(counts_argument, "mov x8, x0\nsvc #0\n")
FUNCTION(counts_after_call, "mov x8, #98\nbl counts_argument\nsvc #0\n")
FUNCTION(counts_second_of_pair, "mov x8, #98\nldp x4, x8, [x1]\nsvc #0\n")
FUNCTION(counts_stepped, "mov x8, #98\nldr x4, [x8], #-60\nsvc #0\n")
FUNCTION(harmless_futex, "mov x8, #98\nmov x5, x4\nsvc #0\n")
FUNCTION(harmless_gettid, "mov w8, #178\nldp x4, x9, [x1]\nsvc #0\n")
FUNCTION(no_call_data, "mov x0, #0xd400\n")
#endif

int main(void) {
    puts("only to be looked at");
    return 0;
}
