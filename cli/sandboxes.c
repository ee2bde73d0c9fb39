#include "sandboxes.h"

#include "base/cleanup.h"

enum { PAGE = 500, CURSOR_MAX = 256 };

struct walk {
    sa_sandbox_visit *visit;
    void *user;
    struct sa_buf *json;
};

static int append_items(struct sa_json_obj *root, struct sa_buf *json, struct sa_error *err)
{
    const char *text;
    size_t length;
    if (sa_json_get_raw(root, "items", &text, &length, err) < 0)
        return -1;
    if (length <= 2) /* [] */
        return 0;
    if (json->length)
        sa_buf_addc(json, ',');
    sa_buf_add(json, text + 1, length - 2);
    return 0;
}

static int visit_items(struct sa_json_obj *root, const struct walk *walk, struct sa_error *err)
{
    struct sa_json_arr items;
    struct sa_json_obj item;
    if (sa_json_get_arr(root, "items", PAGE, &items, err) < 0)
        return -1;
    for (size_t i = 0; i < items.count; i++)
        if (sa_json_arr_obj(&items, i, &item, err) < 0 || walk->visit(walk->user, &item, err) < 0)
            return -1;
    return 0;
}

/* One page; its cursor, or "" at the end, into `cursor`. */
static int take_page(struct sa_json_obj *root, const struct walk *walk, struct sa_buf *cursor,
                     struct sa_error *err)
{
    const char *next = "";
    int rc = walk->json ? append_items(root, walk->json, err) : visit_items(root, walk, err);
    if (rc < 0 || sa_json_opt_string(root, "cursor", CURSOR_MAX, &next, NULL, err) < 0)
        return -1;
    cursor->length = 0;
    sa_buf_adds(cursor, next);
    return 0;
}

int sa_each_sandbox(struct sa_client *client, bool ended, sa_sandbox_visit *visit, void *user,
                    struct sa_buf *json, struct sa_error *err)
{
    const struct walk walk = {visit, user, json};
    sa_autobuf cursor = SA_BUF_INIT;
    do {
        sa_autobuf path = SA_BUF_INIT;
        sa_autobuf answer = SA_BUF_INIT;
        struct sa_json_obj root;
        sa_buf_printf(&path, "/api/v1/sandboxes?limit=%d&all=%s", PAGE, ended ? "true" : "false");
        if (cursor.length) {
            sa_buf_adds(&path, "&cursor=");
            sa_url_escape(&path, cursor.data, false);
        }
        struct sa_client_request request = {.method = "GET", .path = path.data, .answer = &answer};
        if (sa_client_send(client, &request, err) < 0)
            return -1;
        struct sa_arena *arena = sa_arena_new();
        struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
        int rc = doc ? take_page(&root, &walk, &cursor, err) : -1;
        sa_json_free(doc);
        sa_arena_free(arena);
        if (rc < 0)
            return -1;
    } while (cursor.length);
    return 0;
}
