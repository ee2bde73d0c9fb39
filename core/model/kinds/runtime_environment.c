#include "kinds/runtime_environment.h"

#include "kinds/resources.h"

#include <string.h>

typedef struct sa_runtime_spec runtime;
typedef struct sa_runtime_status status;
typedef struct sa_runtime_requirements requirements;

static const char *const languages[] = {"python", "node", "bash", "go", "other", NULL};
static const char *const managers[] = {"none", "pip", "npm", NULL};

/* ---- spec ---- */

static const struct sa_member requirement_members[] = {
    {.name = "cpu",
     .type = SA_MEMBER_CPU,
     SA_AT(requirements, cpu_millicores),
     .low = SA_CPU_MIN_MILLICORES,
     .high = SA_CPU_MAX_MILLICORES,
     .doc = "Processor time, at least."},
    {.name = "memory",
     .type = SA_MEMBER_BYTES,
     SA_AT(requirements, memory_bytes),
     .low = SA_MEMORY_MIN_BYTES,
     .high = SA_MEMORY_MAX_BYTES,
     .doc = "Memory, at least."},
    {.name = "ephemeralStorage",
     .type = SA_MEMBER_BYTES,
     SA_AT(requirements, storage_bytes),
     .low = SA_STORAGE_MIN_BYTES,
     .high = SA_MEMORY_MAX_BYTES,
     .doc = "Files, at least."},
    SA_TEXTS(requirements, architectures, "architectures", 8, 32, &sa_format_word,
             "Of the node, such as `amd64`; none: any."),
    SA_TEXTS(requirements, controls, "controls", SA_CONTROLS_MAX, 64, NULL,
             "Isolation controls that the node must have."),
    {.name = NULL}};
static const struct sa_schema requirement_schema = SA_SCHEMA(requirements, requirement_members);

static const struct sa_member spec_members[] = {
    SA_TEXT(runtime, image, "image", 512, &sa_format_image,
            "A container image, such as `python:3.12-slim`."),
    SA_TEXT(runtime, rootfs, "rootfs", 1024, &sa_format_path,
            "Folder of the node that an image was unpacked into."),
    {.name = "language",
     .type = SA_MEMBER_ENUM,
     .flags = SA_MEMBER_REQUIRED,
     SA_AT(runtime, language),
     .names = languages,
     .doc = "What code is written in; `other`: commands only."},
    SA_TEXT(runtime, version, "version", 63, &sa_format_word, "Of the language, such as `3.12`."),
    SA_TEXT(runtime, description, "description", SA_DOC_MAX_BYTES, NULL, "What it is for."),
    SA_TEXTS(runtime, tags, "tags", 32, 63, &sa_format_word, "Words to find it by."),
    SA_TEXTS(runtime, packages, "preInstalledPackages", 512, 256, NULL,
             "Packages that are there, such as `numpy==1.26.4`."),
    {.name = "packageManager",
     .type = SA_MEMBER_ENUM,
     SA_AT(runtime, manager),
     .names = managers,
     .doc = "What installs more."},
    SA_TEXTS(runtime, security_features, "securityFeatures", SA_CONTROLS_MAX, 64, NULL,
             "Isolation controls that it is made to run under."),
    SA_OBJECT(runtime, requirements, "requirements", &requirement_schema,
              "What sandboxes with it need."),
    {.name = NULL}};

static int check_spec(void *value, const struct sa_json_obj *at, struct sa_error *err)
{
    const runtime *r = value;
    if (r->image[0] && r->rootfs[0])
        return sa_json_fail(at, "rootfs", err, "cannot be given together with image");
    return 0;
}

static const struct sa_schema_rule rules[] = {
    {"!has(self.image) || self.image == '' || !has(self.rootfs) || self.rootfs == ''",
     "rootfs: cannot be given together with image"},
    {NULL, NULL}};
static const struct sa_schema spec_schema = {
    .size = sizeof(runtime), .members = spec_members, .check = check_spec, .rules = rules};

/* ---- status ---- */

static const struct sa_member status_members[] = {
    SA_TEXT(status, image_digest, "imageDigest", 128, NULL, "Of the image, as it was found."),
    SA_INT(status, size_bytes, "sizeBytes", 0, 0, "Its size on a node."),
    SA_TEXTS(status, nodes, "nodes", 256, SA_OBJECT_NAME_MAX, NULL, "Nodes on which it is there."),
    SA_OBSERVED_MEMBERS(status),
    {.name = NULL}};
static const struct sa_schema status_schema = SA_SCHEMA(status, status_members);
static const status empty = {.image_digest = ""};

/* ---- the kind ---- */

static const char *language_of(const struct sa_object *object)
{
    return languages[((const runtime *)sa_object_spec(object))->language];
}
static const struct sa_kind_field fields[] = {{"spec.language", language_of}, {NULL, NULL}};

SA_KIND_FUNCTIONS(&spec_schema, &status_schema)

const struct sa_kind sa_kind_runtime_environment = {.name = "RuntimeEnvironment",
                                                    .plural = "runtimeenvironments",
                                                    .api_version = SA_GROUP_VERSION,
                                                    SA_KIND_BY_TABLES,
                                                    .empty_status = &empty,
                                                    .check_update = check_update,
                                                    .fields = fields};

static const char *const short_names[] = {"rte", "runtime", "runtimes", NULL};
static const struct sa_column columns[] = {
    {"Language", ".spec.language", SA_COLUMN_TEXT, 0, "What code is written in"},
    {"Version", ".spec.version", SA_COLUMN_TEXT, 0, "Of the language"},
    {"Image", ".spec.image", SA_COLUMN_TEXT, 1, "What it is made from"},
    {"Packages", ".spec.packageManager", SA_COLUMN_TEXT, 1, "What installs more"},
    {"Age", ".metadata.creationTimestamp", SA_COLUMN_DATE, 0, "Since it was made"},
    {NULL, NULL, SA_COLUMN_TEXT, 0, NULL}};

const struct sa_resource sa_resource_runtime_environment = {.kind = &sa_kind_runtime_environment,
                                                            .singular = "runtimeenvironment",
                                                            .short_names = short_names,
                                                            .columns = columns,
                                                            .spec = &spec_schema,
                                                            .status = &status_schema,
                                                            .doc = "What a sandbox has inside."};

/* ---- those that are built in ---- */

const char *const sa_builtin_runtimes[SA_BUILTIN_COUNT] = {"python", "node", "bash", "go", "base"};

bool sa_runtime_is_builtin(const char *name, enum sa_language *language)
{
    for (int i = 0; i < SA_BUILTIN_COUNT; i++)
        if (strcmp(sa_builtin_runtimes[i], name) == 0) {
            *language = (enum sa_language)i;
            return true;
        }
    return false;
}
