/* What a unit test stops at: the line and the condition that doesn't hold. */
#ifndef URINGSHIM_TESTS_CHECK_H
#define URINGSHIM_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            printf("line %d: %s\n", __LINE__, #what);                                                                  \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
