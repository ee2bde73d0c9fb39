/* A line is built in a fixed array on the stack and written at once: no allocation, no lock. */
#include "log/log.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};
static const char *const format_names[] = {"text", "json"};

static struct {
    enum sa_log_level level;
    enum sa_log_format format;
    int fd;
    const char *component;
    uint64_t dropped;
} state = {.level = SA_LOG_INFO, .fd = STDERR_FILENO};

/* The end of a line is kept free for what closes it. */
enum { RESERVE = 16, ESCAPE_MAX = 6 };

struct line {
    char data[SA_LOG_LINE_MAX];
    size_t length;
    bool full, json;
};

void sa_log_init(enum sa_log_level level, enum sa_log_format format, int fd, const char *component)
{
    state.level = level;
    state.format = format;
    state.fd = fd;
    state.component = component;
}

static int choose(const char *text, const char *const names[], int count, const char *what,
                  struct sa_error *err)
{
    for (int i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return sa_error_set(err, SA_EINVALID, "unknown log %s \"%.32s\"", what, text);
}

int sa_log_parse_level(const char *text, enum sa_log_level *level, struct sa_error *err)
{
    int i = choose(text, level_names, 5, "level", err);
    if (i < 0)
        return -1;
    *level = (enum sa_log_level)i;
    return 0;
}

int sa_log_parse_format(const char *text, enum sa_log_format *format, struct sa_error *err)
{
    int i = choose(text, format_names, 2, "format", err);
    if (i < 0)
        return -1;
    *format = (enum sa_log_format)i;
    return 0;
}

bool sa_log_enabled(enum sa_log_level level)
{
    return level >= state.level && level < SA_LOG_OFF;
}

uint64_t sa_log_dropped(void)
{
    return __atomic_load_n(&state.dropped, __ATOMIC_RELAXED);
}

/* Add all of it or, where it does not fit, nothing. */
static bool add(struct line *line, const char *text, size_t length)
{
    if (line->full || line->length + length > sizeof line->data - RESERVE) {
        line->full = true;
        return false;
    }
    memcpy(line->data + line->length, text, length);
    line->length += length;
    return true;
}

/* One byte as both formats escape it; bytes that are not UTF-8 as U+FFFD in JSON. */
static size_t escape(unsigned char c, bool json, char out[ESCAPE_MAX + 1])
{
    static const char *const names[] = {['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n",
                                        ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\"};
    if (c < sizeof names / sizeof names[0] && names[c])
        return (size_t)snprintf(out, ESCAPE_MAX + 1, "%s", names[c]);
    if (c >= 0x80 && json)
        return (size_t)snprintf(out, ESCAPE_MAX + 1, "\xEF\xBF\xBD");
    return (size_t)snprintf(out, ESCAPE_MAX + 1, json ? "\\u%04x" : "\\x%02x", c);
}

/* Length of the character at `text` that may be shown as it is: printable ASCII and valid UTF-8
 * but for the C1 controls, the line and paragraph separators and the marks that change the
 * direction of text, with which a terminal or viewer could be fooled. 0: escape one byte. */
static size_t plain(const char *text, size_t length)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7F && s[0] != '"' && s[0] != '\\';
    size_t n = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (n > length || !sa_utf8_valid(text, n))
        return 0;
    if (s[0] == 0xC2 && s[1] < 0xA0)
        return 0;
    if (s[0] == 0xE2 && s[1] == 0x80 &&
        (s[2] == 0x8E || s[2] == 0x8F || (s[2] >= 0xA8 && s[2] <= 0xAE)))
        return 0;
    if (s[0] == 0xE2 && s[1] == 0x81 && s[2] >= 0xA6 && s[2] <= 0xA9)
        return 0;
    return n;
}

/* How many bytes from `text` on are printable ASCII that is not escaped, at most `room`. */
static size_t plain_run(const char *text, size_t length, size_t room)
{
    size_t n = 0, most = length < room ? length : room;
    while (n < most && text[n] >= 0x20 && text[n] < 0x7F && text[n] != '"' && text[n] != '\\')
        n++;
    return n;
}

/* The value between quotes, cut at SA_LOG_VALUE_MAX bytes of input or where the line is full. */
static void add_quoted(struct line *line, const char *text, size_t length)
{
    bool cut = length > SA_LOG_VALUE_MAX;
    if (cut)
        length = SA_LOG_VALUE_MAX - sa_utf8_partial_tail(text, SA_LOG_VALUE_MAX);
    if (!add(line, "\"", 1))
        return;
    for (size_t i = 0, n; i < length; i += n) {
        char escaped[ESCAPE_MAX + 1];
        n = plain_run(text + i, length - i, sizeof line->data - RESERVE - line->length);
        if (n || (n = plain(text + i, length - i))) {
            if (!add(line, text + i, n))
                break;
            continue;
        }
        size_t bytes = escape((unsigned char)text[i], line->json, escaped);
        if (!add(line, escaped, bytes))
            break;
        n = 1;
    }
    if (cut || line->full) { /* from the reserve */
        memcpy(line->data + line->length, "...", 3);
        line->length += 3;
    }
    line->data[line->length++] = '"';
}

/* Text that needs no quotes in key=value: what a shell or awk would take as one word. */
static bool bare(const char *text, size_t length)
{
    if (length == 0 || length > SA_LOG_VALUE_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= 0x20 || c >= 0x7F || c == '"' || c == '\\' || c == '=' || c == '\'')
            return false;
    }
    return true;
}

static void add_text(struct line *line, const char *text, size_t length)
{
    if (!line->json && bare(text, length))
        add(line, text, length);
    else
        add_quoted(line, text, length);
}

/* `, "key":` or ` key=`; undone by the caller when the value does not fit. */
static bool add_key(struct line *line, const char *key)
{
    char text[64];
    bool first = line->length == (line->json ? 1 : 0);
    int n = line->json ? snprintf(text, sizeof text, "%s\"%.48s\":", first ? "" : ",", key)
                       : snprintf(text, sizeof text, "%s%.48s=", first ? "" : " ", key);
    return add(line, text, (size_t)n);
}

static void add_string(struct line *line, const char *key, const char *text, size_t length)
{
    size_t before = line->length;
    if (add_key(line, key)) {
        size_t value = line->length;
        add_text(line, text, length);
        if (line->length > value)
            return;
    }
    line->length = before; /* a key without a value is worse than nothing */
}

static void add_literal(struct line *line, const char *key, const char *text)
{
    size_t before = line->length;
    if (!add_key(line, key) || !add(line, text, strlen(text)))
        line->length = before;
}

static void add_failure(struct line *line, const struct sa_error *error)
{
    add_string(line, "error", error->message, strlen(error->message));
    add_string(line, "code", sa_code_name(error->code), strlen(sa_code_name(error->code)));
    if (error->path[0])
        add_string(line, "path", error->path, strlen(error->path));
}

static void add_field(struct line *line, const struct sa_log_field *f)
{
    char number[40];
    switch (f->kind) {
    case SA_LOG_KIND_NONE:
        return;
    case SA_LOG_KIND_STRING:
        if (!f->text)
            add_literal(line, f->key, line->json ? "null" : "-");
        else
            add_string(line, f->key, f->text, f->length == SIZE_MAX ? strlen(f->text) : f->length);
        return;
    case SA_LOG_KIND_INT:
        snprintf(number, sizeof number, "%lld", (long long)f->i);
        break;
    case SA_LOG_KIND_UINT:
        snprintf(number, sizeof number, "%llu", (unsigned long long)f->u);
        break;
    case SA_LOG_KIND_DOUBLE:
        snprintf(number, sizeof number, isfinite(f->d) || !line->json ? "%.9g" : "null", f->d);
        break;
    case SA_LOG_KIND_BOOL:
        snprintf(number, sizeof number, "%s", f->b ? "true" : "false");
        break;
    case SA_LOG_KIND_SECRET:
        add_string(line, f->key, "***", 3);
        return;
    case SA_LOG_KIND_FAILURE:
        if (f->error)
            add_failure(line, f->error);
        return;
    }
    add_literal(line, f->key, number);
}

static void finish(struct line *line)
{
    if (line->full && !line->json) {
        memcpy(line->data + line->length, " ...", 4);
        line->length += 4;
    }
    if (line->json)
        line->data[line->length++] = '}';
    line->data[line->length++] = '\n';
}

void sa_log_write(enum sa_log_level level, const char *message, const struct sa_log_field *fields,
                  size_t count)
{
    int saved = errno;
    struct line line;
    char now[SA_RFC3339_BYTES];
    if (!sa_log_enabled(level))
        return;
    line.length = 0;
    line.full = false;
    line.json = state.format == SA_LOG_JSON;
    if (line.json)
        line.data[line.length++] = '{';
    sa_rfc3339(sa_wall_ms(), now);
    add_string(&line, "ts", now, strlen(now));
    add_string(&line, "level", level_names[level], strlen(level_names[level]));
    add_string(&line, "msg", message, strlen(message));
    if (state.component)
        add_string(&line, "component", state.component, strlen(state.component));
    for (size_t i = 0; i < count; i++)
        add_field(&line, &fields[i]);
    finish(&line);
    ssize_t n;
    do
        n = write(state.fd, line.data, line.length);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)line.length)
        __atomic_fetch_add(&state.dropped, 1, __ATOMIC_RELAXED);
    errno = saved;
}

bool sa_log_allow(struct sa_log_limit *limit, int64_t now_ms, uint64_t *skipped)
{
    /* The bucket is kept as the time at which it is full: each line moves that on by every_ms,
     * and it may lie at most burst * every_ms ahead. */
    if (limit->full_ms < now_ms)
        limit->full_ms = now_ms;
    int64_t most = now_ms + (limit->burst > 1 ? limit->burst : 1) * limit->every_ms;
    if (limit->full_ms + limit->every_ms > most) {
        limit->skipped++;
        return false;
    }
    limit->full_ms += limit->every_ms;
    *skipped = limit->skipped;
    limit->skipped = 0;
    return true;
}
