// lifecycle_exec HOW: writes, tries to exec something that isn't there, writes on, and becomes another image by HOW,
// which writes to the descriptor it was left.

#include "transcript.h"

#include <sys/syscall.h>

extern char **environ;

static void scribble(int fd, const char *text) {
    for (int i = 0; i < 200; i++)
        require(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

int main(int argc, char **argv) {
    static char self[4096];
    require(argc >= 2 && readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    const char *how = argv[1];
    if (argc == 3) {
        scribble(atoi(argv[2]), "the next image\n");
        printf("%s, status of %s\n", how, argv[2]);
        return 7;
    }
    int fd = open_busy("log", O_RDWR), forgotten = open_busy("forgotten", O_WRONLY | O_CLOEXEC);
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    char *arguments[] = {self, (char *)how, number, NULL};
    TRY(execl("/nonexistent", "nonexistent", (char *)NULL));
    TRY(execvp("nonexistent", arguments));
    TRY(execv("log", arguments));
    TRY(execve(".", arguments, environ));
    scribble(fd, "still the first image\n");
    scribble(forgotten, "still the first image\n");
    print_transcript();
    scribble(fd, "and now\n");
    if (!strcmp(how, "execl"))
        execl(self, self, how, number, (char *)NULL);
    if (!strcmp(how, "execlp"))
        execlp(self, self, how, number, (char *)NULL);
    if (!strcmp(how, "execle"))
        execle(self, self, how, number, (char *)NULL, environ);
    if (!strcmp(how, "execv"))
        execv(self, arguments);
    if (!strcmp(how, "execvp"))
        execvp(self, arguments);
    if (!strcmp(how, "execvpe"))
        execvpe(self, arguments, environ);
    if (!strcmp(how, "execve"))
        execve(self, arguments, environ);
    if (!strcmp(how, "fexecve"))
        fexecve(open(self, O_RDONLY | O_CLOEXEC), arguments, environ);
    if (!strcmp(how, "execveat"))
        execveat(AT_FDCWD, self, arguments, environ, 0);
    if (!strcmp(how, "syscall"))
        syscall(SYS_execve, self, arguments, environ);
    if (!strcmp(how, "bare"))
        execve(self, arguments, (char *[]){NULL});
    die("%s", how);
}
