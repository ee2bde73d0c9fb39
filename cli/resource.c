#include "resource.h"

#include "sandboxes.h"

#include "base/cleanup.h"
#include "base/suggest.h"

#include <string.h>

/* Where a kind is called shorter in the API than in Kubernetes. */
static const struct {
    const struct sa_resource *resource;
    const char *path;
} paths[] = {{&sa_resource_runtime_environment, "runtimes"},
             {&sa_resource_sandbox_profile, "profiles"}};

const char *sa_resource_path(const struct sa_resource *resource)
{
    for (size_t i = 0; i < SA_COUNT(paths); i++)
        if (paths[i].resource == resource)
            return paths[i].path;
    return resource->kind->plural;
}

const struct sa_resource *sa_resource_named(const char *word, struct sa_error *err)
{
    const struct sa_resource *found = sa_resource_find(word);
    const char *names[64];
    size_t count = 0;
    if (found)
        return found;
    sa_autobuf all = SA_BUF_INIT;
    for (const struct sa_resource *const *r = sa_resources; *r; r++) {
        sa_buf_printf(&all, "%s%s", count ? ", " : "", sa_resource_path(*r));
        names[count++] = (*r)->kind->plural;
        names[count++] = (*r)->singular;
        names[count++] = sa_resource_path(*r);
    }
    const char *near = sa_suggest(word, names, count);
    if (near)
        sa_error_set(err, SA_EINVALID, "there is no kind \"%.64s\", did you mean \"%s\"?", word,
                     near);
    else
        sa_error_set(err, SA_EINVALID, "there is no kind \"%.64s\"; there are %s", word, all.data);
    return NULL;
}

static int read_slashed(char *const *args, size_t count, const struct sa_resource **resource,
                        const char **names, struct sa_error *err)
{
    *resource = NULL;
    for (size_t i = 0; i < count; i++) {
        const char *slash = strchr(args[i], '/');
        if (!slash || !slash[1])
            return sa_error_set(err, SA_EINVALID, "\"%.64s\": expected KIND/NAME", args[i]);
        sa_autofree char *word = sa_strndup(args[i], (size_t)(slash - args[i]));
        const struct sa_resource *one = sa_resource_named(word, err);
        if (!one)
            return -1;
        if (*resource && one != *resource)
            return sa_error_set(err, SA_EINVALID, "\"%.64s\": one kind at a time", args[i]);
        *resource = one;
        names[i] = slash + 1;
    }
    return 0;
}

int sa_targets_read(char *const *args, size_t count, const struct sa_resource **resource,
                    const char **names, size_t *name_count, struct sa_error *err)
{
    if (strchr(args[0], '/')) {
        *name_count = count;
        return read_slashed(args, count, resource, names, err);
    }
    *name_count = count - 1;
    for (size_t i = 1; i < count; i++) {
        names[i - 1] = args[i];
        if (!*args[i] || strchr(args[i], '/'))
            return sa_error_set(err, SA_EINVALID, "\"%.64s\" is no name", args[i]);
    }
    *resource = sa_resource_named(args[0], err);
    return *resource ? 0 : -1;
}

char *sa_resource_url(struct sa_client *client, const struct sa_resource *resource,
                      const char *name, struct sa_error *err)
{
    char id[SA_ID_BYTES];
    struct sa_buf url = SA_BUF_INIT;
    if (resource == &sa_resource_sandbox) {
        if (sa_sandbox_resolve(client, name, id, err) < 0)
            return NULL;
        name = id;
    }
    sa_buf_printf(&url, "/api/v1/%s/", sa_resource_path(resource));
    sa_url_escape(&url, name, false);
    return sa_buf_steal(&url);
}

int sa_resource_send(struct sa_client *client, const char *method, const char *url,
                     const struct sa_buf *body, struct sa_buf *answer, struct sa_error *err)
{
    struct sa_client_request request = {.method = method,
                                        .path = url,
                                        .body = body ? body->data : NULL,
                                        .body_length = body ? body->length : 0,
                                        .answer = answer};
    return sa_client_send(client, &request, err);
}
