#include "kinds/warm_pod.h"

#include "kinds/resources.h"

#include <string.h>

typedef struct sa_warm_pod_spec pod;
typedef struct sa_warm_pod_status status;

static const char *const phases[SA_WARM_POD_PHASE_COUNT + 1] = {
    "Pending", "Ready", "Assigned", "Recycling", "Terminating", NULL};

const char *sa_warm_pod_phase_name(enum sa_warm_pod_phase phase)
{
    return phases[phase];
}

/* ---- spec ---- */

static const struct sa_member claim_members[] = {
    {.name = "sandbox",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(struct sa_claim, sandbox),
     .max_bytes = SA_OBJECT_NAME_MAX,
     .format = &sa_format_subdomain,
     .doc = "Name of the Sandbox."},
    SA_TEXT(struct sa_claim, uid, "uid", SA_UID_BYTES - 1, NULL,
            "Its uid; absent until it is made."),
    SA_TEXT(struct sa_claim, tenant, "tenant", SA_OBJECT_NAME_MAX, NULL,
            "Who asked for it: the id of an API key."),
    SA_TIME(struct sa_claim, at_ms, "at", "When."),
    {.name = NULL}};
static const struct sa_schema claim = SA_SCHEMA(struct sa_claim, claim_members);

static const struct sa_member spec_members[] = {
    {.name = "pool",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED | SA_MEMBER_FIXED,
     SA_AT(pod, pool),
     .max_bytes = SA_OBJECT_NAME_MAX,
     .format = &sa_format_subdomain,
     .doc = "Name of its WarmPool."},
    {.name = "poolUid",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, pool_uid),
     .max_bytes = SA_UID_BYTES - 1,
     .doc = "The pool's uid."},
    {.name = "key",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, key),
     .max_bytes = 64,
     .format = &sa_format_word,
     .doc = "What a sandbox has to match."},
    {.name = "runtime",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED | SA_MEMBER_FIXED,
     SA_AT(pod, runtime),
     .max_bytes = 63,
     .format = &sa_format_label,
     .doc = "Name of its RuntimeEnvironment."},
    {.name = "profile",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, profile),
     .max_bytes = SA_OBJECT_NAME_MAX,
     .format = &sa_format_subdomain,
     .doc = "Name of its SandboxProfile."},
    {.name = "securityLevel",
     .type = SA_MEMBER_ENUM,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, level),
     .names = sa_level_names,
     .doc = "How hard its isolation is."},
    {.name = "resources",
     .type = SA_MEMBER_OBJECT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, resources),
     .schema = &sa_schema_resources,
     .doc = "How much it may use."},
    SA_MAYBE(pod, claim, "claim", &claim, "Who has it."),
    {.name = NULL}};

static const struct sa_schema_rule rules[] = {
    {"!has(self.claim) || !has(oldSelf.claim) || (self.claim.sandbox == oldSelf.claim.sandbox && "
     "(!has(oldSelf.claim.uid) || (has(self.claim.uid) && self.claim.uid == oldSelf.claim.uid)))",
     "claim: somebody has it"},
    {NULL, NULL}};
static const struct sa_schema spec_schema = {
    .size = sizeof(pod), .members = spec_members, .rules = rules};

/* ---- status ---- */

static const struct sa_member status_members[] = {
    {.name = "phase",
     .type = SA_MEMBER_ENUM,
     SA_AT(status, phase),
     .names = phases,
     .doc = "Where it is in its life."},
    SA_REASON_MEMBERS(status),
    SA_TEXT(status, pod, "podName", SA_OBJECT_NAME_MAX, NULL, "Its pod."),
    SA_TEXT(status, pod_uid, "podUid", SA_UID_BYTES - 1, NULL, "The pod's uid."),
    SA_TEXT(status, pod_ip, "podIP", 45, NULL, "The pod's address, where it has one."),
    SA_TEXT(status, node, "nodeName", SA_OBJECT_NAME_MAX, NULL, "The node that runs it."),
    SA_TEXT(status, fingerprint, "fingerprint", 128, NULL, "Of its pristine state."),
    SA_TEXT(status, last_tenant, "lastTenant", SA_OBJECT_NAME_MAX, NULL,
            "Who had it last, and alone may have it: the id of an API key."),
    SA_INT(status, uses, "uses", 0, 0, "How often it was used."),
    SA_TIME(status, ready_ms, "readyAt", "It could be claimed for the first time."),
    SA_TIME(status, expires_ms, "expiresAt", "It is replaced then, if nobody has it."),
    SA_OBSERVED_MEMBERS(status),
    {.name = NULL}};
static const struct sa_schema status_schema = SA_SCHEMA(status, status_members);
static const status empty = {.reason = "",
                             .message = "",
                             .pod = "",
                             .pod_uid = "",
                             .pod_ip = "",
                             .node = "",
                             .fingerprint = "",
                             .last_tenant = ""};

/* ---- the kind ---- */

static const char *phase_of(const struct sa_object *object)
{
    return phases[((const status *)sa_object_status(object))->phase];
}

static const char *pool_of(const struct sa_object *object)
{
    return ((const pod *)sa_object_spec(object))->pool;
}

static const char *key_of(const struct sa_object *object)
{
    return ((const pod *)sa_object_spec(object))->key;
}

static const char *sandbox_of(const struct sa_object *object)
{
    const pod *p = sa_object_spec(object);
    return p->claim.given ? p->claim.sandbox : "";
}

static const struct sa_kind_field fields[] = {{"spec.pool", pool_of},
                                              {"spec.key", key_of},
                                              {"spec.claim.sandbox", sandbox_of},
                                              {"status.phase", phase_of},
                                              {NULL, NULL}};

SA_KIND_FUNCTIONS(&spec_schema, &status_schema)

static bool may_follow(const struct sa_claim *was, const struct sa_claim *is)
{
    if (!was->given || !is->given)
        return true;
    return strcmp(was->sandbox, is->sandbox) == 0 &&
           (!was->uid[0] || strcmp(was->uid, is->uid) == 0);
}

static int check_claim(const struct sa_object *before, const void *next, struct sa_error *err)
{
    const pod *was = sa_object_spec(before), *is = next;
    if (!may_follow(&was->claim, &is->claim))
        return sa_error_at(err, SA_EINVALID, "spec.claim", "spec.claim: the sandbox %s has it",
                           was->claim.sandbox);
    return check_update(before, next, err);
}

const struct sa_kind sa_kind_warm_pod = {.name = "WarmPod",
                                         .plural = "warmpods",
                                         .api_version = SA_GROUP_VERSION,
                                         .namespaced = true,
                                         SA_KIND_BY_TABLES,
                                         .empty_status = &empty,
                                         .check_update = check_claim,
                                         .fields = fields};

static const char *const short_names[] = {"wpod", NULL};
static const struct sa_column columns[] = {
    {"Pool", ".spec.pool", SA_COLUMN_TEXT, 0, "Its pool"},
    {"Phase", ".status.phase", SA_COLUMN_TEXT, 0, "Where it is in its life"},
    {"Sandbox", ".spec.claim.sandbox", SA_COLUMN_TEXT, 0, "Who has it"},
    {"Uses", ".status.uses", SA_COLUMN_INT, 0, "How often it was used"},
    {"Node", ".status.nodeName", SA_COLUMN_TEXT, 1, "What runs it"},
    {"Expires", ".status.expiresAt", SA_COLUMN_DATE, 1, "When it is replaced"},
    {"Age", ".metadata.creationTimestamp", SA_COLUMN_DATE, 0, "Since it was made"},
    {NULL, NULL, SA_COLUMN_TEXT, 0, NULL}};

const struct sa_resource sa_resource_warm_pod = {.kind = &sa_kind_warm_pod,
                                                 .singular = "warmpod",
                                                 .short_names = short_names,
                                                 .columns = columns,
                                                 .spec = &spec_schema,
                                                 .status = &status_schema,
                                                 .doc = "One pod of a pool, and who has it."};
