/* `secureagent get`: resources as tables, or for programs. */
#include "get.h"

#include "command.h"
#include "sandboxes.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 500, NAMES_MAX = 1000 };

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "output", .letter = 'o', .kind = SA_OPTION_STRING, .fallback = "table",
     .value = "FORMAT", .help = "table, wide (more columns), json, yaml or name"},
    {.name = "selector", .letter = 'l', .kind = SA_OPTION_STRING, .value = "SELECTOR",
     .help = "only those whose labels match, e.g. team=a,env!=test"},
    {.name = "field-selector", .kind = SA_OPTION_STRING, .value = "SELECTOR",
     .help = "only those whose fields match, e.g. status.phase=Ready"},
    {.name = "watch", .letter = 'w', .kind = SA_OPTION_BOOL,
     .help = "go on with what changes, a row each, until Ctrl-C"},
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "get",
    .usage = "secureagent get KIND [NAME...] | KIND/NAME... [options]",
    .about = "Lists resources, or those that are named. Kinds: sandboxes (sb), warmpools (pool), "
             "warmpods\n(wpod), runtimes (rte), profiles (sbp), pods (po). With --watch it goes on "
             "with a row for each\nchange, and where it was after the connection broke.",
    .examples = "  secureagent get warmpools\n"
                "  secureagent get warmpools -w\n"
                "  secureagent get pool python -o yaml\n"
                "  secureagent get warmpods --field-selector spec.pool=python -o wide\n"
                "  secureagent get sandboxes -l team=data -o name\n",
};

/* ---- asking ---- */

static bool is_flat(const struct sa_get *get)
{
    return get->resource == &sa_resource_sandbox;
}

static void add_query(struct sa_buf *path, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    sa_buf_printf(path, "&%s=", name);
    sa_url_escape(path, value, false);
}

/* Of sandboxes the API selects by phase only. */
static int check_fields(const struct sa_get *get, struct sa_error *err)
{
    static const char phase[] = "status.phase=";
    if (!is_flat(get) || !get->fields || strncmp(get->fields, phase, sizeof phase - 1) == 0)
        return 0;
    return sa_error_at(err, SA_EINVALID, "field-selector",
                       "--field-selector: of sandboxes only status.phase=PHASE");
}

void sa_get_list_path(const struct sa_get *get, const char *query, struct sa_buf *path)
{
    sa_buf_printf(path, "/api/v1/%s?%s", sa_resource_path(get->resource), query);
    add_query(path, "labelSelector", get->labels);
    if (is_flat(get))
        add_query(path, "phase", get->fields ? strchr(get->fields, '=') + 1 : NULL);
    else
        add_query(path, "fieldSelector", get->fields);
}

struct visiting {
    sa_get_visit *visit;
    void *user;
    struct sa_buf *version, *more; /* `more`: the token of the next page */
};

static void take_text(struct sa_buf *out, const char *text)
{
    out->length = 0;
    sa_buf_adds(out, text);
}

static int visit_page(const struct sa_json_value *page, const struct visiting *v,
                      struct sa_error *err)
{
    const struct sa_json_value *items = sa_json_first(page);
    while (items && strcmp(sa_json_value_key(items), "items") != 0)
        items = sa_json_next(items);
    if (!items || sa_json_value_type(items) != SA_JSON_ARRAY)
        return sa_error_set(err, SA_EPROTOCOL, "the server's answer is no list");
    for (const struct sa_json_value *i = sa_json_first(items); i; i = sa_json_next(i))
        v->visit(v->user, i);
    const char *token = sa_object_text(page, ".metadata.continue");
    take_text(v->more, *token ? token : sa_object_text(page, ".cursor"));
    if (v->version)
        take_text(v->version, sa_object_text(page, ".metadata.resourceVersion"));
    return 0;
}

/* GET, parsed; `whole`: the answer is the object, else a page of a list. */
static int ask(const struct sa_get *get, const char *path, bool whole, const struct visiting *v,
               struct sa_error *err)
{
    struct sa_json_obj root;
    sa_autobuf answer = SA_BUF_INIT;
    if (sa_resource_send(get->client, "GET", path, NULL, &answer, err) < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
    int rc = doc ? 0 : -1;
    if (doc && whole)
        v->visit(v->user, sa_json_top(doc));
    else if (doc)
        rc = visit_page(sa_json_top(doc), v, err);
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static int each_named(const struct sa_get *get, const struct visiting *v, struct sa_error *err)
{
    for (size_t i = 0; i < get->name_count; i++) {
        sa_autofree char *url = sa_resource_url(get->client, get->resource, get->names[i], err);
        if (!url || ask(get, url, true, v, err) < 0)
            return -1;
    }
    return 0;
}

int sa_get_each(const struct sa_get *get, sa_get_visit *visit, void *user, struct sa_buf *version,
                struct sa_error *err)
{
    sa_autobuf more = SA_BUF_INIT;
    const struct visiting v = {visit, user, version, &more};
    if (get->name_count)
        return each_named(get, &v, err);
    if (check_fields(get, err) < 0)
        return -1;
    do {
        sa_autobuf path = SA_BUF_INIT;
        sa_autofree char *limit = sa_printf("limit=%d", PAGE);
        sa_get_list_path(get, limit, &path);
        add_query(&path, is_flat(get) ? "cursor" : "continue", more.data);
        if (ask(get, path.data, false, &v, err) < 0)
            return -1;
    } while (more.length);
    return 0;
}

/* ---- showing ---- */

static void print_name(const struct sa_get *get, const struct sa_json_value *object)
{
    sa_autofree char *name = sa_strdup(sa_object_text(object, ".metadata.name"));
    sa_make_printable(name);
    printf("%s/%s\n", get->resource->singular, name);
}

void sa_get_print(const struct sa_get *get, const struct sa_json_value *object)
{
    sa_autobuf text = SA_BUF_INIT;
    if (get->output == SA_OUTPUT_NAME) {
        print_name(get, object);
        return;
    }
    sa_json_value_print(object, &text);
    if (get->output == SA_OUTPUT_YAML)
        puts("---");
    sa_output_print(get->output, text.data, text.length, NULL);
}

struct showing {
    const struct sa_get *get;
    struct sa_rows rows;
    struct sa_buf items; /* JSON, with commas in between */
    size_t count;
};

static void show_one(void *user, const struct sa_json_value *object)
{
    struct showing *s = user;
    if (s->get->output == SA_OUTPUT_NAME) {
        print_name(s->get, object);
    } else if (s->get->output == SA_OUTPUT_TABLE || s->get->output == SA_OUTPUT_WIDE) {
        sa_rows_add(&s->rows, object, NULL);
    } else {
        if (s->items.length)
            sa_buf_addc(&s->items, ',');
        sa_json_value_print(object, &s->items);
    }
    s->count++;
}

static int finish(struct showing *s, struct sa_error *err)
{
    const struct sa_get *get = s->get;
    if (get->output == SA_OUTPUT_NAME)
        return 0;
    if (get->output == SA_OUTPUT_JSON || get->output == SA_OUTPUT_YAML) {
        sa_autobuf list = SA_BUF_INIT;
        if (get->name_count == 1)
            return sa_output_print(get->output, s->items.data, s->items.length, err);
        sa_buf_printf(&list, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[%s]}",
                      s->items.data ? s->items.data : "");
        return sa_output_print(get->output, list.data, list.length, err);
    }
    if (s->count)
        sa_table_print(&s->rows.table);
    else
        fprintf(stderr, "there are no %s%s\n", sa_resource_path(get->resource),
                get->labels || get->fields ? " that match" : "");
    return 0;
}

static int show(const struct sa_get *get, struct sa_error *err)
{
    struct showing s = {.get = get, .items = SA_BUF_INIT};
    sa_rows_init(&s.rows, get->resource, get->output == SA_OUTPUT_WIDE);
    int rc = sa_get_each(get, show_one, &s, NULL, err);
    if (rc == 0)
        rc = finish(&s, err);
    sa_table_deinit(&s.rows.table);
    sa_buf_deinit(&s.items);
    return rc;
}

static int get_those(struct sa_invocation *in, struct sa_error *err)
{
    const char *names[NAMES_MAX];
    struct sa_get get = {.client = in->client,
                         .names = names,
                         .labels = sa_config_string(in->config, "selector"),
                         .fields = sa_config_string(in->config, "field-selector"),
                         .command = usage.command};
    if (sa_output_read_more(in->config, &get.output, err) < 0 ||
        sa_targets_read(in->args, in->arg_count, &get.resource, names, &get.name_count, err) < 0)
        return -1;
    if (get.name_count && (get.labels || get.fields))
        return sa_command_misused(&usage, "either names or selectors");
    if (!sa_config_bool(in->config, "watch"))
        return show(&get, err);
    if (get.name_count > 1)
        return sa_command_misused(&usage, "--watch takes one name, or all of a kind");
    return sa_get_follow(&get, err);
}

const struct sa_command sa_command_get = {.name = "get",
                                          .summary = "list resources, follow what changes",
                                          .usage = &usage,
                                          .least = 1,
                                          .most = NAMES_MAX,
                                          .body = get_those,
                                          .options = options,
                                          .option_count = SA_COUNT(options),
                                          .takes_kind = true};
