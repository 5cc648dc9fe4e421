// surface_overrun: a read that is checked, and longer than its buffer: the process is ended by __read_chk, after
// writes.

#define _FORTIFY_SOURCE 2
#include "transcript.h"

static volatile size_t hidden = 60;

int main(void) {
    char small[50];
    int fd = open_busy("log", O_RDWR | O_APPEND);
    size_t size = hidden;
    for (int i = 0; i < 300; i++)
        require(write(fd, "before the end\n", 15) == 15);
    require(read(fd, small, size) != 12345);
    return small[0];
}
