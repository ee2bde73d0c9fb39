/*
 * What manifests ask for: files and folders read and checked, before anything is done. Each is
 * decoded as the server would (core/model/kinds), so that a mistake is told with file, line and
 * field while nothing has happened yet.
 */
#ifndef SA_CLI_WANTED_H
#define SA_CLI_WANTED_H

#include "command.h"
#include "kinds/resources.h"

struct sa_wanted_file;
struct sa_wanted_item {
    const struct sa_resource *resource;
    const struct sa_object *object; /* NULL: only names were read */
    char *name;
    const char *json; /* as it was written */
    size_t length;
    const struct sa_wanted_file *file;
    size_t index; /* in the file */
};
struct sa_wanted {
    struct sa_wanted_item *items; /* what others refer to comes first */
    size_t count;
    struct sa_wanted_file *files;
};

enum sa_wanted_how {
    SA_WANTED_STRICT,  /* unknown fields are mistakes */
    SA_WANTED_LENIENT, /* they are left out, which is told */
    SA_WANTED_NAMES    /* only kind and metadata.name are looked at */
};
/* Read files, folders (their *.yaml, *.yml and *.json) and "-". Every mistake is told on standard
 * error; then, or when there is nothing in them, SA_EINVALID. Deinit in any case. */
int sa_wanted_read(char *const *paths, size_t count, enum sa_wanted_how how,
                   const struct sa_usage *usage, struct sa_wanted *wanted, struct sa_error *err);
void sa_wanted_deinit(struct sa_wanted *wanted);

/* Put file, document and line, by err->path, before the message. Returns -1. */
int sa_wanted_fail(const struct sa_wanted_item *item, struct sa_error *err);

#endif
