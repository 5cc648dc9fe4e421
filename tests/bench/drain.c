/*
 * drain: reads standard input to its end, 64 KiB at a time, and does nothing with it: the reader of a stream that costs
 * least, with reads of one size whatever the stream is.
 */
#include <unistd.h>

#include "../victims/common.h"

int main(void) {
    static char buffer[65536];
    ssize_t got;
    while ((got = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0) {
    }
    require(got == 0);
    return 0;
}
