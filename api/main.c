/* agent-api: options, privilege, start, signals. Usually started by `secureagent up`. */
#include "api/app_run.h"
#include "api/policies.h"
#include "controller/controllers.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "config/config.h"
#include "log/log.h"
#include "loop/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sa_option options[] = {
    {.name = "listen",
     .kind = SA_OPTION_STRING,
     .fallback = "127.0.0.1:8080",
     .env = "SECUREAGENT_LISTEN",
     .value = "ADDR:PORT",
     .help = "address to serve on"},
    {.name = "data-dir",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_API_DATA_DIR",
     .help = "folder of the database (required)"},
    {.name = "node-socket",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_NODE_SOCKET",
     .help = "the socket of the sandbox-node (required)"},
    {.name = "ready-fd",
     .kind = SA_OPTION_INT,
     .fallback = "-1",
     .low = -1,
     .high = 1 << 20,
     .help = "descriptor that gets the URL once the API serves; a socket also gets the one that "
             "listens, to be kept for the next start"},
    {.name = "listen-fd",
     .kind = SA_OPTION_INT,
     .fallback = "-1",
     .low = -1,
     .high = 1 << 20,
     .help = "descriptor of a socket that listens already, instead of --listen"},
    {.name = "key-fd",
     .kind = SA_OPTION_INT,
     .fallback = "-1",
     .low = -1,
     .high = 1 << 20,
     .help = "descriptor to read the first admin key from"},
    {.name = "run-as",
     .kind = SA_OPTION_INT,
     .fallback = "-1",
     .low = -1,
     .high = 0xFFFFFFFE,
     .help = "uid and gid to become when started as root"},
    {.name = "tls-cert",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_TLS_CERT",
     .help = "PEM file of the certificate chain"},
    {.name = "tls-key",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_TLS_KEY",
     .help = "PEM file of its private key"},
    {.name = "domain",
     .kind = SA_OPTION_STRING,
     .fallback = "localhost",
     .env = "SECUREAGENT_DOMAIN",
     .help = "servers in sandboxes are at PORT-ID.DOMAIN"},
    {.name = "max-sandboxes",
     .kind = SA_OPTION_INT,
     .fallback = "1000",
     .low = 1,
     .high = 100000,
     .env = "SECUREAGENT_MAX_SANDBOXES",
     .help = "sandboxes that may run at once"},
    {.name = "allow-origin",
     .kind = SA_OPTION_LIST,
     .env = "SECUREAGENT_ALLOW_ORIGIN",
     .help = "pages of this origin (https://app.example.com) may open WebSockets, besides our own"},
    {.name = "spool-bytes",
     .kind = SA_OPTION_SIZE,
     .fallback = "16Mi",
     .low = 8 << 20,
     .high = INT64_C(1) << 40,
     .env = "SECUREAGENT_SPOOL_BYTES",
     .help = "output kept of each execution, on disk; the oldest makes room"},
    {.name = "spool-total-bytes",
     .kind = SA_OPTION_SIZE,
     .fallback = "1Gi",
     .low = 8 << 20,
     .high = INT64_C(1) << 50,
     .env = "SECUREAGENT_SPOOL_TOTAL_BYTES",
     .help = "output kept of all together; the oldest executions that have ended lose theirs"},
    {.name = "retention",
     .kind = SA_OPTION_DURATION,
     .fallback = "7d",
     .env = "SECUREAGENT_RETENTION",
     .help = "how long records of ended sandboxes are kept"},
    {.name = "package-mirror",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_PACKAGE_MIRROR",
     .help = "the directory of packages that the node offers to sandboxes"},
    {.name = "policy-dir",
     .kind = SA_OPTION_LIST,
     .value = "DIR",
     .env = "SECUREAGENT_POLICY_DIR",
     .help = "folder with policies/ and scaling/, rules over the shipped ones; may be repeated"},
    {.name = "log-level",
     .kind = SA_OPTION_STRING,
     .fallback = "info",
     .env = "SECUREAGENT_LOG_LEVEL",
     .help = "debug, info, warn, error or off"},
    {.name = "log-format",
     .kind = SA_OPTION_STRING,
     .fallback = "text",
     .env = "SECUREAGENT_LOG_FORMAT",
     .help = "text (key=value) or json"},
    {.name = "routes", .kind = SA_OPTION_BOOL, .help = "print the routes and exit"},
};

static int fail(const struct sa_error *error)
{
    fprintf(stderr, "agent-api: %s\n", error->message);
    return sa_code_exit_status(error->code);
}

static int print_routes(void)
{
    for (size_t i = 0; sa_api_routes[i]; i++)
        for (const struct sa_api_route *r = sa_api_routes[i]; r->method; r++)
            printf("%s %s %s %s\n", r->method, r->pattern, sa_permission_name(r->permission),
                   sa_gate_point_name(r->gate));
    return 0;
}

static int init_log(const struct sa_config *config, struct sa_error *err)
{
    enum sa_log_level level;
    enum sa_log_format format;
    if (sa_log_parse_level(sa_config_string(config, "log-level"), &level, err) < 0 ||
        sa_log_parse_format(sa_config_string(config, "log-format"), &format, err) < 0)
        return -1;
    sa_log_init(level, format, 2, "api");
    return 0;
}

static int check(const struct sa_config *config, struct sa_error *err)
{
    if (!sa_config_string(config, "data-dir"))
        return sa_error_set(err, SA_EINVALID, "--data-dir is required");
    if (!sa_config_string(config, "node-socket"))
        return sa_error_set(err, SA_EINVALID,
                            "--node-socket is required; `secureagent up` starts everything");
    if (!sa_config_string(config, "tls-cert") != !sa_config_string(config, "tls-key"))
        return sa_error_set(err, SA_EINVALID, "--tls-cert and --tls-key belong together");
    return 0;
}

static int check_user(const struct sa_config *config, struct sa_error *err)
{
    if (geteuid() == 0 && sa_config_int(config, "run-as") <= 0)
        return sa_error_set(err, SA_EINVALID,
                            "--run-as UID is required for root: this process parses what clients "
                            "send and must hold no privilege");
    return 0;
}

/* The first line that the descriptor gives, or NULL without one. */
static char *read_key(int64_t fd)
{
    char text[SA_KEY_TEXT_BYTES] = "";
    if (fd < 0)
        return NULL;
    ssize_t n = read((int)fd, text, sizeof text - 1);
    close((int)fd);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return sa_strdup(text);
}

static void tell_ready(int fd, const char *url, int listener)
{
    sa_autofree char *line = sa_printf("%s\n", url);
    const size_t length = strlen(line);
    if (sa_send_fds(fd, line, length, &listener, 1, 0) < 0 && errno == ENOTSOCK)
        sa_write_all(fd, line, length); /* a pipe */
}

static void on_ready(struct sa_app_run *run, const struct sa_error *err)
{
    const char *url = sa_http_server_url(run->app.server);
    int fd = (int)run->ready_fd;
    if (err) {
        sa_log_error("cannot start", SA_LOG_ERR(err));
        sa_app_stop(run, sa_code_exit_status(err->code));
        return;
    }
    sa_log_info("serving", SA_LOG_S("url", url));
    if (fd < 0)
        return;
    tell_ready(fd, url, sa_http_server_listener(run->app.server));
    close(fd);
}

static void on_stop_signal(int signum, void *user)
{
    sa_log_info("stopping", SA_LOG_I("signal", signum));
    sa_app_stop(user, 0);
}

static void on_hangup(uv_signal_t *signal, int signum)
{
    struct sa_app_run *run = signal->data;
    (void)signum;
    sa_policies_reload(&run->app);
}

/* Both in one process, where the store is embedded. */
static void *start_controllers(const struct sa_app *app)
{
    return sa_controllers_start(&(struct sa_controllers_options){.loop = app->loop,
                                                                 .objects = app->objects,
                                                                 .caches = &app->caches,
                                                                 .agent = app->agent,
                                                                 .policy = app->policy,
                                                                 .security = app->security,
                                                                 .metrics = app->metrics,
                                                                 .identity = "agent-api",
                                                                 .process = app->instance});
}

static void stop_controllers(void *controllers, void (*done)(void *user), void *user)
{
    sa_controllers_stop(controllers, done, user);
}

static const struct sa_app_controllers controllers = {start_controllers, stop_controllers};

static int serve(const struct sa_config *config, uv_loop_t *loop, struct sa_error *err)
{
    static struct sa_app_run run;
    char *key = read_key(sa_config_int(config, "key-fd"));
    char *const *origins;
    size_t origin_count = sa_config_list(config, "allow-origin", &origins);
    char *const *policy_dirs;
    size_t policy_dir_count = sa_config_list(config, "policy-dir", &policy_dirs);
    struct sa_app_options o = {.loop = loop,
                               .listen = sa_config_string(config, "listen"),
                               .listen_fd = sa_config_int(config, "listen-fd"),
                               .data_dir = sa_config_string(config, "data-dir"),
                               .node_socket = sa_config_string(config, "node-socket"),
                               .bootstrap_key = key,
                               .tls_cert = sa_config_string(config, "tls-cert"),
                               .tls_key = sa_config_string(config, "tls-key"),
                               .domain = sa_config_string(config, "domain"),
                               .allow_origins = (const char *const *)origins,
                               .allow_origin_count = origin_count,
                               .max_sandboxes = (size_t)sa_config_int(config, "max-sandboxes"),
                               .spool_bytes = (size_t)sa_config_bytes(config, "spool-bytes"),
                               .spool_total_bytes =
                                   (size_t)sa_config_bytes(config, "spool-total-bytes"),
                               .retention_ms = sa_config_ms(config, "retention"),
                               .package_mirror = sa_config_string(config, "package-mirror"),
                               .policy_dirs = (const char *const *)policy_dirs,
                               .policy_dir_count = policy_dir_count,
                               .run_as = sa_config_int(config, "run-as"),
                               .controllers = &controllers,
                               .ready = on_ready};
    run.ready_fd = sa_config_int(config, "ready-fd");
    int rc = sa_app_start(&run, &o, err);
    if (key)
        explicit_bzero(key, strlen(key));
    free(key);
    if (rc < 0) {
        uv_run(loop, UV_RUN_DEFAULT);
        return -1;
    }
    struct sa_signals *signals = sa_signals_start(loop, on_stop_signal, &run, err);
    if (!signals)
        return -1;
    static uv_signal_t hangup;
    hangup.data = &run;
    uv_signal_init(loop, &hangup);
    uv_signal_start(&hangup, on_hangup, SIGHUP);
    uv_unref((uv_handle_t *)&hangup);
    uv_run(loop, UV_RUN_DEFAULT);
    sa_signals_stop(signals);
    uv_close((uv_handle_t *)&hangup, NULL);
    return run.exit_status;
}

int main(int argc, char **argv)
{
    struct sa_error error;
    struct sa_config *config = sa_config_new(options, SA_COUNT(options));
    int rc;
    if (sa_config_load(config, argc, argv, 1, SA_CONFIG_MIXED, &error) < 0)
        return fail(&error);
    if (sa_config_help_asked(config) || sa_config_print_asked(config)) {
        sa_autobuf text = SA_BUF_INIT;
        if (sa_config_help_asked(config))
            sa_config_help(config, "agent-api --data-dir DIR --node-socket PATH [options]",
                           "The REST API of SecureAgent. `secureagent up` starts it for you.",
                           &text);
        else
            sa_config_print(config, &text);
        fputs(text.data, stdout);
        sa_config_free(config);
        return 0;
    }
    if (sa_config_bool(config, "routes")) {
        sa_config_free(config);
        return print_routes();
    }
    if (init_log(config, &error) < 0 || check(config, &error) < 0 || check_user(config, &error) < 0)
        return fail(&error);
    uv_loop_t *loop = sa_loop_new(&error);
    rc = loop ? serve(config, loop, &error) : -1;
    if (rc < 0)
        rc = fail(&error);
    sa_loop_free(loop);
    sa_config_free(config);
    return rc;
}
