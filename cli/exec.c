/* `secureagent exec` and `shell`: a program in a sandbox that runs, as if it ran here. */
#include "sandboxes.h"
#include "session.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 4096, SECONDS_MAX = 86400 };

#define EXEC_OPTIONS                                                                               \
    {.name = "env",                                                                                \
     .letter = 'e',                                                                                \
     .kind = SA_OPTION_LIST,                                                                       \
     .value = "NAME[=VALUE]",                                                                      \
     .help = "set a variable (without =VALUE: as it is here); may be repeated"},                   \
        {.name = "cwd",                                                                            \
         .letter = 'w',                                                                            \
         .kind = SA_OPTION_STRING,                                                                 \
         .value = "DIR",                                                                           \
         .help = "folder to run in (default: /workspace)"},                                        \
    {                                                                                              \
        .name = "timeout", .kind = SA_OPTION_DURATION, .fallback = "24h", .value = "TIME",         \
        .low = 1, .high = (int64_t)SECONDS_MAX * 1000, .help = "stop the program after so long"    \
    }

/* clang-format off */
static const struct sa_option exec_options[] = {
    {.name = "stdin", .letter = 'i', .kind = SA_OPTION_BOOL,
     .help = "pass standard input on as it comes"},
    {.name = "tty", .letter = 't', .kind = SA_OPTION_BOOL,
     .help = "give the program a terminal"},
    EXEC_OPTIONS,
    SA_CLIENT_OPTIONS,
};
static const struct sa_option shell_options[] = {EXEC_OPTIONS, SA_CLIENT_OPTIONS};
/* clang-format on */

static const struct sa_usage exec_usage = {
    .command = "exec",
    .usage = "secureagent exec [options] [--] SANDBOX COMMAND [ARGUMENT...]",
    .about =
        "Runs a program in a sandbox. Its output appears as it comes, Ctrl-C reaches it (twice "
        "ends it), and\na broken connection is made again where it was. Exits with the "
        "program's exit code; 128 + N when\nsignal N ended it, 124 after the timeout, 137 when "
        "its memory ran out, 127\nwhen there is no such program.",
    .examples = "  secureagent exec web ls -la\n"
                "  secureagent exec -it web bash\n"
                "  tar c src | secureagent exec -i web tar x -C /workspace\n",
};
static const struct sa_usage shell_usage = {
    .command = "shell",
    .usage = "secureagent shell [options] SANDBOX",
    .about = "Opens a shell in a sandbox, on a terminal of its own.",
    .examples = "  secureagent shell web\n",
};

struct program {
    const struct sa_config *config;
    char *const *words;
    size_t count;
    bool input;
};

static void put_env(const struct program *p, struct sa_json_w *w)
{
    char *const *items;
    size_t count = sa_config_list(p->config, "env", &items);
    sa_json_put_object(w, "env");
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(items[i], '=');
        sa_autofree char *name =
            equals ? sa_strndup(items[i], (size_t)(equals - items[i])) : sa_strdup(items[i]);
        sa_json_put_string(w, name, equals ? equals + 1 : getenv(name));
    }
    const char *term = getenv("TERM");
    if (term && *term)
        sa_json_put_string(w, "TERM", term);
    sa_json_w_end_object(w);
}

static int check_env(const struct program *p, struct sa_error *err)
{
    char *const *items;
    size_t count = sa_config_list(p->config, "env", &items);
    for (size_t i = 0; i < count; i++)
        if (!strchr(items[i], '=') && !getenv(items[i]))
            return sa_error_at(err, SA_EINVALID, "env",
                               "--env %.64s: not set here; write %.64s=VALUE", items[i], items[i]);
    return 0;
}

static void describe(void *user, struct sa_json_w *w)
{
    const struct program *p = user;
    const char *cwd = sa_config_string(p->config, "cwd");
    sa_json_put_array(w, "command");
    for (size_t i = 0; i < p->count; i++)
        sa_json_w_string(w, p->words[i]);
    sa_json_w_end_array(w);
    put_env(p, w);
    if (cwd)
        sa_json_put_string(w, "cwd", cwd);
    if (p->input)
        sa_json_put_bool(w, "stdin", true);
    sa_json_put_int(w, "timeoutMs", sa_config_ms(p->config, "timeout"));
}

static int run_program(struct sa_invocation *in, const struct program *program, bool tty,
                       struct sa_error *err)
{
    char id[SA_ID_BYTES];
    if (check_env(program, err) < 0 || sa_sandbox_resolve(in->client, in->args[0], id, err) < 0)
        return -1;
    if (tty && !isatty(0))
        return sa_error_set(err, SA_EINVALID,
                            "standard input is no terminal, which a terminal inside needs");
    const struct sa_session_options session = {
        .client = in->client,
        .command = in->usage->command,
        .sandbox_id = id,
        .describe = describe,
        .user = (void *)(size_t)program,
        .tty = tty,
        .input = program->input,
        .timeout_s = (double)sa_config_ms(in->config, "timeout") / 1000};
    return sa_session_run(&session, err);
}

static int exec_body(struct sa_invocation *in, struct sa_error *err)
{
    bool tty = sa_config_bool(in->config, "tty");
    struct program program = {.config = in->config,
                              .words = in->args + 1,
                              .count = in->arg_count - 1,
                              .input = tty || sa_config_bool(in->config, "stdin")};
    return run_program(in, &program, tty, err);
}

static int shell_body(struct sa_invocation *in, struct sa_error *err)
{
    static char bash[] = "/bin/bash", login[] = "-l";
    char *words[] = {bash, login};
    struct program program = {
        .config = in->config, .words = words, .count = SA_COUNT(words), .input = true};
    return run_program(in, &program, true, err);
}

const struct sa_command sa_command_exec = {.name = "exec",
                                           .summary = "run a program in a sandbox",
                                           .usage = &exec_usage,
                                           .least = 2,
                                           .most = ARGUMENTS_MAX,
                                           .mode = SA_CONFIG_POSITIONAL_ENDS,
                                           .body = exec_body,
                                           .options = exec_options,
                                           .option_count = SA_COUNT(exec_options),
                                           .takes_sandbox = true};
const struct sa_command sa_command_shell = {.name = "shell",
                                            .summary = "open a shell in a sandbox",
                                            .usage = &shell_usage,
                                            .least = 1,
                                            .most = 1,
                                            .body = shell_body,
                                            .options = shell_options,
                                            .option_count = SA_COUNT(shell_options),
                                            .takes_sandbox = true};
