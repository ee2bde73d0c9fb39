/* What the runtime says of a file, made sane, and as JSON. */
#include "api/files.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

static void read_entry_field(const struct sa_field *f, struct sa_file_entry *e)
{
    if (f->tag == SA_FILE_NAME)
        sa_field_text_into(f, e->name, sizeof e->name, NULL);
    else if (f->tag == SA_FILE_FULL_PATH)
        sa_field_text_into(f, e->path, sizeof e->path, NULL);
    else if (f->tag == SA_FILE_TYPE)
        sa_field_text_into(f, e->type, sizeof e->type, NULL);
    else if (f->tag == SA_FILE_TARGET)
        sa_field_text_into(f, e->target, sizeof e->target, NULL);
    else if (f->tag == SA_FILE_SIZE)
        sa_field_int(f, &e->size, NULL);
    else if (f->tag == SA_FILE_MODIFIED_MS)
        sa_field_int(f, &e->modified_ms, NULL);
    else if (f->tag == SA_FILE_VERSION)
        sa_field_text_into(f, e->version, sizeof e->version, NULL);
    else if (f->tag == SA_FILE_PERMISSIONS)
        sa_field_int(f, &e->permissions, NULL);
    else if (f->tag == SA_FILE_CREATED)
        sa_field_int(f, &e->created, NULL);
}

/* The runtime lives with the code it runs: what cannot be becomes what can. */
static void make_sane(struct sa_file_entry *e)
{
    static const char *const types[] = {"file", "directory", "symlink", "fifo", "socket", "device"};
    const int64_t first_ms = -30610224000000, last_ms = 253402300799999; /* years 1000 to 9999 */
    size_t known = 0;
    while (known < sizeof types / sizeof *types && strcmp(types[known], e->type) != 0)
        known++;
    if (known == sizeof types / sizeof *types)
        memcpy(e->type, "file", sizeof "file");
    if (strspn(e->version, "0123456789abcdef-") != strlen(e->version))
        e->version[0] = '\0';
    e->size = e->size < 0 ? 0 : e->size;
    e->modified_ms = e->modified_ms < first_ms  ? first_ms
                     : e->modified_ms > last_ms ? last_ms
                                                : e->modified_ms;
}

/* From the fields of a result, or of an SA_FILE_ENTRY inside it. */
void sa_file_entry_read(struct sa_fields fields, struct sa_file_entry *e)
{
    struct sa_field f;
    memset(e, 0, sizeof *e);
    while (sa_fields_next(&fields, &f, NULL) > 0) {
        if (f.tag == SA_FILE_ENTRY) {
            struct sa_fields inner;
            struct sa_field g;
            sa_fields_init(&inner, f.data, f.length);
            while (sa_fields_next(&inner, &g, NULL) > 0)
                read_entry_field(&g, e);
        } else {
            read_entry_field(&f, e);
        }
    }
    make_sane(e);
}

void sa_file_etag(const struct sa_file_entry *e, char out[SA_FILE_ETAG_BYTES])
{
    snprintf(out, SA_FILE_ETAG_BYTES, "\"%s\"", e->version);
}

void sa_file_entry_print(const struct sa_file_entry *e, struct sa_json_w *w)
{
    char time[SA_RFC3339_BYTES], mode[8], etag[SA_FILE_ETAG_BYTES];
    sa_rfc3339(e->modified_ms, time);
    snprintf(mode, sizeof mode, "%04o", (unsigned)e->permissions & 07777);
    sa_file_etag(e, etag);
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "name", e->name);
    sa_json_put_string(w, "path", e->path);
    sa_json_put_string(w, "type", e->type);
    sa_json_put_int(w, "size", e->size);
    sa_json_put_string(w, "mode", mode);
    sa_json_put_string(w, "modifiedAt", time);
    sa_json_put_string(w, "etag", etag);
    if (e->target[0])
        sa_json_put_string(w, "symlinkTarget", e->target);
    sa_json_w_end_object(w);
}
