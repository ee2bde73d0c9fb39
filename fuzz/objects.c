/*
 * Outside bytes as an object and, behind a byte 0xFF, as a merge patch of it: refused or taken
 * without a fault. What is taken is printed as what it was; a patch gives what can be read, and the
 * same when it is applied again.
 */
#include "../tests/conformance/thing.h"
#include "objects/recorder.h"
#include "json/merge.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const struct sa_object *object, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_object_print(object, &w);
}

static void try_object(const struct sa_kind *kind, const char *json, size_t length, bool lenient)
{
    struct sa_error err;
    sa_autobuf first = SA_BUF_INIT;
    sa_autobuf second = SA_BUF_INIT;
    struct sa_object *object = sa_object_decode(kind, json, length, lenient, &err);
    if (!object)
        return;
    print(object, &first);
    struct sa_object *again = sa_object_decode(kind, first.data, first.length, false, &err);
    if (again)
        print(again, &second);
    if ((!again && err.code != SA_ETOOLARGE) ||
        (again && (first.length != second.length || strcmp(first.data, second.data) != 0)))
        abort();
    sa_object_unref(again);
    sa_object_unref(object);
}

static void try_patch(const char *json, size_t length, const char *patch, size_t patch_length)
{
    const struct sa_json_limits limits = {.max_bytes = SA_OBJECT_MAX};
    struct sa_error err;
    sa_autobuf once = SA_BUF_INIT;
    sa_autobuf twice = SA_BUF_INIT;
    if (sa_json_merge_patch(json, length, patch, patch_length, &limits, &once, &err) < 0)
        return;
    if (sa_json_merge_patch(once.data, once.length, patch, patch_length, &limits, &twice, &err) < 0)
        abort();
    if (once.length != twice.length || memcmp(once.data, twice.data, once.length) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *patch = memchr(text, 0xFF, size);
    size_t length = patch ? (size_t)(patch - text) : size;
    try_object(&thing_kind, text, length, false);
    try_object(&thing_kind, text, length, true);
    try_object(&sa_kind_event, text, length, true);
    if (patch)
        try_patch(text, length, patch + 1, size - length - 1);
    return 0;
}
