/* `secureagent cp`: files and folders between here and a sandbox. */
#include "cp_archive.h"
#include "progress.h"
#include "sandboxes.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "quiet", .letter = 'q', .kind = SA_OPTION_BOOL, .help = "show no progress"},
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "cp",
    .usage = "secureagent cp SOURCE TARGET",
    .about = "Copies a file or a folder into a sandbox or out of it: one side is SANDBOX:PATH. A "
             "PATH that does\nnot begin with / is beneath /workspace. `-` is standard input or "
             "output. Into a folder that is\nthere (or a target that ends in /) it goes under its "
             "own name.",
    .examples = "  secureagent cp data.csv web:\n"
                "  secureagent cp web:/workspace/out.png .\n"
                "  secureagent cp src web:/workspace/project\n"
                "  secureagent cp web:/tmp/log.txt - | tail\n",
};

struct copy {
    struct sa_invocation *in;
    char sandbox[SA_ID_BYTES];
    char *remote;      /* absolute path inside */
    const char *local; /* "-": standard input or output */
    struct sa_progress progress;
};

/* ---- where ---- */

/* "web:/a/b"; a path here that holds a colon begins with ./ or /. */
static const char *split(const char *text)
{
    const char *colon = strchr(text, ':');
    return colon && colon > text && text[0] != '.' && text[0] != '/' &&
                   !memchr(text, '/', (size_t)(colon - text))
               ? colon
               : NULL;
}

static int set_remote(struct copy *c, const char *text, const char *colon, struct sa_error *err)
{
    sa_autofree char *name = sa_strndup(text, (size_t)(colon - text));
    const char *path = colon + 1;
    c->remote = path[0] == '/' ? sa_strdup(path) : sa_printf("/workspace/%s", path);
    return sa_sandbox_resolve(c->in->client, name, c->sandbox, err);
}

static const char *last_part(const char *path)
{
    const char *end = path + strlen(path);
    while (end > path + 1 && end[-1] == '/')
        end--;
    while (end > path && end[-1] != '/')
        end--;
    return end;
}

static bool ends_in_slash(const char *path)
{
    size_t length = strlen(path);
    return length && path[length - 1] == '/';
}

static char *joined(const char *folder, const char *name)
{
    char *path = sa_printf("%s%s%s", folder, ends_in_slash(folder) ? "" : "/", name);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
    return path;
}

static char *file_url(const struct copy *c, const char *path)
{
    sa_autobuf url = SA_BUF_INIT;
    sa_buf_printf(&url, "/api/v1/sandboxes/%s/files", c->sandbox);
    sa_url_escape(&url, path, true);
    return sa_buf_steal(&url);
}

static char *archive_url(const struct copy *c, const char *path)
{
    sa_autobuf url = SA_BUF_INIT;
    sa_buf_printf(&url, "/api/v1/sandboxes/%s/files/archive?format=tar&path=", c->sandbox);
    sa_url_escape(&url, path, false);
    return sa_buf_steal(&url);
}

/* 1: a folder, 0: something else or nothing, -1: cannot be asked. */
static int remote_is_folder(const struct copy *c, const char *path, struct sa_error *err)
{
    sa_autobuf url = SA_BUF_INIT;
    sa_buf_printf(&url, "/api/v1/sandboxes/%s/files?limit=1&path=", c->sandbox);
    sa_url_escape(&url, path, false);
    struct sa_client_request request = {.method = "GET", .path = url.data};
    if (sa_client_send(c->in->client, &request, err) == 0)
        return 1;
    return err->code == SA_ENOTFOUND || err->code == SA_EINVALID ? 0 : -1;
}

/* ---- in ---- */

static int upload_file(struct copy *c, int fd, const char *path, struct sa_error *err)
{
    sa_autofree char *url = file_url(c, path);
    struct stat st;
    bool sized = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    struct sa_client_request request = {
        .method = "PUT", .path = url, .uploads = true, .upload = fd};
    sa_autofree char *moded =
        sized && (st.st_mode & 0111) ? sa_printf("%s?mode=%04o", url, st.st_mode & 0777) : NULL;
    if (moded)
        request.path = moded;
    sa_progress_start(&c->progress, last_part(path), sized ? st.st_size : -1);
    request.progress = &c->progress;
    int rc = sa_client_send(c->in->client, &request, err);
    sa_progress_end(&c->progress, rc == 0);
    return rc < 0 ? sa_error_wrap(err, "%s", path) : 0;
}

static int copy_in(struct copy *c, struct sa_error *err)
{
    sa_autofree char *target = NULL;
    struct stat st;
    bool from_stdin = strcmp(c->local, "-") == 0;
    sa_autoclose int fd = from_stdin ? dup(0) : open(c->local, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return sa_error_sys(err, errno == ENOENT ? SA_ENOTFOUND : SA_EINVALID, errno, "%s",
                            c->local);
    int into = ends_in_slash(c->remote) ? 1 : remote_is_folder(c, c->remote, err);
    if (into < 0)
        return -1;
    if (into && from_stdin)
        return sa_error_set(err, SA_EINVALID, "%s is a folder: name the file", c->remote);
    target = into ? joined(c->remote, last_part(c->local)) : sa_strdup(c->remote);
    if (!S_ISDIR(st.st_mode))
        return upload_file(c, fd, target, err);
    sa_autofree char *url = archive_url(c, target);
    return sa_cp_send_folder(c->in->client, url, c->local, &c->progress, err);
}

/* ---- out ---- */

struct download {
    int fd;
    struct sa_progress *progress;
};

static int on_bytes(void *user, const char *data, size_t length)
{
    const struct download *d = user;
    sa_progress_add(d->progress, (int64_t)length);
    return sa_write_all(d->fd, data, length);
}

static int download_file(struct copy *c, const char *to, struct sa_error *err)
{
    sa_autofree char *url = file_url(c, c->remote);
    bool out = strcmp(to, "-") == 0;
    sa_autofree char *partial = out ? NULL : sa_printf("%s.part", to);
    sa_autoclose int fd =
        out ? dup(1) : open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return sa_error_sys(err, SA_EINVALID, errno, "%s", out ? "standard output" : partial);
    struct download d = {fd, &c->progress};
    struct sa_client_request request = {.method = "GET",
                                        .path = url,
                                        .accept = "application/octet-stream",
                                        .sink = on_bytes,
                                        .user = &d,
                                        .progress = &c->progress};
    sa_progress_start(&c->progress, last_part(c->remote), -1);
    int rc = sa_client_send(c->in->client, &request, err);
    sa_progress_end(&c->progress, rc == 0);
    if (!out && rc == 0 && rename(partial, to) < 0)
        rc = sa_error_sys(err, SA_EINVALID, errno, "%s", to);
    if (!out && rc < 0)
        unlink(partial);
    return rc;
}

static int copy_out(struct copy *c, struct sa_error *err)
{
    struct stat st;
    bool here = stat(c->local, &st) == 0 && S_ISDIR(st.st_mode);
    int folder = remote_is_folder(c, c->remote, err);
    if (folder < 0)
        return -1;
    sa_autofree char *target = here || ends_in_slash(c->local)
                                   ? joined(c->local, last_part(c->remote))
                                   : sa_strdup(c->local);
    if (!folder)
        return download_file(c, target, err);
    if (strcmp(c->local, "-") == 0)
        return sa_error_set(err, SA_EINVALID, "%s is a folder: name a folder here", c->remote);
    sa_autofree char *url = archive_url(c, c->remote);
    return sa_cp_receive_folder(c->in->client, url, target, &c->progress, err);
}

static int copy(struct sa_invocation *in, struct sa_error *err)
{
    struct copy c = {.in = in, .progress = {.quiet = sa_config_bool(in->config, "quiet")}};
    const char *from = split(in->args[0]), *to = split(in->args[1]);
    int rc;
    if (!from == !to)
        return sa_command_misused(&usage, "one side must be SANDBOX:PATH, the other a path here "
                                          "(write ./ before one with a colon)");
    c.local = from ? in->args[1] : in->args[0];
    rc = set_remote(&c, from ? in->args[0] : in->args[1], from ? from : to, err);
    if (rc == 0)
        rc = from ? copy_out(&c, err) : copy_in(&c, err);
    free(c.remote);
    return rc;
}

const struct sa_command sa_command_cp = {.name = "cp",
                                         .summary = "copy files and folders in and out",
                                         .usage = &usage,
                                         .least = 2,
                                         .most = 2,
                                         .body = copy,
                                         .options = options,
                                         .option_count = SA_COUNT(options),
                                         .takes_sandbox = true};
