/* Outside bytes as the fields of a PROFILE: what is taken keeps to the limits, and is the same
 * after another round. */
#include "nodelink/profile.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void whole(const struct sa_profile *profile, struct sa_buf *out)
{
    sa_fields_add_text(out, SA_PROFILE_ID, profile->id);
    sa_profile_encode(profile, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sa_profile one, two;
    struct sa_error err;
    sa_autobuf first = SA_BUF_INIT, second = SA_BUF_INIT;
    if (sa_profile_decode(data, size, &one, &err) < 0)
        return 0;
    require(sa_profile_id_valid(one.id) && one.filter_count <= SA_PROFILE_FILTERS_MAX &&
            one.flags <= SA_PROFILE_FLAGS_ALL && one.uid >= 0 && one.uid <= SA_PROFILE_USER_MAX);
    for (size_t i = 0; i < one.filter_count; i++)
        require(one.filters[i].language[0] && one.filters[i].allow.count <= SA_FILTER_NAMES_MAX);
    whole(&one, &first);
    require(sa_profile_decode(first.data, first.length, &two, &err) == 0);
    whole(&two, &second);
    require(first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
    sa_profile_deinit(&one);
    sa_profile_deinit(&two);
    return 0;
}
