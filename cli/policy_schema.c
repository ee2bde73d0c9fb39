/* `secureagent policy schema`: what the decision points take and give. */
#include "policy.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

static const struct sa_option options[] = {
    {.name = "format",
     .kind = SA_OPTION_STRING,
     .fallback = "markdown",
     .value = "FORMAT",
     .help = "markdown: the reference; luals: types for editors; json: the tables"},
};

static const struct sa_usage usage = {
    .command = "policy schema",
    .usage = "secureagent policy schema [options]",
    .about =
        "Prints what each decision point takes and gives: for people, for editors (annotations "
        "of the Lua\nlanguage server; `policy new` writes them beside the rules), or for "
        "programs.",
    .examples = "  secureagent policy schema | less\n"
                "  secureagent policy schema --format luals > rules/library/secureagent.lua\n",
};

static int print(struct sa_invocation *in, struct sa_error *err)
{
    const char *format = sa_config_string(in->config, "format");
    sa_autobuf out = SA_BUF_INIT;
    if (strcmp(format, "markdown") == 0)
        sa_policy_print_markdown(&out);
    else if (strcmp(format, "json") == 0)
        sa_policy_print_json(&out);
    else if (strcmp(format, "luals") == 0)
        sa_policy_print_luals(&out);
    else
        return sa_error_at(err, SA_EINVALID, "format",
                           "--format: \"%.32s\": markdown, luals or json", format);
    return sa_output_print(SA_OUTPUT_JSON, out.data, out.length, err);
}

const struct sa_command sa_command_policy_schema = {.name = "schema",
                                                    .summary = "what decision points take and give",
                                                    .usage = &usage,
                                                    .most = 0,
                                                    .local = true,
                                                    .body = print,
                                                    .options = options,
                                                    .option_count = SA_COUNT(options)};
