#include "model/execute.h"

#include <string.h>

/*
 * How a language is started. The code comes on descriptor 3, so that it has no length limit, does
 * not show in the process list and leaves stdin to the user. The programs below run it as the
 * interpreter's own -c or -e would: modules of the working directory can be imported, and
 * tracebacks show only the user's lines (the modules that print them are loaded when needed:
 * loading them takes longer than most code runs).
 */
static const char python_start[] =
    "import sys\n"
    "with open(3, 'rb') as _: _ = _.read()\n"
    "def _hook(kind, value, tb, _code=_):\n"
    "    import linecache, traceback\n"
    "    linecache.cache['<code>'] = (len(_code), None,\n"
    "        _code.decode('utf-8', 'replace').splitlines(True), '<code>')\n"
    "    traceback.print_exception(kind, value, tb and tb.tb_next)\n"
    "sys.excepthook, sys.argv = _hook, ['<code>']\n"
    "_ = compile(_, '<code>', 'exec')\n"
    "del sys, _hook\n"
    "exec(_)\n";

static const char node_start[] =
    "{ const fs = require('fs'), vm = require('vm');\n"
    "  const code = fs.readFileSync(3, 'utf8'); fs.closeSync(3);\n"
    "  new vm.Script(code, { filename: '<code>', importModuleDynamically:\n"
    "    vm.constants && vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER }).runInThisContext(); }\n";

static const struct {
    const char *name;
    const char *argv[4];
} languages[] = {
    {"python", {"python3", "-c", python_start, NULL}},
    {"node", {"node", "-e", node_start, NULL}},
    {"bash", {"bash", "/dev/fd/3", NULL}},
};
static const char *const language_names[] = {"python", "node", "bash", NULL};

static int decode_language(struct sa_json_obj *root, struct sa_execute *e, struct sa_error *err)
{
    int index;
    if (sa_json_get_enum(root, "language", language_names, &index, err) < 0 ||
        sa_json_get_string(root, "code", SA_EXECUTE_CODE_MAX, &e->code, err) < 0)
        return -1;
    if (!e->code[0])
        e->code = "\n"; /* there is no descriptor 3 without a byte of code */
    e->code_length = strlen(e->code);
    e->kind = e->filter = languages[index].name;
    e->argv = languages[index].argv;
    while (e->argv[e->argc])
        e->argc++;
    e->summary = e->code;
    return 0;
}

static const char *join(struct sa_arena *arena, const char *const *argv, size_t argc)
{
    sa_autobuf text = SA_BUF_INIT;
    for (size_t i = 0; i < argc && text.length < 8192; i++) {
        if (i)
            sa_buf_addc(&text, ' ');
        sa_buf_adds(&text, argv[i]);
    }
    return text.data ? sa_arena_strndup(arena, text.data, text.length) : "";
}

static int decode_command(struct sa_json_obj *root, struct sa_arena *arena, struct sa_execute *e,
                          struct sa_error *err)
{
    e->kind = "command";
    e->filter = "default";
    if (sa_json_type(root, "command") == SA_JSON_STRING) {
        const char **argv = sa_arena_alloc(arena, 3 * sizeof *argv);
        argv[0] = "/bin/sh";
        argv[1] = "-c";
        if (sa_json_get_string(root, "command", 131000, &argv[2], err) < 0)
            return -1;
        if (!argv[2][0])
            return sa_json_fail(root, "command", err, "is empty; give a program to run");
        e->argv = argv;
        e->argc = 3;
        e->summary = argv[2];
        return 0;
    }
    struct sa_json_strings list;
    if (sa_json_get_strings(root, "command", 4096, 131000, &list, err) < 0)
        return -1;
    if (list.count == 0 || !list.items[0][0])
        return sa_json_fail(root, "command", err, "is empty; give a program to run");
    e->argv = list.items;
    e->argc = list.count;
    e->summary = join(arena, list.items, list.count);
    return 0;
}

/* Missing or null: not given, as for every optional member (json.h). */
static bool given(struct sa_json_obj *root, const char *key)
{
    enum sa_json_type type = sa_json_type(root, key);
    return type != SA_JSON_MISSING && type != SA_JSON_NULL;
}

static int decode(struct sa_json_obj *root, struct sa_arena *arena, struct sa_execute *e,
                  struct sa_error *err)
{
    bool has_command = given(root, "command"), has_language = given(root, "language");
    bool has_code = given(root, "code");
    if (has_command == has_language || (has_command && has_code))
        return sa_json_fail(root, has_command ? "command" : "language", err,
                            "give either `language` and `code`, or `command`");
    if ((has_command ? decode_command(root, arena, e, err) : decode_language(root, e, err)) < 0)
        return -1;
    e->timeout_ms = SA_EXECUTE_TIMEOUT_DEFAULT_MS;
    if (sa_json_opt_map(root, "env", 256, 131000, &e->env, NULL, err) < 0 ||
        sa_json_opt_string(root, "cwd", 4096, &e->cwd, NULL, err) < 0 ||
        sa_json_opt_string(root, "stdin", SA_EXECUTE_STDIN_MAX, &e->stdin_text, NULL, err) < 0 ||
        sa_json_opt_int(root, "timeoutMs", 1, SA_EXECUTE_TIMEOUT_MAX_MS, &e->timeout_ms, NULL,
                        err) < 0)
        return -1;
    for (size_t i = 0; i < e->env.count; i++)
        if (strchr(e->env.items[i].key, '='))
            return sa_json_fail(root, "env", err, "the name \"%s\" holds '='", e->env.items[i].key);
    return sa_json_finish(root, err);
}

int sa_execute_decode(const char *body, size_t length, struct sa_arena *arena,
                      struct sa_execute *execute, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_limits limits = {.max_bytes = SA_EXECUTE_BODY_MAX};
    *execute = (struct sa_execute){0};
    struct sa_json_doc *doc = sa_json_parse(body, length, &limits, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = decode(&root, arena, execute, err);
    sa_json_free(doc);
    return rc;
}
