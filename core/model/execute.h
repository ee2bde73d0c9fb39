/* The body of `execute`, decoded, and how a language is started. */
#ifndef SA_MODEL_EXECUTE_H
#define SA_MODEL_EXECUTE_H

#include "base/arena.h"
#include "json/json.h"

enum {
    SA_EXECUTE_BODY_MAX = 20 * 1024 * 1024,
    SA_EXECUTE_CODE_MAX = 8 * 1024 * 1024,
    SA_EXECUTE_STDIN_MAX = 8 * 1024 * 1024,
    SA_EXECUTE_TIMEOUT_DEFAULT_MS = 60 * 1000,
    SA_EXECUTE_TIMEOUT_MAX_MS = 24 * 3600 * 1000,
    SA_EXECUTE_TTY_MAX = 4096, /* rows, columns */
};

struct sa_execute_limits { /* of the process; -1: the default */
    int64_t memory_bytes, cpu_seconds, file_size_bytes, open_files;
};
#define SA_EXECUTE_LIMITS_NONE                                                                     \
    (struct sa_execute_limits)                                                                     \
    {                                                                                              \
        -1, -1, -1, -1                                                                             \
    }

struct sa_execute {          /* strings belong to the arena */
    const char *kind;        /* "python", "node", "bash", "go" or "command"; NULL: the sandbox's
                                language, or the context's */
    const char *filter;      /* seccomp filter inside the sandbox */
    const char *const *argv; /* NULL without `kind`, and with `context` of no use */
    size_t argc;
    bool shell;       /* a command that is a line for /bin/sh -c, the last of `argv` */
    const char *code; /* offered on descriptor 3; NULL for commands */
    size_t code_length;
    const char *cwd;        /* NULL: the default */
    const char *stdin_text; /* NULL: none */
    bool stdin_open;        /* stays open for what is sent later; a terminal's always does */
    const char *context;    /* id; NULL: a program of its own */
    bool background;        /* answer at once */
    bool tty;
    int rows, cols; /* of the terminal */
    struct sa_execute_limits limits;
    struct sa_json_map env;
    int64_t timeout_ms;
    const char *summary; /* for the record: the command or the code */
};

/* The kind, and how it is started, of code that came without a language. -1: no such language
 * (SA_EINVALID at "language"). */
int sa_execute_set_language(struct sa_execute *execute, const char *language, struct sa_error *err);

/* SA_EINVALID with the path of the field. */
int sa_execute_decode(const char *body, size_t length, struct sa_arena *arena,
                      struct sa_execute *execute, struct sa_error *err);

/* The same of an object in a message, of which the caller has asked for the members that are the
 * message's own. */
int sa_execute_decode_members(struct sa_json_obj *root, struct sa_arena *arena,
                              struct sa_execute *execute, struct sa_error *err);

#endif
