/*
 * What the kernel has, and the headers that we are built with may not: an old libc's, and those of an old kernel. The
 * numbers are the same everywhere (include/uapi/asm-generic/unistd.h says so of system calls from 403 on).
 */
#ifndef URINGSHIM_BASE_KERNEL_H
#define URINGSHIM_BASE_KERNEL_H

#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_rseq /* Linux 4.18 */
#if defined(__x86_64__)
#define SYS_rseq 334
#else
#define SYS_rseq 293
#endif
#endif
#ifndef SYS_io_uring_setup /* 5.1 */
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif
#ifndef SYS_clone3 /* 5.3 */
#define SYS_clone3 435
#endif
#ifndef SYS_close_range /* 5.9 */
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_getfd /* 5.6 */
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_futex_waitv /* 5.16 */
#define SYS_futex_waitv 449
#endif

/* close_range(2) */
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1u << 1)
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif

#ifndef MREMAP_DONTUNMAP /* mremap(2), 5.7 */
#define MREMAP_DONTUNMAP 4
#endif

/* What moves descriptors from one process to another: seccomp_unotify(2), 5.9, and linux/android/binder.h */
#define IOCTL_SECCOMP_ADD_FD 0x40182103ul
#define IOCTL_BINDER_WRITE_READ 0xc0306201ul

/* userfaultfd(2), /dev/userfaultfd, 6.1 */
#define IOCTL_USERFAULTFD_NEW 0xaa00ul

/* clone(2): the first member of clone3's arguments */
struct clone3_arguments {
    uint64_t flags;
};

/* statx(2), STATX_DIOALIGN, 6.1: struct statx as far as that, and its whole length */
#define KERNEL_STATX_DIOALIGN 0x2000u
struct kernel_statx {
    uint32_t mask;
    uint32_t before[37];
    uint32_t dio_memory, dio_offset;
    uint32_t after[24];
};
_Static_assert(sizeof(struct kernel_statx) == 256, "struct statx");

#ifndef RWF_NOSIGNAL /* 6.18 */
#define RWF_NOSIGNAL 0x100
#endif

#endif
