/* The embedded store beyond what every implementation must do: the disk. */
#include "conformance/thing.h"
#include "loop/loop.h"
#include "objects/embedded.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static const struct sa_kind *const kinds[] = {&thing_kind, &other_kind, &cluster_kind,
                                              &fleeting_kind, NULL};

struct answer {
    bool done;
    struct sa_error err;
    const struct sa_object *object;
};

static void on_object(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct answer *answer = user;
    assert_false(answer->done);
    answer->done = true;
    if (err)
        answer->err = *err;
    else
        answer->object = sa_object_ref(object);
}

static void wait_for(uv_loop_t *loop, const bool *flag)
{
    while (!*flag)
        uv_run(loop, UV_RUN_ONCE);
}

static void on_closed(void *user)
{
    *(bool *)user = true;
}

static void close_store(uv_loop_t *loop, struct sa_objects *objects)
{
    bool closed = false;
    sa_embedded_close(objects, on_closed, &closed);
    wait_for(loop, &closed);
}

static struct sa_objects *open_store(uv_loop_t *loop, const char *dir)
{
    struct sa_error err;
    struct sa_objects *objects = sa_embedded_open(
        &(struct sa_embedded_options){.loop = loop, .data_dir = dir, .kinds = kinds}, &err);
    if (!objects)
        fail_msg("%s", err.message);
    return objects;
}

static const struct sa_object *create(uv_loop_t *loop, struct sa_objects *objects, const char *json)
{
    struct answer answer = {.done = false};
    sa_objects_create(objects, &thing_kind, json, strlen(json), false, on_object, &answer);
    assert_false(answer.done);
    wait_for(loop, &answer.done);
    if (!answer.object)
        fail_msg("%s", answer.err.message);
    return answer.object;
}

static void test_survives_a_restart(void **state)
{
    char dir[] = "/tmp/secureagent-objects-XXXXXX";
    uv_loop_t *loop = sa_loop_new(NULL);
    (void)state;
    assert_non_null(mkdtemp(dir));
    struct sa_objects *objects = open_store(loop, dir);
    const struct sa_object *made =
        create(loop, objects, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"size\":3}}");
    close_store(loop, objects);
    objects = open_store(loop, dir);
    struct answer again = {.done = false};
    sa_objects_get(objects, &thing_kind, "default", "a", on_object, &again);
    wait_for(loop, &again.done);
    assert_non_null(again.object);
    assert_string_equal(sa_object_meta(made)->uid, sa_object_meta(again.object)->uid);
    assert_string_equal(sa_object_meta(made)->resource_version,
                        sa_object_meta(again.object)->resource_version);
    assert_int_equal(3, ((const struct thing_spec *)sa_object_spec(again.object))->size);
    sa_object_unref(made);
    sa_object_unref(again.object);
    close_store(loop, objects);
    sa_loop_free(loop);
    sa_autofree char *remove = sa_printf("rm -rf '%s'", dir);
    assert_int_equal(0, system(remove));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_survives_a_restart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
