#include "command.h"

#include "client.h"
#include "show.h"

#include "base/arena.h"
#include "base/cleanup.h"

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

int sa_command_invoke(const struct sa_usage *usage, const struct sa_option *options, size_t count,
                      size_t least, size_t most, enum sa_config_mode mode, int argc, char **argv,
                      int (*body)(struct sa_invocation *in, struct sa_error *err))
{
    int status;
    struct sa_error error;
    struct sa_invocation in = {.usage = usage};
    struct sa_config *config = sa_command_load(usage, options, count, argc, argv, mode, &status);
    if (!config)
        return status;
    in.config = config;
    in.arg_count = sa_config_args(config, &in.args);
    if (in.arg_count < least || in.arg_count > most) {
        status =
            in.arg_count < least
                ? sa_command_misused(usage, "too few arguments")
                : sa_command_misused(usage, "\"%.64s\" is one argument too many", in.args[most]);
    } else {
        in.client = sa_client_open(config, &error);
        status = in.client ? body(&in, &error) : -1;
        if (status < 0)
            status = sa_command_fail(usage, &error);
        sa_client_close(in.client);
    }
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
