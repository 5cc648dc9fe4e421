/*
 * Code that goes past libc, in ways that come late: it writes by libc until long after deferring could begin, lets code
 * come to the process, which looks at the file by a system call of its own, and says how often the file wasn't as
 * written.
 *
 *   own_calls loaded LIBRARY | deep LIBRARY | namespace LIBRARY | handle | mapped | protected | early | patched |
 *             reloaded LIBRARY LIBRARY
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"

enum { TURNS = 20, WRITES = 2000 };

typedef long raw_call(long number, long a, long b, long c);

static int file;
static int64_t written;

static void write_much(void) {
    for (int i = 0; i < WRITES; i++)
        require(write(file, "0123456789", 10) == 10);
    written += 10 * WRITES;
}

static int64_t size_by(raw_call *call) {
    struct stat st = {0};
    require(call(SYS_fstat, file, (long)&st, 0) == 0);
    return st.st_size;
}

/* What a compiler would make of raw_call. */
#if defined(__x86_64__)
static const unsigned char code[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89,
                                     0xd6, 0x48, 0x89, 0xca, 0x0f, 0x05, 0xc3};
#else
static const unsigned char code[] = {0xe8, 0x03, 0x00, 0xaa, 0xe0, 0x03, 0x01, 0xaa, 0xe1, 0x03, 0x02, 0xaa,
                                     0xe2, 0x03, 0x03, 0xaa, 0x01, 0x00, 0x00, 0xd4, 0xc0, 0x03, 0x5f, 0xd6};
#endif

static raw_call *make_code(bool executable_first) {
    enum { SIZE = 65536 };
    int protection = PROT_READ | PROT_WRITE | (executable_first ? PROT_EXEC : 0);
    char *memory = mmap(NULL, SIZE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED);
    memcpy(memory, code, sizeof code);
    __builtin___clear_cache(memory, memory + sizeof code);
    require(executable_first || mprotect(memory, SIZE, PROT_READ | PROT_EXEC) == 0);
    return (raw_call *)memory;
}

/* As a loader of its own would do it. */
static void *map_file(const void *bytes, size_t n) {
    int fd = open("code", O_CREAT | O_TRUNC | O_RDWR, 0700);
    require(write(fd, bytes, n) == (ssize_t)n);
    void *memory = mmap(NULL, n, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    require(memory != MAP_FAILED);
    close(fd);
    return memory;
}

static raw_call *map_code(void) {
    return (raw_call *)map_file(code, sizeof code);
}

static void write_and_wait(void) {
    for (int i = 0; i < TURNS; i++) {
        write_much();
        usleep(1000); /* whatever is looked at in the background gets done */
    }
}

/* What has been looked at is changed, after something else was loaded. */
static raw_call *patch_code(void) {
    char nothing[4096] = "";
    void *memory = map_file(nothing, sizeof nothing);
    write_and_wait();
    require(dlopen("libm.so.6", RTLD_NOW));
    require(mprotect(memory, sizeof nothing, PROT_READ | PROT_WRITE) == 0);
    memcpy(memory, code, sizeof code);
    __builtin___clear_cache(memory, (char *)memory + sizeof code);
    require(mprotect(memory, sizeof nothing, PROT_READ | PROT_EXEC) == 0);
    return (raw_call *)memory;
}

static void copy(const char *path) {
    static char bytes[1 << 20];
    int from = open(path, O_RDONLY), to = open("./plugin", O_CREAT | O_WRONLY | O_TRUNC, 0700);
    ssize_t n = read(from, bytes, sizeof bytes);
    require(n > 0 && write(to, bytes, (size_t)n) == n);
    require(close(from) == 0 && close(to) == 0);
}

/* A plugin that was built anew: in the same file, and most likely at the same address. */
static void *reload(const char *older, const char *newer) {
    copy(older);
    void *handle = dlopen("./plugin", RTLD_NOW);
    require(handle);
    write_and_wait();
    require(dlclose(handle) == 0);
    copy(newer);
    return dlopen("./plugin", RTLD_NOW);
}

static raw_call *load(void *handle, const char *name) {
    require(handle);
    raw_call *call = (raw_call *)dlsym(handle, name);
    require(call);
    return call;
}

int main(int argc, char **argv) {
    require(argc >= 2);
    file = open("file", O_CREAT | O_TRUNC | O_RDWR, 0600);
    require(file >= 0);
    raw_call *call = NULL;
    int wrong = 0;
    if (strcmp(argv[1], "early") == 0) /* executable from the beginning, and empty */
        call = make_code(true);
    write_much();
    write_and_wait();
    if (strcmp(argv[1], "loaded") == 0)
        call = load(dlopen(argv[2], RTLD_NOW), "raw_call_of_library");
    else if (strcmp(argv[1], "deep") == 0)
        call = load(dlopen(argv[2], RTLD_NOW | RTLD_DEEPBIND), "raw_call_of_library");
    else if (strcmp(argv[1], "namespace") == 0)
        call = load(dlmopen(LM_ID_NEWLM, argv[2], RTLD_NOW), "raw_call_of_library");
    else if (strcmp(argv[1], "handle") == 0) /* as foreign function interfaces find libc's */
        call = load(dlopen("libc.so.6", RTLD_NOW), "syscall");
    else if (strcmp(argv[1], "mapped") == 0)
        call = map_code();
    else if (strcmp(argv[1], "protected") == 0)
        call = make_code(false);
    else if (strcmp(argv[1], "patched") == 0)
        call = patch_code();
    else if (strcmp(argv[1], "reloaded") == 0)
        call = load(reload(argv[2], argv[3]), "raw_call_of_library");
    require(call);
    for (int i = 0; i < TURNS; i++) {
        write_much();
        wrong += size_by(call) != written;
        usleep(1000);
    }
    printf("%s: %d of %d wrong\n", argv[1], wrong, TURNS);
    return 0;
}
