#include "entry/processes/child_program.h"

#include <elf.h>
#include <fcntl.h>
#include <paths.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/critical.h"
#include "base/passing.h"
#include "base/stats.h"
#include "base/text.h"
#include "base/thread.h"

#if defined(__x86_64__)
enum { OUR_MACHINE = EM_X86_64 };
#else
enum { OUR_MACHINE = EM_AARCH64 };
#endif

enum {
    SCRIPTS = 5,       /* of scripts, after which the kernel gives up (exec_binprm in fs/exec.c) */
    SCRIPT_LINE = 256, /* BINPRM_BUF_SIZE */
    PATH_LONG = 1024,  /* a longer one isn't looked at */
};

/* The beginning of a file: it nearly always has all that is needed, and a thread's stack may be small. */
struct beginning {
    size_t length;
    char bytes[1024];
};

/* What a file says of who starts it. */
enum verdict { TAKES_US, REFUSES_US, IS_SCRIPT, NO_FORMAT };

static bool begins_with(const char *string, const char *prefix) {
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* glibc's is called ld-linux-x86-64.so.2, ld-lsb-x86-64.so.3 by the LSB, ld-2.31.so by who has several. */
static bool is_our_loader(const char *path) {
    const char *name = name_of(path);
    return begins_with(name, "ld-linux") || begins_with(name, "ld-lsb") || begins_with(name, "ld-2.");
}

/* Bytes of the file: from its beginning, if they are there. */
static bool get(int fd, const struct beginning *file, uint64_t offset, void *to, size_t size) {
    if (offset <= file->length && size <= file->length - offset) {
        memcpy(to, file->bytes + offset, size);
        return true;
    }
    return sys(SYS_pread64, fd, to, size, offset) == (long)size;
}

static enum verdict judge_loader(int fd, const struct beginning *file, const Elf64_Phdr *segment) {
    char path[256];
    if (segment->p_filesz == 0 || segment->p_filesz > sizeof path ||
        !get(fd, file, segment->p_offset, path, segment->p_filesz))
        return TAKES_US;
    path[segment->p_filesz - 1] = '\0';
    return is_our_loader(path) ? TAKES_US : REFUSES_US;
}

/* A program without a loader preloads nothing, unless it is one: that of musl can be started by name. */
static enum verdict judge_program(int fd, const struct beginning *file, const char *path) {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    if (!get(fd, file, 0, &header, sizeof header) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_machine != OUR_MACHINE)
        return REFUSES_US;
    for (unsigned i = 0; i < header.e_phnum && header.e_phentsize == sizeof segment; i++) {
        if (!get(fd, file, header.e_phoff + i * sizeof segment, &segment, sizeof segment))
            break;
        if (segment.p_type == PT_INTERP)
            return judge_loader(fd, file, &segment);
    }
    return begins_with(name_of(path), "ld-musl") ? REFUSES_US : TAKES_US;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Who starts a script (load_script in fs/binfmt_script.c). */
static bool read_interpreter(const struct beginning *file, char interpreter[SCRIPT_LINE]) {
    size_t i = 2, length = 0;
    while (i < file->length && is_blank(file->bytes[i]))
        i++;
    for (; i < file->length && length < SCRIPT_LINE - 1; i++) {
        char c = file->bytes[i];
        if (is_blank(c) || c == '\n' || c == '\0')
            break;
        interpreter[length++] = c;
    }
    interpreter[length] = '\0';
    return length > 0 && length < SCRIPT_LINE - 1;
}

static enum verdict judge(int fd, const char *path, char interpreter[SCRIPT_LINE]) {
    struct beginning file;
    long got = sys(SYS_pread64, fd, file.bytes, sizeof file.bytes, 0);
    file.length = got > 0 ? (size_t)got : 0;
    if (file.length >= SELFMAG && memcmp(file.bytes, ELFMAG, SELFMAG) == 0)
        return judge_program(fd, &file, path);
    if (file.length >= 2 && file.bytes[0] == '#' && file.bytes[1] == '!')
        return read_interpreter(&file, interpreter) ? IS_SCRIPT : TAKES_US;
    return NO_FORMAT;
}

static void number_is_ours(bool vfork_child) {
    if (vfork_child)
        return;
    critical_enter();
    passing_begins();
}

static void number_was_ours(bool vfork_child) {
    if (vfork_child)
        return;
    passing_ends();
    critical_leave();
}

static bool is_in_bin(const char *path, const char *name) {
    static const char *const places[] = {"/bin/", "/sbin/"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        size_t length = strlen(places[i]);
        if ((size_t)(name - path) >= length && memcmp(name - length, places[i], length) == 0)
            return true;
    }
    return false;
}

/* It can't gain: its number among the one-shots, or -1. */
static int one_shot(const struct child_choice *choice, const char *path) {
    const char *name = name_of(path);
    if (choice->all || !is_in_bin(path, name))
        return -1;
    for (int i = 0; i < ONE_SHOTS; i++)
        if (strcmp(name, stats_one_shots[i]) == 0)
            return choice->only && config_matches(choice->only, name) ? -1 : i;
    return -1;
}

/* Only a regular file is opened, for that does nothing but be noticed, as starting it is. */
static enum verdict look_at(const struct child_choice *choice, int dir, const char *path, int flags,
                            char interpreter[SCRIPT_LINE]) {
    const int open_flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    bool vfork_child = thread_self()->vfork_child;
    enum verdict verdict = TAKES_US;
    struct stat st;
    if (sys(SYS_newfstatat, dir, path, &st, flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0 || !S_ISREG(st.st_mode))
        return TAKES_US;
    int left_out = choice ? one_shot(choice, path) : -1;
    if (left_out >= 0) {
        stats_left_out(left_out);
        return REFUSES_US;
    }
    number_is_ours(vfork_child);
    long fd = sys(SYS_openat, dir, path, open_flags | (flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0));
    if (fd >= 0) {
        verdict = judge((int)fd, path, interpreter);
        sys(SYS_close, fd);
    }
    number_was_ours(vfork_child);
    return verdict;
}

/* A descriptor can be read if it is of a file that may be, whatever it was opened for. */
static void path_of_number(char path[64], int fd) {
    struct text text = {path, 63, 0};
    text_add(&text, "/proc/self/fd/");
    text_number(&text, fd);
    path[text.length] = '\0';
}

static enum verdict look_up(const struct child_choice *choice, int dir, const char *path, int flags) {
    char interpreter[SCRIPT_LINE], number[64];
    struct stat st;
    if (flags & AT_EMPTY_PATH && sys(SYS_newfstatat, dir, path, &st, 0) != 0 &&
        sys(SYS_newfstatat, dir, path, &st, AT_EMPTY_PATH) == 0) {
        path_of_number(number, dir);
        path = number;
        flags = 0;
    }
    enum verdict verdict = look_at(choice, dir, path, flags, interpreter);
    for (int scripts = 0; verdict == IS_SCRIPT && scripts < SCRIPTS; scripts++)
        verdict = look_at(NULL, AT_FDCWD, interpreter, 0, interpreter);
    return verdict;
}

bool child_program_takes_us(const struct child_choice *choice, int dir, const char *path, int flags) {
    return look_up(choice, dir, path, flags) != REFUSES_US;
}

static const char *search_path(void) {
    for (char *const *variable = environ; variable && *variable; variable++)
        if (begins_with(*variable, "PATH="))
            return *variable + sizeof "PATH=" - 1;
    return "/bin:/usr/bin"; /* confstr(3), _CS_PATH */
}

static bool find_in_path(const char *file, char path[PATH_LONG]) {
    struct stat st;
    const char *dir = search_path();
    for (size_t length; *dir; dir += length + (dir[length] == ':')) {
        length = strcspn(dir, ":");
        if (length + 1 + strlen(file) >= PATH_LONG)
            continue;
        struct text text = {path, PATH_LONG - 1, 0};
        memcpy(path, dir, length);
        text.length = length;
        text_add(&text, length ? "/" : "");
        text_add(&text, file);
        path[text.length] = '\0';
        if (sys(SYS_newfstatat, AT_FDCWD, path, &st, 0) == 0 && S_ISREG(st.st_mode) && st.st_mode & 0111)
            return true;
    }
    return false;
}

bool child_program_in_path_takes_us(const struct child_choice *choice, const char *file) {
    char path[PATH_LONG];
    if (!file)
        return true;
    if (!strchr(file, '/')) {
        if (!find_in_path(file, path))
            return true;
        file = path;
    }
    enum verdict verdict = look_up(choice, AT_FDCWD, file, 0);
    return verdict == NO_FORMAT ? look_up(NULL, AT_FDCWD, _PATH_BSHELL, 0) != REFUSES_US : verdict != REFUSES_US;
}
