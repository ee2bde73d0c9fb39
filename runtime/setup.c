/* The SETUP method. */
#include "setup.h"

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "call.h"
#include "template.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 128 * 1024 - 1 }; /* execve(2) takes no longer one; all together are one frame */

static struct {
    char *own[SA_SETUP_ENV_MAX]; /* of SETUP, malloc'd */
    size_t count;
    char *merged[SA_SETUP_ENV_MAX + SA_BOOT_ENV_MAX + 1];
    bool done;
} setup;

/* What an interpreter, or a library in it, reads when it starts: EARLY of kernels/template.py. */
static const char *const early[] = {"HOME=",   "PYTHON", "LD_",  "LC_",       "LANG",
                                    "MALLOC_", "GLIBC_", "OMP_", "OPENBLAS_", "MKL_"};

char **sa_setup_env(void)
{
    return setup.done ? setup.merged : sa_boot.env;
}

bool sa_setup_same_name(const char *a, const char *b)
{
    size_t length = strcspn(a, "=");
    return !strncmp(a, b, length + 1);
}

static void forget(char *text)
{
    explicit_bzero(text, strlen(text));
    free(text);
}

void sa_setup_drop(void)
{
    for (size_t i = 0; i < setup.count; i++)
        forget(setup.own[i]);
    setup.count = 0;
    setup.done = false;
}

/* A later setting of the same name replaces an earlier one. */
static int keep(char *text, struct sa_error *err)
{
    for (size_t i = 0; i < setup.count; i++)
        if (sa_setup_same_name(setup.own[i], text)) {
            forget(setup.own[i]);
            setup.own[i] = text;
            return 0;
        }
    if (setup.count == SA_SETUP_ENV_MAX) {
        forget(text);
        return sa_error_at(err, SA_ETOOLARGE, "env", "more than %d variables", SA_SETUP_ENV_MAX);
    }
    setup.own[setup.count++] = text;
    return 0;
}

static int add(const struct sa_field *f, struct sa_error *err)
{
    char *text;
    if (f->tag != SA_SETUP_ENV) {
        if (f->tag & SA_FIELD_CRITICAL)
            return sa_error_set(err, SA_EINVALID, "SETUP: unknown critical field %u", f->tag);
        return 0;
    }
    if (sa_field_text(f, TEXT_MAX, &text, err) < 0)
        return -1;
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        forget(text); /* it may be a value that lost its name: do not repeat it */
        return sa_error_at(err, SA_EINVALID, "env", "an entry is not NAME=value");
    }
    return keep(text, err);
}

static void merge(void)
{
    size_t n = 0;
    for (size_t i = 0; i < setup.count; i++)
        setup.merged[n++] = setup.own[i];
    for (size_t b = 0; b < sa_boot.env_count; b++) {
        bool replaced = false;
        for (size_t i = 0; i < setup.count && !replaced; i++)
            replaced = sa_setup_same_name(setup.own[i], sa_boot.env[b]);
        if (!replaced)
            setup.merged[n++] = sa_boot.env[b];
    }
    setup.merged[n] = NULL;
}

/* The template that waits is of an interpreter that started without it. */
static bool is_early(void)
{
    for (size_t i = 0; i < setup.count; i++)
        for (size_t j = 0; j < SA_COUNT(early); j++)
            if (!strncmp(setup.own[i], early[j], strlen(early[j])))
                return true;
    return false;
}

static int decode(const void *body, size_t length, struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field f;
    int more;
    sa_fields_init(&reader, body, length);
    while ((more = sa_fields_next(&reader, &f, err)) > 0)
        if (add(&f, err) < 0)
            return -1;
    return more;
}

void sa_setup_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_error error;
    if (setup.done) {
        sa_error_set(&error, SA_ECONFLICT, "it was set up already; RESET comes first");
        sa_stream_end_error(stream, &error);
        return;
    }
    if (decode(body, length, &error) < 0) {
        sa_setup_drop();
        sa_stream_end_error(stream, &error);
        return;
    }
    sa_failpoint("runtime.setup.asked");
    merge();
    setup.done = true;
    if (is_early())
        sa_template_renew();
    sa_failpoint("runtime.setup.done");
    sa_stream_end(stream, NULL, 0);
}
