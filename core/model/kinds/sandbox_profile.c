#include "kinds/sandbox_profile.h"

#include "kinds/resources.h"

typedef struct sa_profile_spec profile;
typedef struct sa_profile_status status;

static const struct sa_member spec_members[] = {
    SA_TEXT(profile, description, "description", SA_DOC_MAX_BYTES, NULL, "What it is for."),
    {.name = "securityLevel",
     .type = SA_MEMBER_ENUM,
     SA_AT(profile, level),
     .names = sa_level_names,
     .doc = "The least level of what refers to it."},
    {.name = "securityContext",
     .type = SA_MEMBER_JSON,
     SA_AT(profile, security_context),
     .max_bytes = SA_SECURITY_CONTEXT_MAX_BYTES,
     .doc = "What differs from the level standard; only with securityLevel custom."},
    SA_TEXT(profile, runtime_class, "runtimeClass", 63, &sa_format_label,
            "What isolates it, such as `native` or `gvisor`; by default the rules decide."),
    SA_OBJECT(profile, network, "networkAccess", &sa_schema_network_access,
              "What a sandbox may connect to, and what can connect to it."),
    SA_OBJECT(profile, filesystem, "filesystem", &sa_schema_filesystem, "What can be written."),
    SA_TEXTS(profile, required_controls, "requiredControls", SA_CONTROLS_MAX, 64, NULL,
             "Isolation controls that must be in force."),
    SA_INT(profile, timeout_max_s, "maxTimeout", 1, SA_TIMEOUT_MAX_S,
           "Seconds that a sandbox may ask for at most."),
    {.name = NULL}};

static int check_spec(void *value, const struct sa_json_obj *at, struct sa_error *err)
{
    const profile *p = value;
    return sa_check_security_context(p->level, p->security_context, at, err);
}

static const struct sa_schema_rule rules[] = {SA_SECURITY_CONTEXT_RULE, {NULL, NULL}};
static const struct sa_schema spec_schema = {
    .size = sizeof(profile), .members = spec_members, .check = check_spec, .rules = rules};

static const struct sa_member status_members[] = {SA_OBSERVED_MEMBERS(status), {.name = NULL}};
static const struct sa_schema status_schema = SA_SCHEMA(status, status_members);
static const status empty;

static const char *level_of(const struct sa_object *object)
{
    return sa_security_level_name(((const profile *)sa_object_spec(object))->level);
}
static const struct sa_kind_field fields[] = {{"spec.securityLevel", level_of}, {NULL, NULL}};

SA_KIND_FUNCTIONS(&spec_schema, &status_schema)

const struct sa_kind sa_kind_sandbox_profile = {.name = "SandboxProfile",
                                                .plural = "sandboxprofiles",
                                                .api_version = SA_GROUP_VERSION,
                                                SA_KIND_BY_TABLES,
                                                .empty_status = &empty,
                                                .check_update = check_update,
                                                .fields = fields};

static const char *const short_names[] = {"sbp", "profile", "profiles", NULL};
static const struct sa_column columns[] = {
    {"Level", ".spec.securityLevel", SA_COLUMN_TEXT, 0, "How hard the isolation is"},
    {"Class", ".spec.runtimeClass", SA_COLUMN_TEXT, 0, "What isolates it"},
    {"Description", ".spec.description", SA_COLUMN_TEXT, 1, "What it is for"},
    {"Age", ".metadata.creationTimestamp", SA_COLUMN_DATE, 0, "Since it was made"},
    {NULL, NULL, SA_COLUMN_TEXT, 0, NULL}};

const struct sa_resource sa_resource_sandbox_profile = {
    .kind = &sa_kind_sandbox_profile,
    .singular = "sandboxprofile",
    .short_names = short_names,
    .columns = columns,
    .spec = &spec_schema,
    .status = &status_schema,
    .doc = "A named security posture for sandboxes and pools."};
