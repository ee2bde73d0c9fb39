#include "kinds/common.h"

#include "base/cleanup.h"
#include "json/notes.h"

const char *const sa_level_names[] = {"standard", "high", "custom", NULL};

/* ---- resources ---- */

static const struct sa_member resources[] = {
    {.name = "cpu",
     .type = SA_MEMBER_CPU,
     SA_AT(struct sa_resources, cpu_millicores),
     .low = SA_CPU_MIN_MILLICORES,
     .high = SA_CPU_MAX_MILLICORES,
     .initial = SA_CPU_DEFAULT_MILLICORES,
     .doc = "Processor time, as a limit."},
    {.name = "memory",
     .type = SA_MEMBER_BYTES,
     SA_AT(struct sa_resources, memory_bytes),
     .low = SA_MEMORY_MIN_BYTES,
     .high = SA_MEMORY_MAX_BYTES,
     .initial = SA_MEMORY_DEFAULT_BYTES,
     .doc = "Memory, as a limit."},
    {.name = "ephemeralStorage",
     .type = SA_MEMBER_BYTES,
     SA_AT(struct sa_resources, storage_bytes),
     .low = SA_STORAGE_MIN_BYTES,
     .high = SA_MEMORY_MAX_BYTES,
     .doc = "Files, as a limit; half of the memory by default. Where files are kept in memory, at "
            "most that."},
    {.name = "pids",
     .type = SA_MEMBER_INT,
     SA_AT(struct sa_resources, pids),
     .low = SA_PIDS_MIN,
     .high = SA_PIDS_MAX,
     .initial = SA_PIDS_DEFAULT,
     .doc = "Processes and threads, as a limit."},
    {.name = "cpuPinning",
     .type = SA_MEMBER_BOOL,
     SA_AT(struct sa_resources, cpu_pinning),
     .doc = "Whole processors of its own; `cpu` must be a whole number then."},
    {.name = NULL}};

static int check_resources(void *value, const struct sa_json_obj *at, struct sa_error *err)
{
    struct sa_resources *r = value;
    if (r->cpu_pinning && r->cpu_millicores % 1000)
        return sa_json_fail(at, "cpu", err,
                            "expected a whole number of processors, because cpuPinning is set");
    sa_resources_complete(r);
    return 0;
}

static const struct sa_schema_rule resource_rules[] = {
    {"!(has(self.cpuPinning) && self.cpuPinning) || quantity(string(self.cpu)).isInteger()",
     "cpu: expected a whole number of processors, because cpuPinning is set"},
    {NULL, NULL}};

const struct sa_schema sa_schema_resources = {.size = sizeof(struct sa_resources),
                                              .members = resources,
                                              .check = check_resources,
                                              .rules = resource_rules};

/* ---- lifecycle ---- */

static const char *const ends[] = {"delete", "pause", NULL};
static const struct sa_member lifecycle[] = {{.name = "onTimeout",
                                              .type = SA_MEMBER_ENUM,
                                              SA_AT(struct sa_lifecycle, on_timeout),
                                              .names = ends,
                                              .initial = SA_END_DELETE,
                                              .doc = "What happens when `timeout` is over."},
                                             {.name = "idleTimeout",
                                              .type = SA_MEMBER_INT,
                                              SA_AT(struct sa_lifecycle, idle_timeout_s),
                                              .low = 1,
                                              .high = SA_IDLE_MAX_S,
                                              .doc = "Seconds without use; absent: none."},
                                             {.name = "onIdle",
                                              .type = SA_MEMBER_ENUM,
                                              SA_AT(struct sa_lifecycle, on_idle),
                                              .names = ends,
                                              .initial = SA_END_PAUSE,
                                              .doc = "What happens after `idleTimeout`."},
                                             {.name = "resumeOnUse",
                                              .type = SA_MEMBER_BOOL,
                                              SA_AT(struct sa_lifecycle, resume_on_use),
                                              .doc = "A paused sandbox is resumed by being used."},
                                             {.name = NULL}};

const struct sa_schema sa_schema_lifecycle = {.size = sizeof(struct sa_lifecycle),
                                              .members = lifecycle};

/* ---- networks ---- */

#define PORTS(STRUCT, DOC)                                                                         \
    {                                                                                              \
        .name = "ports", .type = SA_MEMBER_INTS, SA_AT(STRUCT, ports), .low = 1, .high = 65535,    \
        .max_count = SA_PORTS_MAX, .doc = (DOC)                                                    \
    }

static const struct sa_member egress[] = {
    {.name = "domain",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(struct sa_egress_rule, domain),
     .max_bytes = SA_OBJECT_NAME_MAX,
     .format = &sa_format_domain,
     .doc = "A domain, `*.` and a domain for all below it, or `*`."},
    PORTS(struct sa_egress_rule, "Ports there; none: 443 and 80."),
    {.name = NULL}};
static const struct sa_schema egress_rule = {.size = sizeof(struct sa_egress_rule),
                                             .members = egress};

static const struct sa_member ingress_members[] = {
    {.name = "enabled",
     .type = SA_MEMBER_BOOL,
     SA_AT(struct sa_ingress, enabled),
     .initial = true,
     .doc = "Whether ports inside can be reached through the API."},
    PORTS(struct sa_ingress, "Which ones; none: any."),
    {.name = NULL}};
static const struct sa_schema ingress = {.size = sizeof(struct sa_ingress),
                                         .members = ingress_members};

static const struct sa_member network_access[] = {
    {.name = "egress",
     .type = SA_MEMBER_LIST,
     SA_AT(struct sa_network_access, egress),
     .max_count = SA_EGRESS_MAX,
     .schema = &egress_rule,
     .doc = "What may be connected to; nothing by default."},
    {.name = "ingress",
     .type = SA_MEMBER_OBJECT,
     SA_AT(struct sa_network_access, ingress),
     .schema = &ingress,
     .doc = "Ports inside that the API lets through."},
    {.name = NULL}};
const struct sa_schema sa_schema_network_access = {.size = sizeof(struct sa_network_access),
                                                   .members = network_access};

/* ---- files ---- */

static const char *writable[] = {"/tmp", "/workspace"};
static const struct sa_json_strings writable_paths = {writable, SA_COUNT(writable)};

static const struct sa_member filesystem[] = {
    {.name = "readOnlyRoot",
     .type = SA_MEMBER_BOOL,
     SA_AT(struct sa_filesystem, read_only_root),
     .initial = true,
     .doc = "Nothing can be written outside of `writablePaths`."},
    {.name = "writablePaths",
     .type = SA_MEMBER_TEXTS,
     SA_AT(struct sa_filesystem, writable_paths),
     .max_count = SA_PATHS_MAX,
     .max_bytes = 255,
     .format = &sa_format_path,
     .initial_texts = &writable_paths,
     .doc = "Folders that can be written."},
    {.name = NULL}};
const struct sa_filesystem sa_filesystem_defaults = {
    .read_only_root = true, .writable_paths = {writable, SA_COUNT(writable)}};
const struct sa_schema sa_schema_filesystem = {.size = sizeof(struct sa_filesystem),
                                               .members = filesystem};

int sa_check_security_context(enum sa_security_level level, const char *context,
                              const struct sa_json_obj *at, struct sa_error *err)
{
    if (!context[0] || level == SA_LEVEL_CUSTOM || sa_json_is_mistaken(at, "securityLevel"))
        return 0;
    return sa_json_fail(at, "securityContext", err,
                        "only with securityLevel custom; the other levels are the rules'");
}
