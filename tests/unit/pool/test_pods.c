/* What is done inside of pods, with a real node and the real runtime. */
#include "fixture.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "controller/pool/pool.h"
#include "kinds/runtime_environment.h"
#include "kinds/warm_pod.h"
#include "kinds/warm_pool.h"

#include <stdlib.h>
#include <string.h>

static struct sa_pool_controller *controller;
static struct world *world;

static void on_answer(void *user, const struct sa_error *err, const struct sa_object *object)
{
    (void)object;
    if (err)
        fail_msg("%s", err->message);
    *(bool *)user = true;
}

static void create(const struct sa_kind *kind, const char *json)
{
    bool done = false;
    sa_objects_create(world->objects, kind, json, strlen(json), false, on_answer, &done);
    wait_flag(world, &done, "the store");
}

static int setup(void **state)
{
    world_setup(state);
    world = *state;
    create(&sa_kind_runtime_environment,
           "{\"apiVersion\":\"secureagent.dev/v1\",\"kind\":\"RuntimeEnvironment\","
           "\"metadata\":{\"name\":\"python\"},\"spec\":{\"language\":\"python\"}}");
    controller = sa_pool_controller_start(
        &(struct sa_controllers_options){.loop = world->loop,
                                         .objects = world->objects,
                                         .caches = &world->caches,
                                         .agent = world->agent,
                                         .profile_digest = DEFAULT_PROFILE});
    return 0;
}

static int teardown(void **state)
{
    sa_pool_controller_stop(controller);
    return world_teardown(state);
}

static void create_pool(const char *spec)
{
    sa_autofree char *json = sa_printf(
        "{\"apiVersion\":\"secureagent.dev/v1\",\"kind\":\"WarmPool\",\"metadata\":{\"name\":\"p\"}"
        ",\"spec\":{\"runtime\":\"python\",%s}}",
        spec);
    create(&sa_kind_warm_pool, json);
}

static const struct sa_warm_pool_status *pool(void)
{
    const struct sa_object *object = sa_informer_get(world->caches.warm_pools, "default/p");
    return object ? sa_object_status(object) : NULL;
}

static bool is_available(void *user)
{
    return pool() && pool()->available == *(int *)user;
}

static void wait_available(int count)
{
    wait_until(world, is_available, &count, "pods that are ready");
}

static const char *any_pod(void)
{
    return sa_object_meta(sa_informer_next(world->caches.warm_pods, NULL))->name;
}

static bool is_degraded(void *user)
{
    const struct sa_condition *degraded =
        pool() ? sa_conditions_get(&pool()->conditions, "Degraded") : NULL;
    return degraded && degraded->status == SA_TRUE && strcmp(degraded->reason, user) == 0;
}

static const char *wait_degraded(const char *reason)
{
    wait_until(world, is_degraded, (void *)(uintptr_t)reason, reason);
    return sa_conditions_get(&pool()->conditions, "Degraded")->message;
}

static void scripts_and_imports(void **state)
{
    (void)state;
    create_pool("\"minSize\":2,\"maxSize\":4,\"imports\":[\"json\",\"xml.dom\"],\"preloadScripts\":"
                "[\"open('/workspace/a', 'w').write('made')\","
                "\"print(open('/workspace/a').read(), file=open('/tmp/b', 'w'))\"]");
    wait_available(2);
    assert_string_equal("mademade\n", shell(world, any_pod(), "cat /workspace/a /tmp/b"));
    /* The template waits, and what was forked from it. */
    const char *processes = shell(world, any_pod(), "cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    assert_non_null(strstr(processes, "template.py"));
    assert_non_null(strstr(processes, "xml.dom"));
}

static void a_script_that_fails(void **state)
{
    (void)state;
    create_pool(
        "\"maxSize\":2,\"preloadScripts\":[\"x = 1\",\"raise ValueError('no such luck')\"]");
    const char *message = wait_degraded("ScriptFailed");
    assert_non_null(strstr(message, "preloadScripts[1]"));
    assert_non_null(strstr(message, "no such luck"));
    assert_int_equal(0, pool()->available);
}

static void a_module_that_is_not_there(void **state)
{
    (void)state;
    create_pool("\"maxSize\":2,\"imports\":[\"json\",\"never_heard_of\"]");
    assert_non_null(strstr(wait_degraded("ImportFailed"), "never_heard_of"));
}

static void packages_without_a_manager(void **state)
{
    (void)state;
    create_pool("\"maxSize\":2,\"preloadPackages\":[\"six\"]");
    assert_non_null(strstr(wait_degraded("InstallFailed"), "package manager"));
}

int main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(scripts_and_imports),
        TEST(a_script_that_fails),
        TEST(a_module_that_is_not_there),
        TEST(packages_without_a_manager),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
