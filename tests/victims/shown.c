/* Shows its arguments and its environment, and ends with status 5. Also built with musl, so of few functions. */
#include <stdio.h>
#include <string.h>
extern char **environ;
int main(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        printf("argument %s\n", argv[i]);
    for (char **e = environ; *e; e++)
        if (strncmp(*e, "_=", 2))
            printf("%s\n", *e);
    return 5;
}
