/*
 * Header texts of conditional and range requests. A range that is taken lies within the size it is
 * asked of, a date that is taken is read again from how it is written, a list of tags comes to an
 * end within its text, and what the runtime is told of a condition is sound.
 */
#include "api/preconditions.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "link/fields.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void try_range(const char *text)
{
    static const int64_t sizes[] = {0, 1, 100, INT64_C(1) << 40, INT64_MAX};
    struct sa_range range;
    if (!sa_range_parse(text, &range))
        return;
    for (size_t i = 0; i < SA_COUNT(sizes); i++) {
        int64_t offset = -1, length = -1;
        if (sa_range_of(&range, sizes[i], &offset, &length))
            require(offset >= 0 && length > 0 && offset <= sizes[i] - length);
    }
}

static void try_date(const char *text)
{
    char written[SA_HTTP_DATE_BYTES];
    int64_t time = sa_http_date_parse(text);
    if (time == SA_NO_TIME)
        return;
    sa_http_date(time, written);
    require(sa_http_date_parse(written) == time);
}

static void try_tags(const char *text)
{
    const char *list = text, *end = text + strlen(text);
    struct sa_etag tag;
    while (sa_etag_next(&list, &tag) > 0) {
        require(tag.tag >= text && tag.tag + tag.length < end + tag.any && list <= end);
        require(tag.any || !memchr(tag.tag, '"', tag.length));
    }
}

static void try_conditions(const char *text)
{
    const struct sa_preconditions conditions = {.if_match = text,
                                                .if_none_match = text,
                                                .if_range = text,
                                                .if_modified_since_s = SA_NO_TIME,
                                                .if_unmodified_since_s = SA_NO_TIME};
    sa_autobuf body = SA_BUF_INIT;
    struct sa_fields fields;
    struct sa_field field;
    struct sa_error err;
    int rc;
    sa_preconditions_check(&conditions, "\"1-2\"", 1000, &err);
    sa_preconditions_allow_range(&conditions, "\"1-2\"", 1000);
    sa_preconditions_add(&conditions, &body);
    sa_fields_init(&fields, body.data, body.length);
    while ((rc = sa_fields_next(&fields, &field, &err)) > 0)
        require(field.length <= 60);
    require(rc == 0 && body.length > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sa_autofree char *text = sa_strndup((const char *)data, size);
    try_range(text);
    try_date(text);
    try_tags(text);
    try_conditions(text);
    return 0;
}
