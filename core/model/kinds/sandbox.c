#include "kinds/sandbox.h"

#include "kinds/resources.h"
#include "json/notes.h"

typedef struct sa_sandbox_wanted wanted;
typedef struct sa_sandbox_status status;

static const char *const warms[] = {"prefer", "require", "never", NULL};
static const char *const starts[] = {"", "warm", "cold", NULL};
static const char *const phases[] = {"Pending",     "Creating",   "Running", "Paused",
                                     "Terminating", "Terminated", "Failed",  NULL};

/* ---- spec ---- */

static const struct sa_member storage_members[] = {
    {.name = "persistent",
     .type = SA_MEMBER_BOOL,
     SA_AT(struct sa_sandbox_storage, persistent),
     .doc = "/workspace is a volume that outlives the sandbox."},
    {.name = "volumeSize",
     .type = SA_MEMBER_BYTES,
     SA_AT(struct sa_sandbox_storage, volume_bytes),
     .low = SA_STORAGE_MIN_BYTES,
     .high = SA_MEMORY_MAX_BYTES,
     .initial = INT64_C(1) << 30,
     .doc = "Its size."},
    {.name = "name",
     .type = SA_MEMBER_TEXT,
     SA_AT(struct sa_sandbox_storage, name),
     .max_bytes = 63,
     .format = &sa_format_label,
     .doc = "Its name; by default the sandbox's."},
    {.name = NULL}};
static const struct sa_schema storage = {.size = sizeof(struct sa_sandbox_storage),
                                         .members = storage_members};

static const struct sa_member spec_members[] = {
    {.name = "runtime",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED | SA_MEMBER_FIXED,
     SA_AT(wanted, runtime),
     .max_bytes = 63,
     .format = &sa_format_label,
     .doc = "Name of a RuntimeEnvironment, such as `python`."},
    {.name = "securityLevel",
     .type = SA_MEMBER_ENUM,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, level),
     .names = sa_level_names,
     .doc =
         "How hard the isolation is; the rules of the point `profile` say what each level means."},
    {.name = "profileRef",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, profile),
     .max_bytes = SA_OBJECT_NAME_MAX,
     .format = &sa_format_subdomain,
     .doc = "Name of a SandboxProfile."},
    {.name = "securityContext",
     .type = SA_MEMBER_JSON,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, security_context),
     .max_bytes = SA_SECURITY_CONTEXT_MAX_BYTES,
     .doc = "What shall differ from the level standard; only with securityLevel custom."},
    {.name = "timeout",
     .type = SA_MEMBER_INT,
     SA_AT(wanted, timeout_s),
     .low = 1,
     .high = SA_TIMEOUT_MAX_S,
     .initial = SA_TIMEOUT_DEFAULT_S,
     .doc = "Seconds that it may run, then lifecycle.onTimeout happens."},
    {.name = "resources",
     .type = SA_MEMBER_OBJECT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, resources),
     .schema = &sa_schema_resources,
     .doc = "How much it may use."},
    {.name = "networkAccess",
     .type = SA_MEMBER_OBJECT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, network),
     .schema = &sa_schema_network_access,
     .doc = "What it may connect to, and what can connect to it."},
    {.name = "filesystem",
     .type = SA_MEMBER_OBJECT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, filesystem),
     .schema = &sa_schema_filesystem,
     .doc = "What can be written."},
    {.name = "storage",
     .type = SA_MEMBER_OBJECT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, storage),
     .schema = &storage,
     .doc = "A volume that stays."},
    {.name = "env",
     .type = SA_MEMBER_MAP,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, env),
     .max_count = SA_ENV_MAX,
     .max_bytes = SA_ENV_VALUE_MAX_BYTES,
     .format = &sa_format_env,
     .doc = "Environment of everything that runs in it."},
    {.name = "secretsRef",
     .type = SA_MEMBER_TEXTS,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, secrets),
     .max_count = 16,
     .max_bytes = SA_OBJECT_NAME_MAX,
     .format = &sa_format_subdomain,
     .doc = "Names of secrets whose members become environment variables."},
    {.name = "warm",
     .type = SA_MEMBER_ENUM,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, warm),
     .names = warms,
     .doc = "Whether it is taken from a warm pool: if it can be, else not at all, or never."},
    {.name = "warmPool",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, warm_pool),
     .max_bytes = SA_OBJECT_NAME_MAX,
     .format = &sa_format_subdomain,
     .doc = "The WarmPool that it should come from; with warm require, must."},
    {.name = "lifecycle",
     .type = SA_MEMBER_OBJECT,
     SA_AT(wanted, lifecycle),
     .schema = &sa_schema_lifecycle,
     .doc = "How it ends."},
    {.name = "imports",
     .type = SA_MEMBER_TEXTS,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, imports),
     .max_count = SA_IMPORTS_MAX,
     .max_bytes = 128,
     .format = &sa_format_module,
     .doc = "Modules that are imported before code runs."},
    {.name = "requiredControls",
     .type = SA_MEMBER_TEXTS,
     .flags = SA_MEMBER_FIXED,
     SA_AT(wanted, required_controls),
     .max_count = SA_CONTROLS_MAX,
     .max_bytes = 64,
     .doc = "Isolation controls that must be in force; else it fails."},
    {.name = NULL}};

static int check_pool(const wanted *s, const struct sa_json_obj *at, struct sa_error *err)
{
    if (s->warm == SA_WARM_NEVER && s->warm_pool[0])
        return sa_json_fail(at, "warmPool", err, "cannot be given together with warm never");
    return 0;
}

static int check_spec(void *value, const struct sa_json_obj *at, struct sa_error *err)
{
    const wanted *s = value;
    bool failed = false;
    return sa_json_go_on(at->notes, check_pool(s, at, err), err, &failed) &&
                   sa_json_go_on(at->notes,
                                 sa_check_security_context(s->level, s->security_context, at, err),
                                 err, &failed) &&
                   !failed
               ? 0
               : -1;
}

static const struct sa_schema_rule spec_rules[] = {
    SA_SECURITY_CONTEXT_RULE,
    {"!has(self.warmPool) || self.warmPool == '' || self.warm != 'never'",
     "warmPool: cannot be given together with warm never"},
    {NULL, NULL}};

const struct sa_schema sa_schema_sandbox = {
    .size = sizeof(wanted), .members = spec_members, .check = check_spec, .rules = spec_rules};

/* ---- status ---- */

static const struct sa_member profile_members[] = {
    {.name = "digest",
     .type = SA_MEMBER_TEXT,
     SA_AT(struct sa_security_profile, digest),
     .max_bytes = 64,
     .doc = "The same for sandboxes whose contexts are the same."},
    {.name = "generation",
     .type = SA_MEMBER_INT,
     SA_AT(struct sa_security_profile, generation),
     .doc = "Generation of the policies that decided it."},
    {.name = NULL}};
static const struct sa_schema profile = {.size = sizeof(struct sa_security_profile),
                                         .members = profile_members};

static const struct sa_member status_members[] = {
    {.name = "phase",
     .type = SA_MEMBER_ENUM,
     SA_AT(status, phase),
     .names = phases,
     .doc = "Where it is in its life."},
    SA_REASON_MEMBERS(status),
    {.name = "start",
     .type = SA_MEMBER_ENUM,
     SA_AT(status, start),
     .names = starts,
     .doc = "From a warm pool, or made for it."},
    SA_TEXT(status, pod, "podName", SA_OBJECT_NAME_MAX, NULL, "Its pod."),
    SA_TEXT(status, pod_uid, "podUid", SA_UID_BYTES - 1, NULL, "The pod's uid."),
    SA_TEXT(status, pod_ip, "podIP", 45, NULL, "The pod's address, where it has one."),
    SA_TEXT(status, node, "nodeName", SA_OBJECT_NAME_MAX, NULL, "The node that runs it."),
    SA_TEXT(status, warm_pod, "warmPodName", SA_OBJECT_NAME_MAX, NULL,
            "The WarmPod it was claimed as."),
    SA_TEXT(status, warm_pool, "warmPoolName", SA_OBJECT_NAME_MAX, NULL,
            "The WarmPool it came from."),
    SA_TEXTS(status, controls, "controls", SA_CONTROLS_MAX, 64, NULL,
             "Isolation controls in force."),
    SA_TEXTS(status, weaker, "weaker", SA_CONTROLS_MAX, 1024, NULL,
             "What the node cannot promise, and why."),
    {.name = "securityProfile",
     .type = SA_MEMBER_OBJECT,
     SA_AT(status, security_profile),
     .schema = &profile,
     .doc = "The security context in force."},
    SA_TIME(status, scheduled_ms, "scheduledAt", "Its pod was made, or claimed."),
    SA_TIME(status, ready_ms, "readyAt", "It was usable for the first time."),
    SA_TIME(status, expires_ms, "expiresAt", "Its timeout is over; absent while paused."),
    SA_TIME(status, idle_ms, "idleSince", "Nobody has used it since."),
    SA_TIME(status, paused_ms, "pausedAt", "It was paused; present while it is."),
    SA_TIME(status, ended_ms, "endedAt", "It ended."),
    SA_OBSERVED_MEMBERS(status),
    {.name = NULL}};

const struct sa_schema sa_schema_sandbox_status = {.size = sizeof(status),
                                                   .members = status_members};

static const status empty = {.reason = "",
                             .message = "",
                             .pod = "",
                             .pod_uid = "",
                             .pod_ip = "",
                             .node = "",
                             .warm_pod = "",
                             .warm_pool = "",
                             .security_profile = {.digest = ""}};

/* ---- the kind ---- */

static const char *phase_of(const struct sa_object *object)
{
    return sa_phase_name(((const status *)sa_object_status(object))->phase);
}

static const char *runtime_of(const struct sa_object *object)
{
    return ((const wanted *)sa_object_spec(object))->runtime;
}

static const char *node_of(const struct sa_object *object)
{
    return ((const status *)sa_object_status(object))->node;
}

const struct sa_kind_field sa_selectable_sandbox[] = {{"spec.runtime", runtime_of},
                                                      {"status.phase", phase_of},
                                                      {"status.nodeName", node_of},
                                                      {NULL, NULL}};

SA_KIND_FUNCTIONS(&sa_schema_sandbox, &sa_schema_sandbox_status)

const struct sa_kind sa_kind_sandbox = {.name = "Sandbox",
                                        .plural = "sandboxes",
                                        .api_version = SA_GROUP_VERSION,
                                        .namespaced = true,
                                        SA_KIND_BY_TABLES,
                                        .empty_status = &empty,
                                        .check_update = check_update,
                                        .fields = sa_selectable_sandbox};

static const char *const short_names[] = {"sb", NULL};
static const struct sa_column columns[] = {
    {"Phase", ".status.phase", SA_COLUMN_TEXT, 0, "Where it is in its life"},
    {"Runtime", ".spec.runtime", SA_COLUMN_TEXT, 0, "What it runs"},
    {"Level", ".spec.securityLevel", SA_COLUMN_TEXT, 0, "How hard the isolation is"},
    {"Start", ".status.start", SA_COLUMN_TEXT, 0, "warm or cold"},
    {"Expires", ".status.expiresAt", SA_COLUMN_DATE, 1, "When its timeout is over"},
    {"Node", ".status.nodeName", SA_COLUMN_TEXT, 1, "What runs it"},
    {"Reason", ".status.reason", SA_COLUMN_TEXT, 1, "Why it is in this phase"},
    {"Age", ".metadata.creationTimestamp", SA_COLUMN_DATE, 0, "Since it was made"},
    {NULL, NULL, SA_COLUMN_TEXT, 0, NULL}};

const struct sa_resource sa_resource_sandbox = {.kind = &sa_kind_sandbox,
                                                .singular = "sandbox",
                                                .short_names = short_names,
                                                .columns = columns,
                                                .spec = &sa_schema_sandbox,
                                                .status = &sa_schema_sandbox_status,
                                                .doc = "An isolated environment that runs code."};
