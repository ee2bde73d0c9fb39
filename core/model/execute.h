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
};

struct sa_execute {     /* strings belong to the arena */
    const char *kind;   /* "python", "node", "bash" or "command" */
    const char *filter; /* seccomp filter inside the sandbox */
    const char *const *argv;
    size_t argc;
    const char *code; /* offered on descriptor 3; NULL for commands */
    size_t code_length;
    const char *cwd;        /* NULL: the default */
    const char *stdin_text; /* NULL: none */
    struct sa_json_map env;
    int64_t timeout_ms;
    const char *summary; /* for the record: the command or the code */
};

/* SA_EINVALID with the path of the field. */
int sa_execute_decode(const char *body, size_t length, struct sa_arena *arena,
                      struct sa_execute *execute, struct sa_error *err);

#endif
