// Calls functions by versions that libc keeps only for programs that were linked long ago, and prints what it was
// answered.

#include "transcript.h"

#include <features.h>
#include <sys/types.h>

#ifdef __x86_64__
__asm__(".symver llseek_once, llseek@GLIBC_2.2.5\n.symver ustat_once, ustat@GLIBC_2.2.5");
extern off_t llseek_once(int fd, off_t offset, int whence);
extern int ustat_once(dev_t device, void *status);
#if __GLIBC_PREREQ(2, 34) // in libresolv before
__asm__(".symver mkquery_once, __res_mkquery@GLIBC_2.2.5");
extern int mkquery_once(int op, const char *name, int class, int type, const void *data, int length, const void *more,
                        void *query, int size);
#endif

int main(void) {
    char room[512], line[] = "0123456789";
    int file = open_busy("file", O_RDWR);
    for (int i = 0; i < 300; i++)
        require(write(file, line, sizeof line) == sizeof line);
    TRY(llseek_once(file, 0, SEEK_CUR));
    TRY(llseek_once(file, 7, SEEK_SET));
    TRY(read(file, room, 20));
    note("%.3s\n", room);
    TRY(ustat_once(0, room));
#if __GLIBC_PREREQ(2, 34)
    errno = UNTOUCHED; // it may leave something else there
    note("%d bytes of a query\n", mkquery_once(0, "example.org", 1, 1, NULL, 0, NULL, room, sizeof room));
#endif
    print_transcript();
    return 0;
}
#else
int main(void) {
    return 77;
}
#endif
