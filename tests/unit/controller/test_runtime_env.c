/* Runtime environments: those that are built in, and what is said of each. */
#include "fixture.h"

#include "base/clock.h"
#include "controller/runtime_env/observe.h"
#include "controller/runtime_env/plan.h"
#include "controller/runtime_env/runtime_env.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 60 * 1000 };

static const struct sa_condition *available(const struct sa_object *runtime)
{
    const struct sa_runtime_status *status = sa_object_status(runtime);
    return sa_conditions_get(&status->conditions, SA_RUNTIME_AVAILABLE);
}

static const struct sa_object *wait_condition(struct world *w, const char *name, const char *reason)
{
    const int64_t until_ms = sa_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        struct result result = get_(w, &sa_kind_runtime_environment, name);
        const struct sa_condition *is = result.object ? available(result.object) : NULL;
        if (is && (!reason || strcmp(is->reason, reason) == 0))
            return result.object;
        if (sa_monotonic_ms() > until_ms)
            fail_msg("%s: waited too long (%s)", name, is ? is->reason : "no condition");
    }
}

static void test_builtin(void **state)
{
    struct world *w = *state;
    struct sa_caches caches;
    sa_caches_start(&caches, w->loop, w->objects);
    wait_synced(w, &caches);
    const struct sa_controllers_options options = options_for(w, &caches, "test");
    struct sa_runtime_controller *controller = sa_runtime_controller_start(&options);
    for (size_t i = 0; i < SA_BUILTIN_COUNT; i++) {
        const struct sa_object *runtime = wait_condition(w, sa_builtin_runtimes[i], NULL);
        assert_string_equal(sa_object_meta(runtime)->labels.items[0].key, SA_RUNTIME_BUILTIN);
    }
    const struct sa_runtime_status *status =
        sa_object_status(wait_condition(w, "base", "Installed"));
    assert_string_equal(status->nodes.items[0], "local");
    ok(delete_(w, &sa_kind_runtime_environment, "bash", NULL));
    wait_condition(w, "bash", NULL); /* it is there again */
    ok(create_(w, &sa_kind_runtime_environment, false,
               "{'metadata':{'name':'x'},'spec':{'language':'python','image':'python:3'}}"));
    wait_condition(w, "x", "ImagesNotSupported");
    ok(patch_(w, &sa_kind_runtime_environment, "x", SA_SUBRESOURCE_NONE, NULL,
              "{'spec':{'language':'other','image':null}}"));
    const struct sa_object *x = wait_condition(w, "x", "Installed");
    assert_int_equal(((const struct sa_runtime_status *)sa_object_status(x))->observed_generation,
                     2);
    sa_runtime_controller_stop(controller);
    sa_caches_stop(&caches);
}

/* ---- what is said, by itself ---- */

static void says(struct world *w, const char *spec, const char *program, const char *reason,
                 bool there)
{
    static int number;
    struct sa_runtime_status status;
    const struct sa_object *runtime =
        ok(create_(w, &sa_kind_runtime_environment, false,
                   "{'metadata':{'name':'r%d'},'spec':{%s'language':'python'}}", number++, spec));
    sa_runtime_status_now(&(struct sa_runtime_world){.runtime = runtime,
                                                     .node = "local",
                                                     .architecture = "amd64",
                                                     .program = program,
                                                     .version = "3.11",
                                                     .lacking = sa_runtime_lacking(
                                                         sa_object_spec(runtime), w->arena)},
                          w->arena, &status);
    const struct sa_condition *is = sa_conditions_get(&status.conditions, SA_RUNTIME_AVAILABLE);
    assert_string_equal(is->reason, reason);
    assert_int_equal(is->status, there ? SA_TRUE : SA_FALSE);
    assert_int_equal(status.nodes.count, there);
    sa_autobuf patch = SA_BUF_INIT;
    sa_runtime_status_patch(&status, &patch);
    assert_true(there || strstr(patch.data, "\"nodes\":null"));
}

static void test_says(void **state)
{
    struct world *w = *state;
    says(w, "", "/usr/bin/python3", "Installed", true);
    says(w, "", NULL, "NotInstalled", false);
    says(w, "'image':'python:3',", "/usr/bin/python3", "ImagesNotSupported", false);
    says(w, "'rootfs':'/srv/root',", "/usr/bin/python3", "RootsNotSupported", false);
    says(w, "'requirements':{'architectures':['arm64','amd64']},", "/p", "Installed", true);
    says(w, "'requirements':{'architectures':['arm64']},", "/p", "ArchitectureMismatch", false);
    says(w, "'version':'3.11',", "/p", "Installed", true);
    says(w, "'version':'3',", "/p", "Installed", true);
    says(w, "'version':'3.11.2',", "/p", "Installed", true);
    says(w, "'version':'3.1',", "/p", "VersionMismatch", false);
    says(w, "'version':'3.12',", "/p", "VersionMismatch", false);
    says(w, "'packageManager':'pip','preInstalledPackages':['no-such-thing-sa==1.0'],", "/p",
         "PackagesNotInstalled", false);
}

static void test_version(void **state)
{
    struct world *w = *state;
    char folder[] = "/tmp/sa-version-XXXXXX", to[64], from[64];
    assert_non_null(mkdtemp(folder));
    snprintf(to, sizeof to, "%s/python3.11", folder);
    snprintf(from, sizeof from, "%s/python3", folder);
    assert_int_equal(close(open(to, O_CREAT | O_WRONLY, 0700)), 0);
    assert_int_equal(symlink(to, from), 0);
    assert_string_equal(sa_runtime_version(from, w->arena), "3.11");
    assert_string_equal(sa_runtime_version("/bin/sh", w->arena), "");
    assert_string_equal(sa_runtime_version(NULL, w->arena), "");
    assert_string_equal(sa_runtime_version("/no/such", w->arena), "");
    unlink(from);
    unlink(to);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_builtin, controllers_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_says, controllers_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_version, controllers_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
