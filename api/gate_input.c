/* What the policies are told of what clients ask for, and what they change of it. */
#include "api/gate_private.h"

#include <string.h>

struct sa_policy_who gate_who(const struct sa_gate_who *who)
{
    const struct sa_principal *p = who->principal;
    return (struct sa_policy_who){.scope = {.namespace_ = "default", .tenant = p->name},
                                  .user = {p->name, sa_role_name(p->role)}};
}

struct sa_policy_sandbox gate_sandbox(const struct sa_sandbox *sandbox)
{
    struct sa_policy_sandbox facts;
    sa_sandbox_facts(sandbox, &facts);
    return facts;
}

/* "/usr/bin/ls" and "ls -l" are "ls". */
static const char *program_of(struct sa_arena *arena, const char *text, bool line)
{
    if (line)
        text += strspn(text, " \t\n");
    size_t n = line ? strcspn(text, " \t\n;|&<>()") : strlen(text);
    const char *word = sa_arena_strndup(arena, text, n < 4096 ? n : 4096);
    const char *slash = strrchr(word, '/');
    return slash ? slash + 1 : word;
}

static void fill_command(const struct sa_execute *x, struct sa_arena *arena,
                         struct sa_policy_execute_input *in)
{
    size_t skipped = x->shell ? x->argc - 1 : 0; /* of a line not the shell that gets it */
    in->argv.count = x->argc - skipped;
    in->argv.items = sa_arena_alloc(arena, in->argv.count * sizeof *in->argv.items);
    memcpy(in->argv.items, x->argv + skipped, in->argv.count * sizeof *in->argv.items);
    in->program = program_of(arena, in->argv.items[0], x->shell);
}

void gate_fill_env(const struct sa_json_map *env, struct sa_arena *arena,
                   struct sa_json_strings *names)
{
    names->count = env->count;
    names->items = sa_arena_alloc(arena, (env->count + 1) * sizeof *names->items);
    for (size_t i = 0; i < env->count; i++)
        names->items[i] = env->items[i].key;
}

static const char *language_of(const struct sa_gate_who *who, const struct sa_execute *x)
{
    const struct sa_context *context =
        x->context ? sa_context_find(who->app->contexts, who->sandbox, x->context) : NULL;
    if (x->kind)
        return x->kind;
    return context ? sa_context_language_of(context) : sa_sandbox_spec(who->sandbox)->language;
}

void gate_fill_execute(const struct sa_gate_who *who, const struct sa_execute *x,
                       struct sa_arena *arena, struct sa_policy_execute_input *in)
{
    if (x->code) {
        in->language = language_of(who, x);
        in->code = x->code;
        in->code_bytes = (int64_t)x->code_length;
    } else {
        fill_command(x, arena, in);
    }
    in->cwd = x->cwd ? x->cwd : "/workspace";
    in->context = x->context;
    in->background = x->background;
    in->tty = x->tty;
    gate_fill_env(&x->env, arena, &in->env_names);
}

/* ---- limits ---- 0 is a rule's word for the default */

static int64_t known(int64_t limit)
{
    return limit > 0 ? limit : 0;
}

struct sa_policy_run gate_run_of(const struct sa_execute_limits *l, int64_t timeout_ms)
{
    return (struct sa_policy_run){.timeout_ms = timeout_ms,
                                  .memory_bytes = known(l->memory_bytes),
                                  .cpu_seconds = known(l->cpu_seconds),
                                  .file_size_bytes = known(l->file_size_bytes),
                                  .open_files = known(l->open_files)};
}

static void apply(int64_t before, int64_t after, int64_t *limit)
{
    if (after != before)
        *limit = after ? after : -1;
}

void gate_apply_limits(const struct sa_policy_run *before, const struct sa_policy_run *after,
                       struct sa_execute_limits *limits)
{
    apply(before->memory_bytes, after->memory_bytes, &limits->memory_bytes);
    apply(before->cpu_seconds, after->cpu_seconds, &limits->cpu_seconds);
    apply(before->file_size_bytes, after->file_size_bytes, &limits->file_size_bytes);
    apply(before->open_files, after->open_files, &limits->open_files);
}
