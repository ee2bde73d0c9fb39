/* Tables of what is asked when something is made: profile, seccomp, admission. */
#include "policy/tables.h"

#include "base/cleanup.h"

enum { EMPTY = SA_FIELD_OMIT_ZERO, MUST = SA_FIELD_REQUIRED, BOTH = MUST | EMPTY };
#define ID_MAX 65534 /* the next one is the same in all sandboxes of a node */

const struct sa_policy_field sa_fields_scope[] = {
    SA_ROW(sa_policy_scope, namespace_, "namespace", "the namespace; absent: default"),
    SA_ROW(sa_policy_scope, tenant, "tenant", "name of the API key"),
    SA_ROW(sa_policy_scope, pool, "pool", "name of the warm pool"), SA_ROWS_END};

static const char *const roles[] = {"admin", "operator", "developer", "viewer", NULL};
const struct sa_policy_field sa_fields_user[] = {
    SA_ROW(sa_policy_user, name, "name", "name of the API key"),
    SA_ROW(sa_policy_user, role, "role", "what it may do", .values = roles), SA_ROWS_END};

const struct sa_policy_field sa_fields_sandbox[] = {
    SA_ROW(sa_policy_sandbox, id, "id", "its id, sb-..."),
    SA_ROW(sa_policy_sandbox, name, "name", "its name; its id when it has none"),
    SA_ROW(sa_policy_sandbox, runtime, "runtime", "its runtime: python, node, bash, go ..."),
    SA_ROW(sa_policy_sandbox, security_level, "securityLevel", "standard, high or custom"),
    SA_ROW(sa_policy_sandbox, labels, "labels", "its labels"),
    SA_ROW(sa_policy_sandbox, age_s, "ageSeconds", "seconds since it was made"),
    SA_ROWS_END};

/* ---- profile ---- */

static const struct sa_policy_field limits[] = {
    SA_ROW(sa_policy_limits, pids, "pids", "processes and threads; 0: what the sandbox asks for",
           .flags = BOTH, .high = 4194304),
    SA_ROW(sa_policy_limits, open_files, "openFiles", "descriptors of each process", .flags = BOTH,
           .low = 16, .high = 1048576),
    SA_ROW(sa_policy_limits, file_size_bytes, "fileSizeBytes",
           "bytes of one file; 0: only the disk's size", .flags = BOTH, .high = INT64_MAX),
    SA_ROW(sa_policy_limits, core_bytes, "coreBytes", "bytes of a core dump; 0: none",
           .flags = BOTH, .high = INT64_MAX),
    SA_ROWS_END};
static const struct sa_policy_field landlock[] = {
    SA_ROW(sa_policy_landlock, enabled, "enabled", "is it to be used?", .flags = BOTH),
    SA_ROW(sa_policy_landlock, writable, "writable",
           "folders that may be written; the rest is readable at most", .flags = BOTH),
    SA_ROWS_END};
static const char *const runtime_classes[] = {"native", "gvisor", "docker", NULL};
const struct sa_policy_field sa_fields_context[] = {
    SA_ROW(sa_policy_context, runtime_class, "runtimeClass", "what isolates it", .flags = BOTH,
           .values = runtime_classes),
    SA_ROW(sa_policy_context, uid, "uid", "user id inside", .flags = BOTH, .low = 1,
           .high = ID_MAX),
    SA_ROW(sa_policy_context, gid, "gid", "group id inside", .flags = BOTH, .low = 1,
           .high = ID_MAX),
    SA_ROW(sa_policy_context, capabilities, "capabilities",
           "capabilities that are kept; the native driver keeps none", .flags = BOTH),
    SA_ROW(sa_policy_context, no_new_privs, "noNewPrivs", "programs can gain no privilege",
           .flags = BOTH),
    SA_ROW(sa_policy_context, read_only_root, "readOnlyRoot", "the root is read-only",
           .flags = BOTH),
    SA_ROW(sa_policy_context, private_network, "privateNetwork", "only a loopback device",
           .flags = BOTH),
    SA_ROW(sa_policy_context, mask_proc, "maskProc", "what /proc tells of the host is hidden",
           .flags = BOTH),
    SA_ROW(sa_policy_context, seccomp, "seccomp", "the level that the seccomp point is asked for",
           .flags = BOTH),
    SA_ROW(sa_policy_context, landlock, "landlock", "Landlock's rules", .flags = BOTH,
           .fields = landlock),
    SA_ROW(sa_policy_context, writable_paths, "writablePaths",
           "folders in memory that may be written", .flags = BOTH),
    SA_ROW(sa_policy_context, devices, "devices", "names in /dev", .flags = BOTH),
    SA_ROW(sa_policy_context, limits, "limits", "limits of its processes", .flags = BOTH,
           .fields = limits),
    SA_ROW(sa_policy_context, required_controls, "requiredControls",
           "controls without which it is not made", .flags = BOTH),
    SA_ROWS_END};

const struct sa_policy_field sa_fields_profile[] = {
    SA_ROWS_WHO,
    SA_ROW(sa_policy_profile_input, level, "level", "security level: standard, high, custom"),
    SA_ROW(sa_policy_profile_input, runtime, "runtime", "python, node, bash, go ..."),
    SA_ROW(sa_policy_profile_input, profile, "profile", "name of the SandboxProfile, if any"),
    SA_ROW_ANY(sa_policy_profile_input, overrides, "overrides",
               "the security context that was asked for, in part"),
    SA_ROW(sa_policy_profile_input, context, "context", "empty at first; changes complete it",
           .fields = sa_fields_context),
    SA_ROWS_END};

/* ---- seccomp ---- */

const struct sa_policy_field sa_fields_filter[] = {
    SA_ROW(sa_policy_filter, allow, "allow",
           "system calls that are allowed, and sets of them (@io)", .flags = MUST),
    SA_ROW(sa_policy_filter, telling, "telling",
           "system calls that are refused and told as a security event", .flags = MUST),
    SA_ROWS_END};
const struct sa_policy_field sa_fields_seccomp[] = {
    SA_ROWS_WHO,
    SA_ROW(sa_policy_seccomp_input, language, "language",
           "base (all that runs in a sandbox), default, python, node, go, bash"),
    SA_ROW(sa_policy_seccomp_input, level, "level", "the seccomp level of the security context"),
    SA_ROW(sa_policy_seccomp_input, filter, "filter", "the allow-list so far",
           .fields = sa_fields_filter),
    SA_ROWS_END};

/* ---- admission ---- */

static const char *const operations[] = {"CREATE", "UPDATE", "DELETE", NULL};
const struct sa_policy_field sa_fields_admission[] = {
    SA_ROWS_WHO,
    SA_ROW(sa_policy_admission_input, operation, "operation", "what is done with it",
           .values = operations),
    SA_ROW(sa_policy_admission_input, kind, "kind",
           "Sandbox, SandboxProfile, WarmPool, RuntimeEnvironment"),
    SA_ROW_ANY(sa_policy_admission_input, object, "object",
               "{metadata, spec} as it shall be; absent on DELETE"),
    SA_ROW_ANY(sa_policy_admission_input, old, "old",
               "{metadata, spec} as it is; on UPDATE and DELETE"),
    SA_ROWS_END};
