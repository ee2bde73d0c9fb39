/* Request targets: origin-form, absolute-form and "*". See target.h. */
#include "http/target.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void sa_http_target_deinit(struct sa_http_target *target)
{
    free(target->segments);
    free(target->query);
    sa_buf_deinit(&target->text);
    memset(target, 0, sizeof *target);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode [from, from+length) to `to`, add a NUL. The decoded length, or -1: a broken escape or
 * one that makes a NUL. `to` may equal `from`. */
static ssize_t decode(char *to, const char *from, size_t length, bool plus_is_space)
{
    char *start = to;
    for (size_t i = 0; i < length; i++) {
        char c = from[i];
        if (c == '%') {
            int high = length - i < 3 ? -1 : hex(from[i + 1]);
            int low = high < 0 ? -1 : hex(from[i + 2]);
            if (low < 0 || (high == 0 && low == 0))
                return -1;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *to++ = c;
    }
    *to = '\0';
    return to - start;
}

static void *grow(void *array, size_t *capacity, size_t count, size_t item_bytes)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 8;
    return sa_realloc(array, *capacity * item_bytes);
}

static bool is_dots(const char *segment, ssize_t length)
{
    return (length == 1 && segment[0] == '.') ||
           (length == 2 && segment[0] == '.' && segment[1] == '.');
}

/* `to` has room for the path and one NUL for each segment. */
static const char *split_path(struct sa_http_target *t, const char *path, size_t length, char *to)
{
    const char *end = path + length;
    t->segment_count = 0;
    for (const char *p = path + 1;; p++) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        const char *stop = slash ? slash : end;
        ssize_t n = decode(to, p, (size_t)(stop - p), false);
        if (n < 0)
            return "the path holds a broken or forbidden percent escape";
        if (is_dots(to, n))
            return "the path holds a \".\" or \"..\" segment";
        if (t->segment_count == SA_HTTP_SEGMENTS_MAX)
            return "the path has too many segments";
        t->segments =
            grow(t->segments, &t->segment_capacity, t->segment_count, sizeof *t->segments);
        t->segments[t->segment_count++] = (struct sa_http_text){to, (size_t)n};
        to += n + 1;
        if (!slash)
            return NULL;
        p = slash;
    }
}

/* In place: every name and value is at least as long encoded, and '=' and '&' make room for the
 * NULs (the last one lands on the NUL that follows the text). */
static const char *split_query(struct sa_http_target *t, char *query, unsigned max)
{
    t->query_count = 0;
    while (query && *query) {
        char *next = strchr(query, '&');
        if (next)
            *next++ = '\0';
        char *value = strchr(query, '=');
        if (value)
            *value++ = '\0';
        if (decode(query, query, strlen(query), true) < 0 ||
            (value && decode(value, value, strlen(value), true) < 0))
            return "the query holds a broken or forbidden percent escape";
        if (*query || value) {
            if (t->query_count == max)
                return "the query has too many parameters";
            t->query = grow(t->query, &t->query_capacity, t->query_count, sizeof *t->query);
            t->query[t->query_count++] = (struct sa_http_pair){query, value ? value : ""};
        }
        query = next;
    }
    return NULL;
}

bool sa_http_host_valid(const char *host)
{
    const char *p = host;
    if (*p == '[') {
        p += 1 + strspn(p + 1, "0123456789abcdefABCDEF:.");
        if (*p++ != ']' || p - host < 4)
            return false;
    } else {
        p += strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~");
        if (p == host)
            return false;
    }
    if (!*p)
        return true;
    return *p == ':' && strspn(p + 1, "0123456789") == strlen(p + 1) && strlen(p + 1) <= 5;
}

/* Moves `raw` past "http://authority", which has to name the host that Host names. */
static const char *strip_authority(const char **raw, size_t *length, const char *host)
{
    size_t scheme = !strncasecmp(*raw, "http://", 7)    ? 7
                    : !strncasecmp(*raw, "https://", 8) ? 8
                                                        : 0;
    if (!scheme)
        return "the target is neither a path nor an http URL";
    const char *authority = *raw + scheme;
    size_t n = strcspn(authority, "/?");
    if (!host || strlen(host) != n || strncasecmp(host, authority, n) != 0)
        return "the target's host is not that of the Host header";
    *raw += scheme + n;
    *length -= scheme + n;
    return NULL;
}

static bool is_visible_ascii(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '#')
            return false;
    return true;
}

const char *sa_http_target_parse(struct sa_http_target *t, const char *method, const char *raw,
                                 size_t length, const char *host, unsigned query_max)
{
    const char *why;
    t->segment_count = t->query_count = 0;
    t->text.length = 0;
    if (!length || !is_visible_ascii(raw, length))
        return "the target holds a character that is not allowed there";
    if (!strcmp(raw, "*") && !strcmp(method, "OPTIONS")) {
        sa_buf_adds(&t->text, "*");
        t->path = t->text.data;
        return NULL;
    }
    if (raw[0] != '/' && (why = strip_authority(&raw, &length, host)) != NULL)
        return why;

    /* The raw path, the decoded segments (each with a NUL), the query. */
    const char *mark = memchr(raw, '?', length);
    size_t path_length = mark ? (size_t)(mark - raw) : length;
    char *at = sa_buf_reserve(&t->text, path_length + 1 + path_length + 1 + length + 2);
    t->path = at;
    if (path_length)
        memcpy(at, raw, path_length);
    else
        at[path_length++] = '/'; /* "http://host?x" */
    at[path_length] = '\0';
    char *segments = at + path_length + 1;
    char *query = NULL;
    if (mark) {
        size_t n = length - (size_t)(mark + 1 - raw);
        query = segments + path_length + 1;
        memcpy(query, mark + 1, n);
        query[n] = '\0';
    }
    why = split_path(t, t->path, path_length, segments);
    return why ? why : split_query(t, query, query_max);
}
