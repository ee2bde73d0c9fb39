/*
 * What the handlers of files share: an entry as the runtime describes it, and one call to the
 * runtime in the name of one request. One loop thread.
 */
#ifndef SA_API_FILES_H
#define SA_API_FILES_H

#include "api/app.h"

enum { SA_FILE_VERSION_BYTES = 72, SA_FILE_ETAG_BYTES = SA_FILE_VERSION_BYTES + 2 };

struct sa_file_entry {
    char name[256 * 3], path[4096], type[16], target[4096];
    char version[SA_FILE_VERSION_BYTES]; /* hexadecimal digits and '-' */
    int64_t size, modified_ms, permissions, created;
};

/* From the fields of a result, or of an SA_FILE_ENTRY inside it. The runtime lives with the code
 * that it runs: what cannot be becomes what can. */
void sa_file_entry_read(struct sa_fields fields, struct sa_file_entry *entry);
void sa_file_entry_print(const struct sa_file_entry *entry, struct sa_json_w *w); /* FileEntry */
/* Quoted, as in the header. */
void sa_file_etag(const struct sa_file_entry *entry, char out[SA_FILE_ETAG_BYTES]);

/* What is done, in the words of the policies and of the runtime; paths as the client gave them. */
struct sa_file_what {
    const char *operation; /* "read" ... (policy/points.h) */
    enum sa_link_method method;
    const char *path, *to; /* `to` NULL: there is none */
    int64_t bytes;         /* of a write, if known; else -1 */
    bool recursive;        /* of a list or watch */
};

/* The request's end and the call's end may come in any order. In the request's arena. */
struct sa_file_op {
    struct sa_app *app;
    struct sa_http_request *request;
    const struct sa_principal *principal;
    void *user; /* of the handler */
    enum sa_link_method method;
    const char *path, *to; /* normal: what was asked about, and is used */
    struct sa_buf body;    /* the call's other fields */
    const struct sa_call_events *events;
    void (*opened)(struct sa_file_op *op); /* NULL: nothing to do then */
    struct sa_call *call;                  /* NULL once ended */
    size_t held;                           /* credit kept back because the client is slow */
    bool writable;
    int format; /* of an archive, until its own part begins */
    bool noted; /* the entry of a file has come */
    size_t listed;
    struct sa_buf list;
    struct sa_json_w w;
};

struct sa_file_op *sa_file_op_new(struct sa_app *app, struct sa_http_request *request,
                                  const struct sa_principal *principal);
/* Ask the policies, and open the call when they allow it: then `opened` comes. All else is answered
 * here. `body` are the fields besides the paths; it is copied. */
void sa_file_op_open(struct sa_file_op *op, const struct sa_file_what *what,
                     const struct sa_buf *body, const struct sa_call_events *events,
                     void (*opened)(struct sa_file_op *op));
/* The call once more, with other fields; when none is open. */
void sa_file_op_again(struct sa_file_op *op, const struct sa_buf *body);
/* The answer is known before the call's end, or nobody waits for one: take the request out of it.
 */
void sa_file_op_leave(struct sa_file_op *op);
/* The call ended: answer an error. True when there was one. */
bool sa_file_op_failed(struct sa_file_op *op, const struct sa_error *error);
/* The runtime does not keep to the protocol: enough of it. */
void sa_file_op_broken(struct sa_file_op *op);
/* The one entry that goes before the bytes of a file; false when there was one already. */
bool sa_file_op_first_entry(struct sa_file_op *op, struct sa_fields *fields,
                            struct sa_file_entry *entry);
/* The client can take more: give back the credit that was held. For on_writable. */
void sa_file_op_writable(struct sa_http_request *request, void *user);
/* Answer with the entry that a call ended with: 201 when it is new, else 200. For `ended`. */
void sa_file_op_answer_entry(void *user, const struct sa_error *error, struct sa_fields *fields);

/* A FileEvent from an SA_FILE_EVENT; -1: it is none. */
int sa_file_event_print(const struct sa_field *event, struct sa_json_w *out);
/* "644", "0755" to permission bits; -1: malformed. */
int sa_file_mode_parse(const char *text, int64_t *mode);
/* The path as it is used: absolute, without empty components and "."; relative ones begin at
 * /workspace. Of the arena. SA_EINVALID at `field`: it is empty, too long, or holds "..". */
int sa_file_path_normal(const char *path, const char *field, struct sa_arena *arena,
                        const char **normal, struct sa_error *err);
/* The path parameter of the route, absolute. */
const char *sa_file_route_path(struct sa_http_request *request);

sa_api_handler sa_handle_move_file, sa_handle_copy_file, sa_handle_chmod_file, sa_handle_mkdir,
    sa_handle_export_files, sa_handle_import_files, sa_handle_watch_files;

/* Signed URLs for files (api/sign.h). */
bool sa_grant_file(struct sa_http_request *request, struct sa_grant *grant);

#endif
