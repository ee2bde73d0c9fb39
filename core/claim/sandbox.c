/* The Sandbox that a claim creates. */
#include "claim/claim_private.h"

#include "base/cleanup.h"
#include "kinds/names.h"
#include "json/merge.h"

#include <string.h>

int sa_claim_check(struct sa_claim_call *call, struct sa_error *err)
{
    call->wanted = sa_object_decode(&sa_kind_sandbox, call->manifest, call->length, false, err);
    return call->wanted ? 0 : -1;
}

static void put_finalizers(const struct sa_object *object, struct sa_json_w *w)
{
    const struct sa_json_strings *finalizers = &sa_object_meta(object)->finalizers;
    sa_json_put_array(w, "finalizers");
    for (size_t i = 0; i < finalizers->count; i++)
        sa_json_w_string(w, finalizers->items[i]);
    if (!sa_object_has_finalizer(object, SA_FINALIZER_SANDBOX))
        sa_json_w_string(w, SA_FINALIZER_SANDBOX);
    sa_json_w_end_array(w);
}

static void print_additions(const struct sa_claim_call *call, const struct sa_object *object,
                            struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "metadata");
    sa_json_put_string(&w, "namespace", call->namespace_);
    sa_json_put_string(&w, "name", call->name);
    sa_json_put_object(&w, "annotations");
    sa_json_put_string(&w, SA_SANDBOX_CLAIM, call->mark);
    if (call->warm != SA_WARM_NEVER)
        sa_json_put_string(&w, SA_SANDBOX_POOL, sa_claim_pool(call->claims, call));
    sa_json_put_string(&w, SA_SANDBOX_WARM_POD, call->pod ? sa_object_meta(call->pod)->name : NULL);
    sa_json_w_end_object(&w);
    put_finalizers(object, &w);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
}

int sa_claim_print(const struct sa_claim_call *call, struct sa_buf *out, struct sa_error *err)
{
    sa_autobuf additions = SA_BUF_INIT;
    print_additions(call, call->wanted, &additions);
    return sa_json_merge_patch(call->manifest, call->length, additions.data, additions.length, NULL,
                               out, err);
}

bool sa_claim_made(const struct sa_claim_call *call, const struct sa_object *sandbox)
{
    const struct sa_json_map *annotations = &sa_object_meta(sandbox)->annotations;
    for (size_t i = 0; i < annotations->count; i++)
        if (strcmp(annotations->items[i].key, SA_SANDBOX_CLAIM) == 0)
            return strcmp(annotations->items[i].value, call->mark) == 0;
    return false;
}
