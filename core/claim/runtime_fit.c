#include "claim/runtime_fit.h"

static int check_available(const char *name, const struct sa_object *runtime, struct sa_error *err)
{
    const struct sa_runtime_spec *spec = sa_object_spec(runtime);
    const struct sa_runtime_status *status = sa_object_status(runtime);
    const struct sa_condition *is = sa_conditions_get(&status->conditions, SA_RUNTIME_AVAILABLE);
    if (is && is->status == SA_FALSE)
        return sa_error_at(err, SA_ECONTROL, "spec.runtime",
                           "spec.runtime: \"%.63s\" cannot be had here, %.64s: %.400s", name,
                           is->reason, is->message);
    if (spec->image[0] || spec->rootfs[0]) /* of which nothing was said yet */
        return sa_error_at(err, SA_ECONTROL, "spec.runtime",
                           "spec.runtime: \"%.63s\" has an %s, and this node runs its own programs "
                           "only",
                           name, spec->image[0] ? "image" : "unpacked root");
    return 0;
}

int sa_runtime_fit(const char *name, const struct sa_object *runtime,
                   const struct sa_resources *resources, struct sa_error *err)
{
    enum sa_language ignored;
    if (!runtime && sa_runtime_is_builtin(name, &ignored))
        return 0;
    if (!runtime)
        return sa_error_at(err, SA_ENOTFOUND, "spec.runtime",
                           "spec.runtime: there is no RuntimeEnvironment \"%.63s\"", name);
    if (check_available(name, runtime, err) < 0)
        return -1;
    const struct sa_runtime_requirements *least =
        &((const struct sa_runtime_spec *)sa_object_spec(runtime))->requirements;
    if (resources->memory_bytes < least->memory_bytes ||
        resources->cpu_millicores < least->cpu_millicores ||
        resources->storage_bytes < least->storage_bytes)
        return sa_error_at(err, SA_EINVALID, "spec.resources",
                           "spec.resources: less than the RuntimeEnvironment \"%.63s\" requires",
                           name);
    return 0;
}

const char *sa_runtime_fit_reason(const struct sa_error *err)
{
    switch (err->code) {
    case SA_ENOTFOUND:
        return "RuntimeNotFound";
    case SA_EINVALID:
        return "TooSmall";
    default:
        return "RuntimeUnavailable";
    }
}
