/* secureagent: the command line. This file finds the sub-command. */
#include "command.h"

#include "base/cleanup.h"
#include "base/suggest.h"

#include <stdio.h>
#include <string.h>

const struct sa_command *const sa_commands[] = {&sa_command_up,
                                                &sa_command_run,
                                                &sa_command_create,
                                                &sa_command_exec,
                                                &sa_command_shell,
                                                &sa_command_repl,
                                                &sa_command_logs,
                                                &sa_command_cp,
                                                &sa_command_forward,
                                                &sa_command_ps,
                                                &sa_command_describe,
                                                &sa_command_wait,
                                                &sa_command_pause,
                                                &sa_command_resume,
                                                &sa_command_rm,
                                                &sa_command_apply,
                                                &sa_command_get,
                                                &sa_command_delete,
                                                &sa_command_keys,
                                                &sa_command_policy,
                                                &sa_command_doctor,
                                                &sa_command_completion,
                                                NULL};
enum { COMMANDS = SA_COUNT(sa_commands) - 1 };

static const struct sa_command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(sa_commands[i]->name, name) == 0)
            return sa_commands[i];
    return NULL;
}

static void print_help(FILE *out)
{
    fputs("usage: secureagent COMMAND [options]\n\n"
          "SecureAgent runs code that nobody has reviewed in sandboxes that hold.\n\n"
          "commands:\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", sa_commands[i]->name, sa_commands[i]->summary);
    fputs("  version    print the version\n"
          "  help       show this, or the help of a command\n\n"
          "examples:\n"
          "  secureagent up                        start the server on this machine\n"
          "  secureagent run hello.py              run a file in a fresh sandbox\n"
          "  echo 'id' | secureagent run - --runtime bash\n"
          "  secureagent help run                  everything that run can do\n",
          out);
}

static int unknown(const char *word)
{
    const char *names[COMMANDS + 2] = {"version", "help"};
    for (size_t i = 0; i < COMMANDS; i++)
        names[i + 2] = sa_commands[i]->name;
    const char *near = sa_suggest(word, names, SA_COUNT(names));
    if (word[0] == '-') {
        fprintf(stderr,
                "secureagent: options go behind the command, as in `secureagent ps %.64s`\n", word);
        return sa_code_exit_status(SA_EINVALID);
    }
    fprintf(stderr, "secureagent: unknown command \"%.64s\"", word);
    if (near)
        fprintf(stderr, ", did you mean \"%s\"?\n", near);
    else
        fputs(" (`secureagent help` lists them)\n", stderr);
    return sa_code_exit_status(SA_EINVALID);
}

static int help(int argc, char **argv)
{
    static char flag[] = "--help";
    if (argc < 2 || argv[1][0] == '-') {
        print_help(stdout);
        return 0;
    }
    const struct sa_command *command = find(argv[1]);
    if (command && command->verbs && argc > 2)
        return sa_command_call(command, 3, (char *[]){argv[1], argv[2], flag, NULL});
    return command ? sa_command_call(command, 2, (char *[]){argv[1], flag, NULL})
                   : unknown(argv[1]);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return sa_code_exit_status(SA_EINVALID);
    }
    const char *word = argv[1];
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(word, "version") == 0 || strcmp(word, "--version") == 0) {
        puts("secureagent " SA_VERSION);
        return 0;
    }
    const struct sa_command *command = find(word);
    return command ? sa_command_call(command, argc - 1, argv + 1) : unknown(word);
}

/* Output that did not arrive (a full disk) is a failure like any other. */
static int flush(int status)
{
    if ((fflush(stdout) == EOF || ferror(stdout)) && status == 0) {
        fputs("secureagent: writing the output failed\n", stderr);
        return 74; /* EX_IOERR */
    }
    return status;
}

int main(int argc, char **argv)
{
    return flush(run(argc, argv));
}
