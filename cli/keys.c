/* `secureagent keys`: API keys. */
#include "client.h"
#include "command.h"
#include "show.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "json/write.h"

#include <stdio.h>
#include <string.h>

enum { KEYS_MAX = 10000 };
static const char path[] = "/api/v1/user/apikeys";

static const struct sa_option options[] = {
    {.name = "role",
     .kind = SA_OPTION_STRING,
     .fallback = "developer",
     .value = "ROLE",
     .help = "create: viewer, developer, operator or admin"},
    {.name = "e2b", .kind = SA_OPTION_BOOL, .help = "create: in the format that E2B clients take"},
    {.name = "expires",
     .kind = SA_OPTION_DURATION,
     .value = "TIME",
     .low = 1000,
     .high = 315360000000,
     .help = "create: stops working after so long, e.g. 12h, 30d"},
    SA_OUTPUT_OPTION,
    SA_CLIENT_OPTIONS,
};

static const struct sa_usage usage = {
    .command = "keys",
    .usage = "secureagent keys create NAME | list | revoke ID",
    .about = "Makes, lists and revokes API keys. `create` prints the key, which is not shown "
             "again.",
    .examples = "  secureagent keys create ci --role developer --expires 30d\n"
                "  secureagent keys create agent --e2b\n"
                "  secureagent keys list\n"
                "  secureagent keys revoke key-aaaaaaaaaaaaaaaaaaaa\n",
};

struct keys {
    const struct sa_config *config;
    struct sa_client *client;
    struct sa_arena *arena;
    enum sa_output output;
};

/* Send, and show the answer as it is or hand it over decoded (then free *doc). */
static int send_request(struct keys *keys, const struct sa_client_request *request,
                        struct sa_json_doc **doc, struct sa_json_obj *root, struct sa_error *err)
{
    *doc = NULL;
    if (sa_client_send(keys->client, request, err) < 0)
        return -1;
    if (keys->output != SA_OUTPUT_TABLE) {
        *doc = NULL;
        return sa_output_print(keys->output, request->answer->data, request->answer->length, err);
    }
    *doc = sa_client_json(request->answer, keys->arena, root, err);
    return *doc ? 0 : -1;
}

static int create_key(struct keys *keys, const char *name, struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_autobuf answer = SA_BUF_INIT;
    int64_t expires_ms = sa_config_ms(keys->config, "expires");
    const char *key, *id;
    struct sa_json_doc *doc;
    struct sa_json_obj root;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "name", name);
    sa_json_put_string(&w, "role", sa_config_string(keys->config, "role"));
    if (sa_config_bool(keys->config, "e2b"))
        sa_json_put_string(&w, "format", "e2b");
    if (expires_ms)
        sa_json_put_int(&w, "expiresIn", expires_ms / 1000);
    sa_json_w_end_object(&w);
    struct sa_client_request request = {.method = "POST",
                                        .path = path,
                                        .body = body.data,
                                        .body_length = body.length,
                                        .answer = &answer};
    int rc = send_request(keys, &request, &doc, &root, err);
    if (rc == 0 && doc && (rc = sa_json_get_string(&root, "key", 256, &key, err)) == 0 &&
        (rc = sa_json_get_string(&root, "id", 64, &id, err)) == 0) {
        puts(key); /* alone on standard output, for KEY=$(secureagent keys create ...) */
        fprintf(stderr, "made %s; the key is not shown again\n", id);
    }
    sa_json_free(doc);
    if (answer.data)
        explicit_bzero(answer.data, answer.length);
    return rc;
}

static int add_row(struct sa_table *table, struct sa_json_obj *item, struct sa_error *err)
{
    const char *id, *name, *role, *prefix, *created, *expires = "", *used = "";
    char age[SA_SPAN_BYTES], left[SA_SPAN_BYTES] = "", idle[SA_SPAN_BYTES] = "";
    bool revoked = false;
    if (sa_json_get_string(item, "id", 64, &id, err) < 0 ||
        sa_json_get_string(item, "name", 256, &name, err) < 0 ||
        sa_json_get_string(item, "role", 32, &role, err) < 0 ||
        sa_json_get_string(item, "prefix", 32, &prefix, err) < 0 ||
        sa_json_get_string(item, "createdAt", 64, &created, err) < 0 ||
        sa_json_opt_string(item, "expiresAt", 64, &expires, NULL, err) < 0 ||
        sa_json_opt_string(item, "lastUsedAt", 64, &used, NULL, err) < 0 ||
        sa_json_opt_bool(item, "revoked", &revoked, NULL, err) < 0)
        return -1;
    int64_t now = sa_wall_ms(), end = *expires ? sa_time_parse(expires) : 0;
    sa_span(now - sa_time_parse(created), age);
    if (end > now)
        sa_span(end - now, left);
    if (*used)
        sa_span(now - sa_time_parse(used), idle);
    const char *const cells[] = {
        id,  name, role, prefix, revoked ? "revoked" : end && end <= now ? "expired" : "valid",
        age, left, idle};
    for (size_t i = 0; i < SA_COUNT(cells); i++)
        sa_table_add(table, cells[i]);
    return 0;
}

static int show(struct sa_json_obj *root, struct sa_error *err)
{
    static const char *const heading[] = {"ID",    "NAME", "ROLE",       "PREFIX",
                                          "STATE", "AGE",  "EXPIRES IN", "LAST USED"};
    struct sa_table table = {.columns = SA_COUNT(heading)};
    struct sa_json_arr items;
    struct sa_json_obj item;
    int rc = sa_json_get_arr(root, "items", KEYS_MAX, &items, err);
    for (size_t i = 0; rc == 0 && i < SA_COUNT(heading); i++)
        sa_table_add(&table, heading[i]);
    for (size_t i = 0; rc == 0 && i < items.count; i++) {
        rc = sa_json_arr_obj(&items, i, &item, err);
        if (rc == 0)
            rc = add_row(&table, &item, err);
    }
    if (rc == 0)
        sa_table_print(&table);
    sa_table_deinit(&table);
    return rc;
}

static int list_keys(struct keys *keys, struct sa_error *err)
{
    sa_autobuf answer = SA_BUF_INIT;
    struct sa_json_doc *doc;
    struct sa_json_obj root;
    struct sa_client_request request = {.method = "GET", .path = path, .answer = &answer};
    int rc = send_request(keys, &request, &doc, &root, err);
    if (rc == 0 && doc)
        rc = show(&root, err);
    sa_json_free(doc);
    return rc;
}

static int revoke_key(struct keys *keys, const char *id, struct sa_error *err)
{
    sa_autobuf one = SA_BUF_INIT;
    sa_buf_printf(&one, "%s/", path);
    sa_url_escape(&one, id, false);
    struct sa_client_request request = {.method = "DELETE", .path = one.data};
    if (sa_client_send(keys->client, &request, err) < 0)
        return err->code == SA_ENOTFOUND
                   ? sa_error_set(err, SA_ENOTFOUND,
                                  "no API key has the id \"%.64s\" (`secureagent keys list` shows "
                                  "the ids)",
                                  id)
                   : sa_error_wrap(err, "%.64s", id);
    puts(id);
    return 0;
}

static int open_client(struct keys *keys, struct sa_error *err)
{
    if (sa_output_read(keys->config, &keys->output, err) < 0)
        return -1;
    keys->client = sa_client_open(keys->config, err);
    return keys->client ? 0 : -1;
}

/* Returns an exit status, or -1. */
static int dispatch(struct keys *keys, char *const *args, size_t count, struct sa_error *err)
{
    const char *verb = count ? args[0] : "";
    int rc;
    if (strcmp(verb, "create") == 0 && count == 2)
        rc = open_client(keys, err) < 0 ? -1 : create_key(keys, args[1], err);
    else if (strcmp(verb, "list") == 0 && count == 1)
        rc = open_client(keys, err) < 0 ? -1 : list_keys(keys, err);
    else if (strcmp(verb, "revoke") == 0 && count == 2)
        rc = open_client(keys, err) < 0 ? -1 : revoke_key(keys, args[1], err);
    else
        rc = sa_command_misused(&usage, "expected create NAME, list or revoke ID");
    return rc;
}

static int run(int argc, char **argv)
{
    int status;
    struct sa_error error;
    char *const *args;
    struct sa_config *config =
        sa_command_load(&usage, options, SA_COUNT(options), argc, argv, SA_CONFIG_MIXED, &status);
    if (!config)
        return status;
    struct keys keys = {.config = config, .arena = sa_arena_new()};
    size_t count = sa_config_args(config, &args);
    status = dispatch(&keys, args, count, &error);
    if (status < 0)
        status = sa_command_fail(&usage, &error);
    sa_client_close(keys.client);
    sa_arena_free(keys.arena);
    sa_config_free(config);
    return status;
}

const struct sa_command sa_command_keys = {
    .name = "keys",
    .summary = "make, list and revoke API keys",
    .run = run,
    .options = options,
    .option_count = SA_COUNT(options),
};
