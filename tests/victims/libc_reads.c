/*
 * libc_reads zones | default | catalogues | locales | conversions MODULE | strerror: writes files that libc itself then
 * reads, byte by byte, and doesn't close them: time zones named by TZ, the default one (/etc/localtime is the test's
 * own file), message catalogues, locales, character sets, libc's own messages. Prints what libc found.
 *
 * libc_reads log N [ZONE]: writes N lines to a file, each with the local time, as programs do that keep a log.
 */
#include "transcript.h"

#include <iconv.h>
#include <libintl.h>
#include <locale.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <wchar.h>

struct bytes {
    char at[8192];
    size_t length;
};

static void add(struct bytes *to, const void *from, size_t n) {
    require(to->length + n <= sizeof to->at);
    memcpy(to->at + to->length, from, n);
    to->length += n;
}

static void add_big_endian(struct bytes *to, uint32_t number) {
    unsigned char bytes[4] = {number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255};
    add(to, bytes, sizeof bytes);
}

// The file stays open.
static int write_bytes(const char *name, const struct bytes *bytes) {
    int fd = open(name, O_RDWR | O_CREAT, 0644);
    require(fd >= 0);
    for (size_t i = 0; i < bytes->length; i++)
        require(write(fd, bytes->at + i, 1) == 1);
    return fd;
}

// Without changes or, as a rule for others, with summer and winter (tzfile(5)); twice: in short numbers and in long
// ones.
static struct bytes zone_of(int hours, bool rule) {
    struct bytes zone = {.length = 0};
    for (int part = 0; part < 2; part++) {
        add(&zone, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
        for (int count = 0; count < 3; count++)
            add_big_endian(&zone, 0);
        add_big_endian(&zone, rule ? 2 : 0);
        add_big_endian(&zone, rule ? 2 : 1);
        add_big_endian(&zone, 4);
        for (int i = 0; rule && i < 2; i++) {
            add(&zone, "\0\0\0", part ? 4 : 0);
            add_big_endian(&zone, 100000000 * (uint32_t)(i + 1));
        }
        add(&zone, "\1", rule ? 2 : 0);
        add_big_endian(&zone, (uint32_t)(hours * 3600));
        add(&zone, "\0", 2);
        if (rule) {
            add_big_endian(&zone, (uint32_t)(hours * 3600 + 3600));
            add(&zone, "\1", 2);
        }
        add(&zone, "TST", 4);
    }
    char after[16];
    add(&zone, after, (size_t)sprintf(after, "\nTST%d\n", -hours));
    return zone;
}

static char here[4096];

static void note_zone(const char *how) {
    note("%s: %s %ld\n", how, tzname[0], timezone);
}

static const char *new_zone(int hours) {
    static char value[5000];
    char name[32];
    sprintf(name, "zone%d", hours);
    struct bytes zone = zone_of(hours, false);
    write_bytes(name, &zone);
    sprintf(value, ":%s/%s", here, name);
    return value;
}

static void note_hour(const char *how, const struct tm *t) {
    note("%s: hour %d, %s, %ld\n", how, t->tm_hour, t->tm_zone, t->tm_gmtoff);
}

static void change_environment(const char *value) {
    static char *variables[2], variable[5100];
    sprintf(variable, "TZ=%s", value);
    variables[0] = variable;
    environ = variables;
}

static void zones(void) {
    static char put[5100];
    time_t once = 1000000000;
    struct tm t;
    char text[64];
    wchar_t wide[64];
    setenv("TZ", new_zone(1), 1);
    note_hour("localtime_r, first", localtime_r(&once, &t));
    setenv("TZ", new_zone(2), 1);
    tzset();
    note_zone("tzset");
    sprintf(put, "TZ=%s", new_zone(3));
    putenv(put);
    note_hour("localtime", localtime(&once));
    change_environment(new_zone(4));
    note("ctime: %s", ctime(&once));
    change_environment(new_zone(5));
    t = (struct tm){.tm_year = 101, .tm_mday = 1};
    note("mktime: %ld\n", (long)mktime(&t));
    change_environment(new_zone(6));
    t = (struct tm){.tm_year = 101, .tm_mday = 1};
    strftime(text, sizeof text, "%s", &t);
    note("strftime: %s\n", text);
    change_environment(new_zone(7));
    wcsftime(wide, 64, L"%s", &t);
    note("wcsftime: %ls\n", wide);
    // What was once there, then something else, and it again, now with nothing pending.
    change_environment(new_zone(8));
    tzset();
    int changed = open("zone8", O_RDWR | O_TRUNC);
    change_environment("UTC");
    tzset();
    struct bytes zone = zone_of(9, false);
    for (size_t i = 0; i < zone.length; i++)
        require(pwrite(changed, zone.at + i, 1, (off_t)i) == 1);
    char again[5000];
    sprintf(again, ":%s/zone8", here);
    change_environment(again);
    tzset();
    note_zone("rewritten meanwhile");
    // Names without a rule: libc looks for files each time.
    require(mkdir("zones", 0755) == 0);
    char *variables[] = {"TZ=ABC5DEF", NULL, NULL};
    static char directory[5000];
    sprintf(directory, "TZDIR=%s/zones", here);
    variables[1] = directory;
    environ = variables;
    zone = zone_of(1, true);
    write_bytes("zones/posixrules", &zone);
    tzset();
    note_zone("by the rule for all");
    zone = zone_of(10, false);
    write_bytes("zones/ABC5DEF", &zone);
    tzset();
    note_zone("by its own");
}

// Nothing is to be seen of a change within a second: natively, too.
static void default_zone(void) {
    time_t once = 1000000000;
    struct timespec long_ago[2] = {{1, 0}, {1, 0}};
    for (int hours = 1; hours < 6; hours++) {
        struct bytes zone = zone_of(hours, false);
        int fd = open("/etc/localtime", O_RDWR), other = open("other", O_RDWR | O_CREAT | O_APPEND, 0600);
        require(fd >= 0 && other >= 0);
        require(futimens(fd, long_ago) == 0);
        note_hour("before", localtime(&once));
        for (int i = 0; i < 100; i++) // something else is pending, and was when it was asked last
            require(write(other, "x", 1) == 1);
        note_hour("still", localtime(&once));
        for (size_t i = 0; i < zone.length; i++)
            require(pwrite(fd, zone.at + i, 1, (off_t)i) == 1);
        note_hour("after", localtime(&once));
        close(fd);
        close(other);
    }
}

// One message and its translation (GNU gettext, "The Format of GNU MO Files").
static struct bytes catalogue_of(const char *message, const char *translation) {
    uint32_t text = 28 + 16, length = (uint32_t)strlen(message), longer = (uint32_t)strlen(translation);
    uint32_t header[] = {0x950412de, 0, 1, 28, 36, 0, text, length, text, longer, text + length + 1};
    struct bytes catalogue = {.length = 0};
    add(&catalogue, header, sizeof header);
    add(&catalogue, message, length + 1);
    add(&catalogue, translation, longer + 1);
    return catalogue;
}

static void new_catalogue(const char *language, const char *domain, const char *message) {
    char name[200], translation[200];
    require(mkdir(language, 0755) == 0 || errno == EEXIST);
    sprintf(name, "%s/LC_MESSAGES", language);
    require(mkdir(name, 0755) == 0 || errno == EEXIST);
    sprintf(name, "%s/LC_MESSAGES/%s.mo", language, domain);
    sprintf(translation, "%s in %s, which is long enough to be written in more pieces than a few", message, language);
    struct bytes catalogue = catalogue_of(message, translation);
    write_bytes(name, &catalogue);
}

static void catalogues(void) {
    require(setlocale(LC_ALL, "C.UTF-8"));
    setenv("LANGUAGE", "aa", 1);
    for (int i = 0; i < 4; i++) {
        char domain[16];
        sprintf(domain, "domain%d", i);
        bindtextdomain(domain, here);
        new_catalogue("aa", domain, "one");
        note("dgettext: %s\n", dgettext(domain, "one"));
        note("again: %s\n", dgettext(domain, "one"));
    }
    new_catalogue("aa", "nobody", "nothing"); // with anything pending it is seen that this catalogue is loaded
    note("still there: %s\n", dgettext("domain0", "one"));
    new_catalogue("bb", "domain0", "two");
    setenv("LANGUAGE", "bb", 1);
    note("another language: %s\n", dcgettext("domain0", "two", LC_MESSAGES));
    setenv("LANGUAGE", "cc", 1);
    textdomain("domain1");
    new_catalogue("cc", "domain1", "three");
    note("the domain by default: %s\n", gettext("three"));
    textdomain("domain2");
    new_catalogue("cc", "domain2", "three");
    note("and another one: %s\n", ngettext("three", "threes", 1));
    require(mkdir("there", 0755) == 0 && chdir("there") == 0);
    sprintf(here + strlen(here), "/there");
    new_catalogue("cc", "domain2", "four");
    bindtextdomain("domain2", here);
    note("found elsewhere: %s\n", dngettext("domain2", "four", "fours", 1));
    new_catalogue("cc", "domain3", "five");
    bindtextdomain("domain3", here);
    note("in another locale: %s\n", dcngettext("domain3", "five", "fives", 1, LC_TIME));
}

static void locales(void) {
    char name[64];
    struct bytes times;
    int fd = open("/usr/lib/locale/C.utf8/LC_TIME", O_RDONLY);
    require(fd >= 0);
    times.length = (size_t)read(fd, times.at, sizeof times.at);
    setenv("LOCPATH", here, 1);
    for (int i = 0; i < 4; i++) {
        sprintf(name, "xx_X%d.UTF-8", i);
        require(mkdir(name, 0755) == 0);
        sprintf(name, "xx_X%d.UTF-8/LC_TIME", i);
        write_bytes(name, &times);
        sprintf(name, "xx_X%d.UTF-8", i);
        if (i % 2)
            note("newlocale: %s\n", newlocale(LC_TIME_MASK, name, NULL) ? "there" : "none");
        else
            note("setlocale: %s\n", setlocale(LC_TIME, name) ? "there" : "none");
    }
}

// How to convert libc learns when it first has to, and then loads what does it.
static void conversions(const char *module) {
    static const char line[] = "module ISO-8859-2// INTERNAL MINE 1\nmodule INTERNAL ISO-8859-2// MINE 1\n";
    char bytes[16];
    ssize_t got;
    int how = open("gconv-modules", O_WRONLY | O_CREAT, 0644), from = open(module, O_RDONLY);
    int to = open("MINE.so", O_WRONLY | O_CREAT, 0755);
    require(how >= 0 && from >= 0 && to >= 0);
    for (int i = 0; i < 200; i++) // the library looks for GCONV_PATH when it begins
        require(pwrite(to, line, 1, 0) == 1);
    require(write(how, line, sizeof line - 1) == sizeof line - 1 && close(how) == 0);
    setenv("GCONV_PATH", here, 1);
    require(iconv_open("UTF-8", "UTF-16") != (iconv_t)-1); // now it knows
    while ((got = read(from, bytes, sizeof bytes)) > 0)
        require(write(to, bytes, (size_t)got) == got);
    note("%s\n", iconv_open("UTF-8", "ISO-8859-2") == (iconv_t)-1 ? "none" : "there");
}

static void own_messages(void) {
    require(setlocale(LC_ALL, "C.UTF-8"));
    setenv("LANGUAGE", "aa", 1);
    bindtextdomain("libc", here);
    new_catalogue("aa", "libc", "No such file or directory");
    note("%s\n", strerror(ENOENT));
}

static void keep_log(int lines) {
    int fd = open("log", O_RDWR | O_CREAT | O_APPEND, 0600);
    require(fd >= 0);
    for (int i = 0; i < lines; i++) {
        char line[100];
        time_t now = 1000000000 + i / 100;
        size_t length = strftime(line, sizeof line, "%F %T %Z something has happened\n", localtime(&now));
        require(write(fd, line, length) == (ssize_t)length);
    }
}

int main(int argc, char **argv) {
    require(argc >= 2 && getcwd(here, sizeof here / 2));
    if (strcmp(argv[1], "zones") == 0)
        zones();
    else if (strcmp(argv[1], "default") == 0)
        default_zone();
    else if (strcmp(argv[1], "catalogues") == 0)
        catalogues();
    else if (strcmp(argv[1], "locales") == 0)
        locales();
    else if (strcmp(argv[1], "conversions") == 0)
        conversions(argc > 2 ? argv[2] : "");
    else if (strcmp(argv[1], "strerror") == 0)
        own_messages();
    else if (argc == 3)
        keep_log(atoi(argv[2]));
    print_transcript();
    return 0;
}
