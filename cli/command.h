/*
 * The sub-commands of `secureagent`, one file each, and what they share: reading options,
 * telling errors, finding the other programs.
 */
#ifndef SA_CLI_COMMAND_H
#define SA_CLI_COMMAND_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

struct sa_usage;
struct sa_invocation;
struct sa_command {
    const char *name;
    const char *summary; /* one line of `secureagent help` */
    /* argv[0] is the sub-command's name. Returns the exit status. NULL: it is described by what
     * follows. */
    int (*run)(int argc, char **argv);
    const struct sa_usage *usage;
    size_t least, most; /* arguments it takes */
    enum sa_config_mode mode;
    bool local; /* it talks to no server: its body gets no client */
    /* Gets what was read; returns an exit status, or -1 with an error. */
    int (*body)(struct sa_invocation *in, struct sa_error *err);
    const struct sa_option *options;
    size_t option_count;
    /* for completion */
    bool takes_sandbox;                    /* as its argument */
    bool takes_kind;                       /* as its first argument, and names of it then */
    const struct sa_command *const *verbs; /* sub-commands of its own, NULL at the end; or NULL */
};
/* Run it, whichever way it is described. */
int sa_command_call(const struct sa_command *command, int argc, char **argv);

extern const struct sa_command sa_command_up, sa_command_run, sa_command_create, sa_command_ps,
    sa_command_rm, sa_command_exec, sa_command_shell, sa_command_repl, sa_command_logs,
    sa_command_cp, sa_command_forward, sa_command_describe, sa_command_wait, sa_command_pause,
    sa_command_resume, sa_command_apply, sa_command_get, sa_command_delete, sa_command_keys,
    sa_command_policy, sa_command_doctor, sa_command_completion;
/* All of them, in the order of the help; NULL at the end. */
extern const struct sa_command *const sa_commands[];

/* What `--help` of a sub-command says besides its options. */
struct sa_usage {
    const char *command;  /* "run": used in messages */
    const char *usage;    /* "secureagent run FILE [options]" */
    const char *about;    /* what it does; ends without a newline */
    const char *examples; /* lines, each with its newline */
};

/* Read the options; NULL: there is nothing more to do (help or the configuration was printed, or
 * a mistake was told) and *status is the exit status. Free with sa_config_free(). */
struct sa_config *sa_command_load(const struct sa_usage *usage, const struct sa_option *options,
                                  size_t count, int argc, char **argv, enum sa_config_mode mode,
                                  int *status);
/* Tell an error on standard error; returns the exit status that belongs to it. */
int sa_command_fail(const struct sa_usage *usage, const struct sa_error *error);
/* The same, and all other mistakes that the server found in what the client (NULL: none) sent. */
struct sa_client;
int sa_command_refused(const struct sa_usage *usage, struct sa_client *client,
                       const struct sa_error *error);
/* A mistake on the command line: message and a pointer to --help. Returns 64 (EX_USAGE). */
int sa_command_misused(const struct sa_usage *usage, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What a command works with. */
struct sa_invocation {
    const struct sa_usage *usage;
    const struct sa_config *config;
    struct sa_client *client; /* NULL: a local one */
    char *const *args;
    size_t arg_count;
};

/* Where the program `name` of SecureAgent is: beside this one, in ../libexec/secureagent, or in
 * /usr/lib/secureagent. A malloc'd path, or NULL and SA_ENOTFOUND with the places. */
char *sa_find_program(const char *name, struct sa_error *err);

#endif
