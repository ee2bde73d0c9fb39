/* Values compared. Lua gives the members of a table in any order: here they are sorted first. */
#include "lua/value.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

static int order_of(const struct sa_value *a, const struct sa_value *b)
{
    const size_t shared = a->length < b->length ? a->length : b->length;
    const int order = shared ? memcmp(a->data, b->data, shared) : 0;
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int by_key(const void *a, const void *b)
{
    return order_of(&((const struct sa_value_member *)a)->key,
                    &((const struct sa_value_member *)b)->key);
}

struct sa_value_member *sa_value_members(const struct sa_value *map, size_t *count)
{
    struct sa_value_member *members = NULL, one;
    struct sa_value_reader reader = sa_value_enter(map);
    size_t room = 0;
    *count = 0;
    while (map->type == SA_VALUE_MAP && sa_value_next_member(&reader, &one.key, &one.value)) {
        if (*count == room) {
            room = room ? 2 * room : 8;
            members = sa_realloc(members, room * sizeof *members);
        }
        members[(*count)++] = one;
    }
    if (*count)
        qsort(members, *count, sizeof *members, by_key);
    return members;
}

static bool equal_maps(const struct sa_value *a, const struct sa_value *b)
{
    size_t a_count, b_count, i = 0;
    struct sa_value_member *left = sa_value_members(a, &a_count);
    struct sa_value_member *right = sa_value_members(b, &b_count);
    if (a_count == b_count)
        while (i < a_count && order_of(&left[i].key, &right[i].key) == 0 &&
               sa_value_equal(&left[i].value, &right[i].value))
            i++;
    free(left);
    free(right);
    return a_count == b_count && i == a_count;
}

static bool equal_lists(const struct sa_value *a, const struct sa_value *b)
{
    struct sa_value_reader left = sa_value_enter(a), right = sa_value_enter(b);
    struct sa_value x, y;
    while (sa_value_next(&left, &x))
        if (!sa_value_next(&right, &y) || !sa_value_equal(&x, &y))
            return false;
    return !sa_value_next(&right, &y);
}

static bool is_number(const struct sa_value *value)
{
    return value->type == SA_VALUE_INT || value->type == SA_VALUE_NUMBER;
}

bool sa_value_equal(const struct sa_value *a, const struct sa_value *b)
{
    if (a->type != b->type)
        return is_number(a) && is_number(b) && a->number == b->number;
    switch (a->type) {
    case SA_VALUE_INT:
        return a->integer == b->integer;
    case SA_VALUE_NUMBER:
        return a->number == b->number;
    case SA_VALUE_STRING:
        return order_of(a, b) == 0;
    case SA_VALUE_LIST:
        return equal_lists(a, b);
    case SA_VALUE_MAP:
        return order_of(a, b) == 0 || equal_maps(a, b);
    default:
        return true;
    }
}
