/* Events: counted when they are the same, held back when they are many, found by what they are
 * about. */
#include "objects/recorder.h"

#include "conformance/fixture.h"
#include "embedded_target.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

static int64_t clock_ms = 1000;

static int64_t now_ms(void)
{
    return clock_ms;
}

static const struct sa_object *make(struct world *w, const char *name)
{
    return ok(create_(w, &thing_kind, false, "{'metadata':{'name':'%s'}}", name));
}

static const struct sa_event *event_of(const struct sa_object *object)
{
    return sa_object_spec(object);
}

static struct listing events(struct world *w, const char *fields)
{
    turns(w, 10);
    return list_(w, &sa_kind_event, &(struct sa_objects_select){.field_selector = fields}, 0, NULL);
}

static void test_counted(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "a");
    struct sa_recorder *recorder = sa_recorder_new(w->objects, "tests", now_ms);
    for (int i = 0; i < 3; i++)
        sa_record(recorder, a, SA_EVENT_WARNING, "Failed", "no %s", "luck");
    sa_record(recorder, a, SA_EVENT_NORMAL, "Failed", "no luck");
    struct listing l = events(w, "involvedObject.name=a,type=Warning");
    assert_int_equal(l.count, 1);
    const struct sa_event *e = event_of(l.items[0]);
    assert_string_equal(e->reason, "Failed");
    assert_string_equal(e->message, "no luck");
    assert_string_equal(e->component, "tests");
    assert_string_equal(e->about.kind, "Thing");
    assert_string_equal(e->about.uid, sa_object_meta(a)->uid);
    assert_int_equal(e->count, 3);
    assert_true(e->first_ms > 0 && e->last_ms >= e->first_ms);
    assert_int_equal(events(w, "type=Normal").count, 1);
    clock_ms += 9 * 60 * 1000;
    sa_record(recorder, a, SA_EVENT_WARNING, "Failed", "no luck");
    assert_int_equal(event_of(events(w, "type=Warning").items[0])->count, 4);
    clock_ms += 11 * 60 * 1000; /* long ago: another one */
    sa_record(recorder, a, SA_EVENT_WARNING, "Failed", "no luck");
    assert_int_equal(events(w, "type=Warning").count, 2);
    sa_recorder_free(recorder);
}

static void test_flood(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "a"), *b = make(w, "b");
    struct sa_recorder *recorder = sa_recorder_new(w->objects, "tests", now_ms);
    for (int i = 0; i < 200; i++)
        sa_record(recorder, a, SA_EVENT_NORMAL, "Said", "%d", i);
    sa_record(recorder, b, SA_EVENT_NORMAL, "Said", "one");
    assert_int_equal(events(w, "involvedObject.name=a").count, 25);
    assert_int_equal(events(w, "involvedObject.name=b").count, 1); /* not its fault */
    clock_ms += 5 * 60 * 1000;
    sa_record(recorder, a, SA_EVENT_NORMAL, "Said", "more");
    sa_record(recorder, a, SA_EVENT_NORMAL, "Said", "too much");
    assert_int_equal(events(w, "involvedObject.name=a").count, 26);
    sa_recorder_free(recorder);
}

/* What was written is gone: the next one writes it anew. */
static void test_written_again(void **state)
{
    struct world *w = *state;
    const struct sa_object *wide =
        ok(create_(w, &cluster_kind, false, "{'metadata':{'name':'a'}}"));
    struct sa_recorder *recorder = sa_recorder_new(w->objects, "tests", now_ms);
    sa_record(recorder, wide, SA_EVENT_NORMAL, "Said", "it");
    struct listing l = events(w, NULL);
    assert_int_equal(l.count, 1);
    assert_string_equal(sa_object_meta(l.items[0])->namespace_, "default");
    ok(delete_(w, &sa_kind_event, name_of(l.items[0]), NULL));
    sa_record(recorder, wide, SA_EVENT_NORMAL, "Said", "it");
    l = events(w, NULL);
    assert_int_equal(l.count, 1);
    assert_int_equal(event_of(l.items[0])->count, 2);
    sa_recorder_free(recorder);
}

static void test_ends_while_writing(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "a");
    struct sa_recorder *recorder = sa_recorder_new(w->objects, "tests", now_ms);
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sa_record(recorder, a, SA_EVENT_NORMAL, "Said", "%s", text);
    sa_record(recorder, a, SA_EVENT_NORMAL, "Said", "%s", text);
    sa_recorder_free(recorder);
    turns(w, 5);
}

/* As Kubernetes writes them: flat, and with members that we have no use for. */
static void test_kind(void **state)
{
    struct world *w = *state;
    const struct sa_object *o = ok(create_(
        w, &sa_kind_event, false,
        "{'apiVersion':'v1','kind':'Event','metadata':{'name':'e.1'},'involvedObject':{'kind':'Pod'"
        ","
        "'name':'p','fieldPath':'spec.containers{a}'},'reason':'Pulled','message':'m','source':{"
        "'component':'kubelet','host':'n'},'firstTimestamp':'2026-01-31T09:05:00Z','eventTime':"
        "null,"
        "'reportingComponent':'kubelet','reportingInstance':'n','type':'Normal'}"));
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w writer = sa_json_w_start(&text);
    sa_object_print(o, &writer);
    assert_non_null(strstr(text.data, "},\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"p\"},"));
    assert_null(strstr(text.data, "\"spec\""));
    assert_null(strstr(text.data, "\"status\""));
    o = ok(patch_(w, &sa_kind_event, "e.1", SA_SUBRESOURCE_NONE, NULL, "{'count':5}"));
    assert_int_equal(event_of(o)->count, 5);
    assert_string_equal(event_of(o)->reason, "Pulled");
    refused(patch_(w, &sa_kind_event, "e.1", SA_SUBRESOURCE_STATUS, NULL, "{'status':{}}"),
            SA_ENOTFOUND, NULL);
    refused(create_(w, &sa_kind_event, false,
                    "{'metadata':{'name':'e.2'},'involvedObject':{},'spec':{}}"),
            SA_EINVALID, "spec");
    refused(create_(w, &sa_kind_event, false, "{'metadata':{'name':'e.2'}}"), SA_EINVALID,
            "involvedObject");
}

#define RECORDER_TEST(f) cmocka_unit_test_setup_teardown(f, memory_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECORDER_TEST(test_counted), RECORDER_TEST(test_flood), RECORDER_TEST(test_written_again),
        RECORDER_TEST(test_ends_while_writing), RECORDER_TEST(test_kind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
