// lifecycle_large_tls: a program with much thread-local memory of its own writes many lines, and reads its memory back.
#include "common.h"

#include <fcntl.h>

enum { LARGE = 300000, LINES = 2000 };

static __thread volatile unsigned char large[LARGE];

int main(void) {
    unsigned long sum = 0;
    int fd = open("lines", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0);
    memset((void *)large, 7, sizeof large);
    for (int i = 0; i < LINES; i++)
        require(write(fd, "a line\n", 7) == 7);
    for (size_t i = 0; i < LARGE; i++)
        sum += large[i];
    printf("%lu\n", sum);
    return 0;
}
