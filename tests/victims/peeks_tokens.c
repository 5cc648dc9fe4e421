/*
 * peeks_tokens ROUNDS SEED READER…
 *
 * A pipe with tokens, each a byte of its own, as make's jobserver has it. This process and its readers (each READER a
 * command that gets the arguments of a reader, started when its turn comes) take some, one after another, and put them
 * back. Whoever has one says so by a file that nobody else may have made. In the end each token is there once.
 */
#include "common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

enum { TOKENS = 200, READERS = 8 };

static uint64_t rng;

static const char *name_of(unsigned char token) {
    static char name[16];
    snprintf(name, sizeof name, "token.%d", token);
    return name;
}

static void take_and_return(int in, int out, size_t most) {
    unsigned char tokens[TOKENS];
    size_t count = 1 + rng_below(&rng, most);
    for (size_t i = 0; i < count; i++) {
        ssize_t got = read(in, &tokens[i], 1);
        require(got == 1);
        int fd = open(name_of(tokens[i]), O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (fd < 0)
            die("token %d is there twice", tokens[i]);
        require(!close(fd));
    }
    for (size_t i = 0; i < count; i++)
        require(!unlink(name_of(tokens[i])));
    for (size_t i = 0; i < count; i++)
        require(write(out, &tokens[i], 1) == 1);
}

// The quick way: without a file for each, a peek lives for longer.
static void take_quickly(int in, int out, size_t most) {
    unsigned char tokens[TOKENS];
    size_t count = 1 + rng_below(&rng, most);
    for (size_t i = 0; i < count; i++)
        require(read(in, &tokens[i], 1) == 1);
    for (size_t i = 0; i < count; i++)
        require(write(out, &tokens[i], 1) == 1);
}

// All of them never hold all tokens, or each would wait for another.
static void play(int in, int out, int rounds, size_t most) {
    while (rounds--)
        (rng_below(&rng, 3) ? take_quickly : take_and_return)(in, out, most);
}

static pid_t start(char *command, int in, int out, int rounds) {
    char text[4][24], *words[16], *word = strtok(command, " ");
    int count = 0;
    for (; word && count < 10; word = strtok(NULL, " "))
        words[count++] = word;
    snprintf(text[0], sizeof text[0], "%d", in);
    snprintf(text[1], sizeof text[1], "%d", out);
    snprintf(text[2], sizeof text[2], "%d", rounds);
    snprintf(text[3], sizeof text[3], "%llu", (unsigned long long)rng_next(&rng));
    for (int i = 0; i < 4; i++)
        words[count++] = text[i];
    words[count] = NULL;
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        execvp(words[0], words);
        die("%s", words[0]);
    }
    return child;
}

int main(int argc, char **argv) {
    int ends[2], there, status;
    bool seen[256] = {false};
    alarm(HANG_SECONDS);
    if (argc == 6 && !strcmp(argv[1], "--reader")) {
        rng = strtoull(argv[5], NULL, 0);
        play(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), TOKENS / (READERS + 1));
        return 0;
    }
    require(argc > 3 && argc - 3 <= READERS && !pipe(ends));
    int rounds = atoi(argv[1]);
    rng = strtoull(argv[2], NULL, 0);
    for (int i = 0; i < TOKENS; i++)
        require(write(ends[1], &(unsigned char){(unsigned char)i}, 1) == 1);
    play(ends[0], ends[1], rounds / 2, TOKENS);
    for (int i = 3; i < argc; i++) {
        start(argv[i], ends[0], ends[1], rounds);
        play(ends[0], ends[1], (int)rng_below(&rng, 5), TOKENS / (READERS + 1));
    }
    play(ends[0], ends[1], rounds, TOKENS / (READERS + 1));
    for (int i = 3; i < argc; i++)
        require(wait(&status) > 0 && status == 0);
    play(ends[0], ends[1], rounds, TOKENS);
    require(!ioctl(ends[0], FIONREAD, &there) && there == TOKENS);
    for (int i = 0; i < TOKENS; i++) {
        unsigned char token;
        require(read(ends[0], &token, 1) == 1 && !seen[token]);
        seen[token] = true;
    }
    return 0;
}
