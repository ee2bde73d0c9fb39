/* The spec of a Pod. */
#include "kinds/pod.h"

#include "kinds/common.h"
#include "json/notes.h"

typedef struct sa_pod_spec pod;
typedef struct sa_pod_container container;
typedef struct sa_pod_security security;

/* ---- security contexts ---- */

static const struct sa_member seccomp_members[] = {
    SA_TEXT(struct sa_pod_seccomp, type, "type", 32, NULL, "RuntimeDefault, Localhost ..."),
    SA_TEXT(struct sa_pod_seccomp, localhost_profile, "localhostProfile", 1024, NULL, "A file."),
    {.name = NULL}};
static const struct sa_schema seccomp = SA_SCHEMA(struct sa_pod_seccomp, seccomp_members);

#define CAPABILITIES(FIELD)                                                                        \
    SA_TEXTS(struct sa_pod_capabilities, FIELD, #FIELD, 64, 64, NULL, "Names, or ALL.")
static const struct sa_member capability_members[] = {
    CAPABILITIES(add), CAPABILITIES(drop), {.name = NULL}};
static const struct sa_schema capabilities =
    SA_SCHEMA(struct sa_pod_capabilities, capability_members);

#define ID(FIELD, NAME, DOC)                                                                       \
    {                                                                                              \
        .name = (NAME), .type = SA_MEMBER_INT, .flags = SA_MEMBER_QUIET, SA_AT(security, FIELD),   \
        .low = 0, .high = INT32_MAX, .initial = -1, .doc = (DOC)                                   \
    }
#define IDENTITY                                                                                   \
    ID(run_as_user, "runAsUser", "User id."), ID(run_as_group, "runAsGroup", "Group id."),         \
        SA_BOOL(security, run_as_non_root, "runAsNonRoot", "The user must not be root."),          \
        SA_MAYBE(security, seccomp, "seccompProfile", &seccomp, "Filter of system calls.")

static const struct sa_member pod_security_members[] = {
    IDENTITY, ID(fs_group, "fsGroup", "Group of volumes."), {.name = NULL}};
static const struct sa_schema pod_security = SA_SCHEMA(security, pod_security_members);

static const struct sa_member security_members[] = {
    IDENTITY,
    SA_BOOL(security, read_only_root, "readOnlyRootFilesystem", "The root cannot be written."),
    SA_BOOL(security, privileged, "privileged", "Never set by us."),
    {.name = "allowPrivilegeEscalation",
     .type = SA_MEMBER_BOOL,
     SA_AT(security, privilege_escalation),
     .initial = true,
     .doc = "no_new_privs is not set."},
    SA_OBJECT(security, capabilities, "capabilities", &capabilities, "Added and dropped."),
    {.name = NULL}};
static const struct sa_schema security_schema = SA_SCHEMA(security, security_members);

/* ---- containers ---- */

static const struct sa_member env_members[] = {
    {.name = "name",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(struct sa_pod_env, name),
     .max_bytes = 253,
     .format = &sa_format_env,
     .doc = "Of the variable."},
    SA_TEXT(struct sa_pod_env, value, "value", SA_POD_TEXT_MAX, NULL, "Its value."),
    {.name = NULL}};
static const struct sa_schema env = SA_SCHEMA(struct sa_pod_env, env_members);

static const struct sa_member port_members[] = {
    SA_TEXT(struct sa_pod_port, name, "name", 15, NULL, "Of the port."),
    {.name = "containerPort",
     .type = SA_MEMBER_INT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(struct sa_pod_port, port),
     .low = 1,
     .high = 65535,
     .doc = "Number."},
    {.name = "protocol",
     .type = SA_MEMBER_TEXT,
     SA_AT(struct sa_pod_port, protocol),
     .max_bytes = 8,
     .initial_text = "TCP",
     .doc = "TCP, UDP or SCTP."},
    {.name = NULL}};
static const struct sa_schema port = SA_SCHEMA(struct sa_pod_port, port_members);

static const struct sa_member mount_members[] = {
    {.name = "name",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(struct sa_pod_mount, name),
     .max_bytes = 63,
     .format = &sa_format_label,
     .doc = "Of the volume."},
    {.name = "mountPath",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(struct sa_pod_mount, path),
     .max_bytes = 1024,
     .format = &sa_format_path,
     .doc = "Where."},
    SA_BOOL(struct sa_pod_mount, read_only, "readOnly", "It cannot be written."),
    {.name = NULL}};
static const struct sa_schema mount = SA_SCHEMA(struct sa_pod_mount, mount_members);

#define QUANTITY(TYPE, FIELD, NAME)                                                                \
    {                                                                                              \
        .name = (NAME), .type = (TYPE), SA_AT(struct sa_pod_quantities, FIELD), .high = INT64_MAX, \
        .doc = "How much."                                                                         \
    }
static const struct sa_member quantity_members[] = {
    QUANTITY(SA_MEMBER_CPU, cpu_millicores, "cpu"),
    QUANTITY(SA_MEMBER_BYTES, memory_bytes, "memory"),
    QUANTITY(SA_MEMBER_BYTES, storage_bytes, "ephemeral-storage"),
    {.name = NULL}};
static const struct sa_schema quantities = SA_SCHEMA(struct sa_pod_quantities, quantity_members);

static const struct sa_member resource_members[] = {
    SA_OBJECT(struct sa_pod_resources, limits, "limits", &quantities, "At most."),
    SA_OBJECT(struct sa_pod_resources, requests, "requests", &quantities, "At least."),
    {.name = NULL}};
static const struct sa_schema resources = SA_SCHEMA(struct sa_pod_resources, resource_members);

static const struct sa_member container_members[] = {
    {.name = "name",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(container, name),
     .max_bytes = 63,
     .format = &sa_format_label,
     .doc = "Of the container."},
    SA_TEXT(container, image, "image", 1024, NULL, "Its image."),
    SA_TEXT(container, image_pull_policy, "imagePullPolicy", 16, NULL, "When it is fetched."),
    SA_TEXTS(container, command, "command", 64, SA_POD_TEXT_MAX, NULL, "Program and arguments."),
    SA_TEXTS(container, args, "args", 256, SA_POD_TEXT_MAX, NULL, "More arguments."),
    SA_TEXT(container, working_dir, "workingDir", 1024, NULL, "Where it begins."),
    SA_ITEMS(container, env, "env", 512, &env, "Its environment."),
    SA_ITEMS(container, ports, "ports", 32, &port, "Where it listens."),
    SA_OBJECT(container, resources, "resources", &resources, "How much it may use."),
    SA_OBJECT(container, security, "securityContext", &security_schema, "How it is isolated."),
    SA_ITEMS(container, mounts, "volumeMounts", SA_POD_VOLUMES_MAX, &mount, "Its volumes."),
    {.name = NULL}};
static const struct sa_schema container_schema = SA_SCHEMA(container, container_members);

/* ---- volumes ---- */

static const struct sa_member empty_dir_members[] = {
    SA_TEXT(struct sa_pod_empty_dir, medium, "medium", 16, NULL, "Memory, or the node's disk."),
    {.name = "sizeLimit",
     .type = SA_MEMBER_BYTES,
     SA_AT(struct sa_pod_empty_dir, size_bytes),
     .high = INT64_MAX,
     .doc = "At most."},
    {.name = NULL}};
static const struct sa_schema empty_dir = SA_SCHEMA(struct sa_pod_empty_dir, empty_dir_members);

static const struct sa_member claim_members[] = {
    {.name = "claimName",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(struct sa_pod_claim_volume, claim),
     .max_bytes = SA_OBJECT_NAME_MAX,
     .format = &sa_format_subdomain,
     .doc = "Of the claim."},
    SA_BOOL(struct sa_pod_claim_volume, read_only, "readOnly", "It cannot be written."),
    {.name = NULL}};
static const struct sa_schema claim = SA_SCHEMA(struct sa_pod_claim_volume, claim_members);

static const struct sa_member volume_members[] = {
    {.name = "name",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(struct sa_pod_volume, name),
     .max_bytes = 63,
     .format = &sa_format_label,
     .doc = "Of the volume."},
    SA_MAYBE(struct sa_pod_volume, empty_dir, "emptyDir", &empty_dir, "Empty, as long as the pod."),
    SA_MAYBE(struct sa_pod_volume, claim, "persistentVolumeClaim", &claim, "It stays."),
    {.name = NULL}};
static const struct sa_schema volume = SA_SCHEMA(struct sa_pod_volume, volume_members);

/* ---- pods ---- */

static const char *const restarts[] = {"Always", "OnFailure", "Never", NULL};

static const struct sa_member spec_members[] = {
    {.name = "nodeName",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_ONCE,
     SA_AT(pod, node),
     .max_bytes = SA_OBJECT_NAME_MAX,
     .format = &sa_format_subdomain,
     .doc = "The node it is bound to."},
    SA_TEXT(pod, runtime_class, "runtimeClassName", SA_OBJECT_NAME_MAX, &sa_format_subdomain,
            "What isolates it."),
    SA_TEXT(pod, service_account, "serviceAccountName", SA_OBJECT_NAME_MAX, &sa_format_subdomain,
            "Who it is to the API server."),
    SA_TEXT(pod, hostname, "hostname", 63, &sa_format_label, "Its host name."),
    {.name = "restartPolicy",
     .type = SA_MEMBER_ENUM,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, restart),
     .names = restarts,
     .doc = "Of its containers."},
    {.name = "terminationGracePeriodSeconds",
     .type = SA_MEMBER_INT,
     SA_AT(pod, grace_s),
     .high = INT32_MAX,
     .initial = 30,
     .doc = "Between asking and killing."},
    SA_INT(pod, deadline_s, "activeDeadlineSeconds", 1, INT32_MAX, "It may run that long."),
    {.name = "automountServiceAccountToken",
     .type = SA_MEMBER_BOOL,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, mount_token),
     .initial = true,
     .doc = "Its containers get a token."},
    {.name = "enableServiceLinks",
     .type = SA_MEMBER_BOOL,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, service_links),
     .initial = true,
     .doc = "Services are in the environment."},
    {.name = "nodeSelector",
     .type = SA_MEMBER_MAP,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, node_selector),
     .max_count = 32,
     .max_bytes = SA_OBJECT_NAME_MAX + 64,
     .doc = "Labels that its node must have."},
    {.name = "securityContext",
     .type = SA_MEMBER_OBJECT,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, security),
     .schema = &pod_security,
     .doc = "Of all containers."},
    {.name = "initContainers",
     .type = SA_MEMBER_LIST,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, init_containers),
     .max_count = SA_POD_CONTAINERS_MAX,
     .schema = &container_schema,
     .doc = "Run one after the other before the others."},
    {.name = "containers",
     .type = SA_MEMBER_LIST,
     .flags = SA_MEMBER_REQUIRED | SA_MEMBER_FIXED,
     SA_AT(pod, containers),
     .max_count = SA_POD_CONTAINERS_MAX,
     .schema = &container_schema,
     .doc = "What runs."},
    {.name = "volumes",
     .type = SA_MEMBER_LIST,
     .flags = SA_MEMBER_FIXED,
     SA_AT(pod, volumes),
     .max_count = SA_POD_VOLUMES_MAX,
     .schema = &volume,
     .doc = "What containers may mount."},
    {.name = NULL}};

static int check_spec(void *value, const struct sa_json_obj *at, struct sa_error *err)
{
    const pod *p = value;
    if (!p->containers.count && !sa_json_is_mistaken(at, "containers"))
        return sa_json_fail(at, "containers", err, "expected at least one");
    return 0;
}

const struct sa_schema sa_schema_pod = {
    .size = sizeof(pod), .members = spec_members, .check = check_spec};
