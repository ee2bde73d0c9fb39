#include "claim/runtime_fit.h"

#include "json/quantity.h"

#include <stdio.h>

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

static int too_small(const char *name, const char *field, const char *least, struct sa_error *err)
{
    sa_error_at(err, SA_EINVALID, "",
                "spec.resources.%s: the RuntimeEnvironment \"%.63s\" requires at least %s", field,
                name, least);
    if (err)
        snprintf(err->path, sizeof err->path, "spec.resources.%s", field);
    return -1;
}

static int check_size(const char *name, const struct sa_runtime_requirements *least,
                      const struct sa_resources *has, struct sa_error *err)
{
    char text[SA_QUANTITY_BYTES];
    if (has->memory_bytes < least->memory_bytes) {
        sa_quantity_bytes_print(least->memory_bytes, text);
        return too_small(name, "memory", text, err);
    }
    if (has->cpu_millicores < least->cpu_millicores) {
        sa_quantity_cpu_print(least->cpu_millicores, text);
        return too_small(name, "cpu", text, err);
    }
    if (has->storage_bytes < least->storage_bytes) {
        sa_quantity_bytes_print(least->storage_bytes, text);
        return too_small(name, "ephemeralStorage", text, err);
    }
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
    return check_size(name,
                      &((const struct sa_runtime_spec *)sa_object_spec(runtime))->requirements,
                      resources, err);
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
