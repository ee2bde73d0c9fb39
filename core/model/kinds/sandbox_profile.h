/*
 * SandboxProfile: a named security posture that sandboxes (profileRef) and pools (profile) refer
 * to, so that who uses it need not know its details. Cluster-wide, as a RuntimeClass is: operators
 * write profiles, tenants name them, and a tenant cannot make a weaker one of the same name.
 */
#ifndef SA_KINDS_SANDBOX_PROFILE_H
#define SA_KINDS_SANDBOX_PROFILE_H

#include "kinds/common.h"
#include "objects/conditions.h"

struct sa_profile_spec {
    const char *description;
    enum sa_security_level level;
    const char *security_context;     /* JSON, of SA_LEVEL_CUSTOM; "": none given */
    const char *runtime_class;        /* "native", "gvisor" ...; "": the rules decide */
    struct sa_network_access network; /* what sandboxes have when they name none */
    struct sa_filesystem filesystem;
    struct sa_json_strings required_controls;
    int64_t timeout_max_s; /* 0: no limit of its own */
};
struct sa_profile_status {
    struct sa_conditions conditions;
    int64_t observed_generation;
};

extern const struct sa_kind sa_kind_sandbox_profile;

#endif
