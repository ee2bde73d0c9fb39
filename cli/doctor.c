/* `secureagent doctor`: what this machine offers, what is missing, and what to do about it. */
#include "command.h"
#include "datadir.h"
#include "show.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "json/json.h"
#include "json/write.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { ANSWER_MAX = 1024 * 1024, CHECKS_MAX = 256, TEXT_MAX = 4096 };

static const struct sa_option options[] = {
    {.name = "listen",
     .kind = SA_OPTION_STRING,
     .fallback = "127.0.0.1:8080",
     .env = "SECUREAGENT_LISTEN",
     .value = "ADDR:PORT",
     .help = "address that `up` would serve on"},
    {.name = "data-dir",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_DATA_DIR",
     .help = "data directory that `up` would use"},
    SA_OUTPUT_OPTION,
};

static const struct sa_usage usage = {
    .command = "doctor",
    .usage = "secureagent doctor [options]",
    .about = "Looks at what SecureAgent needs of this machine: kernel features, programs, data "
             "directory,\nport. Exits with 1 when something essential is missing.",
    .examples = "  secureagent doctor\n"
                "  secureagent doctor -o json | jq '.checks[] | select(.ok | not)'\n",
};

/* What each line is about. A missing kernel feature weakens; only a broken installation or a node
 * that says so makes it unusable. */
struct doctor {
    enum sa_output output;
    bool broken, lacking;
    struct sa_buf text; /* printed in the end: JSON checks, or lines */
};

static void say(struct doctor *d, const char *name, bool ok, const char *detail, const char *hint)
{
    d->lacking = d->lacking || !ok;
    if (d->output != SA_OUTPUT_TABLE) {
        struct sa_json_w w = sa_json_w_start(&d->text);
        if (d->text.length)
            sa_buf_addc(&d->text, ',');
        sa_json_w_begin_object(&w);
        sa_json_put_string(&w, "name", name);
        sa_json_put_bool(&w, "ok", ok);
        sa_json_put_string(&w, "detail", detail);
        sa_json_put_string(&w, "hint", hint);
        sa_json_w_end_object(&w);
        return;
    }
    sa_buf_printf(&d->text, "%s  %-22s %s\n", ok ? "ok     " : "MISSING", name, detail);
    if (*hint)
        sa_buf_printf(&d->text, "         %-22s -> %s\n", "", hint);
}

/* ---- this machine, as the node sees it ---- */

static pid_t start_reading(const char *program, int *out)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 1);
        execl(program, program, "--doctor", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *out = ends[0];
    if (pid < 0)
        close(ends[0]);
    return pid;
}

/* Its output into `text`; returns its exit status. */
static int ask_node(const char *program, struct sa_buf *text, struct sa_error *err)
{
    int fd = -1, status = 0;
    ssize_t n;
    pid_t pid = start_reading(program, &fd);
    if (pid < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "starting %s", program);
    while ((n = read(fd, sa_buf_reserve(text, 65536), 65536)) > 0 && text->length < ANSWER_MAX)
        text->length += (size_t)n;
    close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
        return sa_error_set(err, SA_EUNAVAILABLE, "%s --doctor failed (status %d)", program,
                            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int say_checks(struct doctor *d, struct sa_json_arr *checks, struct sa_error *err)
{
    struct sa_json_obj check;
    const char *name, *detail, *hint;
    bool ok;
    for (size_t i = 0; i < checks->count; i++) {
        if (sa_json_arr_obj(checks, i, &check, err) < 0 ||
            sa_json_get_string(&check, "name", 128, &name, err) < 0 ||
            sa_json_get_bool(&check, "ok", &ok, err) < 0 ||
            sa_json_get_string(&check, "detail", TEXT_MAX, &detail, err) < 0 ||
            sa_json_get_string(&check, "hint", TEXT_MAX, &hint, err) < 0)
            return -1;
        say(d, name, ok, detail, hint);
    }
    return 0;
}

static int check_kernel(struct doctor *d, const char *node, struct sa_error *err)
{
    sa_autobuf text = SA_BUF_INIT;
    int status = ask_node(node, &text, err);
    if (status < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_arr checks;
    struct sa_json_doc *doc = sa_json_parse(text.data ? text.data : "", text.length, NULL, err);
    int rc = doc && sa_json_root_arr(doc, arena, CHECKS_MAX, &checks, err) == 0
                 ? say_checks(d, &checks, err)
                 : -1;
    if (rc < 0)
        sa_error_wrap(err, "the answer of sandbox-node --doctor");
    sa_json_free(doc);
    sa_arena_free(arena);
    d->broken = d->broken || status != 0;
    return rc;
}

/* ---- the installation ---- */

/* The program's path, malloc'd, or NULL. */
static char *check_program(struct doctor *d, const char *name)
{
    struct sa_error error;
    char *path = sa_find_program(name, &error);
    say(d, name, path != NULL, path ? path : "not found", path ? "" : error.message);
    d->broken = d->broken || !path;
    return path;
}

/* The nearest folder that exists decides whether the rest can be made. */
static void check_data_dir(struct doctor *d, const char *path)
{
    sa_autofree char *part = sa_strdup(path);
    char *slash;
    while (access(part, F_OK) < 0 && (slash = strrchr(part, '/')) && slash != part)
        *slash = '\0';
    bool ok = access(part, W_OK | X_OK) == 0;
    sa_autofree char *hint =
        sa_printf("make %s writable, or choose another folder with --data-dir", part);
    say(d, "data directory", ok, path, ok ? "" : hint);
    d->broken = d->broken || !ok;
}

/* 0 when it can be bound, else the errno. */
static int try_port(const char *listen_on)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const char *colon = strrchr(listen_on, ':');
    char *end;
    int yes = 1;
    if (!colon)
        return EINVAL;
    bool six = listen_on[0] == '[';
    sa_autofree char *host = six ? sa_strndup(listen_on + 1, (size_t)(colon - listen_on - 2))
                                 : sa_strndup(listen_on, (size_t)(colon - listen_on));
    long port = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end || port < 0 || port > 65535)
        return EINVAL;
    v4.sin_port = v6.sin6_port = htons((uint16_t)port);
    if (strcmp(host, "localhost") == 0)
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (inet_pton(six ? AF_INET6 : AF_INET, host,
                       six ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1)
        return EINVAL;
    sa_autoclose int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    int rc = six ? bind(fd, (struct sockaddr *)&v6, sizeof v6)
                 : bind(fd, (struct sockaddr *)&v4, sizeof v4);
    return rc < 0 || listen(fd, 1) < 0 ? errno : 0;
}

/* A port that is taken is no defect of the machine: perhaps the server runs already. */
static void check_port(struct doctor *d, const char *listen_on)
{
    int error = try_port(listen_on);
    sa_autofree char *detail =
        error ? sa_printf("%s: %s", listen_on, strerror(error)) : sa_strdup(listen_on);
    say(d, "port", error == 0, detail,
        error == EADDRINUSE ? "if that is not SecureAgent itself, choose another with --listen"
        : error             ? "choose another with --listen"
                            : "");
}

static int examine(struct doctor *d, const struct sa_config *config, struct sa_error *err)
{
    const char *given = sa_config_string(config, "data-dir");
    sa_autofree char *data_dir = given ? sa_strdup(given) : sa_datadir_default();
    if (sa_output_read(config, &d->output, err) < 0)
        return -1;
    sa_autofree char *node = check_program(d, "sandbox-node");
    free(check_program(d, "agent-api"));
    free(check_program(d, "execution-runtime"));
    check_data_dir(d, data_dir);
    check_port(d, sa_config_string(config, "listen"));
    if (node && check_kernel(d, node, err) < 0)
        return -1;
    if (d->output != SA_OUTPUT_TABLE) {
        sa_autofree char *text =
            sa_printf("{\"ok\":%s,\"checks\":[%s]}", d->broken ? "false" : "true", d->text.data);
        if (sa_output_print(d->output, text, strlen(text), err) < 0)
            return -1;
    } else {
        printf("%s\n%s\n", d->text.data,
               d->broken ? "Something essential is missing: sandboxes cannot be made as things are."
               : d->lacking
                   ? "SecureAgent can run here. What is missing is not essential; sandboxes "
                     "say in `weaker`\nwhat they do without."
                   : "SecureAgent can run here.");
    }
    return d->broken;
}

static int run(int argc, char **argv)
{
    int status;
    struct sa_error error;
    char *const *args;
    struct doctor doctor = {.output = SA_OUTPUT_TABLE};
    struct sa_config *config =
        sa_command_load(&usage, options, SA_COUNT(options), argc, argv, SA_CONFIG_MIXED, &status);
    if (!config)
        return status;
    if (sa_config_args(config, &args))
        status = sa_command_misused(&usage, "takes no arguments, got \"%.64s\"", args[0]);
    else if ((status = examine(&doctor, config, &error)) < 0)
        status = sa_command_fail(&usage, &error);
    sa_buf_deinit(&doctor.text);
    sa_config_free(config);
    return status;
}

const struct sa_command sa_command_doctor = {
    .name = "doctor",
    .summary = "look at what this machine offers",
    .run = run,
    .options = options,
    .option_count = SA_COUNT(options),
};
