/*
 * Options of a program or sub-command: declared once in a table, read from four places. Later
 * ones win:
 *
 *     default < file (JSON, keys in camelCase: `data-dir` is "dataDir") < environment < flags
 *
 *     static const struct sa_option options[] = {
 *         {.name = "listen", .kind = SA_OPTION_STRING, .fallback = "127.0.0.1:8080",
 *          .env = "SECUREAGENT_LISTEN", .value = "ADDR:PORT", .help = "address to serve on"},
 *         {.name = "token", .kind = SA_OPTION_STRING, .secret = true, ...},
 *     };
 *
 * Flags: --name VALUE, --name=VALUE, -x VALUE; booleans --name, --no-name, --name=false. `--`
 * ends them. `--help`, `-h` and `--print-config` are always there. An option named "config" of
 * kind PATH names the file. Unknown flags and keys are refused: `did you mean --listen?`.
 *
 * One thread. Asking for an option that is not declared, or as another kind, is a bug and aborts.
 */
#ifndef SA_CONFIG_CONFIG_H
#define SA_CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sa_option_kind {
    SA_OPTION_STRING,
    SA_OPTION_INT,
    SA_OPTION_BOOL,
    SA_OPTION_DURATION, /* "250ms", "30s", "5m", "1h30m", "2d", "0"; milliseconds */
    SA_OPTION_SIZE,     /* "512Mi", "1G", "4096"; bytes */
    SA_OPTION_PATH,     /* a string that is not empty */
    SA_OPTION_LIST      /* strings, one each time the flag is given; elsewhere one at most */
};

struct sa_option {
    const char *name; /* lower case and dashes: "data-dir" */
    enum sa_option_kind kind;
    char letter;          /* short flag, or 0 */
    bool secret;          /* printed as *** */
    const char *fallback; /* the default as text; NULL: not set (numbers 0, booleans false) */
    const char *env;      /* variable, or NULL; an empty value counts as not set */
    const char *value;    /* placeholder in the help, or NULL: by kind */
    const char *help;     /* one line */
    int64_t low, high;    /* range of numbers (ms, bytes), inclusive; both 0: not negative */
};

enum sa_config_mode {
    SA_CONFIG_MIXED = 0,      /* flags may follow positional arguments */
    SA_CONFIG_POSITIONAL_ENDS /* the first positional ends the flags: `exec ID ls -la` */
};

struct sa_config;

/* `options` must live as long. Free with sa_config_free() (NULL is allowed). */
struct sa_config *sa_config_new(const struct sa_option *options, size_t count);
void sa_config_free(struct sa_config *config);

/* Read everything: argv from `from` on (1, or behind the sub-command), the environment, and the
 * file where one is named. 0, or -1 with SA_EINVALID (SA_ENOTFOUND: no such file) and the option
 * in err->path. After --help nothing else is checked. */
int sa_config_load(struct sa_config *config, int argc, char *const argv[], int from,
                   enum sa_config_mode mode, struct sa_error *err);
/* The steps of it, for programs that take options from elsewhere; call in order of precedence. */
int sa_config_load_file(struct sa_config *config, const char *path, struct sa_error *err);
int sa_config_load_env(struct sa_config *config, struct sa_error *err);
/* Set one option from text, as a flag would. */
int sa_config_set(struct sa_config *config, const char *name, const char *text,
                  struct sa_error *err);

bool sa_config_help_asked(const struct sa_config *config);
bool sa_config_print_asked(const struct sa_config *config);

/* Effective values; strings live until sa_config_free(). */
const char *sa_config_string(const struct sa_config *config,
                             const char *name); /* PATH too; NULL: not set */
int64_t sa_config_int(const struct sa_config *config, const char *name);
bool sa_config_bool(const struct sa_config *config, const char *name);
int64_t sa_config_ms(const struct sa_config *config, const char *name);
int64_t sa_config_bytes(const struct sa_config *config, const char *name);
/* The strings of a LIST in the order they were given, at most SA_CONFIG_LIST_MAX. */
enum { SA_CONFIG_LIST_MAX = 1024 };
size_t sa_config_list(const struct sa_config *config, const char *name, char *const **items);
/* "default", "file", "environment", "flag", or "unset". */
const char *sa_config_source(const struct sa_config *config, const char *name);

/* What was not a flag, in order (pointers into argv). */
size_t sa_config_args(const struct sa_config *config, char *const **args);

/* Append `--help` (usage and about come first, about may be NULL) or `--print-config`. */
void sa_config_help(const struct sa_config *config, const char *usage, const char *about,
                    struct sa_buf *out);
void sa_config_print(const struct sa_config *config, struct sa_buf *out);

/* Text to milliseconds as SA_OPTION_DURATION takes it. */
int sa_duration_parse(const char *text, int64_t *ms, struct sa_error *err);

#endif
