/* What SETUP says of the decision points. */
#include "rules.h"

#include "base/arena.h"

#include <string.h>

enum { POINTS_MAX = 64, FIELDS_MAX = 128 };

static const char *text_of(struct sa_vm *vm, const struct sa_value *value)
{
    return value->type == SA_VALUE_STRING ? sa_arena_strndup(vm->arena, value->data, value->length)
                                          : NULL;
}

static struct sa_vm_texts texts_of(struct sa_vm *vm, const struct sa_value *list)
{
    struct sa_vm_texts texts = {sa_arena_alloc(vm->arena, FIELDS_MAX * sizeof(char *)), 0};
    struct sa_value_reader reader = sa_value_enter(list);
    struct sa_value item;
    while (texts.count < FIELDS_MAX && sa_value_next(&reader, &item))
        if (item.type == SA_VALUE_STRING)
            texts.text[texts.count++] = text_of(vm, &item);
    return texts;
}

static int choice(const struct sa_value *value, const char *const *names, const char *what,
                  struct sa_error *err)
{
    for (int i = 0; names[i]; i++)
        if (sa_value_is(value, names[i]))
            return i;
    return sa_error_set(err, SA_EPROTOCOL, "SETUP has an unknown %s", what);
}

static bool is_number(const struct sa_value *value)
{
    return value->type == SA_VALUE_INT || value->type == SA_VALUE_NUMBER;
}

static int read_fields(struct sa_vm *vm, const struct sa_value *map, struct sa_vm_fields *fields,
                       struct sa_error *err);

static int read_field(struct sa_vm *vm, const struct sa_value *map, struct sa_vm_field *field,
                      struct sa_error *err)
{
    static const char *const types[] = {"boolean", "integer", "number",  "string", "strings",
                                        "map",     "object",  "objects", "any",    NULL};
    struct sa_value type = sa_value_get(map, "type"), low = sa_value_get(map, "low"),
                    high = sa_value_get(map, "high"), values = sa_value_get(map, "values"),
                    fields = sa_value_get(map, "fields");
    int index = choice(&type, types, "field type", err);
    if (index < 0)
        return -1;
    field->type = (enum sa_vm_type)index;
    field->required = sa_value_get(map, "required").type == SA_VALUE_TRUE;
    field->has_low = is_number(&low);
    field->low = low.number;
    field->has_high = is_number(&high);
    field->high = high.number;
    if (values.type == SA_VALUE_LIST)
        field->values = texts_of(vm, &values);
    return read_fields(vm, &fields, &field->fields, err);
}

static int read_fields(struct sa_vm *vm, const struct sa_value *map, struct sa_vm_fields *fields,
                       struct sa_error *err)
{
    struct sa_value_reader reader = sa_value_enter(map);
    struct sa_value key, value;
    size_t count = 0;
    while (sa_value_next_member(&reader, &key, &value))
        count++;
    if (count > FIELDS_MAX)
        return sa_error_set(err, SA_EPROTOCOL, "SETUP has too many fields");
    fields->field = sa_arena_alloc(vm->arena, (count + 1) * sizeof *fields->field);
    reader = sa_value_enter(map);
    while (sa_value_next_member(&reader, &key, &value)) {
        struct sa_vm_field *field = &fields->field[fields->count++];
        field->name = text_of(vm, &key);
        if (read_field(vm, &value, field, err) < 0)
            return -1;
    }
    return 0;
}

static int read_point(struct sa_vm *vm, const struct sa_value *map, struct sa_vm_point *point,
                      struct sa_error *err)
{
    static const char *const combines[] = {"firstFinal", "named", "maxScore", NULL};
    struct sa_value name = sa_value_get(map, "name"), verdicts = sa_value_get(map, "verdicts"),
                    final = sa_value_get(map, "final"), combine = sa_value_get(map, "combine"),
                    target = sa_value_get(map, "target"), changes = sa_value_get(map, "changes"),
                    returns = sa_value_get(map, "returns");
    int index = choice(&combine, combines, "combine", err);
    if (index < 0)
        return -1;
    point->name = text_of(vm, &name);
    point->verdicts = texts_of(vm, &verdicts);
    point->final = texts_of(vm, &final);
    point->combine = (enum sa_vm_combine)index;
    point->target = text_of(vm, &target);
    point->any_change = changes.type != SA_VALUE_MAP;
    if (!point->name || !point->verdicts.count)
        return sa_error_set(err, SA_EPROTOCOL, "SETUP has a point without a name or verdicts");
    if (read_fields(vm, &changes, &point->changes, err) < 0)
        return -1;
    return read_fields(vm, &returns, &point->returns, err);
}

int sa_points_read(struct sa_vm *vm, const struct sa_value *points, struct sa_error *err)
{
    struct sa_value_reader reader = sa_value_enter(points);
    struct sa_value item;
    vm->points = sa_arena_alloc(vm->arena, POINTS_MAX * sizeof *vm->points);
    while (sa_value_next(&reader, &item)) {
        if (vm->point_count == POINTS_MAX)
            return sa_error_set(err, SA_EPROTOCOL, "SETUP has too many points");
        if (read_point(vm, &item, &vm->points[vm->point_count++], err) < 0)
            return -1;
    }
    return 0;
}

struct sa_vm_point *sa_points_find(struct sa_vm *vm, const char *name)
{
    for (size_t i = 0; i < vm->point_count; i++)
        if (strcmp(vm->points[i].name, name) == 0)
            return &vm->points[i];
    return NULL;
}
