#include "kinds/warm_pool.h"

#include "kinds/resources.h"
#include "json/notes.h"

typedef struct sa_warm_pool_spec pool;
typedef struct sa_warm_pool_status status;

/* ---- spec ---- */

#define JSON(STRUCT, FIELD, NAME, DOC)                                                             \
    {                                                                                              \
        .name = (NAME), .type = SA_MEMBER_JSON, SA_AT(STRUCT, FIELD),                              \
        .max_bytes = SA_POOL_PARAMS_MAX_BYTES, .doc = (DOC)                                        \
    }

static const struct sa_member scaling_members[] = {
    {.name = "rule",
     .type = SA_MEMBER_TEXT,
     SA_AT(struct sa_pool_scaling, rule),
     .max_bytes = 63,
     .format = &sa_format_label,
     .initial_text = SA_POOL_RULE_DEFAULT,
     .doc = "Name of the rule of the point `scaling` that is asked."},
    JSON(struct sa_pool_scaling, params, "params",
         "Parameters of the rule, over those of params.lua; what is absent is as the rule says."),
    {.name = NULL}};
static const struct sa_schema scaling = SA_SCHEMA(struct sa_pool_scaling, scaling_members);

static const struct sa_member recycle_members[] = {
    SA_BOOL(struct sa_pool_recycle, enabled, "enabled",
            "Used pods are cleaned and used again where the rule `recycle` agrees."),
    {.name = "maxUses",
     .type = SA_MEMBER_INT,
     SA_AT(struct sa_pool_recycle, max_uses),
     .high = 100000,
     .initial = SA_POOL_USES_DEFAULT,
     .doc = "How often a pod is used; 0: any number of times."},
    JSON(struct sa_pool_recycle, criteria, "criteria", "What rules see as `criteria`."),
    {.name = NULL}};
static const struct sa_schema recycle = SA_SCHEMA(struct sa_pool_recycle, recycle_members);

static const struct sa_member placement_members[] = {
    {.name = "nodeSelector",
     .type = SA_MEMBER_MAP,
     SA_AT(struct sa_pool_placement, node_selector),
     .max_count = 16,
     .max_bytes = SA_OBJECT_NAME_MAX,
     .doc = "Labels that the node must have."},
    SA_TEXT(struct sa_pool_placement, runtime_class, "runtimeClass", 63, &sa_format_label,
            "What isolates the pods; by default the rules decide."),
    {.name = NULL}};
static const struct sa_schema placement = SA_SCHEMA(struct sa_pool_placement, placement_members);

static const struct sa_member spec_members[] = {
    {.name = "runtime",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(pool, runtime),
     .max_bytes = 63,
     .format = &sa_format_label,
     .doc = "Name of a RuntimeEnvironment, such as `python`."},
    SA_TEXT(pool, profile, "profile", SA_OBJECT_NAME_MAX, &sa_format_subdomain,
            "Name of a SandboxProfile."),
    {.name = "securityLevel",
     .type = SA_MEMBER_ENUM,
     SA_AT(pool, level),
     .names = sa_level_names,
     .doc = "Level of its pods."},
    {.name = "minSize",
     .type = SA_MEMBER_INT,
     SA_AT(pool, min_size),
     .high = SA_POOL_SIZE_MAX,
     .initial = SA_POOL_MIN_DEFAULT,
     .doc = "Fewest pods that are warm and free."},
    {.name = "maxSize",
     .type = SA_MEMBER_INT,
     SA_AT(pool, max_size),
     .high = SA_POOL_SIZE_MAX,
     .initial = SA_POOL_MAX_DEFAULT,
     .doc = "Most of them."},
    {.name = "ttl",
     .type = SA_MEMBER_INT,
     SA_AT(pool, ttl_s),
     .low = 10,
     .high = SA_POOL_TTL_MAX_S,
     .initial = SA_POOL_TTL_DEFAULT_S,
     .doc = "Seconds after which an unused pod is replaced."},
    SA_OBJECT(pool, resources, "resources", &sa_schema_resources, "Of each pod."),
    SA_TEXTS(pool, preload_packages, "preloadPackages", SA_PACKAGES_OF_POOL_MAX, 256,
             &sa_format_package, "Packages that are installed before a pod is ready."),
    SA_TEXTS(pool, preload_scripts, "preloadScripts", SA_POOL_SCRIPTS_MAX, SA_POOL_SCRIPT_MAX_BYTES,
             NULL, "Code in the language of the runtime that is run before a pod is ready."),
    SA_TEXTS(pool, imports, "imports", SA_IMPORTS_MAX, 128, &sa_format_module,
             "Modules that are imported before a pod is ready."),
    SA_OBJECT(pool, scaling, "scaling", &scaling, "How many pods there shall be."),
    SA_OBJECT(pool, recycle, "recycle", &recycle, "Whether used pods are used again."),
    SA_OBJECT(pool, placement, "placement", &placement, "Where the pods run."),
    {.name = NULL}};

static int check_spec(void *value, const struct sa_json_obj *at, struct sa_error *err)
{
    const pool *p = value;
    if (p->min_size > p->max_size && !sa_json_is_mistaken(at, "minSize") &&
        !sa_json_is_mistaken(at, "maxSize"))
        return sa_json_fail(at, "minSize", err, "%lld is more than maxSize, which is %lld",
                            (long long)p->min_size, (long long)p->max_size);
    return 0;
}

static const struct sa_schema_rule rules[] = {
    {"self.minSize <= self.maxSize", "minSize: is more than maxSize"}, {NULL, NULL}};
static const struct sa_schema spec_schema = {
    .size = sizeof(pool), .members = spec_members, .check = check_spec, .rules = rules};

/* ---- status ---- */

static const struct sa_member scale_members[] = {
    SA_TIME(struct sa_pool_scale, at_ms, "at", "When."),
    SA_INT(struct sa_pool_scale, from, "from", 0, SA_POOL_SIZE_MAX, "Pods wanted before."),
    SA_INT(struct sa_pool_scale, to, "to", 0, SA_POOL_SIZE_MAX, "Pods wanted after."),
    SA_TEXT(struct sa_pool_scale, rule, "rule", 63, NULL, "The rule that said so."),
    SA_TEXT(struct sa_pool_scale, reason, "reason", SA_DOC_MAX_BYTES, NULL, "Why."),
    {.name = NULL}};
static const struct sa_schema scale = SA_SCHEMA(struct sa_pool_scale, scale_members);

#define COUNT(FIELD, NAME, DOC) SA_INT(status, FIELD, NAME, 0, 0, DOC)
static const struct sa_member status_members[] = {
    COUNT(size, "size", "Pods wanted, warm and free."),
    COUNT(available, "available", "Pods that are."),
    COUNT(assigned, "assigned", "Pods in use."),
    COUNT(pending, "pending", "Pods on their way."),
    COUNT(recycling, "recycling", "Pods being cleaned."),
    COUNT(terminating, "terminating", "Pods on their way out."),
    COUNT(hits, "hits", "Claims that found a warm pod."),
    COUNT(misses, "misses", "Claims that did not."),
    {.name = "hitRatio",
     .type = SA_MEMBER_NUMBER,
     SA_AT(status, hit_ratio),
     .high = 1,
     .doc = "Share of the claims that found a warm pod."},
    SA_TIME(status, counted_ms, "countedAt", "Claims up to then are counted."),
    COUNT(refill_p50_ms, "refillP50Ms",
          "Milliseconds until a claimed pod is made up for, in the middle."),
    COUNT(refill_p95_ms, "refillP95Ms", "And of the slowest twentieth."),
    SA_OBJECT(status, last_scale, "lastScale", &scale, "The last change of the size."),
    SA_TEXT(status, key, "key", 64, NULL, "What a sandbox has to match."),
    SA_OBSERVED_MEMBERS(status),
    {.name = NULL}};
static const struct sa_schema status_schema = SA_SCHEMA(status, status_members);
static const status empty = {.last_scale = {.rule = "", .reason = ""}, .key = ""};

/* ---- the kind ---- */

static const char *runtime_of(const struct sa_object *object)
{
    return ((const pool *)sa_object_spec(object))->runtime;
}
static const struct sa_kind_field fields[] = {{"spec.runtime", runtime_of}, {NULL, NULL}};

SA_KIND_FUNCTIONS(&spec_schema, &status_schema)

const struct sa_kind sa_kind_warm_pool = {.name = "WarmPool",
                                          .plural = "warmpools",
                                          .api_version = SA_GROUP_VERSION,
                                          .namespaced = true,
                                          SA_KIND_BY_TABLES,
                                          .empty_status = &empty,
                                          .check_update = check_update,
                                          .fields = fields};

static const char *const short_names[] = {"pool", "pools", NULL};
static const struct sa_column columns[] = {
    {"Runtime", ".spec.runtime", SA_COLUMN_TEXT, 0, "What its pods run"},
    {"Size", ".status.size", SA_COLUMN_INT, 0, "Pods wanted"},
    {"Available", ".status.available", SA_COLUMN_INT, 0, "Warm and free"},
    {"Assigned", ".status.assigned", SA_COLUMN_INT, 0, "In use"},
    {"Pending", ".status.pending", SA_COLUMN_INT, 0, "On their way"},
    {"Recycling", ".status.recycling", SA_COLUMN_INT, 1, "Being cleaned"},
    {"Hit ratio", ".status.hitRatio", SA_COLUMN_NUMBER, 0, "Share of claims that found one"},
    {"Min", ".spec.minSize", SA_COLUMN_INT, 1, "Fewest"},
    {"Max", ".spec.maxSize", SA_COLUMN_INT, 1, "Most"},
    {"Why", ".status.lastScale.reason", SA_COLUMN_TEXT, 1, "Of the last change of the size"},
    {"Age", ".metadata.creationTimestamp", SA_COLUMN_DATE, 0, "Since it was made"},
    {NULL, NULL, SA_COLUMN_TEXT, 0, NULL}};

const struct sa_resource sa_resource_warm_pool = {.kind = &sa_kind_warm_pool,
                                                  .singular = "warmpool",
                                                  .short_names = short_names,
                                                  .columns = columns,
                                                  .spec = &spec_schema,
                                                  .status = &status_schema,
                                                  .doc = "Pods that are made before anybody asks."};
