/* Bytes of the node's state folder as a record: what is taken is in range, names nothing outside
 * its folder, and is the same after another round. */
#include "native/record.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sa_record one, two;
    struct sa_error err;
    sa_autobuf first = SA_BUF_INIT, second = SA_BUF_INIT;
    if (sa_record_decode(data, size, &one, &err) < 0)
        return 0;
    require(sa_node_id_valid(one.id) && sa_profile_id_valid(one.profile) && one.boot[0]);
    require(one.group[0] && !strchr(one.group, '/') && one.group[0] != '.');
    require(one.pid > 1 && one.start >= 0 && one.slot >= 0 && one.slot < SA_NATIVE_SANDBOXES_MAX &&
            one.uid_base >= 0 && one.uid_base <= UINT32_MAX && one.limits.memory_bytes >= 0);
    require(one.in_force < UINT32_C(1) << SA_CONTROL_COUNT);
    sa_record_encode(&one, &first);
    require(sa_record_decode(first.data, first.length, &two, &err) == 0);
    sa_record_encode(&two, &second);
    require(first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
    return 0;
}
