/*
 * RuntimeEnvironment: what a sandbox has inside. An image, an unpacked root on the nodes, or
 * neither: then the programs of the node itself. Cluster-wide, as a catalogue.
 */
#ifndef SA_KINDS_RUNTIME_ENVIRONMENT_H
#define SA_KINDS_RUNTIME_ENVIRONMENT_H

#include "kinds/common.h"
#include "objects/conditions.h"

enum sa_language {
    SA_LANGUAGE_PYTHON,
    SA_LANGUAGE_NODE,
    SA_LANGUAGE_BASH,
    SA_LANGUAGE_GO,
    SA_LANGUAGE_OTHER /* commands, but no warm interpreter */
};
enum sa_package_manager { SA_MANAGER_NONE, SA_MANAGER_PIP, SA_MANAGER_NPM };

struct sa_runtime_requirements {                         /* of what uses it */
    int64_t memory_bytes, cpu_millicores, storage_bytes; /* at least; 0: any */
    struct sa_json_strings architectures;                /* none: any */
    struct sa_json_strings controls;                     /* that the node must have */
};
struct sa_runtime_spec {
    const char *image, *rootfs; /* at most one of them; "" */
    enum sa_language language;
    const char *version, *description;
    struct sa_json_strings tags, packages; /* packages: preInstalledPackages */
    enum sa_package_manager manager;
    struct sa_json_strings security_features; /* controls that it is made to run under */
    struct sa_runtime_requirements requirements;
};
struct sa_runtime_status {
    const char *image_digest;
    int64_t size_bytes;
    struct sa_json_strings nodes; /* on which it is there */
    struct sa_conditions conditions;
    int64_t observed_generation;
};

extern const struct sa_kind sa_kind_runtime_environment;

/* The condition that says whether pods can have it here. */
#define SA_RUNTIME_AVAILABLE "Available"

/* Those that the server makes by itself, by their language. */
enum { SA_BUILTIN_COUNT = 5 };
extern const char *const sa_builtin_runtimes[SA_BUILTIN_COUNT]; /* in the order of sa_language */
bool sa_runtime_is_builtin(const char *name, enum sa_language *language);

#endif
