/*
 * lifecycle_mapped COUNT DIR: makes, maps, unmaps, closes and removes COUNT files in DIR, one after the other. Prints
 * by how many KiB the process grew during the second half of them: nothing of them is left.
 */
#include "common.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static long resident_kib(void) {
    long size, resident;
    FILE *statm = fopen("/proc/self/statm", "re");
    require(statm && fscanf(statm, "%ld %ld", &size, &resident) == 2);
    fclose(statm);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void pass_by(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    require(fd >= 0 && ftruncate(fd, 4096) == 0);
    void *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    require(at != MAP_FAILED && munmap(at, 4096) == 0);
    require(close(fd) == 0 && unlink(path) == 0);
}

int main(int argc, char **argv) {
    char path[4200];
    long halfway = 0;
    require(argc == 3);
    int count = atoi(argv[1]);
    /* The library is at work. */
    int busy = open(".", O_TMPFILE | O_WRONLY, 0600);
    require(busy >= 0);
    for (int i = 0; i < 1000; i++)
        require(write(busy, "0123456789", 10) == 10);
    for (int i = 0; i < count; i++) {
        if (i == count / 2)
            halfway = resident_kib();
        snprintf(path, sizeof path, "%s/%d", argv[2], i);
        pass_by(path);
    }
    printf("%ld\n", resident_kib() - halfway);
    return 0;
}
