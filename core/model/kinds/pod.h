/*
 * Pod (core/v1), as far as the controllers write and read it: a kubelet or the local node makes
 * processes of it. Names, defaults and phases are Kubernetes'; what is not here is refused, or
 * dropped with `lenient`, which is how pods of an API server are read.
 *
 * What only our own node understands is in annotations.
 */
#ifndef SA_KINDS_POD_H
#define SA_KINDS_POD_H

#include "kinds/schema.h"
#include "objects/conditions.h"

/* Annotations and labels of our pods. */
#define SA_POD_SANDBOX "secureagent.dev/sandbox"   /* label: name of the Sandbox it is of */
#define SA_POD_POOL "secureagent.dev/pool"         /* label: name of the WarmPool it is of */
#define SA_POD_WARM_POD "secureagent.dev/warm-pod" /* label: name of the WarmPod it is of */
#define SA_POD_RUNTIME "secureagent.dev/runtime"   /* label */
#define SA_POD_SECURITY_LEVEL "secureagent.dev/security-level"     /* annotation */
#define SA_POD_SECURITY_PROFILE "secureagent.dev/security-profile" /* annotation: its digest */
#define SA_POD_CPU_PINNING "secureagent.dev/cpu-pinning"           /* annotation: "true" */
#define SA_POD_PIDS "secureagent.dev/pids"                         /* annotation: processes */
#define SA_POD_INODES "secureagent.dev/inodes"                     /* annotation: files, how many */
#define SA_POD_LANGUAGE "secureagent.dev/language" /* annotation: what a node calls its runtime */
#define SA_POD_REQUIRED                                                                            \
    "secureagent.dev/required-controls" /* annotation: joined by commas; all, or it must fail */
#define SA_POD_CONTROLS "secureagent.dev/controls" /* annotation of the node: those in force */

enum { SA_POD_CONTAINERS_MAX = 8, SA_POD_VOLUMES_MAX = 32, SA_POD_TEXT_MAX = 32 * 1024 };

struct sa_pod_env {
    const char *name, *value;
};
struct sa_pod_port {
    const char *name, *protocol; /* "TCP" */
    int64_t port;
};
struct sa_pod_mount {
    const char *name, *path;
    bool read_only;
};
struct sa_pod_quantities { /* 0: none said */
    int64_t cpu_millicores, memory_bytes, storage_bytes;
};
struct sa_pod_resources {
    struct sa_pod_quantities limits, requests;
};
struct sa_pod_seccomp {
    bool given;
    const char *type, *localhost_profile;
};
struct sa_pod_capabilities {
    struct sa_json_strings add, drop;
};
struct sa_pod_security { /* of a pod or a container, each what Kubernetes has there; ids -1: not
                            said */
    int64_t run_as_user, run_as_group, fs_group;
    bool run_as_non_root, read_only_root, privileged;
    bool privilege_escalation; /* true when not said, as Kubernetes has it */
    struct sa_pod_capabilities capabilities;
    struct sa_pod_seccomp seccomp;
};
struct sa_pod_container {
    const char *name, *image, *image_pull_policy, *working_dir;
    struct sa_json_strings command, args;
    SA_LIST_OF(struct sa_pod_env) env;
    SA_LIST_OF(struct sa_pod_port) ports;
    struct sa_pod_resources resources;
    struct sa_pod_security security;
    SA_LIST_OF(struct sa_pod_mount) mounts;
};
struct sa_pod_empty_dir {
    bool given;
    const char *medium; /* "", "Memory" */
    int64_t size_bytes; /* 0: none said */
};
struct sa_pod_claim_volume {
    bool given;
    const char *claim;
    bool read_only;
};
struct sa_pod_volume {
    const char *name;
    struct sa_pod_empty_dir empty_dir;
    struct sa_pod_claim_volume claim;
};
enum sa_pod_restart { SA_POD_RESTART_ALWAYS, SA_POD_RESTART_ON_FAILURE, SA_POD_RESTART_NEVER };

struct sa_pod_spec {
    const char *node, *runtime_class, *service_account, *hostname;
    enum sa_pod_restart restart;
    int64_t grace_s, deadline_s;     /* deadline 0: none */
    bool mount_token, service_links; /* automountServiceAccountToken, enableServiceLinks */
    struct sa_json_map node_selector;
    struct sa_pod_security security;
    SA_LIST_OF(struct sa_pod_container) init_containers, containers;
    SA_LIST_OF(struct sa_pod_volume) volumes;
};

enum sa_pod_phase {
    SA_POD_PENDING,
    SA_POD_RUNNING,
    SA_POD_SUCCEEDED,
    SA_POD_FAILED,
    SA_POD_UNKNOWN
};
const char *sa_pod_phase_name(enum sa_pod_phase phase);

struct sa_pod_waiting {
    bool given;
    const char *reason, *message;
};
struct sa_pod_running {
    bool given;
    int64_t started_ms;
};
struct sa_pod_terminated {
    bool given;
    int64_t exit_code, signal;
    const char *reason, *message; /* reason: "Completed", "Error", "OOMKilled" */
    int64_t started_ms, finished_ms;
};
struct sa_pod_state {
    struct sa_pod_waiting waiting;
    struct sa_pod_running running;
    struct sa_pod_terminated terminated;
};
struct sa_pod_container_status {
    const char *name, *image, *image_id, *container_id;
    bool ready, started;
    int64_t restarts;
    struct sa_pod_state state, last_state;
};
struct sa_pod_status {
    enum sa_pod_phase phase;
    const char *reason, *message, *pod_ip, *host_ip;
    int64_t start_ms;
    SA_LIST_OF(struct sa_pod_container_status) init_containers, containers;
    struct sa_conditions conditions;
    int64_t observed_generation;
};

extern const struct sa_kind sa_kind_pod;
extern const struct sa_schema sa_schema_pod, sa_schema_pod_status;

#endif
