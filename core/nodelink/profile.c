/* Encoding of profiles. */
#include "nodelink/profile.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

enum { ID_LEAST = 16, ID_MOST = 64 };

static void free_list(struct sa_text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

void sa_profile_deinit(struct sa_profile *p)
{
    free_list(&p->capabilities);
    free_list(&p->writable);
    free_list(&p->landlock);
    free_list(&p->devices);
    for (size_t i = 0; i < p->filter_count; i++) {
        free_list(&p->filters[i].allow);
        free_list(&p->filters[i].telling);
    }
    memset(p, 0, sizeof *p);
}

bool sa_text_list_has(const struct sa_text_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

bool sa_profile_id_valid(const char *id)
{
    const size_t length = strlen(id);
    return length >= ID_LEAST && length <= ID_MOST && strspn(id, "0123456789abcdef") == length;
}

/* ---- encoding ---- */

static void add_list(struct sa_buf *out, uint16_t tag, const struct sa_text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        sa_fields_add_text(out, tag, list->items[i]);
}

static const struct {
    uint16_t tag;
    size_t offset;
    int64_t low, high;
} numbers[] = {
    {SA_PROFILE_UID, offsetof(struct sa_profile, uid), 0, SA_PROFILE_USER_MAX},
    {SA_PROFILE_GID, offsetof(struct sa_profile, gid), 0, SA_PROFILE_USER_MAX},
    {SA_PROFILE_PIDS, offsetof(struct sa_profile, pids), 0, 1 << 22},
    {SA_PROFILE_OPEN_FILES, offsetof(struct sa_profile, open_files), 16, 1 << 20},
    {SA_PROFILE_FILE_BYTES, offsetof(struct sa_profile, file_bytes), 0, INT64_C(1) << 50},
    {SA_PROFILE_CORE_BYTES, offsetof(struct sa_profile, core_bytes), 0, INT64_C(1) << 50},
};

static const struct {
    uint16_t tag;
    size_t offset;
} lists[] = {
    {SA_PROFILE_CAPABILITY, offsetof(struct sa_profile, capabilities)},
    {SA_PROFILE_WRITABLE, offsetof(struct sa_profile, writable)},
    {SA_PROFILE_LANDLOCK, offsetof(struct sa_profile, landlock)},
    {SA_PROFILE_DEVICE, offsetof(struct sa_profile, devices)},
};

static const void *at(const struct sa_profile *p, size_t offset)
{
    return (const char *)p + offset;
}

void sa_profile_encode(const struct sa_profile *p, struct sa_buf *out)
{
    for (size_t i = 0; i < SA_COUNT(numbers); i++)
        sa_fields_add_int(out, numbers[i].tag, *(const int64_t *)at(p, numbers[i].offset));
    sa_fields_add_int(out, SA_PROFILE_FLAGS, p->flags);
    for (size_t i = 0; i < SA_COUNT(lists); i++)
        add_list(out, lists[i].tag, at(p, lists[i].offset));
    for (size_t i = 0; i < p->filter_count; i++) {
        sa_autobuf body = SA_BUF_INIT;
        sa_fields_add_text(&body, SA_FILTER_LANGUAGE, p->filters[i].language);
        add_list(&body, SA_FILTER_ALLOW, &p->filters[i].allow);
        add_list(&body, SA_FILTER_TELLING, &p->filters[i].telling);
        sa_fields_add_bytes(out, SA_PROFILE_FILTER, body.data, body.length);
    }
}

/* ---- decoding ---- */

static int append(const struct sa_field *f, struct sa_text_list *list, size_t most, size_t bytes,
                  struct sa_error *err)
{
    char *text;
    if (list->count == most)
        return sa_error_set(err, SA_EPROTOCOL, "field %u: more than %zu of them", f->tag, most);
    if (sa_field_text(f, bytes - 1, &text, err) < 0)
        return -1;
    if (!text[0]) {
        free(text);
        return sa_error_set(err, SA_EPROTOCOL, "field %u: an empty name", f->tag);
    }
    list->items = sa_realloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = text;
    return 0;
}

static int decode_call(const struct sa_field *f, struct sa_text_list *list, struct sa_error *err)
{
    if (append(f, list, SA_FILTER_NAMES_MAX, SA_FILTER_NAME_BYTES, err) < 0)
        return -1;
    const char *name = list->items[list->count - 1];
    name += name[0] == '@';
    if (!name[0] || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
        return sa_error_set(err, SA_EPROTOCOL, "field %u: no name of a system call", f->tag);
    return 0;
}

static int decode_filter(const struct sa_field *whole, struct sa_profile *p, struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field f;
    int more;
    if (p->filter_count == SA_PROFILE_FILTERS_MAX)
        return sa_error_set(err, SA_EPROTOCOL, "more than %d filters", SA_PROFILE_FILTERS_MAX);
    struct sa_profile_filter *filter = &p->filters[p->filter_count++];
    sa_fields_init(&reader, whole->data, whole->length);
    while ((more = sa_fields_next(&reader, &f, err)) > 0) {
        int rc = f.tag == SA_FILTER_LANGUAGE && !filter->language[0]
                     ? sa_field_text_into(&f, filter->language, sizeof filter->language, err)
                 : f.tag == SA_FILTER_ALLOW ? decode_call(&f, &filter->allow, err)
                 : f.tag == SA_FILTER_TELLING
                     ? decode_call(&f, &filter->telling, err)
                     : sa_error_set(err, SA_EPROTOCOL, "a filter with a field %u", f.tag);
        if (rc < 0)
            return -1;
    }
    if (more < 0)
        return -1;
    for (size_t i = 0; i + 1 < p->filter_count; i++)
        if (strcmp(p->filters[i].language, filter->language) == 0)
            return sa_error_set(err, SA_EPROTOCOL, "two filters for one language");
    return filter->language[0] ? 0 : sa_error_set(err, SA_EPROTOCOL, "a filter for nothing");
}

static int decode_number(const struct sa_field *f, size_t index, struct sa_profile *p,
                         struct sa_error *err)
{
    int64_t value;
    if (sa_field_int(f, &value, err) < 0)
        return -1;
    if (value < numbers[index].low || value > numbers[index].high)
        return sa_error_set(err, SA_EPROTOCOL, "field %u: %lld is not in %lld..%lld", f->tag,
                            (long long)value, (long long)numbers[index].low,
                            (long long)numbers[index].high);
    memcpy((char *)p + numbers[index].offset, &value, sizeof value);
    return 0;
}

static int decode_flags(const struct sa_field *f, struct sa_profile *p, struct sa_error *err)
{
    int64_t value;
    if (sa_field_int(f, &value, err) < 0)
        return -1;
    if (value < 0 || value > SA_PROFILE_FLAGS_ALL)
        return sa_error_set(err, SA_EPROTOCOL, "flags that nobody knows");
    p->flags = (unsigned)value;
    return 0;
}

/* `seen`: tags that may be there once. */
static int decode_field(const struct sa_field *f, struct sa_profile *p, uint64_t *seen,
                        struct sa_error *err)
{
    for (size_t i = 0; i < SA_COUNT(lists); i++)
        if (f->tag == lists[i].tag)
            return append(f, (void *)((char *)p + lists[i].offset), SA_PROFILE_LIST_MAX,
                          SA_PROFILE_TEXT_BYTES, err);
    if (f->tag == SA_PROFILE_FILTER)
        return decode_filter(f, p, err);
    if (f->tag < 64 && *seen >> f->tag & 1)
        return sa_error_set(err, SA_EPROTOCOL, "field %u is there twice", f->tag);
    if (f->tag < 64)
        *seen |= UINT64_C(1) << f->tag;
    for (size_t i = 0; i < SA_COUNT(numbers); i++)
        if (f->tag == numbers[i].tag)
            return decode_number(f, i, p, err);
    if (f->tag == SA_PROFILE_FLAGS)
        return decode_flags(f, p, err);
    if (f->tag == SA_PROFILE_ID)
        return sa_field_text_into(f, p->id, sizeof p->id, err);
    /* Of a profile nothing may be lost, so an unknown field is not skipped. */
    return sa_error_set(err, SA_EPROTOCOL, "a profile with a field %u", f->tag);
}

int sa_profile_decode(const void *body, size_t length, struct sa_profile *p, struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field field;
    uint64_t seen = 0, all = UINT64_C(1) << SA_PROFILE_FLAGS | UINT64_C(1) << SA_PROFILE_ID;
    int more;
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < SA_COUNT(numbers); i++)
        all |= UINT64_C(1) << numbers[i].tag;
    sa_fields_init(&reader, body, length);
    while ((more = sa_fields_next(&reader, &field, err)) > 0)
        if (decode_field(&field, p, &seen, err) < 0)
            goto bad;
    if (more < 0)
        goto bad;
    if (seen != all || !sa_profile_id_valid(p->id)) {
        sa_error_set(err, SA_EPROTOCOL, "the profile lacks an id or a member");
        goto bad;
    }
    return 0;
bad:
    sa_profile_deinit(p);
    return -1;
}
