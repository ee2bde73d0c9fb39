/* `secureagent policy test`: the tests beside the rules, in the worker that production uses. */
#include "policy_report.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

static const struct sa_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = SA_OPTION_STRING,
     .fallback = "text",
     .value = "FORMAT",
     .help = "text, tap (version 14) or junit (XML)"},
};

static const struct sa_usage usage = {
    .command = "policy test",
    .usage = "secureagent policy test [DIR...] [options]",
    .about =
        "Runs the tests (x_test.lua) beside the rules (x.lua) of the folders, laid over the "
        "shipped rules, as\na reload does: in a policy-worker, with its limits. Tells which "
        "lines of each rule no test reaches.\nWithout a folder: of the shipped rules. The exit "
        "status is 1 when something is wrong.",
    .examples = "  secureagent policy test rules\n"
                "  secureagent policy test rules -o junit > policies.xml\n",
};

/* NULL: there is no such format. */
static sa_policy_reporter *find_format(const struct sa_config *config, struct sa_error *err)
{
    static const struct {
        const char *name;
        sa_policy_reporter *report;
    } formats[] = {{"text", sa_policy_report_text},
                   {"tap", sa_policy_report_tap},
                   {"junit", sa_policy_report_junit}};
    const char *given = sa_config_string(config, "output");
    for (size_t i = 0; i < SA_COUNT(formats); i++)
        if (strcmp(formats[i].name, given) == 0)
            return formats[i].report;
    sa_error_at(err, SA_EINVALID, "output", "--output: \"%.32s\": text, tap or junit", given);
    return NULL;
}

/* Returns an exit status, or -1. */
static int test(struct sa_invocation *in, struct sa_error *err)
{
    sa_policy_reporter *report = find_format(in->config, err);
    if (!report)
        return -1;
    struct sa_bundle *bundle = sa_policy_bundle(in->args, in->arg_count, err);
    struct sa_offline *offline = bundle ? sa_offline_start(bundle, true, err) : NULL;
    int rc = -1;
    if (offline) {
        struct sa_value tested = sa_offline_tested(offline);
        const struct sa_error *problem = sa_offline_problem(offline);
        struct sa_policy_results results = {
            .bundle = bundle, .dirs = in->args, .dir_count = in->arg_count, .tested = tested};
        size_t errors = sa_offline_print_errors(offline, bundle, stderr);
        if (tested.type == SA_VALUE_MAP || report != sa_policy_report_text)
            report(&results);
        if (tested.type != SA_VALUE_MAP && problem && !errors)
            sa_command_fail(&usage, problem);
        rc = problem || errors || sa_policy_failures(&results) ? 1 : 0;
    }
    sa_offline_stop(offline);
    sa_bundle_unref(bundle);
    return rc;
}

const struct sa_command sa_command_policy_test = {.name = "test",
                                                  .summary = "run the tests beside the rules",
                                                  .usage = &usage,
                                                  .most = SIZE_MAX,
                                                  .local = true,
                                                  .body = test,
                                                  .options = options,
                                                  .option_count = SA_COUNT(options)};
