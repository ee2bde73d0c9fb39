/* `secureagent rm`: end sandboxes. */
#include "sandboxes.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

static const struct sa_option options[] = {
    {.name = "all", .letter = 'a', .kind = SA_OPTION_BOOL, .help = "every sandbox that lives"},
    SA_CLIENT_OPTIONS,
};

static const struct sa_usage usage = {
    .command = "rm",
    .usage = "secureagent rm SANDBOX... | --all",
    .about = "Ends sandboxes and everything in them; prints the id of each once nothing of it is "
             "left.",
    .examples = "  secureagent rm web\n"
                "  secureagent rm sb-aaaaaaaaaaaaaaaaaaaa sb-bbbbbbbbbbbbbbbbbbbb\n"
                "  secureagent rm --all\n",
};

struct ids {
    char **items;
    size_t count;
};

static int collect(void *user, struct sa_json_obj *item, struct sa_error *err)
{
    struct ids *ids = user;
    const char *id;
    if (sa_json_get_string(item, "id", 64, &id, err) < 0)
        return -1;
    ids->items = sa_realloc(ids->items, (ids->count + 1) * sizeof *ids->items);
    ids->items[ids->count++] = sa_strdup(id);
    return 0;
}

static int remove_one(struct sa_client *client, const char *name, struct sa_error *err)
{
    char id[SA_ID_BYTES];
    if (sa_sandbox_resolve(client, name, id, err) < 0)
        return -1;
    sa_autofree char *path = sa_printf("/api/v1/sandboxes/%s", id);
    struct sa_client_request request = {.method = "DELETE", .path = path};
    if (sa_client_send(client, &request, err) < 0) /* "no sandbox ..." names it already */
        return err->code == SA_ENOTFOUND ? -1 : sa_error_wrap(err, "%.64s", id);
    puts(id);
    return 0;
}

/* Goes on after a failure; the exit status is that of the last one. `gone_is_fine`: with --all
 * a sandbox may end by itself in between. */
static int remove_each(struct sa_client *client, char *const *names, size_t count,
                       bool gone_is_fine)
{
    struct sa_error error;
    int status = 0;
    for (size_t i = 0; i < count; i++)
        if (remove_one(client, names[i], &error) < 0 &&
            !(gone_is_fine && error.code == SA_ENOTFOUND))
            status = sa_command_fail(&usage, &error);
    return status;
}

static int remove_all(struct sa_client *client, struct sa_error *err)
{
    struct ids ids = {NULL, 0};
    const struct sa_sandbox_query query = {.ended = false};
    int status = sa_each_sandbox(client, &query, collect, &ids, NULL, err);
    if (status == 0)
        status = remove_each(client, ids.items, ids.count, true);
    for (size_t i = 0; i < ids.count; i++)
        free(ids.items[i]);
    free(ids.items);
    return status;
}

static int remove_those(struct sa_invocation *in, struct sa_error *err)
{
    bool all = sa_config_bool(in->config, "all");
    if (all == (in->arg_count > 0))
        return sa_command_misused(&usage, all ? "either names or --all" : "which sandboxes?");
    return all ? remove_all(in->client, err)
               : remove_each(in->client, in->args, in->arg_count, false);
}

const struct sa_command sa_command_rm = {.name = "rm",
                                         .summary = "end sandboxes",
                                         .usage = &usage,
                                         .most = SIZE_MAX,
                                         .body = remove_those,
                                         .options = options,
                                         .option_count = SA_COUNT(options),
                                         .takes_sandbox = true};
