/* `secureagent policy`: finds the verb, and what verbs share. */
#include "policy.h"

#include "base/cleanup.h"
#include "base/suggest.h"

#include <stdio.h>
#include <string.h>

static const struct sa_command *const verbs[] = {&sa_command_policy_list,
                                                 &sa_command_policy_test,
                                                 &sa_command_policy_lint,
                                                 &sa_command_policy_explain,
                                                 &sa_command_policy_trace,
                                                 &sa_command_policy_diff,
                                                 &sa_command_policy_new,
                                                 &sa_command_policy_schema,
                                                 &sa_command_policy_reload,
                                                 &sa_command_policy_rollback,
                                                 NULL};
enum { VERBS = SA_COUNT(verbs) - 1 };

static void print_help(FILE *out)
{
    fputs("usage: secureagent policy VERB [options]\n\n"
          "The rules that decide what sandboxes may do: shown, tested, explained and swapped while "
          "the\nserver runs.\n\n"
          "verbs:\n",
          out);
    for (size_t i = 0; i < VERBS; i++)
        fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\nexamples:\n"
          "  secureagent policy new deny-miners --point execute --dir rules\n"
          "  secureagent policy test rules\n"
          "  secureagent up --policy-dir rules     with them; an edit is in force at once\n"
          "  secureagent policy list               which rules are\n"
          "  secureagent help policy test          everything that test can do\n",
          out);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return sa_code_exit_status(SA_EINVALID);
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    const char *names[VERBS];
    for (size_t i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i]->name, word) == 0)
            return sa_command_call(verbs[i], argc - 1, argv + 1);
        names[i] = verbs[i]->name;
    }
    const char *near = sa_suggest(word, names, VERBS);
    fprintf(stderr, "secureagent policy: unknown verb \"%.64s\"", word);
    if (near)
        fprintf(stderr, ", did you mean \"%s\"?\n", near);
    else
        fputs(" (`secureagent policy --help` lists them)\n", stderr);
    return sa_code_exit_status(SA_EINVALID);
}

const struct sa_command sa_command_policy = {.name = "policy",
                                             .summary =
                                                 "the rules: list, test, explain, reload ...",
                                             .run = run,
                                             .verbs = verbs};

int sa_policy_get(struct sa_client *client, const char *path, struct sa_buf *answer,
                  struct sa_error *err)
{
    struct sa_client_request request = {.method = "GET", .path = path, .answer = answer};
    return sa_client_send(client, &request, err);
}

int sa_policy_post(struct sa_client *client, const char *path, const struct sa_buf *body,
                   struct sa_buf *answer, struct sa_error *err)
{
    struct sa_client_request request = {.method = "POST",
                                        .path = path,
                                        .body = body->data,
                                        .body_length = body->length,
                                        .answer = answer};
    return sa_client_send(client, &request, err);
}

int sa_policy_point_read(const char *name, enum sa_point *point, struct sa_error *err)
{
    int index = sa_policy_point_find(name);
    if (index >= 0) {
        *point = (enum sa_point)index;
        return 0;
    }
    sa_autobuf all = SA_BUF_INIT;
    for (size_t i = 0; i < SA_POINT_COUNT; i++)
        sa_buf_printf(&all, "%s%s", i ? ", " : "", sa_policy_points[i].name);
    return sa_error_at(err, SA_EINVALID, "point",
                       "there is no decision point \"%.32s\"; there are %s", name, all.data);
}
