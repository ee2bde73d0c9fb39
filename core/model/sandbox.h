/*
 * The Sandbox resource as the API takes and shows it: limits, what may be changed of it, and
 * printing. A create is decoded by kinds/sandbox.h. Field names and limits are those of
 * api/openapi/.
 */
#ifndef SA_MODEL_SANDBOX_H
#define SA_MODEL_SANDBOX_H

#include "base/arena.h"
#include "model/lifecycle.h"
#include "json/json.h"
#include "json/write.h"

enum sa_security_level { SA_LEVEL_STANDARD, SA_LEVEL_HIGH, SA_LEVEL_CUSTOM };
enum sa_warm { SA_WARM_PREFER, SA_WARM_REQUIRE, SA_WARM_NEVER };
enum sa_end { SA_END_DELETE, SA_END_PAUSE }; /* what a timeout leads to */

const char *sa_security_level_name(enum sa_security_level level);

/* Limits and defaults, also told in the documents. */
enum {
    SA_TIMEOUT_DEFAULT_S = 300,
    SA_TIMEOUT_MAX_S = 86400,
    SA_CPU_DEFAULT_MILLICORES = 1000,
    SA_CPU_MIN_MILLICORES = 10,
    SA_CPU_MAX_MILLICORES = 1024 * 1000,
    SA_STORAGE_MIN_BYTES = 1 << 20,
    SA_PIDS_DEFAULT = 256,
    SA_PIDS_MIN = 8,
    SA_PIDS_MAX = 32768,
    SA_ENV_MAX = 256,
    SA_ENV_VALUE_MAX_BYTES = 16384,
    SA_LABELS_MAX_COUNT = 64,
    SA_ANNOTATIONS_MAX_COUNT = 64,
    SA_ANNOTATION_MAX_BYTES = 4096,
    SA_ANNOTATIONS_MAX_BYTES = 32 * 1024, /* keys and values of all */
    SA_IMPORTS_MAX = 64,
    SA_IDLE_MAX_S = 86400,
    SA_SECURITY_CONTEXT_MAX_BYTES = 16 * 1024,
};
#define SA_STORAGE_EXPECTED                                                                        \
    "at most %s, half of the memory, can hold files here, because files are kept in memory; ask "  \
    "for less, or for more memory"
#define SA_MEMORY_DEFAULT_BYTES (INT64_C(512) << 20)
#define SA_MEMORY_MIN_BYTES (INT64_C(16) << 20)
#define SA_MEMORY_MAX_BYTES (INT64_C(1) << 42)

struct sa_resources {
    int64_t cpu_millicores;
    int64_t memory_bytes;
    int64_t storage_bytes; /* files are held in memory: at most half of memory_bytes */
    int64_t inodes;
    int64_t pids;
    bool cpu_pinning; /* of the resource (kinds/sandbox.h): processors of its own */
};
/* Files for which nobody set a size, and how many there may be. */
void sa_resources_complete(struct sa_resources *resources);

struct sa_lifecycle {
    enum sa_end on_timeout, on_idle;
    int64_t idle_timeout_s; /* 0: none */
    bool resume_on_use;
};

struct sa_port_list {
    int64_t *items;
    size_t count;
};
/* What sandboxes may connect to; nothing by default. */
struct sa_egress_rule {
    const char *domain;        /* "pypi.org", "*.example.com", "*" */
    struct sa_port_list ports; /* none: 443 and 80 */
};
/* Ports inside that the API lets through. */
struct sa_ingress {
    bool enabled;              /* true by default */
    struct sa_port_list ports; /* none: any */
};
struct sa_network_access {
    struct {
        struct sa_egress_rule *items;
        size_t count;
    } egress;
    struct sa_ingress ingress;
};
struct sa_filesystem {
    bool read_only_root;                   /* true by default */
    struct sa_json_strings writable_paths; /* /tmp and /workspace by default */
};
struct sa_sandbox_storage {
    bool persistent;
    int64_t volume_bytes; /* 1Gi by default */
    const char *name;     /* of the volume; "": the sandbox's */
};

struct sa_sandbox_spec {   /* strings belong to the arena */
    const char *name;      /* NULL: named by its id */
    const char *runtime;   /* name of a RuntimeEnvironment */
    const char *language;  /* of that: "python" ... "base"; until it is looked up, its name */
    const char *profile;   /* name of a SandboxProfile, or "" */
    const char *warm_pool; /* name of the WarmPool that is preferred, or "" */
    enum sa_security_level level;
    enum sa_warm warm;
    int64_t timeout_s;
    struct sa_resources resources;
    struct sa_lifecycle lifecycle;
    struct sa_json_map env, labels, annotations;
    struct sa_json_strings required_controls, imports;
    struct sa_json_strings secrets; /* secretsRef: names */
    struct sa_network_access network;
    struct sa_filesystem filesystem;
    struct sa_sandbox_storage storage;
    const char *security_context; /* JSON, of SA_LEVEL_CUSTOM; NULL: none given */
};

/* Apply a merge patch (RFC 7396) of labels, annotations, timeout and lifecycle to `now`; the
 * result's strings are of `now` or the arena. *timeout_given: the timeout begins anew. */
int sa_sandbox_patch_decode(const char *body, size_t length, const struct sa_sandbox_spec *now,
                            struct sa_arena *arena, struct sa_sandbox_spec *next,
                            bool *timeout_given, struct sa_error *err);
/* The body of a new timeout: {"timeout": seconds}. */
int sa_timeout_decode(const char *body, size_t length, struct sa_arena *arena, int64_t *timeout_s,
                      struct sa_error *err);

/* What does not change any more once a sandbox runs, as JSON members without braces; stored
 * beside the record and spliced into each answer. */
struct sa_sandbox_fixed {
    const char *id; /* the name, where the spec has none */
    const struct sa_sandbox_spec *spec;
    bool warm;           /* it came from a warm pool */
    const char *profile; /* digest of the security context; NULL: not known yet */
    uint64_t generation; /* of the rules that decided it */
    const char *node;    /* that runs it; NULL: none yet */
    const char *const *controls;
    size_t control_count;
    const char *const *weaker;
    size_t weaker_count;
};
void sa_sandbox_fixed_print(const struct sa_sandbox_fixed *fixed, struct sa_buf *out);
/* What a patch may change, and the imports, in the same form. */
void sa_sandbox_settings_print(const struct sa_sandbox_spec *spec, struct sa_buf *out);
/* The labels as a JSON object. */
void sa_labels_print(const struct sa_json_map *labels, struct sa_buf *out);

struct sa_sandbox_view {
    const char *id, *runtime, *phase, *reason, *message;
    const char *fixed_json;    /* of sa_sandbox_fixed_print; of a record with the settings */
    const char *settings_json; /* of sa_sandbox_settings_print; NULL: none */
    const char *labels_json;   /* an object, or "" */
    int64_t created_ms, expires_ms, ended_ms; /* 0: none */
    int64_t ready_ms, idle_ms, paused_ms;
};
/* One Sandbox object, conditions computed from the phase. */
void sa_sandbox_print(const struct sa_sandbox_view *view, struct sa_json_w *w);

/* A DNS label (RFC 1123): 1-63 of a-z 0-9 -, no dash at either end. */
bool sa_name_valid(const char *name);
/* Dotted names of a language's modules, like "a.b". */
bool sa_module_name_valid(const char *name);

#endif
