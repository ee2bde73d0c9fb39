/* What the file methods share: the request, the entry that describes a file, its kind. */
#ifndef SA_RUNTIME_FILE_H
#define SA_RUNTIME_FILE_H

#include "base/buf.h"
#include "path.h"

#include <stdint.h>
#include <sys/stat.h>

/* SA_FILE_IF_*: lists of versions, each with its NUL. */
struct sa_file_conditions {
    bool match_given, none_match_given;
    struct sa_buf match, none_match;
    int64_t unmodified_s; /* INT64_MAX: any time will do */
};

struct sa_file_request {
    char *path, *to, *glob;
    bool recursive, parents, keep;
    int64_t mode; /* -1: not given */
    int64_t offset;
    int64_t length; /* -1: to the end */
    int64_t suffix; /* -1: not given */
    int64_t limit;  /* 0: none */
    struct sa_buf cursor;
    struct sa_file_conditions conditions;
};

int sa_file_request_decode(struct sa_file_request *request, const void *body, size_t length,
                           struct sa_error *err);
void sa_file_request_deinit(struct sa_file_request *request);
#define sa_auto_file_request __attribute__((cleanup(sa_file_request_deinit))) struct sa_file_request

/* Does what is there (NULL: nothing) meet them? SA_ECONFLICT, path names the header. */
int sa_file_conditions_check(const struct sa_file_conditions *conditions, const struct stat *st,
                             struct sa_error *err);
/* As above, of what is called `name` in the folder. */
int sa_file_conditions_check_at(const struct sa_file_conditions *conditions, int folder,
                                const char *name, struct sa_error *err);
/* The conditions want nothing to be there. */
bool sa_file_conditions_want_none(const struct sa_file_conditions *conditions);

/* "file", "directory", ... */
const char *sa_file_kind(mode_t mode);
/* Anything but a regular file: SA_EINVALID that says what it is. */
int sa_file_check_regular(mode_t mode, const char *path, struct sa_error *err);

/* SA_FILE_VERSION. */
enum { SA_FILE_VERSION_BYTES = 64 };
void sa_file_version(const struct stat *st, char out[SA_FILE_VERSION_BYTES]);

/* The fields of an entry. `full` is its path, `target` of a link or NULL. Bytes that are not UTF-8
 * become U+FFFD. */
void sa_file_add_entry(struct sa_buf *out, const char *full, const struct stat *st,
                       const char *target);
/* A text field of bytes that may not be UTF-8. */
void sa_file_add_clean_text(struct sa_buf *out, uint16_t tag, const char *text);
/* Of what is called `name` in the folder; -1 with errno. */
int sa_file_add_entry_at(struct sa_buf *out, int folder, const char *name, const char *full);

#endif
