/*
 * The functions of <string.h> that the library uses, and those that compilers call by themselves. A sanitizer's runtime
 * has its own of each, which may not be called before it is ready, nor in a thread that it doesn't know: our
 * constructor runs first of all, and so does the helper thread. Hidden, so that no program gets these.
 *
 * None is on the way of a call that is deferred or served (copy.h). Where the library itself is built for
 * AddressSanitizer, as the unit tests are, that one's look at what they are given.
 */
#ifndef __SANITIZE_ADDRESS__

#include <stdint.h>
#include <string.h>

/* Since glibc 2.43 some are macros, too, which keep the constness of what they are given. */
#undef memchr
#undef strchr
#undef strrchr
#undef strstr

/* Keeps the compiler from finding in a loop the very function that it makes up. */
#define AS_WRITTEN __asm__ volatile("")

#if defined(__x86_64__)

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t n) {
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
    return to;
}

#else

/* By words: who reads a pointer in a structure that is being copied finds the old one or the new one (files.c). */
void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    uint64_t word;
    size_t i = 0;
    for (; n - i >= sizeof word; i += sizeof word) {
        AS_WRITTEN;
        __builtin_memcpy(&word, (const char *)from + i, sizeof word);
        __builtin_memcpy((char *)to + i, &word, sizeof word);
    }
    for (; i < n; i++) {
        AS_WRITTEN;
        ((char *)to)[i] = ((const char *)from)[i];
    }
    return to;
}

void *memset(void *to, int byte, size_t n) {
    uint64_t word = 0x0101010101010101u * (unsigned char)byte;
    size_t i = 0;
    for (; n - i >= sizeof word; i += sizeof word) {
        AS_WRITTEN;
        __builtin_memcpy((char *)to + i, &word, sizeof word);
    }
    for (; i < n; i++) {
        AS_WRITTEN;
        ((char *)to)[i] = (char)byte;
    }
    return to;
}

#endif

void *memmove(void *to, const void *from, size_t n) {
    if ((uintptr_t)to - (uintptr_t)from >= n)
        return memcpy(to, from, n);
    while (n-- > 0) {
        AS_WRITTEN;
        ((char *)to)[n] = ((const char *)from)[n];
    }
    return to;
}

int memcmp(const void *one, const void *other, size_t n) {
    const unsigned char *a = one, *b = other;
    uint64_t x, y;
    for (; n >= sizeof x; n -= sizeof x, a += sizeof x, b += sizeof x) {
        AS_WRITTEN;
        __builtin_memcpy(&x, a, sizeof x);
        __builtin_memcpy(&y, b, sizeof y);
        if (x != y)
            break;
    }
    for (; n > 0; n--, a++, b++) {
        AS_WRITTEN;
        if (*a != *b)
            return *a - *b;
    }
    return 0;
}

/* What a compiler makes of a memcmp whose sign isn't looked at. */
int bcmp(const void *one, const void *other, size_t n) {
    return memcmp(one, other, n);
}

size_t strlen(const char *string) {
    size_t length = 0;
    while (string[length]) {
        AS_WRITTEN;
        length++;
    }
    return length;
}

int strncmp(const char *one, const char *other, size_t n) {
    for (; n > 0; n--, one++, other++) {
        AS_WRITTEN;
        if (*one != *other || !*one)
            return (unsigned char)*one - (unsigned char)*other;
    }
    return 0;
}

int strcmp(const char *one, const char *other) {
    for (; *one && *one == *other; one++, other++)
        AS_WRITTEN;
    return (unsigned char)*one - (unsigned char)*other;
}

size_t strcspn(const char *string, const char *any) {
    size_t length = 0;
    while (string[length] && !strchr(any, string[length]))
        length++;
    return length;
}

void *memchr(const void *bytes, int byte, size_t n) {
    const unsigned char *at = bytes;
    for (; n > 0; at++, n--) {
        AS_WRITTEN;
        if (*at == (unsigned char)byte)
            return (void *)at;
    }
    return NULL;
}

char *strchr(const char *string, int wanted) {
    for (;; string++) {
        AS_WRITTEN;
        if (*string == (char)wanted)
            return (char *)string;
        if (!*string)
            return NULL;
    }
}

char *strrchr(const char *string, int wanted) {
    char *last = NULL;
    for (;; string++) {
        AS_WRITTEN;
        if (*string == (char)wanted)
            last = (char *)string;
        if (!*string)
            return last;
    }
}

char *strstr(const char *string, const char *wanted) {
    size_t length = strlen(wanted);
    while (strncmp(string, wanted, length) != 0) {
        AS_WRITTEN;
        if (!*string++)
            return NULL;
    }
    return (char *)string;
}

#endif
