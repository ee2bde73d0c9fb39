/*
 * Outside bytes as a manifest of any kind; the first byte says which, and whether leniently. What
 * is taken prints to something that is taken strictly and prints the same; it may follow itself;
 * and what it is as a create keeps to the limits of one.
 */
#include "kinds/resources.h"
#include "kinds/sandbox.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KINDS = 6 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check_refusal(const struct sa_error *err)
{
    require(err->code == SA_EINVALID || err->code == SA_ETOOLARGE);
    require(err->message[0] && memchr(err->message, 0, sizeof err->message));
    require(strncmp(err->message, err->path, strlen(err->path)) == 0);
}

static void check_again(const struct sa_kind *kind, const struct sa_object *object)
{
    sa_autobuf once = SA_BUF_INIT, twice = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&once), v = sa_json_w_start(&twice);
    struct sa_error err;
    sa_object_print(object, &w);
    sa_autounref const struct sa_object *again =
        sa_object_decode(kind, once.data, once.length, false, &err);
    if (!again && err.code == SA_ETOOLARGE)
        return; /* escapes and defaults made it longer than it came */
    require(again != NULL);
    sa_object_print(again, &v);
    require(once.length == twice.length && memcmp(once.data, twice.data, once.length) == 0);
    require(kind->check_update(object, sa_object_spec(again), &err) == 0);
}

static void check_sandbox(const struct sa_object *object)
{
    const struct sa_sandbox_wanted *spec = sa_object_spec(object);
    struct sa_sandbox_spec flat;
    struct sa_error err;
    if (sa_sandbox_to_flat(sa_object_meta(object), spec, &flat, &err) < 0)
        return;
    require(flat.timeout_s > 0 && flat.timeout_s <= SA_TIMEOUT_MAX_S);
    require(flat.resources.storage_bytes <= flat.resources.memory_bytes / 2 &&
            flat.resources.inodes > 0);
    require(flat.env.count <= SA_ENV_MAX && flat.imports.count <= SA_IMPORTS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sa_error err = {.code = SA_OK};
    if (size < 1)
        return 0;
    const struct sa_kind *kind = sa_resources[data[0] % KINDS]->kind;
    sa_autounref const struct sa_object *object =
        sa_object_decode(kind, (const char *)data + 1, size - 1, (data[0] / KINDS) % 2, &err);
    if (!object) {
        check_refusal(&err);
        return 0;
    }
    check_again(kind, object);
    if (kind == &sa_kind_sandbox)
        check_sandbox(object);
    for (const struct sa_kind_field *f = kind->fields; f && f->path; f++)
        require(f->of(object) != NULL);
    return 0;
}
