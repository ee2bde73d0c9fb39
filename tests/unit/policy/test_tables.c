/* core/policy/tables*.c, points.c: every member of every struct is in its table, and what workers
 * are told of the points. */
#include "policy/tables.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t size_of(const struct sa_policy_field *field);

/* Alignment of a struct is that of its widest member, which all tables show. */
static size_t align_of(const struct sa_policy_field *field)
{
    if (field->type == SA_FIELD_BOOL)
        return alignof(bool);
    if (field->type != SA_FIELD_OBJECT)
        return alignof(int64_t);
    size_t most = 1;
    for (const struct sa_policy_field *f = field->fields; f->name; f++)
        most = align_of(f) > most ? align_of(f) : most;
    return most;
}

/* The members in the order of the struct, each where the one before it ends: what the table does
 * not have would leave a gap. */
static size_t end_of(const struct sa_policy_field *fields)
{
    size_t end = 0;
    for (; fields->name; fields++) {
        const size_t align = align_of(fields);
        const size_t at = (end + align - 1) / align * align;
        if (fields->offset != at)
            fail_msg("%s is at %zu, but the member before it ends at %zu", fields->name,
                     fields->offset, end);
        end = at + size_of(fields);
    }
    return end;
}

static size_t size_of(const struct sa_policy_field *field)
{
    static const size_t sizes[] = {[SA_FIELD_BOOL] = sizeof(bool),
                                   [SA_FIELD_INT] = sizeof(int64_t),
                                   [SA_FIELD_NUMBER] = sizeof(double),
                                   [SA_FIELD_TEXT] = sizeof(const char *),
                                   [SA_FIELD_TEXTS] = sizeof(struct sa_json_strings),
                                   [SA_FIELD_MAP] = sizeof(struct sa_json_map),
                                   [SA_FIELD_OBJECTS] = sizeof(struct sa_policy_list),
                                   [SA_FIELD_ANY] = sizeof(const char *)};
    if (field->type != SA_FIELD_OBJECT)
        return sizes[field->type];
    const size_t align = align_of(field);
    return (end_of(field->fields) + align - 1) / align * align;
}

static void whole(const char *name, const struct sa_policy_field *fields, size_t size)
{
    const struct sa_policy_field all = {.type = SA_FIELD_OBJECT, .fields = fields};
    if (size_of(&all) != size)
        fail_msg("the table of %s covers %zu of %zu bytes", name, size_of(&all), size);
    for (const struct sa_policy_field *f = fields; f->name; f++)
        if (f->type == SA_FIELD_OBJECTS)
            whole(f->name, f->fields, f->size);
}

static void tables_have_every_member(void **state)
{
    (void)state;
    for (size_t i = 0; i < SA_POINT_COUNT; i++)
        whole(sa_policy_points[i].name, sa_policy_points[i].input, sa_policy_points[i].input_size);
    whole("scope", sa_fields_scope, sizeof(struct sa_policy_scope));
    whole("user", sa_fields_user, sizeof(struct sa_policy_user));
    whole("sandbox", sa_fields_sandbox, sizeof(struct sa_policy_sandbox));
    whole("context", sa_fields_context, sizeof(struct sa_policy_context));
    whole("filter", sa_fields_filter, sizeof(struct sa_policy_filter));
    whole("run", sa_fields_run, sizeof(struct sa_policy_run));
    whole("grant", sa_fields_grant, sizeof(struct sa_policy_grant));
    whole("outcome", sa_fields_end, sizeof(struct sa_policy_end));
    whole("scaling", sa_fields_scaling_returns, sizeof(struct sa_scaling_returns));
    whole("anomaly", sa_fields_anomaly_returns, sizeof(struct sa_anomaly_returns));
}

/* A boolean can hide in padding, where no size tells; here the compiler misses it: these lists
 * name every member of the structs that end, or go on, with booleans. */
static void booleans_are_counted(void **state)
{
    (void)state;
    const struct sa_policy_landlock landlock = {true, {NULL, 0}};
    const struct sa_policy_context context = {
        NULL, 0,    0,        {NULL, 0}, true,      true,         true,
        true, NULL, landlock, {NULL, 0}, {NULL, 0}, {0, 0, 0, 0}, {NULL, 0}};
    const struct sa_policy_execute_input execute = {{0},       {0},       NULL, NULL, NULL,
                                                    {NULL, 0}, NULL,      0,    true, NULL,
                                                    NULL,      {NULL, 0}, true, true, {0}};
    const struct sa_policy_egress_input egress = {{0},  {0},  NULL, 0,         NULL, NULL,
                                                  NULL, true, true, {NULL, 0}, {0}};
    const struct sa_policy_recycle_input recycle = {{0},  NULL, NULL, true, 0, 0, 0,   true,
                                                    true, NULL, 0,    0,    0, 0, NULL};
    const struct {
        const struct sa_policy_field *fields;
        const void *struct_;
        size_t booleans;
    } cases[] = {{sa_fields_context, &context, 5},
                 {sa_fields_execute, &execute, 3},
                 {sa_fields_egress, &egress, 2},
                 {sa_fields_recycle, &recycle, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t set = 0;
        for (const struct sa_policy_field *f = cases[i].fields; f->name; f++) {
            const bool *at = (const bool *)((const char *)cases[i].struct_ + f->offset);
            if (f->type == SA_FIELD_BOOL || (f->fields && f->fields->type == SA_FIELD_BOOL))
                set += *at;
        }
        assert_int_equal(set, cases[i].booleans);
    }
}

static bool camel(const char *name)
{
    return name[0] >= 'a' && name[0] <= 'z' && !strpbrk(name, "_- .");
}

static void check_fields(const struct sa_policy_field *fields)
{
    for (const struct sa_policy_field *f = fields; f->name; f++) {
        assert_true(camel(f->name));
        assert_true(f->doc && *f->doc && !strchr(f->doc, '\n'));
        assert_true(f->low <= f->high);
        assert_int_equal(f->fields != NULL,
                         f->type == SA_FIELD_OBJECT || f->type == SA_FIELD_OBJECTS);
        for (const struct sa_policy_field *other = fields; other != f; other++)
            assert_string_not_equal(other->name, f->name);
        if (f->fields)
            check_fields(f->fields);
    }
}

static void points_are_consistent(void **state)
{
    (void)state;
    for (int i = 0; i < SA_POINT_COUNT; i++) {
        const struct sa_policy_point *point = &sa_policy_points[i];
        assert_int_equal(sa_policy_point_find(point->name), i);
        assert_true(point->doc && point->fallback && point->returns);
        /* What no rule means never ends the asking. */
        assert_non_null(point->verdicts[0]);
        assert_false(sa_policy_listed(point->final, point->verdicts[0]));
        for (const char *const *final = point->final; *final; final++)
            assert_true(sa_policy_listed(point->verdicts, *final));
        check_fields(point->input);
        check_fields(point->returns);
        const struct sa_policy_field *target = point->input;
        while (point->target && target->name && strcmp(target->name, point->target) != 0)
            target++;
        assert_non_null(target->name);
        if (point->target)
            assert_ptr_equal(target->fields, point->changes);
    }
    assert_int_equal(sa_policy_point_find("nothing"), -1);
}

/* What a rule must decide is marked so, else what it leaves out would read as zero. */
static void results_are_required(void **state)
{
    (void)state;
    for (size_t i = 0; i < SA_POINT_COUNT; i++) {
        const struct sa_policy_field *both[] = {sa_policy_points[i].changes,
                                                sa_policy_points[i].returns};
        for (size_t k = 0; k < 2; k++)
            for (const struct sa_policy_field *f = both[k]; f && f->name; f++)
                assert_true(f->flags & SA_FIELD_REQUIRED);
    }
}

static void workers_are_told(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error err = {0};
    struct sa_value point;
    size_t count = 0;
    sa_policy_points_print(&out);
    if (sa_value_check(out.data, out.length, &err) < 0)
        fail_msg("%s", err.message);
    const struct sa_value list = sa_value_of(out.data, out.length);
    struct sa_value_reader reader = sa_value_enter(&list);
    for (; sa_value_next(&reader, &point); count++) {
        const struct sa_value name = sa_value_get(&point, "name");
        assert_true(sa_value_is(&name, sa_policy_points[count].name));
        if (count != SA_POINT_EXECUTE)
            continue;
        const struct sa_value target = sa_value_get(&point, "target");
        const struct sa_value changes = sa_value_get(&point, "changes");
        const struct sa_value timeout = sa_value_get(&changes, "timeoutMs");
        const struct sa_value type = sa_value_get(&timeout, "type");
        assert_true(sa_value_is(&target, "run"));
        assert_true(sa_value_is(&type, "integer"));
        assert_int_equal(sa_value_get(&timeout, "high").integer, 86400000);
    }
    assert_int_equal(count, SA_POINT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_have_every_member), cmocka_unit_test(booleans_are_counted),
        cmocka_unit_test(points_are_consistent),    cmocka_unit_test(results_are_required),
        cmocka_unit_test(workers_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
