/*
 * lifecycle_mapped COUNT DIR: makes, maps, unmaps, closes and removes COUNT files in DIR, one after the other. Prints
 * by how many KiB the process grew during the second half of them: nothing of them is left.
 */
#include "common.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Counted page by page: the numbers in statm and status may be some hundred KiB off (get_mm_counter). */
static long memory_kib(void) {
    char line[200];
    long kib = -1;
    FILE *smaps = fopen("/proc/self/smaps_rollup", "re");
    require(smaps);
    while (kib < 0 && fgets(line, sizeof line, smaps))
        sscanf(line, "Anonymous: %ld", &kib);
    fclose(smaps);
    require(kib >= 0);
    return kib;
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
            halfway = memory_kib();
        snprintf(path, sizeof path, "%s/%d", argv[2], i);
        pass_by(path);
    }
    printf("%ld\n", memory_kib() - halfway);
    return 0;
}
