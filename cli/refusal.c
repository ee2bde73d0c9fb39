/* What an answer that is not 2xx says of itself: {"error": {"code", "message", "details"}}. */
#include "client_private.h"

#include "base/cleanup.h"
#include "json/notes.h"

#include <stdio.h>
#include <string.h>

static int read_detail(struct sa_json_arr *details, size_t index, struct sa_error *err)
{
    struct sa_json_obj detail;
    const char *path = "", *reason = "";
    if (sa_json_arr_obj(details, index, &detail, NULL) < 0 ||
        sa_json_opt_string(&detail, "path", sizeof err->path - 1, &path, NULL, NULL) < 0 ||
        sa_json_opt_string(&detail, "reason", sizeof err->message - 1, &reason, NULL, NULL) < 0)
        return -1;
    snprintf(err->path, sizeof err->path, "%s", path);
    snprintf(err->message, sizeof err->message, "%s", reason);
    return 0;
}

/* The field that it is about, where the answer names one. When its message is the first of several
 * details and the number of the others, they are the mistakes, and the error is the first. */
static void take_details(struct sa_json_obj *error, struct sa_json_notes *mistakes,
                         struct sa_error *err)
{
    struct sa_json_arr details = {.count = 0};
    struct sa_error detail = {.code = err->code};
    bool failed;
    if (sa_json_opt_arr(error, "details", 64, &details, NULL, NULL) < 0 || !details.count ||
        read_detail(&details, 0, &detail) < 0)
        return;
    snprintf(err->path, sizeof err->path, "%s", detail.path);
    if (details.count == 1 || !detail.message[0] ||
        strncmp(err->message, detail.message, strlen(detail.message)) != 0)
        return;
    *err = detail;
    for (size_t i = 0; i < details.count && read_detail(&details, i, &detail) == 0; i++)
        sa_json_go_on(mistakes, -1, &detail, &failed);
}

static enum sa_code code_of(long status, const char *name)
{
    static const struct {
        const char *name;
        enum sa_code code;
    } by_name[] = {{"policy_denied", SA_EPOLICY}, {"quota_exceeded", SA_EQUOTA}};
    static const struct {
        long status;
        enum sa_code code;
    } by_status[] = {{400, SA_EINVALID},     {401, SA_EUNAUTHORIZED}, {403, SA_EFORBIDDEN},
                     {404, SA_ENOTFOUND},    {408, SA_ETIMEOUT},      {410, SA_EEXPIRED},
                     {409, SA_ECONFLICT},    {413, SA_ETOOLARGE},     {429, SA_ERATELIMITED},
                     {503, SA_EUNAVAILABLE}, {504, SA_ETIMEOUT}};
    for (size_t i = 0; i < SA_COUNT(by_name); i++)
        if (strcmp(by_name[i].name, name) == 0)
            return by_name[i].code;
    for (size_t i = 0; i < SA_COUNT(by_status); i++)
        if (by_status[i].status == status)
            return by_status[i].code;
    return SA_EINTERNAL;
}

static void read_error(struct sa_json_obj *error, const char *url, long status,
                       struct sa_json_notes *mistakes, struct sa_error *err)
{
    const char *name = "", *message = NULL;
    sa_json_opt_string(error, "code", 64, &name, NULL, NULL);
    sa_json_opt_string(error, "message", 4096, &message, NULL, NULL);
    const enum sa_code code = code_of(status, name);
    if (message && code == SA_EUNAUTHORIZED)
        sa_error_set(err, code, "%s (at %s; see --api-key and SECUREAGENT_API_KEY)", message, url);
    else if (message)
        sa_error_set(err, code, "%s", message);
    else
        sa_error_set(err, code, "%s answered with status %ld", url, status);
    if (message && err)
        take_details(error, mistakes, err);
}

int sa_refusal_read(const char *url, long status, const struct sa_buf *body,
                    struct sa_json_notes *mistakes, struct sa_error *err)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_obj root, error;
    struct sa_json_doc *doc = sa_json_parse(body->data ? body->data : "", body->length, NULL, NULL);
    if (doc && sa_json_root(doc, arena, &root, NULL) == 0 &&
        sa_json_get_obj(&root, "error", &error, NULL) == 0)
        read_error(&error, url, status, mistakes, err);
    else
        sa_error_set(err, code_of(status, ""), "%s answered with status %ld", url, status);
    sa_json_free(doc);
    sa_arena_free(arena);
    return -1;
}
