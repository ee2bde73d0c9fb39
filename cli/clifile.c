/* DATA/cli.json: how commands on this machine find the server. */
#include "datadir.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "json/json.h"
#include "json/write.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { CLIFILE_MAX = 16 * 1024 };

static int replace(const char *path, const char *temporary, const struct sa_buf *text)
{
    sa_autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || sa_write_all(fd, text->data, text->length) < 0 || fsync(fd) < 0)
        return -1;
    return rename(temporary, path);
}

int sa_clifile_write(const char *data_dir, const char *url, const char *key, const char *tls_cert,
                     struct sa_error *err)
{
    sa_autofree char *path = sa_printf("%s/cli.json", data_dir);
    sa_autofree char *temporary = sa_printf("%s/.cli.json.new", data_dir);
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "url", url);
    sa_json_put_string(&w, "apiKey", key);
    if (tls_cert)
        sa_json_put_string(&w, "tlsCert", tls_cert);
    sa_json_w_end_object(&w);
    sa_buf_addc(&text, '\n');
    unlink(temporary);
    int rc = replace(path, temporary, &text);
    if (rc < 0)
        sa_error_sys(err, SA_EUNAVAILABLE, errno, "writing %s", path);
    explicit_bzero(text.data, text.length);
    return rc;
}

static int decode(const struct sa_buf *text, struct sa_arena *arena, struct sa_clifile *out,
                  struct sa_error *err)
{
    struct sa_json_obj root;
    const char *url, *key, *cert = NULL;
    struct sa_json_doc *doc = sa_json_parse(text->data, text->length, NULL, err);
    int rc = doc && sa_json_root(doc, arena, &root, err) == 0 &&
                     sa_json_get_string(&root, "url", 1024, &url, err) == 0 &&
                     sa_json_get_string(&root, "apiKey", 256, &key, err) == 0 &&
                     sa_json_opt_string(&root, "tlsCert", 4096, &cert, NULL, err) == 0
                 ? 0
                 : -1;
    sa_json_free(doc);
    if (rc == 0)
        *out = (struct sa_clifile){sa_strdup(url), sa_strdup(key), cert ? sa_strdup(cert) : NULL};
    return rc;
}

int sa_clifile_read(const char *data_dir, struct sa_clifile *out, struct sa_error *err)
{
    sa_autofree char *path = sa_printf("%s/cli.json", data_dir);
    sa_autobuf text = SA_BUF_INIT;
    *out = (struct sa_clifile){NULL, NULL, NULL};
    if (sa_read_file(AT_FDCWD, path, CLIFILE_MAX, &text, err) < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    int rc = decode(&text, arena, out, err);
    sa_arena_free(arena);
    return rc < 0 ? sa_error_wrap(err, "%s", path) : 0;
}

void sa_clifile_deinit(struct sa_clifile *file)
{
    if (file->key)
        explicit_bzero(file->key, strlen(file->key));
    free(file->url);
    free(file->key);
    free(file->tls_cert);
    *file = (struct sa_clifile){NULL, NULL, NULL};
}
