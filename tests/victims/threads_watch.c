/*
 * threads_watch delay BURSTS LIMIT_MS FILE: waits for the end of each burst to appear in the file
 * threads_watch lock 1 LIMIT_MS FILE: waits for the lock on the file, which must then hold the whole burst
 *
 * Fails where that took longer since the last record was written.
 */
#include "threads.h"
#include <sys/file.h>

static void wait_for_size(int fd, off_t size) {
    struct stat found;
    for (require(!fstat(fd, &found)); found.st_size < size; require(!fstat(fd, &found)))
        usleep(200);
}

int main(int argc, char **argv) {
    struct record last;
    int64_t worst = 0, limit = argc == 5 ? atoi(argv[3]) * 1000 : 0;
    if (argc != 5)
        die("usage: threads_watch delay|lock BURSTS LIMIT_MS FILE");
    alarm(HANG_SECONDS);
    int fd = open(argv[4], O_RDONLY | O_CREAT, 0600);
    require(fd >= 0);
    for (int i = 1; i <= atoi(argv[2]); i++) {
        off_t size = (off_t)sizeof(last) * BURST * i;
        if (!strcmp(argv[1], "lock")) {
            wait_for_size(fd, 1);
            require(!flock(fd, LOCK_EX));
        } else {
            wait_for_size(fd, size);
        }
        int64_t seen = now_us();
        if (pread(fd, &last, sizeof(last), size - (off_t)sizeof(last)) != sizeof(last))
            die("the lock is free and records are missing");
        require(last.check == record_check(&last));
        if (seen - last.stamp > worst)
            worst = seen - last.stamp;
    }
    printf("seen after %lld us at most\n", (long long)worst);
    return worst > limit;
}
