/* Encoding of the messages between control plane and node. */
#include "nodelink/nodelink.h"

#include "base/arena.h"
#include "nodelink/profile.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 1024 };

static void free_list(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

void sa_node_spec_deinit(struct sa_node_spec *spec)
{
    free_list(spec->env, spec->env_count);
    free_list(spec->require, spec->require_count);
    memset(spec, 0, sizeof *spec);
}

static bool alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool sa_node_id_valid(const char *id)
{
    size_t length = strnlen(id, SA_ID_BYTES);
    if (length == 0 || length == SA_ID_BYTES || strncmp(id, "spare-", 6) == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        const bool edge = i == 0 || id[i - 1] == '.' || id[i + 1] == '.' || i == length - 1;
        if (!alphanumeric(id[i]) && (edge || (id[i] != '-' && id[i] != '.')))
            return false;
    }
    return true;
}

void sa_node_spec_encode(const struct sa_node_spec *spec, struct sa_buf *out)
{
    sa_fields_add_text(out, SA_NODE_ID, spec->id);
    sa_fields_add_text(out, SA_PROFILE_ID, spec->profile);
    sa_fields_add_text(out, SA_NODE_RUNTIME, spec->runtime);
    sa_fields_add_text(out, SA_NODE_HOSTNAME, spec->hostname);
    sa_fields_add_int(out, SA_NODE_MEMORY_BYTES, spec->memory_bytes);
    sa_fields_add_int(out, SA_NODE_CPU_MILLICORES, spec->cpu_millicores);
    sa_fields_add_int(out, SA_NODE_PIDS, spec->pids);
    sa_fields_add_int(out, SA_NODE_STORAGE_BYTES, spec->storage_bytes);
    sa_fields_add_int(out, SA_NODE_INODES, spec->inodes);
    for (size_t i = 0; i < spec->env_count; i++)
        sa_fields_add_text(out, SA_NODE_ENV, spec->env[i]);
    for (size_t i = 0; i < spec->require_count; i++)
        sa_fields_add_text(out, SA_NODE_REQUIRE, spec->require[i]);
}

static int append(const struct sa_field *field, char ***list, size_t *count, struct sa_error *err)
{
    char *text;
    if (*count == LIST_MAX)
        return sa_error_set(err, SA_EPROTOCOL, "field %u: more than %d of them", field->tag,
                            LIST_MAX);
    if (sa_field_text(field, SA_NODE_MESSAGE_MAX, &text, err) < 0)
        return -1;
    *list = sa_realloc(*list, (*count + 1) * sizeof **list);
    (*list)[(*count)++] = text;
    return 0;
}

static int append_env(const struct sa_field *field, struct sa_node_spec *spec, struct sa_error *err)
{
    if (append(field, &spec->env, &spec->env_count, err) < 0)
        return -1;
    const char *text = spec->env[spec->env_count - 1], *equals = strchr(text, '=');
    if (!equals || equals == text)
        return sa_error_set(err, SA_EPROTOCOL, "field %u: expected NAME=value", field->tag);
    return 0;
}

static int bounded(const struct sa_field *field, int64_t low, int64_t high, int64_t *value,
                   struct sa_error *err)
{
    if (sa_field_int(field, value, err) < 0)
        return -1;
    if (*value < low || *value > high)
        return sa_error_set(err, SA_EPROTOCOL, "field %u: %lld is not in %lld..%lld", field->tag,
                            (long long)*value, (long long)low, (long long)high);
    return 0;
}

static int decode_field(const struct sa_field *f, struct sa_node_spec *spec, struct sa_error *err)
{
    const int64_t most = INT64_C(1) << 50;
    switch (f->tag) {
    case SA_NODE_ID:
        return sa_field_text_into(f, spec->id, sizeof spec->id, err);
    case SA_PROFILE_ID:
        return sa_field_text_into(f, spec->profile, sizeof spec->profile, err);
    case SA_NODE_RUNTIME:
        return sa_field_text_into(f, spec->runtime, sizeof spec->runtime, err);
    case SA_NODE_HOSTNAME:
        return sa_field_text_into(f, spec->hostname, sizeof spec->hostname, err);
    case SA_NODE_MEMORY_BYTES:
        return bounded(f, 1 << 20, most, &spec->memory_bytes, err);
    case SA_NODE_CPU_MILLICORES:
        return bounded(f, 1, 1024 * 1000, &spec->cpu_millicores, err);
    case SA_NODE_PIDS:
        return bounded(f, 2, 1 << 22, &spec->pids, err);
    case SA_NODE_STORAGE_BYTES:
        return bounded(f, 4096, most, &spec->storage_bytes, err);
    case SA_NODE_INODES:
        return bounded(f, 16, 1 << 30, &spec->inodes, err);
    case SA_NODE_ENV:
        return append_env(f, spec, err);
    case SA_NODE_REQUIRE:
        return append(f, &spec->require, &spec->require_count, err);
    default:
        if (f->tag & SA_FIELD_CRITICAL)
            return sa_error_set(err, SA_EPROTOCOL, "field %u is unknown and critical", f->tag);
        return 0;
    }
}

int sa_node_spec_decode(const void *body, size_t length, struct sa_node_spec *spec,
                        struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field field;
    int more;
    memset(spec, 0, sizeof *spec);
    sa_fields_init(&reader, body, length);
    while ((more = sa_fields_next(&reader, &field, err)) > 0)
        if (decode_field(&field, spec, err) < 0)
            goto bad;
    if (more < 0)
        goto bad;
    if (!sa_node_id_valid(spec->id) || !sa_profile_id_valid(spec->profile) || !spec->runtime[0] ||
        !spec->memory_bytes || !spec->cpu_millicores || !spec->pids || !spec->storage_bytes ||
        !spec->inodes) {
        sa_error_set(err, SA_EPROTOCOL, "the spec lacks an id, a profile, a runtime or a limit");
        goto bad;
    }
    return 0;
bad:
    sa_node_spec_deinit(spec);
    return -1;
}

void sa_node_message(struct sa_buf *out, enum sa_node_type type, uint32_t call)
{
    uint8_t header[SA_NODE_HEADER_BYTES] = {(uint8_t)type,
                                            (uint8_t)((unsigned)type >> 8),
                                            0,
                                            0,
                                            (uint8_t)call,
                                            (uint8_t)(call >> 8),
                                            (uint8_t)(call >> 16),
                                            (uint8_t)(call >> 24)};
    out->length = 0;
    sa_buf_add(out, header, sizeof header);
}

int sa_node_parse(const void *packet, size_t length, enum sa_node_type *type, uint32_t *call,
                  struct sa_fields *fields, struct sa_error *err)
{
    const uint8_t *h = packet;
    if (length < SA_NODE_HEADER_BYTES)
        return sa_error_set(err, SA_EPROTOCOL, "node message of %zu bytes has no header", length);
    if (h[2] || h[3])
        return sa_error_set(err, SA_EPROTOCOL, "node message with unknown flags");
    *type = (enum sa_node_type)(h[0] | h[1] << 8);
    *call = (uint32_t)h[4] | (uint32_t)h[5] << 8 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 24;
    sa_fields_init(fields, h + SA_NODE_HEADER_BYTES, length - SA_NODE_HEADER_BYTES);
    return 0;
}
