/*
 * What the user asked for. Read once, from the environment, before the program's main; constant afterwards.
 * options.def is the one table of variables: name, kind, default, help.
 */
#ifndef URINGSHIM_BASE_CONFIG_H
#define URINGSHIM_BASE_CONFIG_H

#include <stdbool.h>

#include "base/sys.h"

enum config_mode { MODE_ON, MODE_OBSERVE, MODE_OFF };
enum config_engine { ENGINE_AUTO, ENGINE_RING, ENGINE_DIRECT };
enum config_order { ORDER_PROCESS, ORDER_THREAD };
enum config_shared { SHARED_STRICT, SHARED_IGNORE };
enum config_own_calls { OWN_CALLS_STRICT, OWN_CALLS_IGNORE };
enum config_turns { TURNS_AUTO, TURNS_OFF, TURNS_ON };
enum config_eager { EAGER_NOT, EAGER_ALL, EAGER_TURNS };

struct config {
#define OPTION_CHOICE(field, variable, values, help) int field;
#define OPTION_NUMBER(field, variable, standard, min, max, help) long field;
#define OPTION_TEXT(field, variable, help) const char *field;
#include "base/options.def"
};

extern struct config config HIDDEN;

/*
 * Fills `config` from an environment (NULL-terminated "NAME=value" strings, which must live as long as the process).
 * Wrong values are answered with one line on standard error each, and leave the default.
 */
void config_read(char *const *environment);

/* Does one of the `:`-separated globs of URINGSHIM_ONLY and URINGSHIM_SKIP keep us out of this program? */
bool config_excludes(const char *program);

/* Does the name match one of the `:`-separated globs? One of 256 bytes and more matches nothing. */
bool config_matches(const char *globs, const char *name);

/* The name of a choice's value, as the user writes it: config_choice("URINGSHIM_ENGINE", ENGINE_RING) is "ring". */
const char *config_choice(const char *variable, int value);

#endif
