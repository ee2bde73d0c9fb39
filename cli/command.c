#include "command.h"

#include "client.h"
#include "show.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "json/notes.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void print_help(const struct sa_usage *usage, const struct sa_config *config)
{
    sa_autobuf text = SA_BUF_INIT;
    sa_config_help(config, usage->usage, usage->about, &text);
    if (usage->examples)
        sa_buf_printf(&text, "\nexamples:\n%s", usage->examples);
    fputs(text.data, stdout);
}

struct sa_config *sa_command_load(const struct sa_usage *usage, const struct sa_option *options,
                                  size_t count, int argc, char **argv, enum sa_config_mode mode,
                                  int *status)
{
    struct sa_error error;
    struct sa_config *config = sa_config_new(options, count);
    *status = 0;
    if (sa_config_load(config, argc, argv, 1, mode, &error) < 0) {
        *status = sa_command_fail(usage, &error);
        if (strstr(usage->usage, "[--]") && strncmp(error.message, "unknown flag", 12) == 0)
            fprintf(stderr, "what is meant for the program goes behind -- (%s)\n", usage->usage);
    } else if (sa_config_help_asked(config)) {
        print_help(usage, config);
    } else if (sa_config_print_asked(config)) {
        sa_autobuf text = SA_BUF_INIT;
        sa_config_print(config, &text);
        fputs(text.data, stdout);
    } else {
        return config;
    }
    sa_config_free(config);
    return NULL;
}

int sa_command_fail(const struct sa_usage *usage, const struct sa_error *error)
{
    sa_autofree char *message = sa_strdup(error->message); /* may name files of a sandbox */
    sa_make_printable(message);
    fprintf(stderr, "secureagent %s: %s\n", usage->command, message);
    return sa_code_exit_status(error->code);
}

int sa_command_refused(const struct sa_usage *usage, struct sa_client *client,
                       const struct sa_error *error)
{
    const int status = sa_command_fail(usage, error);
    const struct sa_json_notes *mistakes = client ? sa_client_mistakes(client) : NULL;
    for (size_t i = 1; mistakes && i < mistakes->mistake_count; i++)
        sa_command_fail(usage, &mistakes->mistakes[i]);
    return status;
}

int sa_command_misused(const struct sa_usage *usage, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "secureagent %s: ", usage->command);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nusage: %s (more: secureagent %s --help)\n", usage->usage, usage->command);
    return sa_code_exit_status(SA_EINVALID);
}

static int invoke(const struct sa_command *command, struct sa_invocation *in)
{
    struct sa_error error;
    if (in->arg_count < command->least)
        return sa_command_misused(in->usage, "too few arguments");
    if (in->arg_count > command->most)
        return sa_command_misused(in->usage, "\"%.64s\" is one argument too many",
                                  in->args[command->most]);
    if (!command->local)
        in->client = sa_client_open(in->config, &error);
    int status = in->client || command->local ? command->body(in, &error) : -1;
    if (status < 0)
        status = sa_command_refused(in->usage, in->client, &error);
    sa_client_close(in->client);
    return status;
}

int sa_command_call(const struct sa_command *command, int argc, char **argv)
{
    int status;
    if (command->run)
        return command->run(argc, argv);
    struct sa_config *config =
        sa_command_load(command->usage, command->options, command->option_count, argc, argv,
                        command->mode, &status);
    if (!config)
        return status;
    struct sa_invocation in = {.usage = command->usage, .config = config};
    in.arg_count = sa_config_args(config, &in.args);
    status = invoke(command, &in);
    sa_config_free(config);
    return status;
}

char *sa_find_program(const char *name, struct sa_error *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    char *places[] = {sa_printf("%s/%s", self, name),
                      sa_printf("%s/../libexec/secureagent/%s", self, name),
                      sa_printf("/usr/lib/secureagent/%s", name)};
    char *found = NULL;
    for (size_t i = 0; i < SA_COUNT(places); i++) {
        if (!found && access(places[i], X_OK) == 0)
            found = places[i];
        else
            free(places[i]);
    }
    if (!found)
        sa_error_set(err, SA_ENOTFOUND,
                     "the program %s is missing: it should be in %s (or ../libexec/secureagent, "
                     "/usr/lib/secureagent); build or install SecureAgent again",
                     name, self);
    return found;
}
