/*
 * Sandbox: one isolated environment that somebody asked for. The body of a create (struct
 * sa_sandbox_spec, model/sandbox.h) is the same thing, flat: its name, labels and annotations are
 * metadata here, all else is spec, by the same names.
 *
 * timeout: 300 s by default, up to 86400: an installation sets its own, lower limit, 3600 say, by
 * the parameter `timeout` of the admission rule `limits`.
 */
#ifndef SA_KINDS_SANDBOX_H
#define SA_KINDS_SANDBOX_H

#include "kinds/common.h"
#include "model/lifecycle.h"
#include "objects/conditions.h"

struct sa_sandbox_wanted { /* spec */
    const char *runtime;   /* name of a RuntimeEnvironment */
    enum sa_security_level level;
    const char *profile;          /* profileRef: name of a SandboxProfile, or "" */
    const char *security_context; /* JSON, of SA_LEVEL_CUSTOM; "": none given */
    int64_t timeout_s;
    struct sa_resources resources;
    struct sa_network_access network;
    struct sa_filesystem filesystem;
    struct sa_sandbox_storage storage;
    struct sa_json_map env;
    struct sa_json_strings secrets; /* secretsRef: names, delivered as environment */
    enum sa_warm warm;
    const char *warm_pool; /* from this pool where it can be; "": from any that fits */
    struct sa_lifecycle lifecycle;
    struct sa_json_strings imports, required_controls;
};

enum sa_start { SA_START_UNKNOWN, SA_START_WARM, SA_START_COLD };

struct sa_security_profile { /* the security context in force */
    const char *digest;
    int64_t generation; /* of the rules that decided it */
};

struct sa_sandbox_status {
    enum sa_phase phase;
    const char *reason, *message;
    enum sa_start start;
    const char *pod, *pod_uid, *pod_ip, *node;
    const char *warm_pod, *warm_pool; /* it was claimed as, and from; "" of a cold start */
    struct sa_json_strings controls, weaker;
    struct sa_security_profile security_profile;
    int64_t scheduled_ms, ready_ms, expires_ms, idle_ms, paused_ms, ended_ms; /* 0: not (yet) */
    struct sa_conditions conditions;
    int64_t observed_generation;
};

extern const struct sa_kind sa_kind_sandbox;
extern const struct sa_schema sa_schema_sandbox, sa_schema_sandbox_status;
extern const struct sa_kind_field sa_selectable_sandbox[];

/* Decode the body of a create, filling defaults. SA_EINVALID with the path of the field. With
 * `notes` (NULL: none) all mistakes are noted; once there is one, *spec is what could be read, with
 * defaults in the place of what is wrong. */
int sa_sandbox_spec_decode(const char *body, size_t length, struct sa_arena *arena,
                           struct sa_json_notes *notes, struct sa_sandbox_spec *spec,
                           struct sa_error *err);
/* From the flat form: shares its strings. */
void sa_sandbox_of_flat(const struct sa_sandbox_spec *flat, struct sa_sandbox_wanted *spec);
/* And back, with the metadata; shares strings and lists of both. SA_EINVALID
 * (spec.resources.ephemeralStorage) when more files are asked for than memory holds: the flat form
 * is what runs with files in memory. */
int sa_sandbox_to_flat(const struct sa_object_meta *meta, const struct sa_sandbox_wanted *spec,
                       struct sa_sandbox_spec *flat, struct sa_error *err);
/* The whole object {apiVersion, kind, metadata, spec} that a create is; named by flat->name, or
 * `name` without one. `namespace_` may be NULL. */
void sa_sandbox_manifest(const struct sa_sandbox_spec *flat, const char *namespace_,
                         const char *name, struct sa_json_w *w);

#endif
