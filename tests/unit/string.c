// The library's own <string.h> against libc's, on random strings at the end of a page that nothing follows.
#include "base/real.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"

enum { PAGE = 4096, LONGEST = 70, ROUNDS = 200000 };

/* Both are called through here, or else the compiler puts something of its own in their place. */
#define BOTH(name) static __typeof__(&name) volatile our_##name = name, libc_##name
BOTH(memcpy);
BOTH(memmove);
BOTH(memset);
BOTH(memcmp);
BOTH(strlen);
BOTH(strcmp);
BOTH(strncmp);
BOTH(strcspn);
BOTH(strchr);
BOTH(strrchr);
BOTH(strstr);

static int sign(int number) {
    return (number > 0) - (number < 0);
}

/* Two pages, each with one behind it that can't be touched. */
static char *page(void) {
    char *start = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(start != MAP_FAILED && mprotect(start + PAGE, PAGE, PROT_NONE) == 0);
    return start;
}

/* Few different letters, so that much is alike. */
static char *random_string(char *end, size_t *length) {
    *length = (size_t)rand() % LONGEST;
    char *string = end - 1 - *length;
    for (size_t i = 0; i < *length; i++)
        string[i] = "ab\xff:"[rand() % 4];
    string[*length] = '\0';
    return string;
}

static void compare_strings(const char *a, const char *b, size_t n) {
    CHECK(our_strlen(a) == libc_strlen(a));
    CHECK(sign(our_strcmp(a, b)) == sign(libc_strcmp(a, b)));
    CHECK(sign(our_strncmp(a, b, n)) == sign(libc_strncmp(a, b, n)));
    CHECK(our_strcspn(a, b) == libc_strcspn(a, b));
    CHECK(our_strchr(a, b[0]) == libc_strchr(a, b[0]));
    CHECK(our_strrchr(a, b[0]) == libc_strrchr(a, b[0]));
    CHECK(our_strstr(a, b) == libc_strstr(a, b));
}

/* The same done to two copies of the same bytes. */
static void compare_memory(char *ours, char *theirs, size_t n) {
    size_t from = (size_t)rand() % LONGEST, to = (size_t)rand() % LONGEST;
    CHECK(our_memmove(ours + to, ours + from, n) == ours + to);
    libc_memmove(theirs + to, theirs + from, n);
    CHECK(libc_memcmp(ours, theirs, PAGE) == 0 && our_memcmp(ours, theirs, PAGE) == 0);
    CHECK(our_memset(ours + to, (int)n, n) == ours + to);
    libc_memset(theirs + to, (int)n, n);
    CHECK(our_memcpy(ours + PAGE / 2, ours + from, n) == ours + PAGE / 2);
    libc_memcpy(theirs + PAGE / 2, theirs + from, n);
    CHECK(libc_memcmp(ours, theirs, PAGE) == 0);
    ours[from]++;
    CHECK(sign(our_memcmp(ours, theirs, PAGE)) == sign(libc_memcmp(ours, theirs, PAGE)));
    CHECK(our_memcmp(ours, theirs, from) == 0);
    ours[from]--;
}

static void numbers(void) {
    static const char *const some[] = {"0",
                                       "17",
                                       "-5",
                                       "",
                                       "-",
                                       "12x",
                                       "x",
                                       "9223372036854775807",
                                       "9223372036854775808",
                                       "-9223372036854775807",
                                       "99999999999999999999999"};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        const char *end;
        char *libc_end;
        long number = text_parse(some[i], &end);
        CHECK(number == strtol(some[i], &libc_end, 10) && end == libc_end);
    }
}

int main(void) {
#define FIND(name) CHECK((libc_##name = LIBC(name)) && libc_##name != our_##name)
    FIND(memcpy);
    FIND(memmove);
    FIND(memset);
    FIND(memcmp);
    FIND(strlen);
    FIND(strcmp);
    FIND(strncmp);
    FIND(strcspn);
    FIND(strchr);
    FIND(strrchr);
    FIND(strstr);
    char *a = page() + PAGE, *b = page() + PAGE, *ours = page(), *theirs = page();
    for (int i = 0; i < ROUNDS; i++) {
        size_t length, other;
        const char *one = random_string(a, &length), *two = random_string(b, &other);
        compare_strings(one, two, (size_t)rand() % LONGEST);
        if (i % 16 == 0)
            compare_memory(ours, theirs, length);
    }
    numbers();
    puts("ok");
    return 0;
}
