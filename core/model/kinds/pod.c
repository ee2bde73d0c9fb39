/* The status of a Pod, and the kind. */
#include "kinds/pod.h"

#include "kinds/common.h"
#include "kinds/resources.h"

typedef struct sa_pod_status status;
typedef struct sa_pod_container_status container;

static const char *const phases[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown", NULL};

const char *sa_pod_phase_name(enum sa_pod_phase phase)
{
    return phases[phase];
}

/* ---- status ---- */

static const struct sa_member waiting_members[] = {SA_REASON_MEMBERS(struct sa_pod_waiting),
                                                   {.name = NULL}};
static const struct sa_schema waiting = SA_SCHEMA(struct sa_pod_waiting, waiting_members);

static const struct sa_member running_members[] = {
    SA_TIME(struct sa_pod_running, started_ms, "startedAt", "When it began."), {.name = NULL}};
static const struct sa_schema running = SA_SCHEMA(struct sa_pod_running, running_members);

static const struct sa_member terminated_members[] = {
    {.name = "exitCode",
     .type = SA_MEMBER_INT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(struct sa_pod_terminated, exit_code),
     .low = INT32_MIN,
     .high = INT32_MAX,
     .doc = "Of its first process."},
    SA_INT(struct sa_pod_terminated, signal, "signal", 0, 128, "That ended it."),
    SA_REASON_MEMBERS(struct sa_pod_terminated),
    SA_TIME(struct sa_pod_terminated, started_ms, "startedAt", "When it began."),
    SA_TIME(struct sa_pod_terminated, finished_ms, "finishedAt", "When it ended."),
    {.name = NULL}};
static const struct sa_schema terminated = SA_SCHEMA(struct sa_pod_terminated, terminated_members);

static const struct sa_member state_members[] = {
    SA_MAYBE(struct sa_pod_state, waiting, "waiting", &waiting, "It has not begun."),
    SA_MAYBE(struct sa_pod_state, running, "running", &running, "It runs."),
    SA_MAYBE(struct sa_pod_state, terminated, "terminated", &terminated, "It has ended."),
    {.name = NULL}};
static const struct sa_schema state = SA_SCHEMA(struct sa_pod_state, state_members);

static const struct sa_member container_members[] = {
    {.name = "name",
     .type = SA_MEMBER_TEXT,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(container, name),
     .max_bytes = 63,
     .format = &sa_format_label,
     .doc = "Of the container."},
    SA_BOOL(container, ready, "ready", "It is ready."),
    SA_BOOL(container, started, "started", "It has begun."),
    SA_INT(container, restarts, "restartCount", 0, INT32_MAX, "How often it was begun anew."),
    SA_TEXT(container, image, "image", 1024, NULL, "Its image."),
    SA_TEXT(container, image_id, "imageID", 1024, NULL, "Digest of the image."),
    SA_TEXT(container, container_id, "containerID", 1024, NULL, "To the node."),
    SA_OBJECT(container, state, "state", &state, "Now."),
    SA_OBJECT(container, last_state, "lastState", &state, "Before the last restart."),
    {.name = NULL}};
static const struct sa_schema container_schema = SA_SCHEMA(container, container_members);

static const struct sa_member status_members[] = {
    {.name = "phase",
     .type = SA_MEMBER_ENUM,
     SA_AT(status, phase),
     .names = phases,
     .doc = "Where it is in its life."},
    SA_REASON_MEMBERS(status),
    SA_TEXT(status, pod_ip, "podIP", 45, NULL, "Its address."),
    SA_TEXT(status, host_ip, "hostIP", 45, NULL, "Its node's address."),
    SA_TIME(status, start_ms, "startTime", "The node has taken it on."),
    SA_ITEMS(status, init_containers, "initContainerStatuses", SA_POD_CONTAINERS_MAX,
             &container_schema, "Of each."),
    SA_ITEMS(status, containers, "containerStatuses", SA_POD_CONTAINERS_MAX, &container_schema,
             "Of each."),
    SA_OBSERVED_MEMBERS(status),
    {.name = NULL}};
const struct sa_schema sa_schema_pod_status = SA_SCHEMA(status, status_members);
static const status empty = {.reason = "", .message = "", .pod_ip = "", .host_ip = ""};

/* ---- the kind ---- */

static const char *node_of(const struct sa_object *object)
{
    return ((const struct sa_pod_spec *)sa_object_spec(object))->node;
}

static const char *phase_of(const struct sa_object *object)
{
    return phases[((const status *)sa_object_status(object))->phase];
}

static const char *ip_of(const struct sa_object *object)
{
    return ((const status *)sa_object_status(object))->pod_ip;
}

static const struct sa_kind_field fields[] = {
    {"spec.nodeName", node_of}, {"status.phase", phase_of}, {"status.podIP", ip_of}, {NULL, NULL}};

SA_KIND_FUNCTIONS(&sa_schema_pod, &sa_schema_pod_status)

const struct sa_kind sa_kind_pod = {.name = "Pod",
                                    .plural = "pods",
                                    .api_version = "v1",
                                    .namespaced = true,
                                    SA_KIND_BY_TABLES,
                                    .empty_status = &empty,
                                    .check_update = check_update,
                                    .fields = fields};

static const char *const short_names[] = {"po", NULL};
static const struct sa_column columns[] = {
    {"Phase", ".status.phase", SA_COLUMN_TEXT, 0, "Where it is in its life"},
    {"Reason", ".status.reason", SA_COLUMN_TEXT, 1, "Why it is in this phase"},
    {"Node", ".spec.nodeName", SA_COLUMN_TEXT, 0, "What runs it"},
    {"IP", ".status.podIP", SA_COLUMN_TEXT, 1, "Its address"},
    {"Age", ".metadata.creationTimestamp", SA_COLUMN_DATE, 0, "Since it was made"},
    {NULL, NULL, SA_COLUMN_TEXT, 0, NULL}};

const struct sa_resource sa_resource_pod = {.kind = &sa_kind_pod,
                                            .singular = "pod",
                                            .short_names = short_names,
                                            .columns = columns,
                                            .spec = &sa_schema_pod,
                                            .status = &sa_schema_pod_status,
                                            .doc = "What a node runs (core/v1)."};
