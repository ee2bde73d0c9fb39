/* The kinds in a store: a forged status is dropped, status and spec are written apart, what is
 * fixed stays, a pod is claimed once. */
#include "kinds/sandbox.h"
#include "kinds/warm_pod.h"
#include "kinds/warm_pool.h"
#include "loop/loop.h"
#include "objects/embedded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct sa_kind *const kinds[] = {&sa_kind_sandbox, &sa_kind_warm_pool,
                                              &sa_kind_warm_pod, NULL};

struct world {
    uv_loop_t *loop;
    struct sa_objects *objects;
};
struct answer {
    bool done;
    struct sa_error err;
    const struct sa_object *object;
};

static int setup(void **state)
{
    struct world *w = sa_alloc(sizeof *w);
    w->loop = sa_loop_new(NULL);
    w->objects =
        sa_embedded_open(&(struct sa_embedded_options){.loop = w->loop, .kinds = kinds}, NULL);
    *state = w;
    return w->objects ? 0 : -1;
}

static void on_closed(void *user)
{
    *(bool *)user = true;
}

static int teardown(void **state)
{
    struct world *w = *state;
    bool closed = false;
    sa_embedded_close(w->objects, on_closed, &closed);
    while (!closed)
        uv_run(w->loop, UV_RUN_ONCE);
    sa_loop_free(w->loop);
    free(w);
    return 0;
}

static void on_object(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct answer *answer = user;
    answer->done = true;
    if (err)
        answer->err = *err;
    else
        answer->object = sa_object_ref(object);
}

static void finish(const struct world *w, const struct answer *answer)
{
    while (!answer->done)
        uv_run(w->loop, UV_RUN_ONCE);
}

static struct answer create(const struct world *w, const struct sa_kind *kind, const char *json)
{
    struct answer answer = {.done = false};
    sa_objects_create(w->objects, kind, json, strlen(json), false, on_object, &answer);
    finish(w, &answer);
    return answer;
}

static struct answer patch(const struct world *w, const struct sa_kind *kind, const char *name,
                           enum sa_subresource subresource, const char *version, const char *json)
{
    struct answer answer = {.done = false};
    sa_objects_patch(w->objects, kind,
                     &(struct sa_objects_patch){.namespace_ = "default",
                                                .name = name,
                                                .subresource = subresource,
                                                .resource_version = version,
                                                .json = json,
                                                .length = strlen(json)},
                     on_object, &answer);
    finish(w, &answer);
    return answer;
}

static void test_forged_status(void **state)
{
    struct answer made = create(*state, &sa_kind_sandbox,
                                "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtime\":\"python\"},"
                                "\"status\":{\"phase\":\"Running\",\"podName\":\"other\"}}");
    assert_non_null(made.object);
    const struct sa_sandbox_status *status = sa_object_status(made.object);
    assert_int_equal(status->phase, SA_PHASE_PENDING);
    assert_string_equal(status->pod, "");
    sa_object_unref(made.object);
    /* Nor by a write of the spec. */
    made = patch(*state, &sa_kind_sandbox, "a", SA_SUBRESOURCE_NONE, NULL,
                 "{\"spec\":{\"timeout\":9},\"status\":{\"phase\":\"Running\"}}");
    assert_non_null(made.object);
    assert_int_equal(((const struct sa_sandbox_status *)sa_object_status(made.object))->phase,
                     SA_PHASE_PENDING);
    assert_int_equal(((const struct sa_sandbox_wanted *)sa_object_spec(made.object))->timeout_s, 9);
    assert_int_equal(sa_object_meta(made.object)->generation, 2);
    sa_object_unref(made.object);
}

static void test_status_is_written_apart(void **state)
{
    struct answer a = create(*state, &sa_kind_warm_pool,
                             "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtime\":\"python\"}}");
    sa_object_unref(a.object);
    a = patch(*state, &sa_kind_warm_pool, "a", SA_SUBRESOURCE_STATUS, NULL,
              "{\"spec\":{\"maxSize\":99},\"status\":{\"available\":2,\"hitRatio\":0.5}}");
    assert_non_null(a.object);
    assert_int_equal(((const struct sa_warm_pool_status *)sa_object_status(a.object))->available,
                     2);
    assert_int_equal(((const struct sa_warm_pool_spec *)sa_object_spec(a.object))->max_size, 10);
    assert_int_equal(sa_object_meta(a.object)->generation, 1);
    sa_object_unref(a.object);
    a = patch(*state, &sa_kind_warm_pool, "a", SA_SUBRESOURCE_STATUS, NULL,
              "{\"status\":{\"hitRatio\":2}}");
    assert_null(a.object);
    assert_string_equal(a.err.path, "status.hitRatio");
}

static void test_fixed_members(void **state)
{
    struct answer a = create(*state, &sa_kind_sandbox,
                             "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtime\":\"python\"}}");
    sa_object_unref(a.object);
    a = patch(*state, &sa_kind_sandbox, "a", SA_SUBRESOURCE_NONE, NULL,
              "{\"spec\":{\"runtime\":\"node\"}}");
    assert_null(a.object);
    assert_int_equal(a.err.code, SA_EINVALID);
    assert_string_equal(a.err.path, "spec.runtime");
    assert_string_equal(a.err.message, "spec.runtime: cannot be changed; delete the object and "
                                       "make another");
}

/* Two that read the same version: one has it, the other is told so, and may not take it later. */
static void test_claim(void **state)
{
    struct answer a =
        create(*state, &sa_kind_warm_pod,
               "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"pool\":\"a\",\"runtime\":\"python\"}}");
    const char *version = sa_object_meta(a.object)->resource_version;
    struct answer first = patch(*state, &sa_kind_warm_pod, "p", SA_SUBRESOURCE_NONE, version,
                                "{\"spec\":{\"claim\":{\"sandbox\":\"one\"}}}");
    struct answer second = patch(*state, &sa_kind_warm_pod, "p", SA_SUBRESOURCE_NONE, version,
                                 "{\"spec\":{\"claim\":{\"sandbox\":\"two\"}}}");
    assert_non_null(first.object);
    assert_null(second.object);
    assert_int_equal(second.err.code, SA_ECONFLICT);
    second = patch(*state, &sa_kind_warm_pod, "p", SA_SUBRESOURCE_NONE, NULL,
                   "{\"spec\":{\"claim\":{\"sandbox\":\"two\"}}}");
    assert_null(second.object);
    assert_string_equal(second.err.message, "spec.claim: the sandbox one has it");
    sa_object_unref(first.object);
    sa_object_unref(a.object);
    a = patch(*state, &sa_kind_warm_pod, "p", SA_SUBRESOURCE_NONE, NULL,
              "{\"spec\":{\"claim\":null}}");
    assert_non_null(a.object);
    assert_false(((const struct sa_warm_pod_spec *)sa_object_spec(a.object))->claim.given);
    sa_object_unref(a.object);
}

#define TEST(FUNCTION) cmocka_unit_test_setup_teardown(FUNCTION, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_forged_status), TEST(test_status_is_written_apart),
                                       TEST(test_fixed_members), TEST(test_claim)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
