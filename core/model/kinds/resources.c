#include "kinds/resources.h"

#include <string.h>
#include <strings.h>

const struct sa_resource *const sa_resources[] = {&sa_resource_sandbox,
                                                  &sa_resource_warm_pool,
                                                  &sa_resource_warm_pod,
                                                  &sa_resource_runtime_environment,
                                                  &sa_resource_sandbox_profile,
                                                  &sa_resource_pod,
                                                  NULL};

static bool is_called(const struct sa_resource *resource, const char *name)
{
    if (strcasecmp(resource->kind->name, name) == 0 ||
        strcasecmp(resource->kind->plural, name) == 0 || strcasecmp(resource->singular, name) == 0)
        return true;
    for (const char *const *s = resource->short_names; *s; s++)
        if (strcasecmp(*s, name) == 0)
            return true;
    return false;
}

const struct sa_resource *sa_resource_find(const char *name)
{
    const struct sa_resource *const *r = sa_resources;
    while (*r && !is_called(*r, name))
        r++;
    return *r;
}

const struct sa_resource *sa_resource_of(const char *api_version, const char *kind)
{
    const struct sa_resource *const *r = sa_resources;
    while (*r && (strcmp((*r)->kind->api_version, api_version) != 0 ||
                  strcmp((*r)->kind->name, kind) != 0))
        r++;
    return *r;
}
