// freshness_inside DIR: scandir asks the program about each name while it goes on reading the directory. At one of the
// first names the program reads a little of a file and has another process change the file, and then make new names;
// at the first new name it reads on, and must see the change.
#pragma GCC diagnostic ignored "-Wunused-function" // not everything that freshness has makes sense here
#pragma GCC diagnostic ignored "-Wunused-variable"

#include "freshness.h"

#include <dirent.h>

enum { NAMES = 2000, NEW_NAMES = 100, PIECE = 64, PIECES = 64 };

static bool told;
static long found;

static bool is_piece(char letter, int index) {
    char bytes[PIECE];
    if (pread(data_fd, bytes, sizeof bytes, index * PIECE) != sizeof bytes)
        give_up("pread");
    return bytes[0] == letter;
}

static int look_at(const struct dirent *entry) {
    if (!told && entry->d_name[0] == 'o') {
        for (int i = 1; i < 6; i++)
            is_piece('A', i);
        bare_say(line_to_writer);
        bare_listen(line_to_reader);
        told = true;
    } else if (told && !found && entry->d_name[0] == 'n') {
        found++;
        if (!is_piece('B', 6))
            give_up("%s is there, and the file is as it was", entry->d_name);
    }
    return 0;
}

static void write_all(char letter) {
    char bytes[PIECES * PIECE];
    memset(bytes, letter, sizeof bytes);
    bare_call(SYS_pwrite64, log_fd, bytes, sizeof bytes, 0);
}

static void run_writer(void) {
    bare_listen(line_to_writer);
    write_all('B');
    for (int i = 0; i < NEW_NAMES; i++)
        bare_call(SYS_mkdirat, AT_FDCWD, path_of("names/new %d", i), 0700, 0);
    bare_say(line_to_reader);
    _exit(0);
}

int main(int argc, char **argv) {
    struct dirent **list;
    require(argc == 2 && realpath(argv[1], dir));
    MUST(mkdir(path_of("names"), 0700));
    for (int i = 0; i < NAMES; i++)
        close(MUST(creat(path_of("names/old %050d", i), 0600)));
    log_fd = MUST(open(path_of("data"), O_RDWR | O_CREAT, 0600));
    write_all('A');
    MUST(pipe(line_to_writer));
    MUST(pipe(line_to_reader));
    observer = MUST(fork());
    if (!observer)
        run_writer();
    data_fd = MUST(open(path_of("data"), O_RDONLY));
    MUST(scandir(path_of("names"), &list, look_at, NULL));
    await_observer();
    return 0;
}
