/* Reads instructions, a line of hexadecimal bytes each, and takes them apart: each is as long as its line. */
#include <stdio.h>
#include <string.h>

#include "code/instruction.h"

int main(void) {
    char line[128];
    long wrong = 0;
    while (fgets(line, sizeof line, stdin)) {
        unsigned char bytes[64];
        size_t n = 0;
        for (unsigned byte; n < sizeof bytes && sscanf(line + 2 * n, "%2x", &byte) == 1; n++)
            bytes[n] = (unsigned char)byte;
        struct instruction instruction;
        if (instruction_decode(bytes, n, &instruction) && instruction.length == n)
            continue;
        wrong++;
        printf("%u of %zu bytes: %s", instruction.length, n, line);
    }
    return wrong != 0;
}
