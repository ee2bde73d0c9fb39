/*
 * The decision points: what each is asked and what it answers. A rule sees the members of the
 * input structs under the same names in lowerCamelCase (schema.h has the tables, with limits).
 * Strings are the caller's for the time of the call, and the arena's in results.
 *
 * Every input begins with `who`: `scope` chooses parameters (params.lua), and time is an input so
 * that rules are pure.
 */
#ifndef SA_POLICY_POINTS_H
#define SA_POLICY_POINTS_H

#include "policy/schema.h"

struct sa_policy_scope {
    const char *namespace_; /* "namespace"; NULL: "default" */
    const char *tenant;     /* name of the API key; later of the account */
    const char *pool;
};
struct sa_policy_user {
    const char *name; /* of the API key */
    const char *role; /* "admin", "developer", "viewer" */
};
struct sa_policy_who {
    double now; /* seconds since 1970, UTC; 0: filled in by the call */
    struct sa_policy_scope scope;
    struct sa_policy_user user;
};
struct sa_policy_sandbox { /* about which, or in which */
    const char *id, *name, *runtime, *security_level;
    struct sa_json_map labels;
    int64_t age_s;
};

/* ---- profile: security level and overrides -> the complete security context ---- */
struct sa_policy_limits {
    int64_t pids;            /* processes and threads; 0: what the sandbox asks for */
    int64_t open_files;      /* descriptors of each process */
    int64_t file_size_bytes; /* of one file; 0: only the disk's size */
    int64_t core_bytes;      /* of a core dump; 0: none */
};
struct sa_policy_landlock {
    bool enabled;
    struct sa_json_strings writable; /* folders; the rest is readable at most */
};
struct sa_policy_context {               /* complete: every member is decided */
    const char *runtime_class;           /* "native", "gvisor", "docker" */
    int64_t uid, gid;                    /* inside */
    struct sa_json_strings capabilities; /* kept; the native driver keeps none */
    bool no_new_privs, read_only_root, private_network, mask_proc;
    const char *seccomp; /* level that the seccomp point is asked for */
    struct sa_policy_landlock landlock;
    struct sa_json_strings writable_paths; /* tmpfs, e.g. /tmp, /workspace */
    struct sa_json_strings devices;        /* in /dev: "null", "urandom", "tty" ... */
    struct sa_policy_limits limits;
    struct sa_json_strings required_controls; /* names of nodelink/controls.h */
};
struct sa_policy_profile_input {
    struct sa_policy_who who;
    const char *level, *runtime, *profile; /* profile: name of a SandboxProfile, or NULL */
    const char *overrides;                 /* JSON: the security context that was asked for */
    struct sa_policy_context context;      /* target; empty at first */
};

/* ---- seccomp: language and level -> allow-list and telling denials ---- */
struct sa_policy_filter {
    struct sa_json_strings allow;   /* names of system calls and sets ("@io", node/native) */
    struct sa_json_strings telling; /* refused, and told as a security event; not in allow */
};
struct sa_policy_seccomp_input {
    struct sa_policy_who who;
    const char *language;           /* "base", "default", "python", "node", "go", "bash" */
    const char *level;              /* context.seccomp */
    struct sa_policy_filter filter; /* target */
};

/* ---- admission: a write of a resource, as Kubernetes' admission review ---- */
struct sa_policy_admission_input {
    struct sa_policy_who who;
    const char *operation; /* "CREATE", "UPDATE", "DELETE" */
    const char *kind;      /* "Sandbox", "SandboxProfile", "WarmPool", "RuntimeEnvironment" */
    const char *object;    /* target; JSON: {metadata, spec}; with `old` at most 100 KiB */
    const char *old;       /* JSON, on UPDATE and DELETE */
};

/* ---- execute: code or a command about to run ---- */
struct sa_policy_run { /* target; 0: the default */
    int64_t timeout_ms, memory_bytes, cpu_seconds, file_size_bytes, open_files;
};
struct sa_policy_execute_input {
    struct sa_policy_who who;
    struct sa_policy_sandbox sandbox;
    const char *kind;     /* "code", "command", "terminal", "context" (a new one), "port" (a
                             connection to one) */
    const char *language; /* of code and contexts */
    const char *program;  /* last part of the path of what is started, of commands; of a shell
                             line its first word */
    struct sa_json_strings argv; /* of commands; the shell line is one element */
    const char *code;            /* all of it, or its beginning */
    int64_t code_bytes;          /* of all of it */
    bool truncated; /* code, argv, env_names do not have all. The call cuts them to what
                       fits a question (48, 32 and 8 KiB), and sets this then. */
    const char *cwd, *context;
    struct sa_json_strings env_names;
    bool background, tty;
    struct sa_policy_run run;
};

/* ---- files: path and operation, from outside through the API ---- */
struct sa_policy_files_input {
    struct sa_policy_who who;
    struct sa_policy_sandbox sandbox;
    const char *operation; /* "read", "write", "list", "stat", "delete", "mkdir", "move", "copy",
                              "chmod", "watch", "export", "import", "sign" */
    const char *path, *to; /* normalised, absolute; `to` of move and copy */
    int64_t bytes;         /* of a write, if known; else -1 */
    bool recursive;        /* list and watch: with all that is below the folder, too */
};

/* ---- packages: one package about to be installed ---- */
struct sa_policy_packages_input {
    struct sa_policy_who who;
    struct sa_policy_sandbox sandbox;
    const char *manager; /* "pip", "npm" */
    const char *name;    /* canonical: PEP 503, npm's lower case */
    const char *version; /* the requirement's, "==1.2", or NULL */
};

/* ---- egress: a connection out ---- */
struct sa_policy_egress_rule {    /* of the sandbox's networkAccess.egress */
    const char *domain;           /* "pypi.org", "*.example.com" */
    struct sa_json_strings ports; /* decimal; none: 443 and 80 */
};
struct sa_policy_grant {                   /* target */
    int64_t bytes_per_second, connections; /* 0: no limit */
};
struct sa_policy_egress_input {
    struct sa_policy_who who;
    struct sa_policy_sandbox sandbox;
    const char *host; /* canonical name, or an address in its usual form */
    int64_t port;
    const char *protocol; /* "http", "connect", "tls" */
    const char *sni;      /* of the ClientHello; NULL: none */
    const char *address;  /* it resolved to, once known */
    bool address_is_public, host_is_address;
    struct sa_policy_list rules; /* of struct sa_policy_egress_rule */
    struct sa_policy_grant grant;
};

/* ---- recycle: may a used pod be used again? ---- */
struct sa_policy_recycle_input {
    struct sa_policy_who who;
    const char *runtime, *security_level;
    bool enabled; /* of the pool */
    int64_t uses, max_uses, age_s;
    bool same_tenant, clean; /* clean: the check against the pristine fingerprint passed */
    const char *end_reason;  /* of the last use: "deleted", "timeout", "oom", "failed" */
    int64_t oom_kills, denials, memory_peak_bytes, memory_limit_bytes;
    const char *criteria; /* JSON: the pool's recycle.criteria */
};

/* ---- scaling: how many warm pods a pool shall have ---- */
struct sa_policy_pool {
    const char *name, *runtime;
    /* `size`: wanted until now: pods that are ready or on their way there; those in use belong to
     * their sandboxes and do not count. */
    int64_t min, max, size;
};
struct sa_policy_pods {
    int64_t available, assigned, pending, recycling;
};
struct sa_policy_demand { /* of the last minute */
    double claims_per_second, misses_per_second;
    double claims_per_second_peak; /* of any second in it */
};
struct sa_policy_sample { /* of the past, oldest first, one each interval */
    double at;
    int64_t claims, misses, claims_peak; /* claims_peak: in the busiest second of the interval */
    int64_t available, assigned, size;   /* at its end */
};
struct sa_policy_scaling_input {
    struct sa_policy_who who;
    const char *rule;   /* name of the scaling rule */
    const char *params; /* JSON: the pool's scaling.params, over those of params.lua */
    struct sa_policy_pool pool;
    struct sa_policy_pods pods;
    struct sa_policy_demand demand;
    struct sa_policy_list history;        /* of struct sa_policy_sample */
    int64_t refill_p50_ms, refill_p95_ms; /* from wanting a pod to its being Ready, or from a
                                             claim to its being Ready again, if that is sooner */
    double last_scale_at;                 /* 0: never */
    int64_t last_scale_from, last_scale_to;
    int64_t capacity; /* pods that the node still has room for; -1: unknown */
};
struct sa_policy_scaling_output {
    int64_t size;
    const char *reason;
};

/* ---- anomaly: does a sandbox behave strangely? ---- */
struct sa_policy_counters {
    int64_t cpu_us, throttled_us, memory_peak_bytes, memory_limit_bytes, processes, pids_limit,
        oom_kills, denials, executions, output_bytes, egress_denials;
};
struct sa_policy_event {
    double at;
    const char *type, *reason; /* "Security", "mount" ... */
    int64_t count;
};
struct sa_policy_anomaly_input {
    struct sa_policy_who who;
    struct sa_policy_sandbox sandbox;
    struct sa_policy_counters counters;
    struct sa_policy_list events; /* of struct sa_policy_event, oldest first, at most 64 */
};
enum sa_anomaly_action { SA_ANOMALY_NONE, SA_ANOMALY_ALERT, SA_ANOMALY_PAUSE, SA_ANOMALY_KILL };
struct sa_policy_anomaly_output {
    double score; /* 0 to 100 */
    enum sa_anomaly_action action;
};

/* ---- lifecycle: a timeout has come; what now? ---- */
struct sa_policy_end {  /* target */
    const char *action; /* "delete", "pause", "extend" */
    int64_t extend_s;
};
struct sa_policy_lifecycle_input {
    struct sa_policy_who who;
    struct sa_policy_sandbox sandbox;
    const char *event;                                         /* "timeout", "idle" */
    int64_t timeout_s, idle_s, running_executions, extensions; /* extensions so far */
    struct sa_policy_end end; /* target; what the sandbox's own lifecycle says */
};

#endif
