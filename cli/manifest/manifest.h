/*
 * Reading manifests: a text of YAML (1.2; JSON is YAML) with any number of documents, each of
 * which becomes JSON, and the line of each field, for messages.
 *
 * A plain scalar is null (`null`, `~`, nothing), a boolean (`true`, `false`) or a number where JSON
 * has the same word for it, else a string: `no`, `0755` and `1.2.3` are strings. Refused: tags (but
 * `!!str`, which changes nothing), keys that are no scalars or come twice, more than 32 levels,
 * objects of more than 1024 members, documents of more than 256 KiB (as which anchors could inflate
 * a few lines).
 *
 * The text comes from anywhere. One thread.
 */
#ifndef SA_MANIFEST_MANIFEST_H
#define SA_MANIFEST_MANIFEST_H

#include "base/error.h"

#include <stddef.h>

enum { SA_MANIFEST_DOCUMENTS_MAX = 10000, SA_MANIFEST_DOCUMENT_BYTES = 256 * 1024 };

struct sa_manifests;

/* `text` ends with a NUL, which `length` does not count. SA_EINVALID with the line. Empty documents
 * are left out; those in `items` of a list (an object whose kind is absent or ends with "List", as
 * `get -o yaml` prints) are documents of their own. Free with sa_manifests_free(). */
struct sa_manifests *sa_manifests_read(const char *text, size_t length, struct sa_error *err);
void sa_manifests_free(struct sa_manifests *manifests); /* NULL is allowed */

size_t sa_manifests_count(const struct sa_manifests *manifests);
/* Compact JSON of one. */
const char *sa_manifest_json(const struct sa_manifests *manifests, size_t i, size_t *length);
/* Which document of the text it is (from), from 1. */
unsigned sa_manifest_document(const struct sa_manifests *manifests, size_t i);
/* The line, from 1, of the field at `path` (`spec.ports[2].name`), or of the innermost one on the
 * way there that exists. */
unsigned sa_manifest_line(const struct sa_manifests *manifests, size_t i, const char *path);

#endif
