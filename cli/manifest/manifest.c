/* Reading: libyaml makes trees of nodes, which are written as JSON; the trees are kept for their
 * line numbers. */
#include "manifest.h"

#include "scalar.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "json/write.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 32, MEMBERS_MAX = 1024 /* of an object; keys are compared pair by pair */ };

struct one {
    size_t tree;
    int node; /* its root in the tree */
    unsigned document;
    struct sa_buf json;
};

struct sa_manifests {
    yaml_document_t *trees;
    size_t tree_count;
    struct one *items;
    size_t count;
};

/* ---- from nodes to JSON ---- */

struct writer {
    yaml_document_t *tree;
    struct sa_json_w w;
    const struct sa_buf *out;
    struct sa_error *err;
};

static unsigned line_of(const yaml_node_t *node)
{
    return (unsigned)node->start_mark.line + 1;
}

static int refuse(const struct writer *writer, const yaml_node_t *node, const char *what)
{
    return sa_error_set(writer->err, SA_EINVALID, "line %u: %s", line_of(node), what);
}

static const char *text_of(const yaml_node_t *scalar)
{
    return (const char *)scalar->data.scalar.value;
}

/* libyaml gives each node the tag of its shape unless the text names one. */
static bool is_usual_tag(const yaml_node_t *node)
{
    static const char *const tags[] = {YAML_STR_TAG, YAML_SEQ_TAG, YAML_MAP_TAG};
    for (size_t i = 0; i < SA_COUNT(tags); i++)
        if (node->tag && strcmp((const char *)node->tag, tags[i]) == 0)
            return true;
    return false;
}

static void write_scalar(struct writer *writer, const yaml_node_t *node)
{
    const char *text = text_of(node), *json = NULL;
    size_t length = node->data.scalar.length;
    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        json = sa_scalar_json(text, length);
    if (json)
        sa_json_w_raw(&writer->w, json, strlen(json));
    else
        sa_json_w_stringn(&writer->w, text, length);
}

/* The key of a pair, which must be new among those before it. */
static int write_key(struct writer *writer, const yaml_node_t *map, const yaml_node_pair_t *pair)
{
    const yaml_node_t *key = yaml_document_get_node(writer->tree, pair->key);
    if (key->type != YAML_SCALAR_NODE || strlen(text_of(key)) != key->data.scalar.length)
        return refuse(writer, key, "a key must be a text");
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
        const yaml_node_t *before = yaml_document_get_node(writer->tree, p->key);
        if (strcmp(text_of(before), text_of(key)) == 0)
            return sa_error_set(writer->err, SA_EINVALID,
                                "line %u: \"%.64s\" is there twice, first in line %u", line_of(key),
                                text_of(key), line_of(before));
    }
    sa_json_w_key(&writer->w, text_of(key));
    return 0;
}

static int write_node(struct writer *writer, int index, unsigned depth);

static int write_mapping(struct writer *writer, const yaml_node_t *node, unsigned depth)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    if (node->data.mapping.pairs.top - pair > MEMBERS_MAX)
        return refuse(writer, node, "too many members: at most 1024 are read");
    sa_json_w_begin_object(&writer->w);
    for (; pair < node->data.mapping.pairs.top; pair++)
        if (write_key(writer, node, pair) < 0 || write_node(writer, pair->value, depth + 1) < 0)
            return -1;
    sa_json_w_end_object(&writer->w);
    return 0;
}

static int write_sequence(struct writer *writer, const yaml_node_t *node, unsigned depth)
{
    const yaml_node_item_t *item = node->data.sequence.items.start;
    sa_json_w_begin_array(&writer->w);
    for (; item < node->data.sequence.items.top; item++)
        if (write_node(writer, *item, depth + 1) < 0)
            return -1;
    sa_json_w_end_array(&writer->w);
    return 0;
}

static int write_node(struct writer *writer, int index,
                      unsigned depth) /* NOLINT(misc-no-recursion) */
{
    const yaml_node_t *node = yaml_document_get_node(writer->tree, index);
    if (depth > DEPTH_MAX)
        return refuse(writer, node, "too many levels: at most 32 are read");
    if (writer->out->length > SA_MANIFEST_DOCUMENT_BYTES)
        return refuse(writer, node, "the document is too large: at most 256 KiB are read");
    if (!is_usual_tag(node))
        return refuse(writer, node, "tags such as !this are not read");
    if (node->type == YAML_MAPPING_NODE)
        return write_mapping(writer, node, depth);
    if (node->type == YAML_SEQUENCE_NODE)
        return write_sequence(writer, node, depth);
    write_scalar(writer, node);
    return 0;
}

/* ---- documents ---- */

static const yaml_node_t *member(yaml_document_t *tree, const yaml_node_t *map, const char *key,
                                 size_t length, int *index)
{
    if (map->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *name = yaml_document_get_node(tree, p->key);
        if (name->type == YAML_SCALAR_NODE && name->data.scalar.length == length &&
            memcmp(text_of(name), key, length) == 0) {
            *index = p->value;
            return yaml_document_get_node(tree, p->value);
        }
    }
    return NULL;
}

static int add(struct sa_manifests *m, int node, unsigned document, struct sa_error *err)
{
    size_t tree = m->tree_count - 1;
    if (m->count == SA_MANIFEST_DOCUMENTS_MAX)
        return sa_error_set(err, SA_EINVALID, "more than %d documents", SA_MANIFEST_DOCUMENTS_MAX);
    if ((m->count & (m->count - 1)) == 0) /* grows at powers of two */
        m->items = sa_realloc(m->items, (m->count ? 2 * m->count : 1) * sizeof *m->items);
    struct one *one = &m->items[m->count++];
    *one = (struct one){.tree = tree, .node = node, .document = document};
    struct writer writer = {
        .tree = &m->trees[tree], .w = sa_json_w_start(&one->json), .out = &one->json, .err = err};
    return write_node(&writer, node, 1);
}

/* The elements of a list, where `root` is one; else NULL. */
static const yaml_node_t *list_items(yaml_document_t *tree, const yaml_node_t *root)
{
    int index;
    const yaml_node_t *kind = member(tree, root, "kind", 4, &index);
    const yaml_node_t *items = member(tree, root, "items", 5, &index);
    if (!items || items->type != YAML_SEQUENCE_NODE)
        return NULL;
    if (!kind)
        return items;
    size_t length = kind->type == YAML_SCALAR_NODE ? kind->data.scalar.length : 0;
    return length >= 4 && memcmp(text_of(kind) + length - 4, "List", 4) == 0 ? items : NULL;
}

/* The newest tree. */
static int add_document(struct sa_manifests *m, unsigned document, struct sa_error *err)
{
    yaml_document_t *tree = &m->trees[m->tree_count - 1];
    const yaml_node_t *root = yaml_document_get_root_node(tree);
    if (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0)
        return 0;
    if (root->type != YAML_MAPPING_NODE)
        return sa_error_set(err, SA_EINVALID, "line %u: expected an object (apiVersion, kind ...)",
                            line_of(root));
    const yaml_node_t *list = list_items(tree, root);
    if (!list)
        return add(m, 1, document, err);
    for (const yaml_node_item_t *i = list->data.sequence.items.start;
         i < list->data.sequence.items.top; i++)
        if (add(m, *i, document, err) < 0)
            return -1;
    return 0;
}

static int load(struct sa_manifests *m, yaml_parser_t *parser, struct sa_error *err)
{
    for (unsigned document = 1; document <= SA_MANIFEST_DOCUMENTS_MAX; document++) {
        yaml_document_t tree;
        if (!yaml_parser_load(parser, &tree))
            return sa_error_set(err, SA_EINVALID, "line %zu: this is no YAML: %s",
                                parser->problem_mark.line + 1,
                                parser->problem ? parser->problem : "it cannot be read");
        if (!yaml_document_get_root_node(&tree)) { /* the end */
            yaml_document_delete(&tree);
            return 0;
        }
        m->trees = sa_realloc(m->trees, (m->tree_count + 1) * sizeof *m->trees);
        m->trees[m->tree_count++] = tree;
        if (add_document(m, document, err) < 0)
            return -1;
    }
    return sa_error_set(err, SA_EINVALID, "more than %d documents", SA_MANIFEST_DOCUMENTS_MAX);
}

/* \uXXXX, of which six bytes are there. */
static bool read_escape(const char *text, uint32_t *unit)
{
    char digits[5] = "";
    if (text[0] != '\\' || text[1] != 'u')
        return false;
    memcpy(digits, text + 2, 4);
    *unit = (uint32_t)strtoul(digits, NULL, 16);
    return strspn(digits, "0123456789abcdefABCDEF") == 4;
}

/* JSON writes what is beyond U+FFFF as two escapes (\ud83d\ude00), YAML as one (\U0001f600), of
 * which libyaml knows only the second. */
static void join_surrogates(const char *text, size_t length, struct sa_buf *out)
{
    uint32_t high, low;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\\' || i + 1 == length) {
            sa_buf_addc(out, text[i]);
        } else if (length - i >= 12 && read_escape(text + i, &high) &&
                   read_escape(text + i + 6, &low) && high >> 10 == 0xD800 >> 10 &&
                   low >> 10 == 0xDC00 >> 10) {
            sa_buf_printf(out, "\\U%08x", 0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF));
            i += 11;
        } else {
            sa_buf_add(out, text + i++, 2);
        }
    }
}

struct sa_manifests *sa_manifests_read(const char *text, size_t length, struct sa_error *err)
{
    yaml_parser_t parser;
    sa_autobuf joined = SA_BUF_INIT;
    if (!yaml_parser_initialize(&parser)) {
        sa_error_set(err, SA_EINTERNAL, "libyaml cannot be initialised");
        return NULL;
    }
    if (length && text[strspn(text, " \t\r\n")] == '{') {
        join_surrogates(text, length, &joined);
        text = joined.data;
        length = joined.length;
    }
    struct sa_manifests *m = sa_alloc(sizeof *m);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    int rc = load(m, &parser, err);
    yaml_parser_delete(&parser);
    if (rc == 0)
        return m;
    sa_manifests_free(m);
    return NULL;
}

void sa_manifests_free(struct sa_manifests *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->tree_count; i++)
        yaml_document_delete(&m->trees[i]);
    for (size_t i = 0; i < m->count; i++)
        sa_buf_deinit(&m->items[i].json);
    free(m->trees);
    free(m->items);
    free(m);
}

size_t sa_manifests_count(const struct sa_manifests *m)
{
    return m->count;
}

const char *sa_manifest_json(const struct sa_manifests *m, size_t i, size_t *length)
{
    *length = m->items[i].json.length;
    return m->items[i].json.data;
}

unsigned sa_manifest_document(const struct sa_manifests *m, size_t i)
{
    return m->items[i].document;
}

/* ---- lines ---- */

/* One step of a path, "name" or "[2]"; NULL where there is nothing such. */
static const yaml_node_t *step(yaml_document_t *tree, const yaml_node_t *node, const char **path)
{
    int index;
    const char *at = *path;
    if (*at == '[' && node->type == YAML_SEQUENCE_NODE) {
        char *end;
        unsigned long i = strtoul(at + 1, &end, 10);
        const yaml_node_item_t *items = node->data.sequence.items.start;
        if (i >= (size_t)(node->data.sequence.items.top - items) || *end != ']')
            return NULL;
        *path = end + 1 + (end[1] == '.');
        return yaml_document_get_node(tree, items[i]);
    }
    size_t length = strcspn(at, ".[");
    *path = at + length + (at[length] == '.');
    const yaml_node_t *found = length ? member(tree, node, at, length, &index) : NULL;
    if (!found && length && at[length] == '.') { /* a key with dots, such as of a label */
        *path = at + strlen(at);
        found = member(tree, node, at, strlen(at), &index);
    }
    return found;
}

unsigned sa_manifest_line(const struct sa_manifests *m, size_t i, const char *path)
{
    yaml_document_t *tree = &m->trees[m->items[i].tree];
    const yaml_node_t *node = yaml_document_get_node(tree, m->items[i].node);
    unsigned line = line_of(node);
    while (node && *path) {
        node = step(tree, node, &path);
        if (node)
            line = line_of(node);
    }
    return line;
}
