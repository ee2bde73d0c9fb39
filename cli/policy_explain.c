/* `secureagent policy explain`: which rules run for an input, and why it ends as it does. */
#include "policy.h"
#include "sandboxes.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "json/write.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { INPUT_MAX = 1024 * 1024, TEXTS_MAX = 3 };

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "decision", .kind = SA_OPTION_STRING, .value = "ID",
     .help = "explain a past decision: what was asked then is asked again"},
    {.name = "sandbox", .kind = SA_OPTION_STRING, .value = "SANDBOX",
     .help = "the sandbox that it is about: fills in the members of `sandbox`"},
    {.name = "set", .kind = SA_OPTION_LIST, .value = "MEMBER=VALUE",
     .help = "a member of the input, as in --set program=xmrig --set run.timeoutMs=1000"},
    {.name = "dir", .kind = SA_OPTION_LIST, .value = "DIR",
     .help = "ask these rules, over the shipped ones, rather than the server's"},
    SA_OUTPUT_OPTION,
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "policy explain",
    .usage = "secureagent policy explain POINT [FILE|-] [options] | --decision ID",
    .about = "Asks the rules about an input, and prints which ran, in order, what each said and "
             "changed, and what\ncame of it. The input is a JSON file, or is put together from "
             "--sandbox and --set; of a past decision it\nis on record. Nothing happens but the "
             "asking.",
    .examples = "  secureagent policy explain execute --sandbox web --set kind=command --set "
                "program=xmrig\n"
                "  secureagent policy explain --decision dec-aaaaaaaaaaaaaaaaaaaa\n"
                "  secureagent policy explain --decision dec-aaaaaaaaaaaaaaaaaaaa --dir rules\n"
                "  echo '{\"manager\":\"pip\",\"name\":\"left-pad\"}' | secureagent policy explain "
                "packages "
                "- --dir rules\n",
};

struct explain {
    const struct sa_config *config;
    struct sa_client *client; /* opened when it is needed */
    enum sa_output output;
    enum sa_point point;
    struct sa_buf texts[TEXTS_MAX]; /* of the input, each over the one before */
    size_t text_count;
    struct sa_buf before; /* the decision as it was, if that is what is explained */
};

static int open_client(struct explain *e, struct sa_error *err)
{
    if (!e->client)
        e->client = sa_client_open(e->config, err);
    return e->client ? 0 : -1;
}

static struct sa_buf *new_text(struct explain *e)
{
    return &e->texts[e->text_count++];
}

/* ---- the input ---- */

static int read_input(const char *path, struct sa_buf *out, struct sa_error *err)
{
    const char *name = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    return sa_read_file(AT_FDCWD, name, INPUT_MAX, out, err) < 0 ? sa_error_wrap(err, "%s", path)
                                                                 : 0;
}

static void write_sandbox(struct sa_json_obj *root, struct sa_buf *out)
{
    static const char *const names[] = {"id", "name", "runtime", "securityLevel"};
    const char *created = NULL, *labels = NULL;
    size_t length;
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "sandbox");
    for (size_t i = 0; i < SA_COUNT(names); i++) {
        const char *text = NULL;
        sa_json_opt_string(root, names[i], 512, &text, NULL, NULL);
        if (text)
            sa_json_put_string(&w, names[i], text);
    }
    if (sa_json_opt_raw(root, "labels", &labels, &length, NULL, NULL) == 0 && labels)
        sa_json_put_raw(&w, "labels", labels, length);
    if (sa_json_opt_string(root, "createdAt", 64, &created, NULL, NULL) == 0 && created)
        sa_json_put_int(&w, "ageSeconds", (sa_wall_ms() - sa_time_parse(created)) / 1000);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
}

static int add_sandbox(struct explain *e, const char *named, struct sa_error *err)
{
    char id[SA_ID_BYTES];
    sa_autobuf answer = SA_BUF_INIT;
    struct sa_json_obj root;
    if (open_client(e, err) < 0 || sa_sandbox_resolve(e->client, named, id, err) < 0)
        return -1;
    sa_autofree char *path = sa_printf("/api/v1/sandboxes/%s", id);
    if (sa_policy_get(e->client, path, &answer, err) < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
    if (doc)
        write_sandbox(&root, new_text(e));
    sa_json_free(doc);
    sa_arena_free(arena);
    return doc ? 0 : -1;
}

/* What was asked then, and at which point. */
static int add_decision(struct explain *e, const char *id, struct sa_error *err)
{
    sa_autobuf path = SA_BUF_INIT;
    struct sa_json_obj root;
    const char *input, *point;
    size_t length;
    sa_buf_adds(&path, "/api/v1/policies/decisions/");
    sa_url_escape(&path, id, false);
    if (open_client(e, err) < 0 || sa_policy_get(e->client, path.data, &e->before, err) < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_client_json(&e->before, arena, &root, err);
    int rc = doc && sa_json_get_string(&root, "point", 32, &point, err) == 0 &&
                     sa_policy_point_read(point, &e->point, err) == 0 &&
                     sa_json_get_raw(&root, "input", &input, &length, err) == 0
                 ? 0
                 : -1;
    if (rc == 0)
        sa_buf_add(new_text(e), input, length);
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

/* ---- asking ---- */

static int ask_rules(struct explain *e, char *const *dirs, size_t count, const struct sa_buf *input,
                     struct sa_buf *verdict, struct sa_error *err)
{
    sa_autobuf whole = SA_BUF_INIT;
    struct sa_value value = sa_value_of(input->data, input->length);
    if (sa_policy_complete_input(e->point, &value, &whole, err) < 0)
        return -1;
    struct sa_bundle *bundle = sa_policy_bundle(dirs, count, err);
    struct sa_offline *offline = bundle ? sa_offline_start(bundle, false, err) : NULL;
    int rc = -1;
    if (offline && sa_offline_print_errors(offline, bundle, stderr))
        sa_error_set(err, SA_EINVALID, "the rules do not compile");
    else if (offline)
        rc = sa_offline_ask(offline, e->point, &whole, verdict, err);
    sa_offline_stop(offline);
    sa_bundle_unref(bundle);
    return rc;
}

static int ask_server(struct explain *e, const struct sa_buf *input, struct sa_buf *verdict,
                      struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_autobuf json = SA_BUF_INIT;
    sa_autobuf answer = SA_BUF_INIT;
    struct sa_value value = sa_value_of(input->data, input->length);
    sa_value_to_json(&value, &json);
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    sa_json_put_raw(&w, "input", json.data, json.length);
    sa_json_w_end_object(&w);
    sa_autofree char *path =
        sa_printf("/api/v1/policies/%s/explain", sa_policy_points[e->point].name);
    if (open_client(e, err) < 0 || sa_policy_post(e->client, path, &body, &answer, err) < 0)
        return -1;
    return sa_value_from_json(answer.data ? answer.data : "", answer.length, verdict, err) < 0
               ? sa_error_wrap(err, "the server's answer")
               : 0;
}

/* ---- showing ---- */

/* How it ended then: the rules may have changed since. */
static int print_before(const struct explain *e, struct sa_error *err)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_obj root;
    const char *verdict = NULL, *rule = NULL, *at = NULL, *error = NULL;
    int64_t generation = 0;
    struct sa_json_doc *doc = sa_client_json(&e->before, arena, &root, err);
    int rc = doc && sa_json_opt_string(&root, "verdict", 64, &verdict, NULL, err) == 0 &&
                     sa_json_opt_string(&root, "rule", 256, &rule, NULL, err) == 0 &&
                     sa_json_opt_string(&root, "error", 4096, &error, NULL, err) == 0 &&
                     sa_json_opt_string(&root, "at", 64, &at, NULL, err) == 0 &&
                     sa_json_opt_int(&root, "generation", 0, INT64_MAX, &generation, NULL, err) == 0
                 ? 0
                 : -1;
    if (rc == 0 && error)
        printf("then (%s, generation %lld): the default applied: %s\n\n", at ? at : "",
               (long long)generation, error);
    else if (rc == 0)
        printf("then (%s, generation %lld): %s%s%s\n\n", at ? at : "", (long long)generation,
               verdict ? verdict : "", rule ? " by " : "", rule ? rule : "");
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static int show(struct explain *e, const struct sa_buf *verdict, struct sa_error *err)
{
    struct sa_value value = sa_value_of(verdict->data, verdict->length);
    sa_autobuf json = SA_BUF_INIT;
    if (e->output != SA_OUTPUT_TABLE) {
        sa_value_to_json(&value, &json);
        return sa_output_print(e->output, json.data, json.length, err);
    }
    if (e->before.length && print_before(e, err) < 0)
        return -1;
    sa_policy_print_verdict(e->point, &value);
    return 0;
}

static int explain(struct explain *e, char *const *args, size_t arg_count, struct sa_error *err)
{
    const char *decision = sa_config_string(e->config, "decision");
    const char *sandbox = sa_config_string(e->config, "sandbox");
    char *const *members, *const *dirs;
    size_t member_count = sa_config_list(e->config, "set", &members);
    size_t dir_count = sa_config_list(e->config, "dir", &dirs);
    sa_autobuf input = SA_BUF_INIT;
    sa_autobuf verdict = SA_BUF_INIT;
    if (sa_output_read(e->config, &e->output, err) < 0 ||
        (decision ? add_decision(e, decision, err)
                  : sa_policy_point_read(args[0], &e->point, err)) < 0 ||
        (sandbox && add_sandbox(e, sandbox, err) < 0) ||
        (arg_count > 1 && read_input(args[1], new_text(e), err) < 0) ||
        sa_policy_build_input(e->point, e->texts, e->text_count, members, member_count, &input,
                              err) < 0)
        return -1;
    int rc = dir_count ? ask_rules(e, dirs, dir_count, &input, &verdict, err)
                       : ask_server(e, &input, &verdict, err);
    return rc < 0 ? -1 : show(e, &verdict, err);
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
    struct explain e = {.config = config};
    size_t count = sa_config_args(config, &args);
    bool decision = sa_config_string(config, "decision") != NULL;
    if (decision ? count > 0 : count < 1 || count > 2)
        status = sa_command_misused(&usage, "expected a decision point, or --decision alone");
    else if (explain(&e, args, count, &error) < 0)
        status = sa_command_fail(&usage, &error);
    sa_client_close(e.client);
    for (size_t i = 0; i < TEXTS_MAX; i++)
        sa_buf_deinit(&e.texts[i]);
    sa_buf_deinit(&e.before);
    sa_config_free(config);
    return status;
}

const struct sa_command sa_command_policy_explain = {.name = "explain",
                                                     .summary = "why an input is decided as it is",
                                                     .run = run,
                                                     .options = options,
                                                     .option_count = SA_COUNT(options)};
