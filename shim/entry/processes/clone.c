/* The ways to fork past libc's handlers. */
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/single.h"
#include "entry/data/sharing.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/lifecycle.h"
#include "entry/processes/fork.h"

EXPORT pid_t _Fork(void) {
    fork_prepare();
    pid_t pid = CALL(_Fork, ());
    if (pid == 0)
        fork_child();
    else
        fork_parent();
    return pid;
}

/*
 * vfork: the child runs in our memory, on our stack, while the parent waits. It must find a frame that still exists
 * when the parent returns through it, hence assembly; and it must leave our state alone, hence the mark on the thread.
 */
__attribute__((visibility("hidden"), used)) int vfork_before(void) {
    struct thread *self = attached_self();
    if (!thread_attached(self) || !thread_free(self))
        return 0;
    self->vfork_exclusive = exclusive_begins("vfork");
    sharing_passed_on();
    self->vfork_parent = (int)sys(SYS_getpid);
    self->vfork_confined = false;
    thread_lend(self, true);
    return 1;
}

__attribute__((visibility("hidden"), used)) pid_t vfork_in_parent(long result) {
    struct thread *self = thread_self();
    thread_lend(self, false);
    sharing_passed_on();
    exclusive_ends(self->vfork_exclusive);
    input_came();
    return (pid_t)answer(result);
}

__attribute__((visibility("hidden"), used)) pid_t vfork_as_fork(void) {
    return fork();
}

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, @function\n"
        ".globl __vfork\n"
        ".type __vfork, @function\n"
        "vfork:\n"
        "__vfork:\n"
        "    .cfi_startproc\n"
        "    sub $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    call vfork_before\n"
        "    add $8, %rsp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    test %eax, %eax\n"
        "    jz 1f\n"
        "    pop %rdi\n"      /* the return address: the child will use the stack beneath it; kept in a register */
        "    mov $58, %eax\n" /* SYS_vfork */
        "    syscall\n"
        "    push %rdi\n"
        "    test %rax, %rax\n"
        "    jz 2f\n"
        "    mov %rax, %rdi\n"
        "    jmp vfork_in_parent\n"
        "2:  ret\n"
        "1:  jmp vfork_as_fork\n"
        "    .cfi_endproc\n"
        ".size vfork, . - vfork\n");
#elif defined(__aarch64__)
/* The return address is in a register as it is, which is the child's, too. Both names may be called by pointer (BTI).
 */
__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, %function\n"
        ".globl __vfork\n"
        ".type __vfork, %function\n"
        "vfork:\n"
        "__vfork:\n"
        "    .cfi_startproc\n"
        "    hint #34\n" /* BTI c */
        "    stp x29, x30, [sp, #-16]!\n"
        "    .cfi_def_cfa_offset 16\n"
        "    .cfi_offset 29, -16\n"
        "    .cfi_offset 30, -8\n"
        "    bl vfork_before\n"
        "    ldp x29, x30, [sp], #16\n"
        "    .cfi_restore 29\n"
        "    .cfi_restore 30\n"
        "    .cfi_def_cfa_offset 0\n"
        "    cbz w0, 1f\n"
        "    mov x0, #0x4111\n" /* CLONE_VFORK | CLONE_VM | SIGCHLD, and the stack that there is */
        "    mov x1, #0\n"
        "    mov x2, #0\n"
        "    mov x3, #0\n"
        "    mov x4, #0\n"
        "    mov x8, #220\n" /* SYS_clone */
        "    svc #0\n"
        "    cbz x0, 2f\n"
        "    b vfork_in_parent\n"
        "2:  ret\n"
        "1:  b vfork_as_fork\n"
        "    .cfi_endproc\n"
        ".size vfork, . - vfork\n");
#endif

struct clone_start {
    int (*function)(void *);
    void *argument;
};

static int clone_child(void *argument) {
    struct clone_start start = *(struct clone_start *)argument;
    fork_child();
    end_thread("clone", start.function(start.argument));
    return 0; /* not reached */
}

/*
 * clone used directly. A child with memory of its own is a fork. One that shares our memory without being a thread of
 * libc's would share our thread structures too, and one that shares our descriptors changes what they mean: nothing is
 * deferred any more.
 */
EXPORT int clone(int (*function)(void *), void *stack, int flags, void *argument, ...) {
    va_list list;
    va_start(list, argument);
    pid_t *parent_tid = va_arg(list, pid_t *);
    void *tls = va_arg(list, void *);
    pid_t *child_tid = va_arg(list, pid_t *);
    va_end(list);
    if (flags & (CLONE_VM | CLONE_FILES))
        keep_out("clone");
    if (flags & CLONE_VM) {
        thread_strangers_come();
        single_no_longer();
    }
    if (flags & CLONE_NEWIPC)
        sharing_names_changed();
    if (flags & CLONE_VM || !function || !stack) {
        announce("clone");
        sharing_passed_on();
        return CALL(clone, (function, stack, flags, argument, parent_tid, tls, child_tid));
    }
    struct clone_start start = {function, argument};
    fork_prepare();
    int pid = CALL(clone, (clone_child, stack, flags, &start, parent_tid, tls, child_tid));
    fork_parent();
    return pid;
}
