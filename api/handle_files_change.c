/* POST …/files/move, copy, chmod, mkdir: what is asked for in a body, and answered with the entry.
 */
#include "api/files.h"

#include "json/json.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 32 * 1024, PATH_BYTES_MAX = 4096 };

/* The members besides `path`: to paths, and to the fields of a call. */
typedef int decode_change(struct sa_json_obj *root, struct sa_file_what *what, struct sa_buf *body,
                          struct sa_error *err);

struct change {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_file_what what;
    decode_change *decode;
};

static int decode_from_to(struct sa_json_obj *root, struct sa_file_what *what, struct sa_buf *body,
                          struct sa_error *err)
{
    bool overwrite = true;
    if (sa_json_get_string(root, "to", PATH_BYTES_MAX, &what->to, err) < 0 ||
        sa_json_opt_bool(root, "overwrite", &overwrite, NULL, err) < 0)
        return -1;
    sa_fields_add_int(body, SA_FILE_PARENTS, 1);
    sa_fields_add_int(body, SA_FILE_KEEP, !overwrite);
    return 0;
}

static int add_mode(struct sa_json_obj *root, const char *text, struct sa_buf *body,
                    struct sa_error *err)
{
    int64_t mode;
    if (sa_file_mode_parse(text, &mode) < 0)
        return sa_json_fail(root, "mode", err, "expected permission bits in octal, e.g. \"0644\"");
    sa_fields_add_int(body, SA_FILE_MODE, mode);
    return 0;
}

static int decode_chmod(struct sa_json_obj *root, struct sa_file_what *what, struct sa_buf *body,
                        struct sa_error *err)
{
    const char *mode;
    (void)what;
    if (sa_json_get_string(root, "mode", 8, &mode, err) < 0)
        return -1;
    return add_mode(root, mode, body, err);
}

static int decode_mkdir(struct sa_json_obj *root, struct sa_file_what *what, struct sa_buf *body,
                        struct sa_error *err)
{
    const char *mode = NULL;
    bool present;
    (void)what;
    if (sa_json_opt_string(root, "mode", 8, &mode, &present, err) < 0)
        return -1;
    return present ? add_mode(root, mode, body, err) : 0;
}

static int decode(struct change *c, const char *text, size_t length, struct sa_arena *arena,
                  struct sa_buf *body, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_doc *doc = sa_json_parse(text, length, NULL, err);
    if (!doc)
        return -1;
    int rc = -1;
    if (sa_json_root(doc, arena, &root, err) == 0 &&
        sa_json_get_string(&root, "path", PATH_BYTES_MAX, &c->what.path, err) == 0 &&
        c->decode(&root, &c->what, body, err) == 0)
        rc = sa_json_finish(&root, err);
    sa_json_free(doc);
    return rc;
}

static void on_body(struct sa_http_request *request, const char *text, size_t length, void *user)
{
    static const struct sa_call_events events = {.ended = sa_file_op_answer_entry};
    struct change *c = user;
    struct sa_error error;
    sa_autobuf body = SA_BUF_INIT;
    if (decode(c, text, length, sa_http_request_arena(request), &body, &error) < 0)
        sa_http_respond_error(request, &error);
    else
        sa_file_op_open(sa_file_op_new(c->app, request, c->principal), &c->what, &body, &events,
                        NULL);
}

static void start(struct sa_app *app, struct sa_http_request *request,
                  const struct sa_principal *principal, const char *operation,
                  enum sa_link_method method, decode_change *decoder)
{
    struct change *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    *c = (struct change){
        app, principal, {.operation = operation, .method = method, .bytes = -1}, decoder};
    sa_http_request_collect(request, BODY_MAX, on_body, c);
}

void sa_handle_move_file(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    start(app, request, principal, "move", SA_METHOD_FILE_MOVE, decode_from_to);
}

void sa_handle_copy_file(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    start(app, request, principal, "copy", SA_METHOD_FILE_COPY, decode_from_to);
}

void sa_handle_chmod_file(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    start(app, request, principal, "chmod", SA_METHOD_FILE_CHMOD, decode_chmod);
}

void sa_handle_mkdir(struct sa_app *app, struct sa_http_request *request,
                     const struct sa_principal *principal)
{
    start(app, request, principal, "mkdir", SA_METHOD_FILE_MKDIR, decode_mkdir);
}
