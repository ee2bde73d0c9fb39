/* `secureagent completion`: scripts that make a shell complete commands, options, kinds and names.
 * They ask `secureagent completion --for WORDS...`, so that they never go out of date. */
#include "get.h"
#include "sandboxes.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "for", .kind = SA_OPTION_BOOL,
     .help = "print what could follow the words given, a line each"},
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "completion",
    .usage = "secureagent completion bash|zsh|fish",
    .about = "Prints a script that makes the shell complete commands, options and names.",
    .examples = "  source <(secureagent completion bash)\n"
                "  secureagent completion zsh > ~/.zfunc/_secureagent\n"
                "  secureagent completion fish > ~/.config/fish/completions/secureagent.fish\n",
};

static const struct {
    const char *shell, *script;
} scripts[] = {
    {"bash", "_secureagent() {\n"
             "  local IFS=$'\\n'\n"
             "  COMPREPLY=($(compgen -W \"$(secureagent completion --for -- "
             "\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
             "}\n"
             "complete -o default -F _secureagent secureagent\n"},
    {"zsh", "#compdef secureagent\n"
            "_secureagent() {\n"
            "  local -a found\n"
            "  found=(${(f)\"$(secureagent completion --for -- \"${(@)words[2,CURRENT]}\" "
            "2>/dev/null)\"})\n"
            "  compadd -a found || _files\n"
            "}\n"
            "compdef _secureagent secureagent\n"},
    {"fish", "complete -c secureagent -a '(secureagent completion --for -- "
             "(commandline -opc)[2..] (commandline -ct) 2>/dev/null)'\n"},
};

static const struct sa_command *find(const struct sa_command *const *list, const char *name)
{
    for (size_t i = 0; list[i]; i++)
        if (strcmp(list[i]->name, name) == 0)
            return list[i];
    return NULL;
}

static void print_names(const struct sa_command *const *list)
{
    for (size_t i = 0; list[i]; i++)
        puts(list[i]->name);
}

static int print_sandbox(void *user, struct sa_json_obj *item, struct sa_error *err)
{
    const char *id, *name;
    (void)user;
    if (sa_json_get_string(item, "id", SA_ID_BYTES, &id, err) < 0 ||
        sa_json_get_string(item, "name", 256, &name, err) < 0)
        return -1;
    puts(name); /* the id where it has no other */
    return 0;
}

/* Silent when no server answers: the shell then completes file names. */
static void print_sandboxes(const struct sa_config *config)
{
    const struct sa_sandbox_query query = {.ended = false};
    struct sa_error error;
    struct sa_client *client = sa_client_open(config, &error);
    if (client)
        sa_each_sandbox(client, &query, print_sandbox, NULL, NULL, &error);
    sa_client_close(client);
}

static void print_kinds(void)
{
    for (const struct sa_resource *const *r = sa_resources; *r; r++)
        puts(sa_resource_path(*r));
}

static void print_object(void *user, const struct sa_json_value *object)
{
    (void)user;
    puts(sa_object_text(object, ".metadata.name"));
}

/* Names of a kind; as silent. */
static void print_objects(const struct sa_config *config, const char *kind)
{
    struct sa_error error;
    struct sa_get get = {.resource = sa_resource_find(kind)};
    get.client = get.resource ? sa_client_open(config, &error) : NULL;
    if (get.client)
        sa_get_each(&get, print_object, NULL, NULL, &error);
    sa_client_close(get.client);
}

/* The arguments of a command; `words` begin with its name. */
static void print_arguments(const struct sa_config *config, const struct sa_command *command,
                            char *const *words, size_t count)
{
    const char *last = words[count - 1];
    if (last[0] == '-') {
        for (size_t i = 0; i < command->option_count; i++)
            printf("--%s\n", command->options[i].name);
        puts("--help");
        return;
    }
    if (command->takes_kind && count == 2)
        print_kinds();
    else if (command->takes_kind)
        print_objects(config, words[1]);
    if (command->takes_sandbox && (count == 2 || !command->takes_kind))
        print_sandboxes(config);
}

/* The last word is the one being typed. */
static int print_candidates(const struct sa_config *config, char *const *words, size_t count)
{
    bool help = count > 1 && strcmp(words[0], "help") == 0;
    size_t verb = help ? 2 : 1; /* where the verb of a command that has some is */
    const struct sa_command *command = count > verb ? find(sa_commands, words[verb - 1]) : NULL;
    if (count <= verb) {
        print_names(sa_commands);
        if (!help)
            puts("help\nversion");
        return 0;
    }
    if (command && command->verbs && count == verb + 1) {
        print_names(command->verbs);
        return 0;
    }
    if (help)
        return 0;
    if (command && command->verbs)
        command = find(command->verbs, words[verb]);
    if (command)
        print_arguments(config, command, words + verb - 1, count - verb + 1);
    return 0;
}

static int print_script(char *const *args, size_t count)
{
    for (size_t i = 0; count == 1 && i < SA_COUNT(scripts); i++)
        if (strcmp(args[0], scripts[i].shell) == 0) {
            fputs(scripts[i].script, stdout);
            return 0;
        }
    return sa_command_misused(&usage, "for which shell?");
}

static int run(int argc, char **argv)
{
    int status;
    char *const *args;
    struct sa_config *config = sa_command_load(&usage, options, SA_COUNT(options), argc, argv,
                                               SA_CONFIG_POSITIONAL_ENDS, &status);
    if (!config)
        return status;
    size_t count = sa_config_args(config, &args);
    status = sa_config_bool(config, "for") ? print_candidates(config, args, count)
                                           : print_script(args, count);
    sa_config_free(config);
    return status;
}

const struct sa_command sa_command_completion = {.name = "completion",
                                                 .summary = "completion for your shell",
                                                 .run = run,
                                                 .options = options,
                                                 .option_count = SA_COUNT(options)};
