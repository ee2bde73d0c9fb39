/* `secureagent policy lint`: mistakes in rules that can be seen before they decide anything. */
#include "policy_lint.h"

#include "base/cleanup.h"

#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static const struct sa_option options[] = {
    {.name = "luacheck",
     .kind = SA_OPTION_BOOL,
     .fallback = "true",
     .help = "also run luacheck, where it is installed"},
};

static const struct sa_usage usage = {
    .command = "policy lint",
    .usage = "secureagent policy lint [DIR...] [options]",
    .about =
        "Looks for mistakes in the rules of the folders (without one: the shipped rules): "
        "syntax and\ndeclarations, parameters, names that rules do not have, verdicts and "
        "changes that the decision point\ndoes not take, denials without a reason, rules "
        "without tests. A line for each, as \"file:line: message\".\nThe exit status is 1 when "
        "there is one.",
    .examples = "  secureagent policy lint rules\n"
                "  secureagent policy lint rules --no-luacheck\n",
};

struct run {
    struct sa_bundle *bundle;
    char *const *dirs;
    size_t dir_count;
    struct sa_buf out;
    size_t findings;
    bool *readable; /* of each file: it is Lua, and ours to judge */
};

static bool ends(const char *text, const char *end)
{
    size_t length = strlen(text), more = strlen(end);
    return length >= more && strcmp(text + length - more, end) == 0;
}

static bool is_subject(const struct run *run, const struct sa_bundle_file *file)
{
    return run->dir_count == 0 || sa_policy_is_own(file, run->dirs, run->dir_count);
}

static const struct sa_bundle_file *find_file(const struct run *run, const char *name)
{
    for (size_t i = 0; i < sa_bundle_count(run->bundle); i++)
        if (strcmp(sa_bundle_file(run->bundle, i)->name, name) == 0)
            return sa_bundle_file(run->bundle, i);
    return NULL;
}

/* ---- what the worker says ---- */

/* Rules that compile, but have no test beside them. */
static void check_tests(struct run *run, const struct sa_value *compiled)
{
    struct sa_value rules = sa_value_get(compiled, "rules"), one;
    if (rules.type != SA_VALUE_LIST)
        return;
    struct sa_value_reader reader = sa_value_enter(&rules);
    while (sa_value_next(&reader, &one)) {
        sa_autofree char *name = sa_policy_text(&one, "file");
        const struct sa_bundle_file *file = find_file(run, name);
        if (!file || !is_subject(run, file) || sa_value_get(&one, "tests").integer > 0)
            continue;
        struct sa_lint lint = {.path = file->origin, .out = &run->out};
        sa_lint_add(&lint, 1, "the rule has no tests (they go to %.*s_test.lua)",
                    (int)strlen(file->origin) - 4, file->origin);
        run->findings++;
    }
}

/* Whether rules are right as a whole only a worker knows. */
static int check_compiled(struct run *run, struct sa_error *err)
{
    struct sa_offline *offline = sa_offline_start(run->bundle, false, err);
    if (!offline)
        return -1;
    const struct sa_error *problem = sa_offline_problem(offline);
    struct sa_value compiled = sa_offline_compiled(offline);
    size_t errors = sa_offline_print_errors(offline, run->bundle, stdout);
    run->findings += errors;
    if (problem && !errors) {
        sa_offline_stop(offline);
        *err = *problem;
        return -1;
    }
    check_tests(run, &compiled);
    sa_offline_stop(offline);
    return 0;
}

/* ---- what can be read ---- */

static int point_of(struct run *run, const struct sa_bundle_file *test, struct sa_arena *arena)
{
    struct sa_lua_chunk chunk;
    sa_autofree char *name = sa_printf("%.*s.lua", (int)(strlen(test->name) - 9), test->name);
    const struct sa_bundle_file *rule = find_file(run, name);
    return rule && sa_luascan(rule->text, rule->length, arena, &chunk, NULL) == 0
               ? sa_lint_point(&chunk)
               : -1;
}

/* False: it is no Lua, as the worker has said. */
static bool read_file(struct run *run, const struct sa_bundle_file *file)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_lua_chunk chunk;
    struct sa_lint lint = {.path = file->origin, .out = &run->out};
    bool readable = sa_luascan(file->text, file->length, arena, &chunk, NULL) == 0;
    if (readable) {
        if (ends(file->name, "_test.lua"))
            sa_lint_tests(&lint, &chunk, point_of(run, file, arena));
        else if (strchr(file->name, '/'))
            sa_lint_rule(&lint, &chunk);
    }
    run->findings += lint.findings;
    sa_arena_free(arena);
    return readable;
}

/* ---- luacheck ---- */

/* Which names there are the worker has said. */
static char **luacheck_arguments(const struct run *run)
{
    static const char *const fixed[] = {"luacheck",
                                        "--no-config",
                                        "--no-global",
                                        "--no-max-line-length",
                                        "--no-unused-args",
                                        "--no-color",
                                        "--formatter",
                                        "plain",
                                        "--"};
    size_t n = 0;
    char **list = sa_alloc((SA_COUNT(fixed) + sa_bundle_count(run->bundle) + 1) * sizeof *list);
    for (; n < SA_COUNT(fixed); n++)
        list[n] = sa_strdup(fixed[n]);
    for (size_t i = 0; i < sa_bundle_count(run->bundle); i++)
        if (run->readable[i])
            list[n++] = sa_strdup(sa_bundle_file(run->bundle, i)->origin);
    return list;
}

static void run_luacheck(struct run *run)
{
    char **arguments = luacheck_arguments(run);
    pid_t pid;
    int status = 0;
    fflush(stdout);
    if (posix_spawnp(&pid, "luacheck", NULL, NULL, arguments, environ) == 0 &&
        waitpid(pid, &status, 0) == pid && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        run->findings++;
    for (char **one = arguments; *one; one++)
        free(*one);
    free(arguments);
}

/* Returns an exit status, or -1. */
static int lint(struct sa_invocation *in, struct sa_error *err)
{
    struct run run = {.out = SA_BUF_INIT};
    run.dirs = in->args;
    run.dir_count = in->arg_count;
    run.bundle = sa_policy_bundle(run.dirs, run.dir_count, err);
    if (!run.bundle)
        return -1;
    size_t count = sa_bundle_count(run.bundle);
    run.readable = sa_alloc((count + 1) * sizeof *run.readable);
    int rc = check_compiled(&run, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (is_subject(&run, sa_bundle_file(run.bundle, i)))
            run.readable[i] = read_file(&run, sa_bundle_file(run.bundle, i));
    if (run.out.length)
        fwrite(run.out.data, 1, run.out.length, stdout);
    if (rc == 0 && sa_config_bool(in->config, "luacheck"))
        run_luacheck(&run);
    free(run.readable);
    sa_buf_deinit(&run.out);
    sa_bundle_unref(run.bundle);
    return rc < 0 ? -1 : run.findings ? 1 : 0;
}

const struct sa_command sa_command_policy_lint = {.name = "lint",
                                                  .summary = "mistakes that can be seen in rules",
                                                  .usage = &usage,
                                                  .most = SIZE_MAX,
                                                  .local = true,
                                                  .body = lint,
                                                  .options = options,
                                                  .option_count = SA_COUNT(options)};
