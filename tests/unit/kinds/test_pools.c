/* WarmPool and WarmPod: defaults, every field's refusals, who may have a pod. */
#include "fixture.h"

#include "kinds/warm_pod.h"
#include "kinds/warm_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SPEC(MORE) "{\"runtime\":\"python\"" MORE "}"
#define POD(MORE) "{\"pool\":\"a\",\"runtime\":\"python\"" MORE "}"

static void test_pool_defaults(void **state)
{
    (void)state;
    sa_autounref const struct sa_object *object = of_spec(&sa_kind_warm_pool, SPEC(""));
    const struct sa_warm_pool_spec *s = sa_object_spec(object);
    assert_string_equal(s->runtime, "python");
    assert_string_equal(s->profile, "");
    assert_int_equal(s->level, SA_LEVEL_STANDARD);
    assert_int_equal(s->min_size, 1);
    assert_int_equal(s->max_size, 10);
    assert_int_equal(s->ttl_s, 3600);
    assert_int_equal(s->resources.cpu_millicores, SA_CPU_DEFAULT_MILLICORES);
    assert_string_equal(s->scaling.rule, "target-utilization");
    assert_string_equal(s->scaling.params, "");
    assert_false(s->recycle.enabled);
    assert_int_equal(s->recycle.max_uses, 10);
    assert_string_equal(s->recycle.criteria, "");
    assert_int_equal(s->placement.node_selector.count, 0);
    empty_status_is_right(&sa_resource_warm_pool);
    assert_string_equal(sa_kind_warm_pool.fields[0].of(object), "python");
}

static void test_pool_everything(void **state)
{
    (void)state;
    sa_autounref const struct sa_object *object = of_status(
        &sa_kind_warm_pool,
        SPEC(",\"profile\":\"strict\",\"securityLevel\":\"high\",\"minSize\":0,\"maxSize\":0,"
             "\"ttl\":"
             "10,\"resources\":{\"memory\":\"64Mi\"},\"preloadPackages\":[\"numpy==1.26\",\"@a/"
             "b@1\"],"
             "\"preloadScripts\":[\"import os\"],\"imports\":[\"numpy\"],\"scaling\":{\"rule\":"
             "\"target-hit-ratio\",\"params\":{\"hitRatio\":0.99}},\"recycle\":{\"enabled\":true,"
             "\"maxUses\":0,\"criteria\":{\"a\":[1]}},\"placement\":{\"nodeSelector\":{\"zone\":"
             "\"a\"},\"runtimeClass\":\"gvisor\"}"),
        "{\"size\":3,\"available\":2,\"pending\":1,\"hits\":9,\"misses\":1,\"hitRatio\":0.9,"
        "\"refillP50Ms\":12,\"lastScale\":{\"at\":\"2026-01-31T09:05:00Z\",\"from\":1,\"to\":3,"
        "\"rule\":\"r\",\"reason\":\"why\"},\"key\":\"k\"}");
    const struct sa_warm_pool_spec *s = sa_object_spec(object);
    const struct sa_warm_pool_status *is = sa_object_status(object);
    assert_int_equal(s->max_size, 0);
    assert_int_equal(s->recycle.max_uses, 0);
    assert_string_equal(s->recycle.criteria, "{\"a\":[1]}");
    assert_string_equal(s->scaling.params, "{\"hitRatio\":0.99}");
    assert_string_equal(s->placement.runtime_class, "gvisor");
    assert_int_equal(is->available, 2);
    assert_true(is->hit_ratio > 0.89 && is->hit_ratio < 0.91);
    assert_int_equal(is->last_scale.to, 3);
}

static const struct refusal pools[] = {
    {"{}", "spec.runtime", "is required"},
    {SPEC(",\"profile\":\"A\""), "spec.profile", "expected a DNS name"},
    {SPEC(",\"securityLevel\":1"), "spec.securityLevel", "one of"},
    {SPEC(",\"minSize\":-1"), "spec.minSize", "integer in 0..10000"},
    {SPEC(",\"maxSize\":10001"), "spec.maxSize", "integer in 0..10000"},
    {SPEC(",\"minSize\":11"), "spec.minSize", "11 is more than maxSize, which is 10"},
    {SPEC(",\"ttl\":9"), "spec.ttl", "integer in 10..604800"},
    {SPEC(",\"resources\":{\"memory\":\"1\"}"), "spec.resources.memory", "from 16Mi"},
    {SPEC(",\"preloadPackages\":[\"--index-url\"]"), "spec.preloadPackages[0]", "a package such"},
    {SPEC(",\"preloadScripts\":[[]]"), "spec.preloadScripts[0]", "a string"},
    {SPEC(",\"imports\":[\"a b\"]"), "spec.imports[0]", "name of a module"},
    {SPEC(",\"scaling\":{\"rule\":\"A B\"}"), "spec.scaling.rule", "expected 1-63 of"},
    {SPEC(",\"scaling\":{\"params\":[]}"), "spec.scaling.params", "expected an object"},
    {SPEC(",\"scaling\":{\"targetUtilization\":1}"), "spec.scaling.targetUtilization", "unknown"},
    {SPEC(",\"recycle\":{\"enabled\":1}"), "spec.recycle.enabled", "true or false"},
    {SPEC(",\"recycle\":{\"maxUses\":-1}"), "spec.recycle.maxUses", "integer in 0..100000"},
    {SPEC(",\"recycle\":{\"criteria\":1}"), "spec.recycle.criteria", "expected an object"},
    {SPEC(",\"placement\":{\"nodeSelector\":{\"a\":1}}"), "spec.placement.nodeSelector.a",
     "a string"},
    {SPEC(",\"placement\":{\"runtimeClass\":\"G\"}"), "spec.placement.runtimeClass", "1-63 of"},
    {NULL, NULL, NULL}};
static const struct refusal pool_statuses[] = {
    {"{\"hitRatio\":1.5}", "status.hitRatio", "number in 0..1"},
    {"{\"available\":-1}", "status.available", "integer"},
    {"{\"lastScale\":{\"at\":\"x\"}}", "status.lastScale.at", "a time"},
    {NULL, NULL, NULL}};

static const struct refusal pods[] = {
    {"{\"runtime\":\"python\"}", "spec.pool", "is required"},
    {"{\"pool\":\"a\"}", "spec.runtime", "is required"},
    {POD(",\"pool_uid\":\"a\""), "spec.pool_uid", "did you mean \"poolUid\"?"},
    {POD(",\"poolUid\":1"), "spec.poolUid", "a string"},
    {POD(",\"key\":\"a b\""), "spec.key", "expected a word"},
    {POD(",\"profile\":\"A\""), "spec.profile", "a DNS name"},
    {POD(",\"securityLevel\":\"x\""), "spec.securityLevel", "one of"},
    {POD(",\"resources\":{\"pids\":1}"), "spec.resources.pids", "8..32768"},
    {POD(",\"claim\":{}"), "spec.claim.sandbox", "is required"},
    {POD(",\"claim\":{\"sandbox\":\"\"}"), "spec.claim.sandbox", "a DNS name"},
    {POD(",\"claim\":{\"sandbox\":\"s\",\"uid\":1}"), "spec.claim.uid", "a string"},
    {POD(",\"claim\":{\"sandbox\":\"s\",\"at\":\"x\"}"), "spec.claim.at", "a time"},
    {POD(",\"claim\":{\"sandbox\":\"s\",\"given\":true}"), "spec.claim.given", "unknown field"},
    {NULL, NULL, NULL}};
static const struct refusal pod_statuses[] = {
    {"{\"phase\":\"Running\"}", "status.phase", "one of \"Pending\", \"Ready\", \"Assigned\""},
    {"{\"uses\":-1}", "status.uses", "integer"},
    {"{\"readyAt\":5}", "status.readyAt", "a string"},
    {NULL, NULL, NULL}};

static void test_refusals(void **state)
{
    (void)state;
    refused(&sa_kind_warm_pool, NULL, pools);
    refused(&sa_kind_warm_pool, SPEC(""), pool_statuses);
    refused(&sa_kind_warm_pod, NULL, pods);
    refused(&sa_kind_warm_pod, POD(""), pod_statuses);
}

static void test_pod(void **state)
{
    (void)state;
    const struct sa_kind *kind = &sa_kind_warm_pod;
    sa_autounref const struct sa_object *object =
        of_status(kind, POD(",\"key\":\"k1\",\"claim\":{\"sandbox\":\"s\",\"tenant\":\"t\"}"),
                  "{\"phase\":\"Assigned\",\"uses\":2}");
    const struct sa_warm_pod_spec *s = sa_object_spec(object);
    assert_true(s->claim.given);
    assert_string_equal(s->claim.tenant, "t");
    assert_string_equal(s->claim.uid, "");
    const char *wanted[] = {"a", "k1", "s", "Assigned"};
    for (size_t i = 0; kind->fields[i].path; i++)
        assert_string_equal(kind->fields[i].of(object), wanted[i]);
    sa_autounref const struct sa_object *free_one = of_spec(kind, POD(""));
    assert_false(((const struct sa_warm_pod_spec *)sa_object_spec(free_one))->claim.given);
    assert_string_equal(kind->fields[2].of(free_one), "");
    assert_string_equal(kind->fields[3].of(free_one), "Pending");
    empty_status_is_right(&sa_resource_warm_pod);
}

#define CLAIM(TEXT) POD(",\"claim\":{" TEXT "}")
static void test_claims(void **state)
{
    (void)state;
    const struct sa_kind *kind = &sa_kind_warm_pod;
    assert_string_equal(change(kind, POD(""), CLAIM("\"sandbox\":\"s\"")), "");
    assert_string_equal(
        change(kind, CLAIM("\"sandbox\":\"s\""), CLAIM("\"sandbox\":\"s\",\"uid\":\"u\"")), "");
    assert_string_equal(change(kind, CLAIM("\"sandbox\":\"s\",\"uid\":\"u\""),
                               CLAIM("\"sandbox\":\"s\",\"uid\":\"v\"")),
                        "spec.claim");
    assert_string_equal(change(kind, CLAIM("\"sandbox\":\"s\""), CLAIM("\"sandbox\":\"t\"")),
                        "spec.claim");
    assert_string_equal(change(kind, CLAIM("\"sandbox\":\"s\""), POD("")), "");
    assert_string_equal(change(kind, POD(""), "{\"pool\":\"b\",\"runtime\":\"python\"}"),
                        "spec.pool");
    assert_string_equal(change(kind, POD(""), POD(",\"securityLevel\":\"high\"")),
                        "spec.securityLevel");
    assert_string_equal(change(kind, POD(",\"key\":\"a\""), POD(",\"key\":\"b\"")), "spec.key");
    assert_string_equal(change(&sa_kind_warm_pool, SPEC(""), SPEC(",\"maxSize\":20")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_defaults), cmocka_unit_test(test_pool_everything),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_pod), cmocka_unit_test(test_claims)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
