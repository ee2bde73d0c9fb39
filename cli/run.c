/* `secureagent run`: a file in a fresh sandbox, as if it ran here. */
#include "client.h"
#include "command.h"
#include "run_stream.h"
#include "sandboxes.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/id.h"
#include "json/notes.h"
#include "json/write.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

enum {
    FILE_TIMEOUT_SPARE_S = 60, /* what the sandbox outlives its program: uploads, output */
    SANDBOX_TIMEOUT_MAX_S = 86400,
    STDIN_MAX = 64 * 1024 * 1024, /* of a program, or for it */
    FIRST_LINE_MAX = 256,
};

#define STDIN_PATH "/tmp/.stdin"
#define GO_PATH "/tmp/.program"

static const struct sa_option options[] = {
    {.name = "runtime",
     .letter = 'r',
     .kind = SA_OPTION_STRING,
     .value = "NAME",
     .help = "python, node, bash or go (default: by the file's ending or #! line)"},
    {.name = "timeout",
     .letter = 't',
     .kind = SA_OPTION_STRING,
     .fallback = "60",
     .value = "TIME",
     .help = "stop the program after so long: seconds, or 90s, 5m, 1h"},
    {.name = "env",
     .letter = 'e',
     .kind = SA_OPTION_LIST,
     .value = "NAME[=VALUE]",
     .help = "set a variable (without =VALUE: as it is here); may be repeated"},
    {.name = "file",
     .letter = 'f',
     .kind = SA_OPTION_LIST,
     .value = "LOCAL[:REMOTE]",
     .help = "upload a file too, beneath /workspace unless REMOTE begins with /; may be repeated"},
    {.name = "memory",
     .letter = 'm',
     .kind = SA_OPTION_STRING,
     .value = "SIZE",
     .help = "memory the sandbox may use, e.g. 256Mi (default: the server's)"},
    SA_SANDBOX_OPTIONS,
    {.name = "stdin",
     .letter = 'i',
     .kind = SA_OPTION_BOOL,
     .help = "give the program this command's standard input, read to its end first"},
    {.name = "keep",
     .kind = SA_OPTION_BOOL,
     .help = "leave the sandbox until its time is over, and print its id"},
    SA_CLIENT_OPTIONS,
};

static const struct sa_usage usage = {
    .command = "run",
    .usage = "secureagent run FILE|- [options] [--] [ARGUMENT...]",
    .about = "Runs a program in a fresh sandbox and removes the sandbox afterwards. Its output "
             "appears as it\ncomes. `-` reads the program from standard input. Exits with the "
             "program's exit code; 128 + N\nwhen signal N ended it, 124 after the timeout, 137 "
             "when its memory ran out.",
    .examples = "  secureagent run hello.py\n"
                "  secureagent run report.py --file sales.csv --timeout 5m -- --year 2025\n"
                "  secureagent run build.sh --env CI=1 --memory 256Mi\n"
                "  sort words.txt | secureagent run --stdin count.py\n"
                "  echo 'console.log(6 * 7)' | secureagent run - --runtime node\n",
};

struct run {
    const struct sa_config *config;
    struct sa_client *client;
    const char *runtime;
    char *program; /* its path inside */
    char *const *args;
    size_t arg_count;
    int64_t timeout_ms;
    char sandbox[SA_ID_BYTES]; /* "" until it is there */
};

/* ---- what to run ---- */

static const char *by_ending(const char *name)
{
    static const char *const endings[][2] = {{".py", "python"}, {".js", "node"}, {".mjs", "node"},
                                             {".cjs", "node"},  {".sh", "bash"}, {".bash", "bash"},
                                             {".go", "go"}};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < SA_COUNT(endings); i++)
        if (strcmp(dot, endings[i][0]) == 0)
            return endings[i][1];
    return NULL;
}

static const char *by_first_line(int fd)
{
    static const char *const words[][2] = {
        {"python", "python"}, {"node", "node"}, {"bash", "bash"}, {"/sh", "bash"}, {" sh", "bash"}};
    char line[FIRST_LINE_MAX];
    ssize_t n = pread(fd, line, sizeof line - 1, 0);
    line[n > 0 ? n : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; strncmp(line, "#!", 2) == 0 && i < SA_COUNT(words); i++)
        if (strstr(line, words[i][0]))
            return words[i][1];
    return NULL;
}

static int find_runtime(struct run *run, const char *file, int fd, struct sa_error *err)
{
    static const char *const names[] = {"python", "node", "bash", "go"};
    const char *given = sa_config_string(run->config, "runtime");
    if (!given) {
        run->runtime = by_ending(file);
        if (!run->runtime)
            run->runtime = by_first_line(fd);
        return run->runtime ? 0
                            : sa_error_at(err, SA_EINVALID, "runtime",
                                          "cannot tell what runs %s: name it with --runtime "
                                          "python, node, bash or go",
                                          file);
    }
    for (size_t i = 0; i < SA_COUNT(names); i++)
        if (strcmp(given, names[i]) == 0) {
            run->runtime = names[i];
            return 0;
        }
    return sa_error_at(err, SA_EINVALID, "runtime",
                       "--runtime: \"%.32s\": expected python, node, bash or go", given);
}

/* Standard input as a file, so that its first line can be looked at and its size is known. */
static int spool_stdin(struct sa_error *err)
{
    static char piece[64 * 1024];
    sa_autoclose int fd = memfd_create("stdin", MFD_CLOEXEC);
    size_t total = 0;
    if (fd < 0)
        return sa_error_sys(err, SA_EINTERNAL, errno, "memfd_create");
    for (;;) {
        ssize_t n = read(0, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || (n > 0 && sa_write_all(fd, piece, (size_t)n) < 0))
            return sa_error_sys(err, SA_EINVALID, errno, "reading standard input");
        if (n == 0)
            break;
        if ((total += (size_t)n) > STDIN_MAX)
            return sa_error_set(err, SA_ETOOLARGE,
                                "standard input is larger than %d MiB; upload it with --file",
                                STDIN_MAX >> 20);
    }
    lseek(fd, 0, SEEK_SET);
    return sa_steal_fd(&fd);
}

static int open_local(const char *path, struct sa_error *err)
{
    struct stat st;
    sa_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sa_error_sys(err, errno == ENOENT ? SA_ENOTFOUND : SA_EINVALID, errno, "%s", path);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return sa_error_set(err, SA_EINVALID, "%s is a folder; name files", path);
    return sa_steal_fd(&fd);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "90", "90s", "5m" to milliseconds. */
static int read_timeout(struct run *run, struct sa_error *err)
{
    const char *text = sa_config_string(run->config, "timeout");
    bool plain = *text && strspn(text, "0123456789") == strlen(text);
    sa_autofree char *duration = sa_printf(plain ? "%ss" : "%s", text);
    if (sa_duration_parse(duration, &run->timeout_ms, err) < 0)
        return sa_error_wrap(err, "--timeout: \"%.32s\"", text);
    if (run->timeout_ms < 1 || run->timeout_ms > (int64_t)SANDBOX_TIMEOUT_MAX_S * 1000)
        return sa_error_at(err, SA_EINVALID, "timeout",
                           "--timeout: \"%.32s\": expected more than 0 and up to 24h", text);
    return 0;
}

/* ---- the requests ---- */

static int64_t sandbox_timeout_s(const struct run *run)
{
    int64_t timeout_s = run->timeout_ms / 1000 + FILE_TIMEOUT_SPARE_S;
    return timeout_s < SANDBOX_TIMEOUT_MAX_S ? timeout_s : SANDBOX_TIMEOUT_MAX_S;
}

static int not_created(struct run *run, struct sa_error *err)
{
    struct sa_json_notes *mistakes = sa_client_mistakes(run->client);
    for (size_t i = 0; i < mistakes->mistake_count; i++)
        sa_error_wrap(&mistakes->mistakes[i], "creating a sandbox");
    return sa_error_wrap(err, "creating a sandbox");
}

static int create(struct run *run, struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_autobuf answer = SA_BUF_INIT;
    const char *memory = sa_config_string(run->config, "memory"), *id;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "runtime", run->runtime);
    sa_json_put_int(&w, "timeout", sandbox_timeout_s(run));
    sa_sandbox_put_options(run->config, &w);
    if (memory) {
        sa_json_put_object(&w, "resources");
        sa_json_put_string(&w, "memory", memory);
        sa_json_w_end_object(&w);
    }
    sa_json_put_object(&w, "labels");
    sa_json_put_string(&w, "made-by", "secureagent-run");
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    struct sa_client_request request = {.method = "POST",
                                        .path = "/api/v1/sandboxes",
                                        .body = body.data,
                                        .body_length = body.length,
                                        .answer = &answer};
    if (sa_client_send(run->client, &request, err) < 0)
        return not_created(run, err);
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_obj root;
    struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
    int rc = doc ? sa_json_get_string(&root, "id", SA_ID_BYTES - 1, &id, err) : -1;
    if (rc == 0)
        snprintf(run->sandbox, sizeof run->sandbox, "%s", id);
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

/* `remote` is an absolute path inside. */
static int upload(struct run *run, int fd, const char *remote, struct sa_error *err)
{
    sa_autobuf path = SA_BUF_INIT;
    sa_buf_printf(&path, "/api/v1/sandboxes/%s/files", run->sandbox);
    sa_url_escape(&path, remote, true);
    struct sa_client_request request = {
        .method = "PUT", .path = path.data, .uploads = true, .upload = fd};
    return sa_client_send(run->client, &request, err) < 0
               ? sa_error_wrap(err, "uploading %s", remote)
               : 0;
}

/* "a.csv" -> /workspace/a.csv; "a.csv:in/b.csv" -> /workspace/in/b.csv; "a.csv:/tmp/c". */
static int upload_more(struct run *run, const char *spec, struct sa_error *err)
{
    sa_autofree char *local = sa_strdup(spec);
    char *colon = strrchr(local, ':');
    if (colon)
        *colon = '\0';
    const char *name = colon && colon[1] ? colon + 1 : base_name(local);
    sa_autofree char *remote = name[0] == '/' ? sa_strdup(name) : sa_printf("/workspace/%s", name);
    sa_autoclose int fd = open_local(local, err);
    return fd < 0 ? -1 : upload(run, fd, remote, err);
}

static int put_env(struct run *run, struct sa_json_w *w, struct sa_error *err)
{
    char *const *items;
    size_t count = sa_config_list(run->config, "env", &items);
    bool unbuffered = false;
    sa_json_put_object(w, "env");
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(items[i], '=');
        sa_autofree char *name =
            equals ? sa_strndup(items[i], (size_t)(equals - items[i])) : sa_strdup(items[i]);
        const char *value = equals ? equals + 1 : getenv(name);
        if (!value)
            return sa_error_at(err, SA_EINVALID, "env",
                               "--env %.64s: not set here; write %.64s="
                               "VALUE",
                               name, name);
        unbuffered = unbuffered || strcmp(name, "PYTHONUNBUFFERED") == 0;
        sa_json_put_string(w, name, value);
    }
    if (!unbuffered) /* live output, though it goes into a pipe */
        sa_json_put_string(w, "PYTHONUNBUFFERED", "1");
    sa_json_w_end_object(w);
    return 0;
}

/* Standard input is a file inside by then: of any bytes, and seekable as a redirection is. */
static void put_stdin(struct sa_json_w *w)
{
    static const char *const words[] = {"/bin/sh", "-c", "exec <\"$0\" && rm \"$0\" && exec \"$@\"",
                                        STDIN_PATH};
    for (size_t i = 0; i < SA_COUNT(words); i++)
        sa_json_w_string(w, words[i]);
}

/* Compile, and run in its place: `go run` would not exit as the program does. */
static void put_go(struct sa_json_w *w)
{
    static const char *const words[] = {
        "/bin/sh", "-c", "go build -o " GO_PATH " \"$0\" && exec " GO_PATH " \"$@\""};
    for (size_t i = 0; i < SA_COUNT(words); i++)
        sa_json_w_string(w, words[i]);
}

static int execution_body(struct run *run, struct sa_buf *body, struct sa_error *err)
{
    static const char *const interpreters[][2] = {
        {"python", "python3"}, {"node", "node"}, {"bash", "bash"}};
    struct sa_json_w w = sa_json_w_start(body);
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "command");
    if (sa_config_bool(run->config, "stdin"))
        put_stdin(&w);
    for (size_t i = 0; i < SA_COUNT(interpreters); i++)
        if (strcmp(run->runtime, interpreters[i][0]) == 0)
            sa_json_w_string(&w, interpreters[i][1]);
    if (strcmp(run->runtime, "go") == 0)
        put_go(&w);
    sa_json_w_string(&w, run->program);
    for (size_t i = 0; i < run->arg_count; i++)
        sa_json_w_string(&w, run->args[i]);
    sa_json_w_end_array(&w);
    if (put_env(run, &w, err) < 0)
        return -1;
    sa_json_put_int(&w, "timeoutMs", run->timeout_ms);
    sa_json_w_end_object(&w);
    return 0;
}

/* Returns the exit status for the command, or -1. */
static int execute(struct run *run, struct sa_error *err)
{
    struct sa_run_stream stream = {.exit_code = -1};
    sa_autobuf body = SA_BUF_INIT;
    sa_autofree char *path = sa_printf("/api/v1/sandboxes/%s/execute", run->sandbox);
    if (execution_body(run, &body, err) < 0)
        return -1;
    struct sa_client_request request = {.method = "POST",
                                        .path = path,
                                        .accept = "application/x-ndjson",
                                        .body = body.data,
                                        .body_length = body.length,
                                        .sink = sa_run_stream_feed,
                                        .user = &stream};
    int rc = sa_client_send(run->client, &request, err);
    if (stream.ended)
        rc = sa_run_stream_exit_status(&stream, (double)run->timeout_ms / 1000);
    else if (stream.pipe_closed)
        rc = 128 + SIGPIPE; /* as if the program had been in our place */
    else if (rc == 0)
        rc = sa_error_set(err, SA_EUNAVAILABLE, "the server ended the stream before the program");
    else if (stream.error.code)
        *err = stream.error;
    sa_run_stream_deinit(&stream);
    return rc;
}

static void remove_sandbox(struct run *run)
{
    struct sa_error error;
    sa_autofree char *path = sa_printf("/api/v1/sandboxes/%s", run->sandbox);
    struct sa_client_request request = {.method = "DELETE", .path = path};
    if (!run->sandbox[0])
        return;
    if (sa_config_bool(run->config, "keep"))
        fprintf(stderr,
                "secureagent run: kept %s until %lld s after its start, by --timeout "
                "(end it before: secureagent rm %s)\n",
                run->sandbox, (long long)sandbox_timeout_s(run), run->sandbox);
    else if (sa_client_send(run->client, &request, &error) < 0 && error.code != SA_ENOTFOUND)
        fprintf(stderr, "secureagent run: removing %s: %s\n", run->sandbox, error.message);
}

/* ---- put together ---- */

/* `input`: for the program to read, or -1. */
static int in_sandbox(struct run *run, int program, int input, struct sa_error *err)
{
    char *const *files;
    size_t count = sa_config_list(run->config, "file", &files);
    if (create(run, err) < 0 || upload(run, program, run->program, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (upload_more(run, files[i], err) < 0)
            return -1;
    if (input >= 0 && upload(run, input, STDIN_PATH, err) < 0)
        return -1;
    return execute(run, err);
}

/* SIGINT, SIGTERM and SIGHUP arrive on a descriptor, which interrupts any request. */
static int watch_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGHUP);
    sigprocmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run_file(struct run *run, const char *file, struct sa_error *err)
{
    bool from_stdin = strcmp(file, "-") == 0;
    sa_autoclose int program = from_stdin ? spool_stdin(err) : open_local(file, err);
    struct signalfd_siginfo info;
    sigset_t signals;
    if (from_stdin && sa_config_bool(run->config, "stdin"))
        return sa_error_at(err, SA_EINVALID, "stdin",
                           "--stdin: standard input is the program already; name a file instead");
    if (program < 0 || read_timeout(run, err) < 0 ||
        find_runtime(run, from_stdin ? "standard input" : file, program, err) < 0)
        return -1;
    bool is_go = strcmp(run->runtime, "go") == 0; /* which wants its ending */
    run->program = sa_printf("/workspace/%s", !from_stdin ? base_name(file)
                                              : is_go     ? "program.go"
                                                          : "program");
    run->client = sa_client_open(run->config, err);
    if (!run->client)
        return -1;
    bool wants_input = sa_config_bool(run->config, "stdin");
    sa_autoclose int input = wants_input ? spool_stdin(err) : -1;
    if (wants_input && input < 0)
        return -1;
    sa_autoclose int watched = watch_signals(&signals);
    sa_client_watch(run->client, watched);
    int status = in_sandbox(run, program, input, err);
    sa_client_watch(run->client, -1);
    bool interrupted = read(watched, &info, sizeof info) == (ssize_t)sizeof info;
    sigprocmask(SIG_UNBLOCK, &signals, NULL); /* a second Ctrl-C does not wait for the removal */
    remove_sandbox(run);
    return interrupted ? 128 + (int)info.ssi_signo : status;
}

static int run_command(int argc, char **argv)
{
    int status;
    struct sa_error error;
    char *const *args;
    struct sa_config *config =
        sa_command_load(&usage, options, SA_COUNT(options), argc, argv, SA_CONFIG_MIXED, &status);
    if (!config)
        return status;
    struct run run = {.config = config};
    size_t count = sa_config_args(config, &args);
    if (!count) {
        status = sa_command_misused(&usage, "which file?");
    } else {
        run.args = args + 1;
        run.arg_count = count - 1;
        status = run_file(&run, args[0], &error);
        if (status < 0)
            status = sa_command_refused(&usage, run.client, &error);
    }
    sa_client_close(run.client);
    free(run.program);
    sa_config_free(config);
    return status;
}

const struct sa_command sa_command_run = {
    .name = "run",
    .summary = "run a file in a fresh sandbox",
    .run = run_command,
    .options = options,
    .option_count = SA_COUNT(options),
};
