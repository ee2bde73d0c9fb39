#include "sandboxes.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 500, CURSOR_MAX = 256, NAMES_SHOWN = 5 };

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
    if (json->length && json->data[json->length - 1] == '}')
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

static void add_query(struct sa_buf *path, const char *name, const char *value)
{
    sa_buf_printf(path, "&%s=", name);
    sa_url_escape(path, value, false);
}

int sa_each_sandbox(struct sa_client *client, const struct sa_sandbox_query *query,
                    sa_sandbox_visit *visit, void *user, struct sa_buf *json, struct sa_error *err)
{
    const struct walk walk = {visit, user, json};
    sa_autobuf cursor = SA_BUF_INIT;
    do {
        sa_autobuf path = SA_BUF_INIT;
        sa_autobuf answer = SA_BUF_INIT;
        struct sa_json_obj root;
        sa_buf_printf(&path, "/api/v1/sandboxes?limit=%d&all=%s", PAGE,
                      query->ended ? "true" : "false");
        if (query->selector)
            add_query(&path, "labelSelector", query->selector);
        if (cursor.length)
            add_query(&path, "cursor", cursor.data);
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

struct search {
    const char *text;
    size_t length;
    char id[SA_ID_BYTES];
    size_t found;
    bool exact;
    struct sa_buf *names; /* of what was found */
};

static int look(void *user, struct sa_json_obj *item, struct sa_error *err)
{
    struct search *s = user;
    const char *id, *name;
    if (sa_json_get_string(item, "id", SA_ID_BYTES - 1, &id, err) < 0 ||
        sa_json_get_string(item, "name", 256, &name, err) < 0)
        return -1;
    bool exact = strcmp(id, s->text) == 0 || strcmp(name, s->text) == 0;
    if (!exact && (s->exact || (strncmp(id, s->text, s->length) != 0 &&
                                strncmp(name, s->text, s->length) != 0)))
        return 0;
    if (exact && !s->exact) { /* beats those that only begin like it */
        s->found = 0;
        s->names->length = 0;
    }
    s->exact = exact;
    snprintf(s->id, sizeof s->id, "%s", id);
    if (s->found++ < NAMES_SHOWN)
        sa_buf_printf(s->names, "%s%s", s->names->length ? ", " : "", id);
    return 0;
}

int sa_sandbox_resolve(struct sa_client *client, const char *text, char id[SA_ID_BYTES],
                       struct sa_error *err)
{
    sa_autobuf names = SA_BUF_INIT;
    struct search s = {.text = text, .length = strlen(text), .names = &names};
    const struct sa_sandbox_query query = {.ended = false};
    if (sa_id_valid("sb-", text)) {
        snprintf(id, SA_ID_BYTES, "%s", text);
        return 0;
    }
    if (!s.length)
        return sa_error_set(err, SA_EINVALID, "the name of the sandbox is empty");
    if (sa_each_sandbox(client, &query, look, &s, NULL, err) < 0)
        return -1;
    if (s.found == 0)
        return sa_error_set(
            err, SA_ENOTFOUND,
            "no sandbox that lives has the id or name \"%.64s\" (`secureagent ps` lists them, "
            "`ps -a` also those that have ended, and why)",
            text);
    if (s.found > 1)
        return sa_error_set(err, SA_ECONFLICT, "\"%.64s\" could be any of %zu sandboxes: %s%s",
                            text, s.found, names.data, s.found > NAMES_SHOWN ? ", ..." : "");
    memcpy(id, s.id, sizeof s.id);
    return 0;
}

/* ---- making one ---- */

void sa_sandbox_put_options(const struct sa_config *config, struct sa_json_w *w)
{
    static const char *const members[][2] = {{"level", "securityLevel"},
                                             {"profile", "profileRef"},
                                             {"warm", "warm"},
                                             {"pool", "warmPool"}};
    for (size_t i = 0; i < SA_COUNT(members); i++)
        if (sa_config_string(config, members[i][0]))
            sa_json_put_string(w, members[i][1], sa_config_string(config, members[i][0]));
}
