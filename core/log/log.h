/*
 * The log: one line an event to standard error, as key=value or as JSON, written with a single
 * write(2) so that lines of several threads and processes never mix.
 *
 *     sa_log_info("sandbox created", SA_LOG_S("sandbox", id), SA_LOG_I("ms", 3));
 *
 *     ts=2026-01-31T09:05:00.123Z level=info msg="sandbox created" sandbox=sb-... ms=3
 *     {"ts":"2026-01-31T09:05:00.123Z","level":"info","msg":"sandbox created",...}
 *
 * Values may come from anywhere: quotes, control characters and bytes that are not UTF-8 are
 * escaped, so nothing a client sends can begin a line or forge a field. A value is cut at
 * SA_LOG_VALUE_MAX bytes and a line at SA_LOG_LINE_MAX, both marked with "...". Secrets have a
 * field type of their own, SA_LOG_SECRET, and show as ***. Fixed keys: sandbox, execution, user,
 * request_id, component, ms, error. Log once, at the layer that handles the thing.
 *
 * Any thread, once sa_log_init() was called (before that: info, key=value, standard error). A
 * line that cannot be written at once (a full pipe that does not block) is dropped and counted.
 */
#ifndef SA_LOG_LOG_H
#define SA_LOG_LOG_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sa_log_level { SA_LOG_DEBUG, SA_LOG_INFO, SA_LOG_WARN, SA_LOG_ERROR, SA_LOG_OFF };
enum sa_log_format { SA_LOG_TEXT, SA_LOG_JSON };
enum { SA_LOG_LINE_MAX = 4096 /* PIPE_BUF: atomic on pipes */, SA_LOG_VALUE_MAX = 1024 };

/* `component` (a string that lives on, or NULL) is added to every line. */
void sa_log_init(enum sa_log_level level, enum sa_log_format format, int fd, const char *component);
/* "debug", "info", "warn", "error", "off"; "text", "json". -1 and SA_EINVALID otherwise. */
int sa_log_parse_level(const char *text, enum sa_log_level *level, struct sa_error *err);
int sa_log_parse_format(const char *text, enum sa_log_format *format, struct sa_error *err);
/* Lines that could not be written so far. */
uint64_t sa_log_dropped(void);

enum sa_log_kind {
    SA_LOG_KIND_NONE,
    SA_LOG_KIND_STRING,
    SA_LOG_KIND_INT,
    SA_LOG_KIND_UINT,
    SA_LOG_KIND_DOUBLE,
    SA_LOG_KIND_BOOL,
    SA_LOG_KIND_SECRET,
    SA_LOG_KIND_FAILURE
};

struct sa_log_field { /* make it with the macros below */
    const char *key;
    enum sa_log_kind kind;
    size_t length;
    union {
        const char *text;
        int64_t i;
        uint64_t u;
        double d;
        bool b;
        const struct sa_error *error;
    };
};

/* Keys are literals of lower-case letters, digits and `_`. */
#define SA_LOG_S(k, v)                                                                             \
    SA_LOG_FIELD_(k, SA_LOG_KIND_STRING, SIZE_MAX, .text = (v))                  /* may be NULL    \
                                                                                  */
#define SA_LOG_N(k, v, n) SA_LOG_FIELD_(k, SA_LOG_KIND_STRING, (n), .text = (v)) /* n bytes */
#define SA_LOG_I(k, v) SA_LOG_FIELD_(k, SA_LOG_KIND_INT, 0, .i = (v))
#define SA_LOG_U(k, v) SA_LOG_FIELD_(k, SA_LOG_KIND_UINT, 0, .u = (v))
#define SA_LOG_D(k, v) SA_LOG_FIELD_(k, SA_LOG_KIND_DOUBLE, 0, .d = (v))
#define SA_LOG_B(k, v) SA_LOG_FIELD_(k, SA_LOG_KIND_BOOL, 0, .b = (v))
#define SA_LOG_SECRET(k, v) SA_LOG_FIELD_(k, SA_LOG_KIND_SECRET, 0, .text = (v))
/* A struct sa_error: fields error (message), code, and path where there is one. */
#define SA_LOG_ERR(e) SA_LOG_FIELD_("error", SA_LOG_KIND_FAILURE, 0, .error = (e))
#define SA_LOG_FIELD_(k, t, n, ...)                                                                \
    (struct sa_log_field)                                                                          \
    {                                                                                              \
        .key = (k), .kind = (t), .length = (n), __VA_ARGS__                                        \
    }

bool sa_log_enabled(enum sa_log_level level);
/* Write one line; fields of kind NONE are skipped. errno is kept. */
void sa_log_write(enum sa_log_level level, const char *message, const struct sa_log_field *fields,
                  size_t count);

/* Fields are not evaluated when the level is off. */
#define SA_LOG_AT_(level, message, ...)                                                            \
    do {                                                                                           \
        if (sa_log_enabled(level)) {                                                               \
            const struct sa_log_field sa_fields_[] = {{.key = NULL}, ##__VA_ARGS__};               \
            sa_log_write(level, message, sa_fields_, sizeof sa_fields_ / sizeof sa_fields_[0]);    \
        }                                                                                          \
    } while (0)
#define sa_log_debug(message, ...) SA_LOG_AT_(SA_LOG_DEBUG, message, ##__VA_ARGS__)
#define sa_log_info(message, ...) SA_LOG_AT_(SA_LOG_INFO, message, ##__VA_ARGS__)
#define sa_log_warn(message, ...) SA_LOG_AT_(SA_LOG_WARN, message, ##__VA_ARGS__)
#define sa_log_error(message, ...) SA_LOG_AT_(SA_LOG_ERROR, message, ##__VA_ARGS__)

/* For events an outsider can cause at will: at most `burst` at once and one each `every_ms`.
 *
 *     static struct sa_log_limit limit = {.every_ms = 1000, .burst = 5};
 *     uint64_t skipped;
 *     if (sa_log_allow(&limit, sa_monotonic_ms(), &skipped))
 *         sa_log_warn("bad frame", SA_LOG_S("sandbox", id), SA_LOG_U("skipped", skipped));
 *
 * *skipped is how many were refused since the last that was allowed. One thread a limit. */
struct sa_log_limit {
    int64_t every_ms;
    int64_t burst;
    int64_t full_ms; /* private: when the bucket will be full again */
    uint64_t skipped;
};
bool sa_log_allow(struct sa_log_limit *limit, int64_t now_ms, uint64_t *skipped);

#endif
