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

/* The code becomes a file of the working directory that only the compiler sees (-overlay), so that
 * it may import what a go.mod there offers, and messages name a line of main.go. Nothing is left
 * of it when the program runs. */
static const char go_start[] =
    "command -v go >/dev/null || { echo 'go: there is no Go on the machine of this server (Debian: "
    "golang-go)' >&2; exit 127; }\n"
    "d=$(mktemp -d) || exit 1\n"
    "cat <&3 >\"$d/main.go\"\n"
    "exec 3<&-\n"
    "p=$(printf %s \"$PWD\" | sed 's/[\\\\\"]/\\\\&/g')\n"
    "printf '{\"Replace\":{\"%s/main.go\":\"%s/main.go\"}}' \"$p\" \"$d\" >\"$d/overlay\"\n"
    "go build -overlay \"$d/overlay\" -o \"$d/program\" main.go 2>\"$d/messages\"\n"
    "s=$?\n"
    "sed \"s|$d/||g\" \"$d/messages\" >&2\n"
    "[ $s = 0 ] && exec 9<\"$d/program\"\n"
    "rm -rf \"$d\"\n"
    "[ $s = 0 ] || exit $s\n"
    "exec /proc/self/fd/9\n";

static const struct {
    const char *name;
    const char *argv[4];
} languages[] = {
    {"python", {"python3", "-c", python_start, NULL}},
    {"node", {"node", "-e", node_start, NULL}},
    {"bash", {"bash", "/dev/fd/3", NULL}},
    {"go", {"sh", "-c", go_start, NULL}},
};
static const char *const language_names[] = {"python", "node", "bash", "go", NULL};

static void set_language(struct sa_execute *e, size_t index)
{
    e->kind = e->filter = languages[index].name;
    e->argv = languages[index].argv;
    for (e->argc = 0; e->argv[e->argc];)
        e->argc++;
}

int sa_execute_set_language(struct sa_execute *e, const char *language, struct sa_error *err)
{
    for (size_t i = 0; language_names[i]; i++)
        if (strcmp(language_names[i], language) == 0) {
            set_language(e, i);
            return 0;
        }
    return sa_error_at(err, SA_EINVALID, "language",
                       "language: is needed, as the sandbox's runtime \"%.32s\" is none", language);
}

static int decode_code(struct sa_json_obj *root, struct sa_execute *e, struct sa_error *err)
{
    int index = -1;
    if (sa_json_opt_enum(root, "language", language_names, &index, NULL, err) < 0 ||
        sa_json_get_string(root, "code", SA_EXECUTE_CODE_MAX, &e->code, err) < 0)
        return -1;
    if (!e->code[0])
        e->code = "\n"; /* there is no descriptor 3 without a byte of code */
    e->code_length = strlen(e->code);
    if (index >= 0)
        set_language(e, (size_t)index);
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
        e->shell = true;
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

/* A string is sent and followed by the end; true: it is sent later. */
static int decode_stdin(struct sa_json_obj *root, struct sa_execute *e, struct sa_error *err)
{
    enum sa_json_type type = sa_json_type(root, "stdin");
    if (type == SA_JSON_BOOL)
        return sa_json_opt_bool(root, "stdin", &e->stdin_open, NULL, err);
    if (type != SA_JSON_STRING && given(root, "stdin"))
        return sa_json_fail(root, "stdin", err, "expected a string or a boolean");
    return sa_json_opt_string(root, "stdin", SA_EXECUTE_STDIN_MAX, &e->stdin_text, NULL, err);
}

static int decode_tty(struct sa_json_obj *root, struct sa_execute *e, struct sa_error *err)
{
    struct sa_json_obj tty;
    int64_t rows = 24, cols = 80;
    if (sa_json_opt_obj(root, "tty", &tty, &e->tty, err) < 0)
        return -1;
    if (!e->tty)
        return 0;
    if (sa_json_opt_int(&tty, "rows", 1, SA_EXECUTE_TTY_MAX, &rows, NULL, err) < 0 ||
        sa_json_opt_int(&tty, "cols", 1, SA_EXECUTE_TTY_MAX, &cols, NULL, err) < 0 ||
        sa_json_finish(&tty, err) < 0)
        return -1;
    e->rows = (int)rows;
    e->cols = (int)cols;
    e->stdin_open = true;
    return 0;
}

static int decode_limits(struct sa_json_obj *root, struct sa_execute *e, struct sa_error *err)
{
    struct sa_json_obj limits;
    struct sa_execute_limits *l = &e->limits;
    bool present;
    if (sa_json_opt_obj(root, "limits", &limits, &present, err) < 0 || !present)
        return present ? -1 : 0;
    if (sa_json_opt_bytes(&limits, "memory", 1 << 20, INT64_C(1) << 50, &l->memory_bytes, NULL,
                          err) < 0 ||
        sa_json_opt_int(&limits, "cpuSeconds", 1, SA_EXECUTE_TIMEOUT_MAX_MS / 1000, &l->cpu_seconds,
                        NULL, err) < 0 ||
        sa_json_opt_bytes(&limits, "fileSize", 0, INT64_C(1) << 50, &l->file_size_bytes, NULL,
                          err) < 0 ||
        sa_json_opt_int(&limits, "openFiles", 8, 1 << 20, &l->open_files, NULL, err) < 0 ||
        sa_json_finish(&limits, err) < 0)
        return -1;
    return 0;
}

static int decode_how(struct sa_json_obj *root, struct sa_execute *e, struct sa_error *err)
{
    static const char *const programs_only[] = {"command", "cwd", "tty", "limits"};
    e->timeout_ms = SA_EXECUTE_TIMEOUT_DEFAULT_MS;
    if (sa_json_opt_map(root, "env", 256, 131000, &e->env, NULL, err) < 0 ||
        sa_json_opt_string(root, "cwd", 4096, &e->cwd, NULL, err) < 0 ||
        sa_json_opt_string(root, "context", 64, &e->context, NULL, err) < 0 ||
        sa_json_opt_bool(root, "background", &e->background, NULL, err) < 0 ||
        sa_json_opt_int(root, "timeoutMs", 1, SA_EXECUTE_TIMEOUT_MAX_MS, &e->timeout_ms, NULL,
                        err) < 0 ||
        decode_stdin(root, e, err) < 0 || decode_tty(root, e, err) < 0 ||
        decode_limits(root, e, err) < 0)
        return -1;
    for (size_t i = 0; i < e->env.count; i++)
        if (strchr(e->env.items[i].key, '='))
            return sa_json_fail(root, "env", err, "the name \"%s\" holds '='", e->env.items[i].key);
    for (size_t i = 0; e->context && i < sizeof programs_only / sizeof *programs_only; i++)
        if (given(root, programs_only[i]))
            return sa_json_fail(root, programs_only[i], err,
                                "does not go with `context`, whose process runs already");
    return 0;
}

static int decode(struct sa_json_obj *root, struct sa_arena *arena, struct sa_execute *e,
                  struct sa_error *err)
{
    bool has_command = given(root, "command"), has_language = given(root, "language");
    bool has_code = given(root, "code");
    if (has_command ? has_language || has_code : !has_language && !has_code)
        return sa_json_fail(root, has_command ? "command" : "language", err,
                            "give either `code` (and its `language`), or `command`");
    if ((has_command ? decode_command(root, arena, e, err) : decode_code(root, e, err)) < 0 ||
        decode_how(root, e, err) < 0)
        return -1;
    return sa_json_finish(root, err);
}

int sa_execute_decode_members(struct sa_json_obj *root, struct sa_arena *arena,
                              struct sa_execute *execute, struct sa_error *err)
{
    *execute = (struct sa_execute){.limits = SA_EXECUTE_LIMITS_NONE};
    return decode(root, arena, execute, err);
}

int sa_execute_decode(const char *body, size_t length, struct sa_arena *arena,
                      struct sa_execute *execute, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_limits limits = {.max_bytes = SA_EXECUTE_BODY_MAX};
    *execute = (struct sa_execute){.limits = SA_EXECUTE_LIMITS_NONE};
    struct sa_json_doc *doc = sa_json_parse(body, length, &limits, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = decode(&root, arena, execute, err);
    sa_json_free(doc);
    return rc;
}
