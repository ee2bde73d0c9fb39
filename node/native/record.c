#include "native/record.h"

#include "base/cleanup.h"
#include "link/fields.h"

#include <limits.h>
#include <string.h>

enum { VERSION = 1 };

enum tag {
    TAG_VERSION = SA_FIELD_CRITICAL | 1,
    TAG_ID = 2,
    TAG_BOOT,
    TAG_PID,
    TAG_START,
    TAG_UID_BASE,
    TAG_SLOT,
    TAG_GROUP,
    TAG_PROFILE,
    TAG_MEMORY,
    TAG_PIDS,
    TAG_CPU,
    TAG_CPU_BEFORE,
    TAG_THROTTLED_BEFORE,
    TAG_PEAK_BEFORE,
    TAG_OOM_BEFORE,
    TAG_CONTROL, /* repeated: names */
};

/* Where each number goes, and what it may be. */
static int64_t *number_of(struct sa_record *r, uint16_t tag, int64_t *low, int64_t *high)
{
    *low = 0;
    *high = INT64_MAX;
    switch (tag) {
    case TAG_PID:
        *low = 2; /* never the host's first process */
        *high = INT_MAX;
        return &r->pid;
    case TAG_START:
        return &r->start;
    case TAG_UID_BASE:
        *high = UINT32_MAX;
        return &r->uid_base;
    case TAG_SLOT:
        *high = SA_NATIVE_SANDBOXES_MAX - 1;
        return &r->slot;
    case TAG_MEMORY:
        return &r->limits.memory_bytes;
    case TAG_PIDS:
        return &r->limits.pids;
    case TAG_CPU:
        return &r->limits.cpu_millicores;
    case TAG_CPU_BEFORE:
        return &r->before.cpu_us;
    case TAG_THROTTLED_BEFORE:
        return &r->before.throttled_us;
    case TAG_PEAK_BEFORE:
        return &r->before.memory_peak;
    case TAG_OOM_BEFORE:
        return &r->before.oom_kills;
    default:
        return NULL;
    }
}

void sa_record_encode(const struct sa_record *record, struct sa_buf *out)
{
    static const uint16_t numbers[] = {
        TAG_PID, TAG_START,      TAG_UID_BASE,         TAG_SLOT,        TAG_MEMORY,    TAG_PIDS,
        TAG_CPU, TAG_CPU_BEFORE, TAG_THROTTLED_BEFORE, TAG_PEAK_BEFORE, TAG_OOM_BEFORE};
    struct sa_record copy = *record;
    int64_t low, high;
    sa_fields_add_int(out, TAG_VERSION, VERSION);
    sa_fields_add_text(out, TAG_ID, record->id);
    sa_fields_add_text(out, TAG_BOOT, record->boot);
    sa_fields_add_text(out, TAG_GROUP, record->group);
    sa_fields_add_text(out, TAG_PROFILE, record->profile);
    for (size_t i = 0; i < SA_COUNT(numbers); i++)
        sa_fields_add_int(out, numbers[i], *number_of(&copy, numbers[i], &low, &high));
    for (int i = 0; i < SA_CONTROL_COUNT; i++)
        if (sa_controls_has(record->in_force, (enum sa_control)i))
            sa_fields_add_text(out, TAG_CONTROL, sa_control_name((enum sa_control)i));
}

static int take_control(struct sa_record *r, const struct sa_field *f, struct sa_error *err)
{
    char name[64];
    if (sa_field_text_into(f, name, sizeof name, err) < 0)
        return -1;
    const int control = sa_control_find(name);
    if (control < 0)
        return sa_error_set(err, SA_EPROTOCOL, "no control is called %s", name);
    r->in_force |= sa_control_bit((enum sa_control)control);
    return 0;
}

static int take_number(struct sa_record *r, const struct sa_field *f, struct sa_error *err)
{
    int64_t low, high, version = 0;
    if (f->tag == TAG_VERSION)
        return sa_field_int(f, &version, err) < 0 || version != VERSION ? -1 : 0;
    int64_t *number = number_of(r, f->tag, &low, &high);
    if (!number)
        return f->tag & SA_FIELD_CRITICAL ? -1 : 0;
    return sa_field_int(f, number, err) < 0 || *number < low || *number > high ? -1 : 0;
}

/* The bit that says that a field was there, which must be so, and once; 0: it may be missing. */
static uint32_t bit_of(uint16_t tag)
{
    const unsigned place = tag == TAG_VERSION ? 1 : tag;
    return tag == TAG_VERSION || (tag >= TAG_ID && tag < TAG_CONTROL) ? UINT32_C(1) << place : 0;
}

static int take(struct sa_record *r, const struct sa_field *f, struct sa_error *err)
{
    switch (f->tag) {
    case TAG_ID:
        return sa_field_text_into(f, r->id, sizeof r->id, err);
    case TAG_BOOT:
        return sa_field_text_into(f, r->boot, sizeof r->boot, err);
    case TAG_GROUP:
        return sa_field_text_into(f, r->group, sizeof r->group, err);
    case TAG_PROFILE:
        return sa_field_text_into(f, r->profile, sizeof r->profile, err);
    case TAG_CONTROL:
        return take_control(r, f, err);
    default:
        return take_number(r, f, err);
    }
}

/* Of a sandbox, or of the spare that it was. */
static bool group_valid(const char *name)
{
    const char spare[] = "spare-";
    if (strncmp(name, spare, sizeof spare - 1) != 0)
        return sa_node_id_valid(name);
    const char *number = name + sizeof spare - 1;
    return *number && strspn(number, "0123456789") == strlen(number);
}

int sa_record_decode(const void *body, size_t length, struct sa_record *record,
                     struct sa_error *err)
{
    struct sa_fields fields;
    struct sa_field f;
    const uint32_t all = (UINT32_C(1) << TAG_CONTROL) - 2;
    uint32_t seen = 0;
    int more;
    *record = (struct sa_record){0};
    sa_fields_init(&fields, body, length);
    while ((more = sa_fields_next(&fields, &f, NULL)) > 0) {
        if (seen & bit_of(f.tag) || take(record, &f, NULL) < 0)
            return sa_error_set(err, SA_EPROTOCOL, "field %u is not as it must be", f.tag);
        seen |= bit_of(f.tag);
    }
    if (more < 0 || seen != all || !sa_node_id_valid(record->id) || !group_valid(record->group) ||
        !sa_profile_id_valid(record->profile) || !record->boot[0])
        return sa_error_set(err, SA_EPROTOCOL, "it is not whole");
    return 0;
}
