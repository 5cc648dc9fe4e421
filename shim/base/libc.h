/*
 * Which libc this is, at run time: the library is built on one, and loaded with any. Every function that glibc has had
 * up to LIBC_NEWEST is in entry/calls.def or entry/untouched.list (scripts/list-libc).
 */
#ifndef URINGSHIM_BASE_LIBC_H
#define URINGSHIM_BASE_LIBC_H

enum { LIBC_NEWEST = 43 };

/* The first version that it has on this processor: of most functions the only one. */
#if defined(__x86_64__)
#define LIBC_FIRST "GLIBC_2.2.5"
#else
#define LIBC_FIRST "GLIBC_2.17"
#endif

/* Of "2.43": 43. One that isn't released yet counts as the next; one of another kind as newer than any. */
int libc_minor(void);

/* The same of a version of a function, as "GLIBC_2.43"; -1: it says nothing of age, as "GLIBC_PRIVATE". */
int libc_version_minor(const char *version);

#endif
