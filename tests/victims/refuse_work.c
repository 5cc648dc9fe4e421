// Some of all the work that the library does otherwise: small writes to two files, by position, appended, read back,
// synced; more files than there may be numbers; and prints what it was answered.

#include "transcript.h"

#include <sys/stat.h>
#include <sys/uio.h>

static void many_files(void) {
    char name[32];
    int opened = 0;
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "many.%d", i);
        int fd = open(name, O_WRONLY | O_CREAT, 0600);
        if (fd < 0)
            break;
        for (int j = 0; j < 20; j++)
            require(write(fd, "one of many\n", 12) == 12);
        opened++;
    }
    note("%d more files could be opened\n", opened);
}

int main(void) {
    char piece[300], back[300];
    int log = open_busy("log", O_RDWR | O_APPEND), table = open_busy("table", O_RDWR);
    for (int i = 0; i < 3000; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        require(write(log, piece, sizeof piece) == sizeof piece);
        require(pwrite(table, piece, 100, i * 37 % 5000) == 100);
        if (i % 500)
            continue;
        struct stat status;
        struct iovec pieces[2] = {{piece, 10}, {piece, 20}};
        TRY(writev(table, pieces, 2));
        TRY(pread(table, back, sizeof back, 1000));
        note("%.*s\n", (int)sizeof back, back);
        TRY(fstat(log, &status));
        note("%ld bytes\n", (long)status.st_size);
        TRY(lseek(log, 0, SEEK_CUR));
        TRY(fdatasync(log));
    }
    many_files();
    TRY(fsync(table));
    TRY(close(log));
    TRY(close(table));
    print_transcript();
    return 0;
}
