/*
 * The default pool is made here and not in agent-api, because it is a wish of who starts the
 * server on a machine, not a part of what serving is: on Kubernetes a chart makes it. It goes
 * through the API, so that rules are asked as of anything else, and only when the data folder is
 * new: a pool that somebody deleted does not come back.
 */
#include "up_apply.h"

#include "apply.h"
#include "resource.h"

#include "base/cleanup.h"
#include "log/log.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Two are ready while nobody comes, and ten at most for who comes often. */
#define POOL(more)                                                                                 \
    "{\"apiVersion\":\"" SA_GROUP_VERSION "\",\"kind\":\"WarmPool\",\"metadata\":{\"name\":"       \
    "\"default\"},\"spec\":{\"runtime\":\"python\",\"minSize\":2,\"maxSize\":10" more "}}"

/* Sandboxes have this machine's Python; and a pool that imports what is not there has no pods. */
static bool has_ipython(void)
{
    static const char *const paths[] = {"/usr/local/bin/python3", "/usr/bin/python3"};
    const char *path = paths[access(paths[0], X_OK) != 0];
    char *argv[] = {"python3", "-I", "-c",
                    "import importlib.util, sys; sys.exit(not importlib.util.find_spec('IPython'))",
                    NULL};
    char *env[] = {NULL};
    posix_spawn_file_actions_t files;
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    if (posix_spawn(&pid, path, &files, NULL, argv, env) == 0 && waitpid(pid, &status, 0) != pid)
        status = -1;
    posix_spawn_file_actions_destroy(&files);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int has_pools(struct sa_client *client, bool *any, struct sa_error *err)
{
    sa_autobuf answer = SA_BUF_INIT;
    struct sa_json_obj root;
    struct sa_json_arr items;
    if (sa_resource_send(client, "GET", "/api/v1/warmpools?limit=1", NULL, &answer, err) < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *doc = sa_client_json(&answer, arena, &root, err);
    int rc = doc ? sa_json_get_arr(&root, "items", 1, &items, err) : -1;
    if (rc == 0)
        *any = items.count > 0;
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static int make_pool(struct sa_client *client, struct sa_error *err)
{
    bool any = false;
    if (has_pools(client, &any, err) < 0 || any)
        return any ? 0 : -1;
    const char *pool = has_ipython() ? POOL(",\"imports\":[\"IPython\"]") : POOL("");
    const struct sa_client_request request = {
        .method = "POST", .path = "/api/v1/warmpools", .body = pool, .body_length = strlen(pool)};
    return sa_client_send(client, &request, err);
}

static int apply(const struct sa_up_apply *up, struct sa_client *client, struct sa_error *err)
{
    const struct sa_apply all = {.client = client, .usage = up->usage, .out = stderr};
    struct sa_error error;
    if (up->wanted->count && sa_apply_all(&all, up->wanted) != 0)
        return sa_error_set(err, SA_EINVALID, "not all of the manifests could be applied");
    if (!up->default_pool || make_pool(client, &error) == 0)
        return 0;
    if (error.code == SA_ECANCELED)
        return sa_error_set(err, SA_ECANCELED, "%s", error.message);
    sa_log_warn("there is no default pool: sandboxes start cold", SA_LOG_ERR(&error));
    return 0;
}

/* Readable when the server shall end; whoever waits for signals finds it there, too. */
static int end_asked(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    return signalfd(-1, &ends, SFD_CLOEXEC);
}

int sa_up_apply(const struct sa_up_apply *up, const char *url, const char *key,
                const char *tls_cert, struct sa_error *err)
{
    if (!up->wanted->count && !up->default_pool)
        return 0;
    sa_autoclose int ends = end_asked();
    if (ends < 0)
        return sa_error_sys(err, SA_EINTERNAL, errno, "watching signals");
    struct sa_client *client = sa_client_open_own(url, key, tls_cert, err);
    if (!client)
        return -1;
    sa_client_watch(client, ends);
    int rc = apply(up, client, err);
    sa_client_close(client);
    return rc;
}
