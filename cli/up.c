/* `secureagent up`: the server on this machine. */
#include "command.h"
#include "supervise.h"
#include "up_apply.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/id.h"
#include "log/log.h"
#include "json/write.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    /* The API's user when started as root: just below the ids that sandboxes get (node/native),
     * so nobody else has it. Where that is not mapped (a container), an id that usually is. */
    API_UID = 0x5FFFFFFF,
    API_UID_FALLBACK = 65533,
    FAMILY_WAIT_MS = 15 * 1000,
    KEY_BYTES = 80,
};

static const struct sa_option options[] = {
    {.name = "listen",
     .kind = SA_OPTION_STRING,
     .fallback = "127.0.0.1:8080",
     .env = "SECUREAGENT_LISTEN",
     .value = "ADDR:PORT",
     .help = "address to serve on; port 0 takes a free one"},
    {.name = "data-dir",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_DATA_DIR",
     .help = "where keys and records are kept (default /var/lib/secureagent as root, else "
             "~/.local/share/secureagent)"},
    {.name = "cache-dir",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_CACHE_DIR",
     .help =
         "build caches that sandboxes share, read-only (default /var/cache/secureagent as root, "
         "else ~/.cache/secureagent)"},
    {.name = "package-mirror",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_PACKAGE_MIRROR",
     .help = "a directory of wheels and npm tarballs that sandboxes may install from"},
    {.name = "output",
     .letter = 'o',
     .kind = SA_OPTION_STRING,
     .fallback = "text",
     .value = "FORMAT",
     .help = "text, or json: one line {\"url\",\"apiKey\"} once it is ready"},
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
    {.name = "tls-cert",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_TLS_CERT",
     .help = "serve HTTPS: PEM file of the certificate chain"},
    {.name = "tls-key",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_TLS_KEY",
     .help = "PEM file of its private key"},
    {.name = "allow-origin",
     .kind = SA_OPTION_LIST,
     .env = "SECUREAGENT_ALLOW_ORIGIN",
     .help = "pages of this origin (https://app.example.com) may open WebSockets, besides our own"},
    {.name = "policy-dir",
     .kind = SA_OPTION_LIST,
     .value = "DIR",
     .env = "SECUREAGENT_POLICY_DIR",
     .help = "folder with policies/ and scaling/, rules over the shipped ones; may be repeated"},
    {.name = "retention",
     .kind = SA_OPTION_DURATION,
     .fallback = "7d",
     .env = "SECUREAGENT_RETENTION",
     .help = "how long records of ended sandboxes are kept"},
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
    {.name = "file",
     .letter = 'f',
     .kind = SA_OPTION_LIST,
     .value = "FILE",
     .help = "apply manifests once it serves: a file, a folder or -; may be repeated"},
    {.name = "default-pool",
     .kind = SA_OPTION_BOOL,
     .fallback = "true",
     .env = "SECUREAGENT_DEFAULT_POOL",
     .help = "begin with a warm pool for python, where the data directory is new and there is no "
             "other (--no-default-pool: none)"},
    {.name = "config",
     .kind = SA_OPTION_PATH,
     .env = "SECUREAGENT_CONFIG",
     .help = "JSON file with these options in camelCase"},
};

static const struct sa_usage usage = {
    .command = "up",
    .usage = "secureagent up [options]",
    .about =
        "Starts the server: the API and the node that makes the sandboxes. Runs until SIGTERM "
        "or\nCtrl-C, which end every sandbox; a second signal does so at once. The log goes to "
        "standard error.",
    .examples = "  secureagent up\n"
                "  secureagent up -f manifests/ --no-default-pool\n"
                "  secureagent up --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem\n"
                "  secureagent up --listen 127.0.0.1:0 --data-dir /tmp/sa -o json\n",
};

struct up {
    const struct sa_config *config;
    const struct sa_datadir *data;
    const char *key;
    bool json;
    struct sa_up_apply apply;
};

/* The options that agent-api has under the same name. */
static char **api_options(const struct sa_config *config)
{
    static const struct {
        const char *name;
        enum sa_option_kind kind;
    } passed[] = {{"tls-cert", SA_OPTION_PATH},       {"tls-key", SA_OPTION_PATH},
                  {"log-level", SA_OPTION_STRING},    {"log-format", SA_OPTION_STRING},
                  {"max-sandboxes", SA_OPTION_INT},   {"domain", SA_OPTION_STRING},
                  {"spool-bytes", SA_OPTION_SIZE},    {"spool-total-bytes", SA_OPTION_SIZE},
                  {"package-mirror", SA_OPTION_PATH}, {"retention", SA_OPTION_DURATION}};
    static const char *const lists[] = {"allow-origin", "policy-dir"};
    char *const *items;
    size_t n = 0, most = SA_COUNT(passed) + 1;
    for (size_t i = 0; i < SA_COUNT(lists); i++)
        most += sa_config_list(config, lists[i], &items);
    char **list = sa_alloc(most * sizeof *list);
    for (size_t i = 0; i < SA_COUNT(passed); i++) {
        const char *name = passed[i].name;
        if (passed[i].kind == SA_OPTION_INT)
            list[n++] = sa_printf("--%s=%lld", name, (long long)sa_config_int(config, name));
        else if (passed[i].kind == SA_OPTION_SIZE)
            list[n++] = sa_printf("--%s=%lld", name, (long long)sa_config_bytes(config, name));
        else if (passed[i].kind == SA_OPTION_DURATION)
            list[n++] = sa_printf("--%s=%lldms", name, (long long)sa_config_ms(config, name));
        else if (sa_config_string(config, name))
            list[n++] = sa_printf("--%s=%s", name, sa_config_string(config, name));
    }
    for (size_t i = 0; i < SA_COUNT(lists); i++) {
        size_t count = sa_config_list(config, lists[i], &items);
        for (size_t k = 0; k < count; k++)
            list[n++] = sa_printf("--%s=%s", lists[i], items[k]);
    }
    return list;
}

static void free_list(char **list)
{
    for (char **item = list; item && *item; item++)
        free(*item);
    free(list);
}

/* 160 random bits behind a public prefix, as store/keys.h describes. */
static void new_key(char out[KEY_BYTES])
{
    uint8_t random[25];
    char prefix[9], secret[33];
    sa_random(random, sizeof random);
    sa_base32(random, 5, prefix);
    sa_base32(random + 5, 20, secret);
    snprintf(out, KEY_BYTES, "sa_%s_%s", prefix, secret);
    explicit_bzero(random, sizeof random);
    explicit_bzero(secret, sizeof secret);
}

/* The key of earlier runs, so that what was set up with it goes on working; else a new one. */
static int find_key(const struct sa_datadir *data, char out[KEY_BYTES], bool *found,
                    struct sa_error *err)
{
    struct sa_clifile file;
    struct sa_error error;
    *found = sa_clifile_read(data->path, &file, &error) == 0;
    if (*found) {
        snprintf(out, KEY_BYTES, "%s", file.key);
        sa_clifile_deinit(&file);
        return 0;
    }
    if (error.code != SA_ENOTFOUND) {
        *err = error;
        return sa_error_wrap(
            err, "the key of earlier runs cannot be read (remove the file to have one made)");
    }
    new_key(out);
    return 0;
}

/* Is the id there, by /proc/self/uid_map (user_namespaces(7): first, first outside, count)? */
static bool mapped(uint32_t id, const char *map)
{
    sa_autobuf text = SA_BUF_INIT;
    if (sa_read_file(-1, map, 1 << 20, &text, NULL) < 0 || !text.data)
        return true;
    for (char *at = text.data; *at;) {
        unsigned long long first = strtoull(at, &at, 10);
        strtoull(at, &at, 10);
        unsigned long long count = strtoull(at, &at, 10);
        if (id >= first && id - first < count)
            return true;
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
    return false;
}

static int64_t api_user(void)
{
    if (geteuid() != 0)
        return -1;
    bool usual = mapped(API_UID, "/proc/self/uid_map") && mapped(API_UID, "/proc/self/gid_map");
    return usual ? API_UID : API_UID_FALLBACK;
}

/* How this program is called from anywhere: its name if the PATH leads to it, else its path. */
static char *own_name(void)
{
    char self[PATH_MAX], found[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    const char *path = getenv("PATH"), *base = strrchr(self, '/');
    for (size_t length; base && path && *path; path += length + (path[length] == ':')) {
        length = strcspn(path, ":");
        sa_autofree char *candidate = sa_printf("%.*s%s", (int)length, path, base);
        if (!realpath(candidate, found) || access(found, X_OK) < 0)
            continue;
        if (strcmp(found, self) != 0)
            break; /* another one comes first */
        return sa_strdup(base + 1);
    }
    return sa_strdup(self);
}

/* `data_dir` is what the other terminal has to name; NULL: it looks there by itself. */
static void print_text(const char *url, const char *key, const char *data_dir)
{
    sa_autofree char *self = own_name();
    sa_autofree char *where = data_dir ? sa_printf(" --data-dir '%s'", data_dir) : sa_strdup("");
    printf("SecureAgent is ready.\n\n"
           "  URL      %s\n"
           "  API key  %s\n\n"
           "Try it, in another terminal:\n\n"
           "  echo 'print(6 * 7)' | %s run - --runtime python%s\n"
           "  curl %s/api/v1/sandboxes -H 'X-API-Key: %s' -d '{\"runtime\":\"python\"}'\n\n"
           "Ctrl-C stops it and ends every sandbox.\n",
           url, key, self, where, url, key);
}

static void print_json(const char *url, const char *key)
{
    sa_autobuf line = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&line);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "url", url);
    sa_json_put_string(&w, "apiKey", key);
    sa_json_w_end_object(&w);
    puts(line.data);
}

static int on_ready(void *user, const char *url, bool first, struct sa_error *err)
{
    struct up *up = user;
    sa_autofree char *cert = NULL;
    const char *given = sa_config_string(up->config, "tls-cert");
    if (given)
        cert = realpath(given, NULL);
    /* First, so that what was cut short is done anew by the next start. */
    if (first && sa_up_apply(&up->apply, url, up->key, cert, err) < 0)
        return err->code == SA_ECANCELED ? 0 : -1;
    if (sa_clifile_write(up->data->path, url, up->key, cert, err) < 0)
        return -1;
    if (!first)
        return 0;
    if (up->json)
        print_json(url, up->key);
    else
        print_text(url, up->key, sa_config_string(up->config, "data-dir") ? up->data->path : NULL);
    /* A reader that has gone is no reason to stop serving, nor to call that a failure. */
    if (fflush(stdout) == EOF)
        clearerr(stdout);
    return 0;
}

static int check(const struct sa_config *config, struct sa_error *err)
{
    const char *output = sa_config_string(config, "output");
    enum sa_log_level level;
    enum sa_log_format format;
    if (strcmp(output, "text") != 0 && strcmp(output, "json") != 0)
        return sa_error_at(err, SA_EINVALID, "output", "--output: \"%.32s\": text or json", output);
    if (!sa_config_string(config, "tls-cert") != !sa_config_string(config, "tls-key"))
        return sa_error_set(err, SA_EINVALID, "--tls-cert and --tls-key belong together");
    if (sa_log_parse_level(sa_config_string(config, "log-level"), &level, err) < 0 ||
        sa_log_parse_format(sa_config_string(config, "log-format"), &format, err) < 0)
        return -1;
    sa_log_init(level, format, 2, "up");
    return 0;
}

static void add_advice(struct sa_error *error, const char *advice)
{
    size_t n = strlen(error->message);
    snprintf(error->message + n, sizeof error->message - n, "; %s", advice);
}

/* An absolute path, or NULL where there is no home. */
static char *cache_dir(const struct sa_config *config)
{
    const char *given = sa_config_string(config, "cache-dir");
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (given) {
        sa_autofree char *here = given[0] == '/' ? NULL : getcwd(NULL, 0);
        return here ? sa_printf("%s/%s", here, given) : sa_strdup(given);
    }
    if (geteuid() == 0)
        return sa_strdup("/var/cache/secureagent");
    if (xdg && xdg[0] == '/')
        return sa_printf("%s/secureagent", xdg);
    return home && home[0] == '/' ? sa_printf("%s/.cache/secureagent", home) : NULL;
}

static int supervise(const struct sa_config *config, struct sa_datadir *data, int64_t run_as,
                     const struct sa_wanted *wanted, struct sa_error *err)
{
    char key[KEY_BYTES];
    bool known; /* from an earlier run */
    sa_autofree char *node = sa_find_program("sandbox-node", err);
    sa_autofree char *api = node ? sa_find_program("agent-api", err) : NULL;
    sa_autofree char *runtime = api ? sa_find_program("execution-runtime", err) : NULL;
    sa_autofree char *cache = cache_dir(config);
    const char *mirror = sa_config_string(config, "package-mirror");
    sa_autofree char *packages = mirror ? realpath(mirror, NULL) : NULL;
    if (mirror && !packages)
        return sa_error_sys(err, SA_EINVALID, errno, "--package-mirror %s", mirror);
    if (!runtime || find_key(data, key, &known, err) < 0)
        return -1;
    struct up up = {.config = config,
                    .data = data,
                    .key = key,
                    .json = strcmp(sa_config_string(config, "output"), "json") == 0,
                    .apply = {.usage = &usage,
                              .wanted = wanted,
                              .default_pool = !known && sa_config_bool(config, "default-pool")}};
    struct sa_supervise s = {.spawn = {.node = node,
                                       .api = api,
                                       .runtime = runtime,
                                       .cache = cache,
                                       .packages = packages,
                                       .data = data,
                                       .key = key,
                                       .run_as = run_as,
                                       .api_options = api_options(config)},
                             .listen = sa_config_string(config, "listen"),
                             .ready = on_ready,
                             .user = &up};
    int status = sa_supervise(&s);
    free_list(s.spawn.api_options);
    explicit_bzero(key, sizeof key);
    return status;
}

/* The manifests before anything is started: with mistakes in them, nothing is. */
static int read_manifests(const struct sa_config *config, struct sa_wanted *wanted,
                          struct sa_error *err)
{
    char *const *paths;
    size_t count = sa_config_list(config, "file", &paths);
    *wanted = (struct sa_wanted){.count = 0};
    return count ? sa_wanted_read(paths, count, SA_WANTED_STRICT, &usage, wanted, err) : 0;
}

static int serve(const struct sa_config *config, const struct sa_wanted *wanted,
                 struct sa_error *err)
{
    struct sa_datadir data;
    int64_t run_as = api_user();
    const char *given = sa_config_string(config, "data-dir");
    sa_autofree char *path = given ? sa_strdup(given) : sa_datadir_default();
    umask(022); /* folders made on the way to the data directory; the rest names its mode */
    int status = sa_datadir_open(&data, path, run_as, FAMILY_WAIT_MS, err);
    if (status < 0 && (err->sys_errno == EACCES || err->sys_errno == EROFS))
        add_advice(err, "make it writable, or choose another with --data-dir");
    if (status == 0)
        status = supervise(config, &data, run_as, wanted, err);
    sa_datadir_close(&data);
    return status;
}

static int run(int argc, char **argv)
{
    int status;
    struct sa_error error;
    char *const *rest;
    struct sa_wanted wanted = {.count = 0};
    struct sa_config *config =
        sa_command_load(&usage, options, SA_COUNT(options), argc, argv, SA_CONFIG_MIXED, &status);
    if (!config)
        return status;
    if (sa_config_args(config, &rest)) {
        status = sa_command_misused(&usage, "takes no arguments, got \"%.64s\"", rest[0]);
        sa_config_free(config);
        return status;
    }
    status = check(config, &error);
    if (status == 0)
        status = read_manifests(config, &wanted, &error);
    if (status == 0)
        status = serve(config, &wanted, &error);
    if (status < 0)
        status = sa_command_fail(&usage, &error);
    sa_wanted_deinit(&wanted);
    sa_config_free(config);
    return status;
}

const struct sa_command sa_command_up = {
    .name = "up",
    .summary = "start the server on this machine",
    .run = run,
    .options = options,
    .option_count = SA_COUNT(options),
};
