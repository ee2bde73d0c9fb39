#include "api/preconditions.h"

#include "link/methods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- lists of entity tags ---- */

static bool is_etag_char(unsigned char c) /* RFC 9110, 8.8.3 */
{
    return c == 0x21 || (c >= 0x23 && c <= 0x7e) || c >= 0x80;
}

int sa_etag_next(const char **list, struct sa_etag *etag)
{
    const char *p = *list + strspn(*list, " \t,");
    if (!*p)
        return 0;
    if (*p == '*') {
        *etag = (struct sa_etag){.tag = p, .length = 1, .any = true};
        *list = p + 1;
        return 1;
    }
    *etag = (struct sa_etag){0};
    etag->weak = strncmp(p, "W/", 2) == 0;
    p += etag->weak ? 2 : 0;
    if (*p++ != '"')
        return -1;
    etag->tag = p;
    while (is_etag_char((unsigned char)*p))
        p++;
    etag->length = (size_t)(p - etag->tag);
    if (*p++ != '"')
        return -1;
    *list = p;
    p += strspn(p, " \t");
    return *p && *p != ',' ? -1 : 1;
}

/* `quoted` is strong, so with `strong` a weak tag of the list never matches. A malformed list
 * matches nothing from there on. */
static bool list_has(const char *list, const char *quoted, bool strong)
{
    struct sa_etag e;
    size_t length = strlen(quoted) - 2;
    while (sa_etag_next(&list, &e) > 0) {
        if (e.any)
            return true;
        if (!(strong && e.weak) && e.length == length && !memcmp(e.tag, quoted + 1, length))
            return true;
    }
    return false;
}

/* ---- dates ---- */

int64_t sa_http_date_parse(const char *text)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end && !*end)
            return timegm(&tm);
    }
    return SA_NO_TIME;
}

void sa_http_date(int64_t seconds, char out[SA_HTTP_DATE_BYTES])
{
    struct tm tm;
    time_t time = (time_t)seconds;
    gmtime_r(&time, &tm);
    strftime(out, SA_HTTP_DATE_BYTES, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* ---- conditions ---- */

static const char *joined(struct sa_http_request *request, const char *wanted)
{
    const char *name, *value, *all = NULL;
    for (size_t i = 0; sa_http_request_header_at(request, i, &name, &value); i++)
        if (strcasecmp(name, wanted) == 0)
            all =
                all ? sa_arena_printf(sa_http_request_arena(request), "%s,%s", all, value) : value;
    return all;
}

static int64_t date(const struct sa_http_request *request, const char *name)
{
    const char *text = sa_http_request_header(request, name);
    return text ? sa_http_date_parse(text) : SA_NO_TIME;
}

void sa_preconditions_read(struct sa_http_request *request, struct sa_preconditions *out)
{
    *out = (struct sa_preconditions){.if_match = joined(request, "if-match"),
                                     .if_none_match = joined(request, "if-none-match"),
                                     .if_range = sa_http_request_header(request, "if-range"),
                                     .if_modified_since_s = date(request, "if-modified-since"),
                                     .if_unmodified_since_s = date(request, "if-unmodified-since")};
}

/* In the order of RFC 9110, 13.2.2: tags count before times. */
enum sa_precondition sa_preconditions_check(const struct sa_preconditions *c, const char *etag,
                                            int64_t modified_s, struct sa_error *err)
{
    if (c->if_match && !list_has(c->if_match, etag, true)) {
        sa_error_at(err, SA_ECONFLICT, "If-Match", "the file has changed: its ETag is %s now",
                    etag);
        return SA_PRECONDITION_FAILED;
    }
    if (!c->if_match && c->if_unmodified_since_s != SA_NO_TIME &&
        modified_s > c->if_unmodified_since_s) {
        sa_error_at(err, SA_ECONFLICT, "If-Unmodified-Since",
                    "the file was modified after that time");
        return SA_PRECONDITION_FAILED;
    }
    if (c->if_none_match)
        return list_has(c->if_none_match, etag, false) ? SA_PRECONDITION_NOT_MODIFIED
                                                       : SA_PRECONDITION_GO;
    if (c->if_modified_since_s != SA_NO_TIME && modified_s <= c->if_modified_since_s)
        return SA_PRECONDITION_NOT_MODIFIED;
    return SA_PRECONDITION_GO;
}

bool sa_preconditions_allow_range(const struct sa_preconditions *c, const char *etag,
                                  int64_t modified_s)
{
    if (!c->if_range)
        return true;
    int64_t time = sa_http_date_parse(c->if_range);
    if (time != SA_NO_TIME)
        return modified_s == time;
    return c->if_range[0] == '"' && strcmp(c->if_range, etag) == 0;
}

static void add_list(struct sa_buf *body, uint16_t tag, const char *list, bool strong)
{
    struct sa_etag e;
    size_t added = 0;
    while (sa_etag_next(&list, &e) > 0) {
        if ((strong && e.weak) || e.length > 60 || (!e.any && !memcmp(e.tag, "*\"", 2)))
            continue; /* can be no version of ours */
        sa_fields_add_bytes(body, tag, e.tag, e.length);
        added++;
    }
    if (!added) /* what nothing has: the condition stays, and If-Match fails */
        sa_fields_add_text(body, tag, "-");
}

void sa_preconditions_add(const struct sa_preconditions *c, struct sa_buf *body)
{
    if (c->if_match)
        add_list(body, SA_FILE_IF_MATCH, c->if_match, true);
    if (c->if_none_match)
        add_list(body, SA_FILE_IF_NONE_MATCH, c->if_none_match, false);
    if (!c->if_match && c->if_unmodified_since_s != SA_NO_TIME)
        sa_fields_add_int(body, SA_FILE_IF_UNMODIFIED_S, c->if_unmodified_since_s);
}

/* ---- ranges ---- */

static bool number(const char **text, int64_t *value)
{
    size_t digits = strspn(*text, "0123456789");
    if (digits == 0 || digits > 18)
        return false;
    *value = strtoll(*text, NULL, 10);
    *text += digits;
    return true;
}

bool sa_range_parse(const char *text, struct sa_range *out)
{
    struct sa_range r = {.first = 0, .last = -1, .suffix = -1};
    if (strncasecmp(text, "bytes=", 6) != 0)
        return false;
    text += 6;
    text += strspn(text, " \t");
    if (*text == '-') {
        text++;
        if (!number(&text, &r.suffix))
            return false;
    } else {
        if (!number(&text, &r.first) || *text++ != '-')
            return false;
        if (*text >= '0' && *text <= '9' && (!number(&text, &r.last) || r.last < r.first))
            return false;
    }
    text += strspn(text, " \t");
    if (*text)
        return false;
    *out = r;
    return true;
}

bool sa_range_of(const struct sa_range *r, int64_t size, int64_t *offset, int64_t *length)
{
    if (r->suffix >= 0) {
        *length = r->suffix < size ? r->suffix : size;
        *offset = size - *length;
        return *length > 0;
    }
    if (r->first >= size)
        return false;
    *offset = r->first;
    *length = (r->last < 0 || r->last >= size ? size : r->last + 1) - r->first;
    return true;
}
