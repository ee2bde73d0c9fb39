/* Any bytes as manifests: they are taken or refused, in bounded memory and time; what is taken is
 * JSON, and every path has a line. */
#include "manifest/manifest.h"

#include "base/arena.h"
#include "json/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sa_manifests *m, size_t i)
{
    static const char *const paths[] = {"", "spec", "spec.a[1].b", "a.b/c", "[0][1]", ".[", "a..b"};
    struct sa_error error = {.code = SA_OK};
    size_t length;
    const char *json = sa_manifest_json(m, i, &length);
    struct sa_json_doc *doc = sa_json_parse(json, length, NULL, &error);
    if (!doc && error.code != SA_EINVALID && error.code != SA_ETOOLARGE) /* 1e999, U+0000 */
        abort();
    sa_json_free(doc);
    for (size_t k = 0; k < sizeof paths / sizeof *paths; k++)
        if (sa_manifest_line(m, i, paths[k]) == 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sa_error error = {.code = SA_OK};
    char *text = sa_strndup((const char *)data, size);
    struct sa_manifests *m = sa_manifests_read(text, strlen(text), &error);
    if (!m && (error.code != SA_EINVALID || !error.message[0]))
        abort();
    for (size_t i = 0; m && i < sa_manifests_count(m); i++)
        check(m, i);
    sa_manifests_free(m);
    free(text);
    return 0;
}
