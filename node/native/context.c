/* What of a profile can be had here. */
#include "native/context.h"

#include "base/cleanup.h"
#include "native/native.h"

#include <stdio.h>
#include <string.h>

const char *const sa_folders[SA_FOLDER_COUNT] = {"/workspace", "/tmp", "/home/user", "/dev/shm"};
const char *const sa_devices[SA_DEVICE_COUNT] = {"null",   "zero",    "full",
                                                 "random", "urandom", "tty"};

/* The names of a list as bits; one that is none of `known` is refused. */
static int bits_of(const struct sa_text_list *list, const char *const *known, size_t count,
                   const char *member, uint32_t *bits, struct sa_error *err)
{
    *bits = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t j = 0;
        while (j < count && strcmp(known[j], list->items[i]) != 0)
            j++;
        if (j < count) {
            *bits |= 1u << j;
            continue;
        }
        char all[160] = "";
        for (size_t k = 0, n = 0; k < count; k++)
            n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", k ? ", " : "", known[k]);
        return sa_error_at(err, SA_ECONTROL, member, "%s: \"%s\" cannot be had here; there are %s",
                           member, list->items[i], all);
    }
    return 0;
}

/* What no rule can take away. */
static int check_floor(const struct sa_profile *p, struct sa_error *err)
{
    static const struct {
        unsigned flag;
        const char *control, *why;
    } always[] = {
        {SA_PROFILE_NO_NEW_PRIVS, "no_new_privs", "noNewPrivs: programs never gain privileges"},
        {SA_PROFILE_READ_ONLY_ROOT, "rootfs.readonly", "readOnlyRoot: the system is shared"},
        {SA_PROFILE_PRIVATE_NETWORK, "netns", "privateNetwork: the host's network is never shared"},
        {SA_PROFILE_MASK_PROC, "proc.masked", "maskProc: /proc is never whole"}};
    for (size_t i = 0; i < SA_COUNT(always); i++)
        if (!(p->flags & always[i].flag))
            return sa_error_at(err, SA_ECONTROL, always[i].control,
                               "%s; the native driver cannot switch it off", always[i].why);
    if (p->capabilities.count)
        return sa_error_at(err, SA_ECONTROL, "capabilities",
                           "capabilities: %s cannot be kept, the native driver keeps none",
                           p->capabilities.items[0]);
    if (p->core_bytes)
        return sa_error_at(err, SA_ECONTROL, "limits.coreBytes",
                           "limits.coreBytes: there are never core dumps, it must be 0");
    return 0;
}

static int check_ids(const struct sa_profile *p, const struct sa_host *host, struct sa_error *err)
{
    if (p->uid == 0 || p->gid == 0)
        return sa_error_at(err, SA_ECONTROL, "uid",
                           "uid, gid: programs are never root, not even "
                           "of their own namespace");
    if (!host->ranges && (p->uid != SA_NATIVE_UID || p->gid != SA_NATIVE_UID))
        return sa_error_at(err, SA_ECONTROL, "uid",
                           "uid, gid: an unprivileged node has only %d; start it as root",
                           SA_NATIVE_UID);
    return 0;
}

int sa_context_from(const struct sa_profile *p, const struct sa_host *host, struct sa_context *c,
                    struct sa_error *err)
{
    if (check_floor(p, err) < 0 || check_ids(p, host, err) < 0 ||
        bits_of(&p->writable, sa_folders, SA_FOLDER_COUNT, "writablePaths", &c->writable, err) <
            0 ||
        bits_of(&p->landlock, sa_folders, SA_FOLDER_COUNT, "landlock", &c->landlocked, err) < 0 ||
        bits_of(&p->devices, sa_devices, SA_DEVICE_COUNT, "devices", &c->devices, err) < 0)
        return -1;
    if (!(c->writable >> SA_FOLDER_WORKSPACE & 1))
        return sa_error_at(err, SA_ECONTROL, "writablePaths",
                           "writablePaths: /workspace must be among them");
    if (!(c->devices >> SA_DEVICE_NULL & 1))
        return sa_error_at(err, SA_ECONTROL, "devices", "devices: null must be among them");
    c->uid = (uint32_t)p->uid;
    c->gid = (uint32_t)p->gid;
    c->pids = (uint64_t)p->pids;
    c->open_files = (uint64_t)p->open_files;
    c->file_bytes = (uint64_t)p->file_bytes;
    c->landlock = (p->flags & SA_PROFILE_USE_LANDLOCK) != 0;
    return 0;
}
