// What libc does inside itself, unseen, to a file that is being written: fdopen makes a description append, and the
// kernel takes a file's capabilities away at its next write.

#include "transcript.h"

#include <sys/xattr.h>

static void scribble(int fd, const char *text) {
    for (int i = 0; i < 300; i++)
        require(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void append(void) {
    int fd = open("appended", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0);
    scribble(fd, "this was there before\n");
    require(lseek(fd, 0, SEEK_SET) == 0);
    scribble(fd, "over\n");
    FILE *stream = fdopen(fd, "a");
    require(stream);
    scribble(fd, "at the end\n");
    TRY(lseek(fd, 0, SEEK_CUR));
    fprintf(stream, "by stdio\n");
    TRY(fclose(stream));
}

static void capability(void) {
    static const uint32_t any[] = {0x02000001, 1 << 10, 1 << 10, 0, 0}; // struct vfs_cap_data: CAP_NET_BIND_SERVICE
    char value[64], names[256];
    int fd = open("capable", O_WRONLY | O_CREAT | O_TRUNC, 0700);
    require(fd >= 0);
    scribble(fd, "before\n");
    for (int how = 0; how < 4; how++) {
        TRY(fsetxattr(fd, "security.capability", any, sizeof any, 0));
        require(write(fd, "after\n", 6) == 6);
        if (how == 0)
            TRY(getxattr("capable", "security.capability", value, sizeof value));
        else if (how == 1)
            TRY(fgetxattr(fd, "security.capability", value, sizeof value));
        else if (how == 2)
            TRY(listxattr("capable", names, sizeof names));
        else
            TRY(flistxattr(fd, names, sizeof names));
    }
    close(fd);
}

int main(void) {
    append();
    capability();
    print_transcript();
    return 0;
}
