/*
 * Parts of objects. A struct is decoded with room to spare, and copied into a block that just holds
 * it. Specs are found again by their text: of ten thousand sandboxes most are alike, and so are
 * their pods. The text of a status is not kept, as there is one for each version of each object,
 * and it is several times the struct: it is printed when asked for. One thread.
 */
#include "objects/object_private.h"

#include "base/cleanup.h"

#include <string.h>
#include <uthash.h>

/* Of kinds that cannot be copied; most are small. */
enum { PART_BLOCK_BYTES = 512 };

struct sa_object_part {
    unsigned references;
    const struct sa_kind *kind;
    struct sa_arena *arena; /* this struct is in it, too */
    const void *value;
    const char *key; /* of a spec: the kind's address, and the text; NULL: a status */
    size_t length;   /* of the text */
    uint64_t hash;   /* of a status' text */
};
struct spec { /* of which there is but one */
    struct sa_object_part part;
    UT_hash_handle hh;
};
static struct spec *specs;
static struct { /* the status that was made last: it is written to disk at once */
    const struct sa_object_part *of;
    struct sa_buf text;
} last;

/* FNV-1a; what it says is equal is compared. */
static uint64_t hash_of(const char *text, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    return hash;
}

struct sa_object_part *sa_object_part_ref(struct sa_object_part *part)
{
    part->references++;
    return part;
}

void sa_object_part_unref(struct sa_object_part *part)
{
    if (!part || --part->references)
        return;
    if (part->key) {
        struct spec *spec = (struct spec *)part;
        HASH_DEL(specs, spec); // NOLINT(clang-analyzer-*)
    } else if (part == last.of) {
        last.of = NULL;
        sa_buf_deinit(&last.text);
    }
    sa_arena_free(part->arena);
}

const void *sa_object_part_value(const struct sa_object_part *part)
{
    return part->value;
}

size_t sa_object_part_bytes(const struct sa_object_part *part)
{
    return part->length;
}

size_t sa_object_part_memory(const struct sa_object_part *part)
{
    return sa_arena_used(part->arena);
}

const char *sa_object_part_json(const struct sa_object_part *part)
{
    return part->key + sizeof part->kind;
}

/* ---- text ---- */

static void print_value(const struct sa_kind *kind, enum sa_object_wanted which, const void *value,
                        struct sa_json_w *w)
{
    void (*print)(const void *, struct sa_json_w *) =
        which == SA_WANT_SPEC ? kind->print_spec : kind->print_status;
    sa_json_w_begin_object(w);
    if (print)
        print(value, w);
    sa_json_w_end_object(w);
}

void sa_object_part_print(const struct sa_object_part *part, struct sa_json_w *w)
{
    if (part->key)
        sa_json_w_raw(w, sa_object_part_json(part), part->length);
    else if (part == last.of)
        sa_json_w_raw(w, last.text.data, last.text.length);
    else
        print_value(part->kind, SA_WANT_STATUS, part->value, w);
}

static void print_alone(const struct sa_object_part *part, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_object_part_print(part, &w);
}

bool sa_object_part_equal(const struct sa_object_part *a, const struct sa_object_part *b)
{
    sa_autobuf one = SA_BUF_INIT, other = SA_BUF_INIT;
    if (a == b)
        return true;
    if (a->key || a->length != b->length || a->hash != b->hash)
        return false;
    print_alone(a, &one);
    print_alone(b, &other);
    return one.length == other.length && memcmp(one.data, other.data, one.length) == 0;
}

/* ---- making ---- */

typedef const void *copy_fn(const void *value, struct sa_arena *arena);

/* An arena with room for a part of `size` bytes, a copy of `value`, and `text` bytes. `scratch` has
 * the value; where it cannot be copied it becomes the part's. */
static struct sa_arena *arena_for(copy_fn *copy, const void *value, size_t size, size_t text,
                                  struct sa_arena *scratch)
{
    if (!copy)
        return scratch;
    sa_arena_alloc(scratch, size); /* so that all lies as it will lie there */
    const size_t before = sa_arena_used(scratch) - size;
    copy(value, scratch);
    return sa_arena_new_sized(sa_arena_used(scratch) - before + text);
}

static struct sa_object_part *new_status(const struct sa_kind *kind, const void *value,
                                         const struct sa_buf *text, struct sa_arena *scratch)
{
    struct sa_arena *arena =
        arena_for(kind->copy_status, value, sizeof(struct sa_object_part), 0, scratch);
    struct sa_object_part *part = sa_arena_alloc(arena, sizeof *part);
    *part = (struct sa_object_part){.references = 1, .kind = kind, .arena = arena};
    part->value = kind->copy_status ? kind->copy_status(value, arena) : value;
    part->length = text->length;
    part->hash = hash_of(text->data, text->length);
    return part;
}

/* `key` is what it will be found by. */
static struct sa_object_part *new_spec(const struct sa_kind *kind, const void *value,
                                       const struct sa_buf *key, struct sa_arena *scratch)
{
    struct sa_arena *arena =
        arena_for(kind->copy_spec, value, sizeof(struct spec), key->length + 1, scratch);
    struct spec *spec = sa_arena_alloc(arena, sizeof *spec);
    spec->part = (struct sa_object_part){.references = 1, .kind = kind, .arena = arena};
    spec->part.value = kind->copy_spec ? kind->copy_spec(value, arena) : value;
    spec->part.key = sa_arena_strndup(arena, key->data, key->length);
    spec->part.length = key->length - sizeof kind;
    HASH_ADD_KEYPTR(hh, specs, spec->part.key, key->length, spec);
    return &spec->part;
}

/* `scratch` remains the caller's unless the part says otherwise. */
static struct sa_object_part *spec_of(const struct sa_kind *kind, const void *value,
                                      struct sa_arena *scratch)
{
    sa_autobuf key = SA_BUF_INIT;
    struct spec *found;
    sa_buf_add(&key, &kind, sizeof kind);
    struct sa_json_w w = sa_json_w_start(&key);
    print_value(kind, SA_WANT_SPEC, value, &w);
    HASH_FIND(hh, specs, key.data, key.length, found);
    return found ? sa_object_part_ref(&found->part) : new_spec(kind, value, &key, scratch);
}

static struct sa_object_part *status_of(const struct sa_kind *kind, const void *value,
                                        struct sa_arena *scratch)
{
    last.text.length = 0;
    struct sa_json_w w = sa_json_w_start(&last.text);
    print_value(kind, SA_WANT_STATUS, value, &w);
    struct sa_object_part *part = new_status(kind, value, &last.text, scratch);
    last.of = part;
    return part;
}

static struct sa_object_part *part_of(const struct sa_kind *kind, enum sa_object_wanted which,
                                      const void *value, struct sa_arena *scratch)
{
    struct sa_object_part *part =
        which == SA_WANT_SPEC ? spec_of(kind, value, scratch) : status_of(kind, value, scratch);
    if (part->arena != scratch)
        sa_arena_free(scratch);
    return part;
}

struct sa_object_part *sa_object_empty_status(const struct sa_kind *kind)
{
    return part_of(kind, SA_WANT_STATUS, kind->empty_status, sa_arena_new_sized(PART_BLOCK_BYTES));
}

int sa_object_part_decode(const struct sa_kind *kind, enum sa_object_wanted which,
                          struct sa_json_obj *json, bool lenient, struct sa_object_part **out,
                          struct sa_error *err)
{
    const bool spec = which == SA_WANT_SPEC;
    const bool copied = spec ? kind->copy_spec : kind->copy_status;
    struct sa_arena *scratch = copied ? sa_arena_new() : sa_arena_new_sized(PART_BLOCK_BYTES);
    const void *value = NULL;
    json->arena = scratch;
    if ((spec ? kind->decode_spec : kind->decode_status)(json, lenient, scratch, &value, err) < 0) {
        sa_arena_free(scratch);
        return -1;
    }
    *out = part_of(kind, which, value, scratch);
    return 0;
}

/* By way of its text. */
static int read_again(const struct sa_kind *kind, enum sa_object_wanted which, const void *value,
                      struct sa_object_part **out, struct sa_error *err)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    struct sa_json_obj root;
    print_value(kind, which, value, &w);
    struct sa_json_doc *doc = sa_json_parse(text.data, text.length, NULL, err);
    struct sa_arena *arena = sa_arena_new();
    int rc = doc ? sa_json_root(doc, arena, &root, err) : -1;
    if (rc == 0)
        rc = sa_object_part_decode(kind, which, &root, false, out, err);
    sa_arena_free(arena);
    sa_json_free(doc);
    return rc;
}

int sa_object_part_of(const struct sa_kind *kind, enum sa_object_wanted which, const void *value,
                      struct sa_object_part **out, struct sa_error *err)
{
    const bool spec = which == SA_WANT_SPEC;
    int (*verify)(const void *, struct sa_error *) = spec ? kind->verify_spec : kind->verify_status;
    if (!verify || !(spec ? kind->copy_spec : kind->copy_status))
        return read_again(kind, which, value, out, err);
    if (verify(value, err) < 0)
        return -1;
    *out = part_of(kind, which, value, sa_arena_new());
    return 0;
}
