/* All kinds, with what a command line and a CustomResourceDefinition need to know beside them. */
#ifndef SA_KINDS_RESOURCES_H
#define SA_KINDS_RESOURCES_H

#include "kinds/schema.h"

enum sa_column_type { SA_COLUMN_TEXT, SA_COLUMN_INT, SA_COLUMN_NUMBER, SA_COLUMN_DATE };
struct sa_column {           /* of `get`; a date is shown as an age */
    const char *name, *path; /* ".status.phase" of the object's JSON; name NULL ends a table */
    enum sa_column_type type;
    int priority; /* 0; 1: only when more is asked for */
    const char *doc;
};
struct sa_resource {
    const struct sa_kind *kind;
    const char *singular;
    const char *const *short_names; /* ended by NULL */
    const struct sa_column *columns;
    const struct sa_schema *spec, *status;
    const char *doc; /* a sentence */
};

extern const struct sa_resource sa_resource_sandbox, sa_resource_sandbox_profile,
    sa_resource_warm_pool, sa_resource_warm_pod, sa_resource_runtime_environment, sa_resource_pod;
/* All of them, ended by NULL; those of secureagent.dev first. */
extern const struct sa_resource *const sa_resources[];

/* By kind, plural, singular or short name, in any case ("Sandbox", "sandboxes", "sb"); NULL. */
const struct sa_resource *sa_resource_find(const char *name);
/* What a manifest says it is; NULL. */
const struct sa_resource *sa_resource_of(const char *api_version, const char *kind);

#endif
