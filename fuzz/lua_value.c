/*
 * Bytes as a value, and as JSON that becomes one. What passes the check can be read to its end
 * without a fault, and copied and printed; JSON that is taken comes back the same.
 */
#include "lua/value.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static size_t walk(const struct sa_value *value, unsigned depth)
{
    struct sa_value_reader reader = sa_value_enter(value);
    struct sa_value key, item;
    size_t count = 1;
    require(depth <= SA_VALUE_DEPTH);
    /* Whoever takes the one for the other finds nothing. */
    while (sa_value_next(&reader, &item)) {
        require(value->type == SA_VALUE_LIST);
        count += walk(&item, depth + 1);
    }
    while (sa_value_next_member(&reader, &key, &item)) {
        require(value->type == SA_VALUE_MAP && item.type != SA_VALUE_NIL);
        count += walk(&item, depth + 1);
    }
    return count;
}

static void read_bytes(const uint8_t *data, size_t size)
{
    sa_autobuf copy = SA_BUF_INIT, again = SA_BUF_INIT, json = SA_BUF_INIT;
    struct sa_error err;
    if (sa_value_check(data, size, &err) < 0) {
        require(err.code == SA_EPROTOCOL);
        return;
    }
    struct sa_value value = sa_value_of(data, size), copied;
    size_t count = walk(&value, 0);
    require(count <= size);
    sa_value_get(&value, "verdict");
    sa_value_copy(&copy, &value);
    require(copy.length <= size && sa_value_check(copy.data, copy.length, NULL) == 0);
    copied = sa_value_of(copy.data, copy.length);
    require(walk(&copied, 0) == count);
    sa_value_to_json(&value, &json);
    sa_value_from_json(json.data, json.length, &again, NULL); /* perhaps a key is there twice */
}

static void read_json(const char *text, size_t size)
{
    sa_autobuf first = SA_BUF_INIT, second = SA_BUF_INIT, json = SA_BUF_INIT;
    struct sa_error err;
    if (sa_value_from_json(text, size, &first, &err) < 0)
        return;
    require(sa_value_check(first.data, first.length, &err) == 0);
    struct sa_value value = sa_value_of(first.data, first.length);
    sa_value_to_json(&value, &json);
    require(sa_value_from_json(json.data, json.length, &second, &err) == 0);
    require(first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_bytes(data, size);
    read_json((const char *)data, size);
    return 0;
}
