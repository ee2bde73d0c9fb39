/* The three places besides the defaults: flags, environment, file. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/suggest.h"
#include "config/internal.h"
#include "json/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX_BYTES = 1 << 20, NONE = -1 };

void sa_config_camel(const char *name, char out[NAME_BYTES])
{
    size_t n = 0;
    for (; *name && n < NAME_BYTES - 1; name++) {
        bool upper = *name == '-' && name[1] >= 'a' && name[1] <= 'z';
        name += *name == '-';
        out[n++] = (char)(upper ? *name - 'a' + 'A' : *name);
    }
    out[n] = '\0';
}

/* --- flags --------------------------------------------------------------------------------- */

struct args {
    struct sa_config *config;
    int argc, next;
    char *const *argv;
    struct sa_error *err;
};

static int find_name(const struct sa_config *config, const char *name, size_t length)
{
    for (size_t i = 0; i < config->count; i++)
        if (strncmp(config->options[i].name, name, length) == 0 &&
            config->options[i].name[length] == '\0')
            return (int)i;
    return NONE;
}

static int unknown_flag(struct args *a, const char *name, size_t length)
{
    const char *names[64] = {"help", "print-config"};
    char word[NAME_BYTES];
    size_t count = 2;
    for (size_t i = 0; i < a->config->count && count < SA_COUNT(names); i++)
        names[count++] = a->config->options[i].name;
    snprintf(word, sizeof word, "%.*s", (int)(length < NAME_BYTES ? length : NAME_BYTES - 1), name);
    const char *near = sa_suggest(word, names, count);
    if (near)
        return sa_error_at(a->err, SA_EINVALID, word, "unknown flag --%s, did you mean --%s?", word,
                           near);
    return sa_error_at(a->err, SA_EINVALID, word, "unknown flag --%s (--help lists them)", word);
}

/* The value of a flag: behind its '=', or the next argument. Booleans need none. */
static int take_flag(struct args *a, int index, const char *inline_value, bool negated)
{
    const struct sa_option *option = &a->config->options[index];
    const char *value = inline_value;
    if (option->kind == SA_OPTION_BOOL && !value)
        value = negated ? "false" : "true";
    if (!value) {
        if (a->next == a->argc)
            return sa_error_at(a->err, SA_EINVALID, option->name, "--%s needs a value",
                               option->name);
        value = a->argv[a->next++];
    }
    return sa_config_take(a->config, (size_t)index, value, FROM_FLAG, a->err);
}

static int long_flag(struct args *a, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    int index = find_name(a->config, text, length);
    if (index != NONE)
        return take_flag(a, index, equals ? equals + 1 : NULL, false);
    if (strcmp(text, "help") == 0) {
        a->config->help = true;
        return 0;
    }
    if (strcmp(text, "print-config") == 0) {
        a->config->print = true;
        return 0;
    }
    if (!equals && strncmp(text, "no-", 3) == 0) {
        index = find_name(a->config, text + 3, length - 3);
        if (index != NONE && a->config->options[index].kind == SA_OPTION_BOOL)
            return take_flag(a, index, NULL, true);
    }
    return unknown_flag(a, text, length);
}

static int find_letter(const struct sa_config *config, char letter)
{
    for (size_t i = 0; i < config->count; i++)
        if (config->options[i].letter && config->options[i].letter == letter)
            return (int)i;
    return NONE;
}

static bool is_bool(const struct sa_config *config, int index)
{
    return index != NONE && config->options[index].kind == SA_OPTION_BOOL;
}

/* "-o json", "-ojson", "-v", "-it"; of a bundle only the last letter may take a value. */
static int short_flag(struct args *a, const char *text)
{
    const char *at = text;
    while (at[1] && is_bool(a->config, find_letter(a->config, *at)))
        at++;
    int last = find_letter(a->config, *at);
    if (strcmp(text, "h") == 0) {
        a->config->help = true;
        return 0;
    }
    if (last == NONE)
        return sa_error_set(a->err, SA_EINVALID, "unknown flag -%.32s (--help lists them)", text);
    for (const char *c = text; c < at; c++)
        if (take_flag(a, find_letter(a->config, *c), NULL, false) < 0)
            return -1;
    return take_flag(a, last, at[1] ? at + 1 : NULL, false);
}

static int load_args(struct args *a, enum sa_config_mode mode)
{
    struct sa_config *config = a->config;
    config->args = sa_realloc(config->args, (size_t)(a->argc + 1) * sizeof *config->args);
    config->arg_count = 0;
    bool flags = true;
    while (a->next < a->argc) {
        char *word = a->argv[a->next++];
        if (flags && strcmp(word, "--") == 0) {
            flags = false;
            continue;
        }
        if (!flags || word[0] != '-' || !word[1]) {
            config->args[config->arg_count++] = word;
            flags = flags && mode != SA_CONFIG_POSITIONAL_ENDS;
            continue;
        }
        int result = word[1] == '-' ? long_flag(a, word + 2) : short_flag(a, word + 1);
        if (result < 0 || config->help)
            return result;
    }
    return 0;
}

size_t sa_config_args(const struct sa_config *config, char *const **args)
{
    *args = config->args;
    return config->arg_count;
}

/* --- environment and file ------------------------------------------------------------------ */

int sa_config_load_env(struct sa_config *config, struct sa_error *err)
{
    for (size_t i = 0; i < config->count; i++) {
        const char *value = config->options[i].env ? getenv(config->options[i].env) : NULL;
        if (value && *value && sa_config_take(config, i, value, FROM_ENV, err) < 0)
            return -1;
    }
    return 0;
}

/* Take one member of the file, as text; numbers and booleans may be written without quotes. */
static int take_member(struct sa_config *config, struct sa_json_obj *root, size_t index,
                       const char *key, struct sa_error *err)
{
    const struct sa_option *option = &config->options[index];
    const char *text = NULL;
    size_t length;
    bool given = true, yes;
    switch (sa_json_type(root, key)) {
    case SA_JSON_MISSING:
    case SA_JSON_NULL:
        return 0;
    case SA_JSON_BOOL:
        if (option->kind != SA_OPTION_BOOL)
            return sa_json_fail(root, key, err, "expected text, got true or false");
        if (sa_json_get_bool(root, key, &yes, err) < 0)
            return -1;
        text = yes ? "true" : "false";
        break;
    case SA_JSON_NUMBER:
        if (option->kind != SA_OPTION_INT && option->kind != SA_OPTION_SIZE)
            return sa_json_fail(root, key, err, "expected text in quotes, got a number");
        if (sa_json_opt_raw(root, key, &text, &length, &given, err) < 0)
            return -1;
        break;
    case SA_JSON_STRING:
    case SA_JSON_ARRAY:
    case SA_JSON_OBJECT:
        if (sa_json_get_string(root, key, FILE_MAX_BYTES, &text, err) < 0)
            return -1;
        break;
    }
    return sa_config_take(config, index, text, FROM_FILE, err);
}

static int take_document(struct sa_config *config, struct sa_json_doc *doc, struct sa_arena *arena,
                         struct sa_error *err)
{
    struct sa_json_obj root;
    if (sa_json_root(doc, arena, &root, err) < 0)
        return -1;
    for (size_t i = 0; i < config->count; i++) {
        char *key = sa_arena_alloc(arena, NAME_BYTES); /* the cursor remembers it */
        sa_config_camel(config->options[i].name, key);
        if (take_member(config, &root, i, key, err) < 0)
            return -1;
    }
    return sa_json_finish(&root, err);
}

int sa_config_load_file(struct sa_config *config, const char *path, struct sa_error *err)
{
    sa_autobuf text = SA_BUF_INIT;
    if (sa_read_file(AT_FDCWD, path, FILE_MAX_BYTES, &text, err) < 0)
        return -1;
    struct sa_json_doc *doc = sa_json_parse(text.data, text.length, NULL, err);
    if (!doc)
        return sa_error_wrap(err, "%s", path);
    struct sa_arena *arena = sa_arena_new();
    int result = take_document(config, doc, arena, err);
    if (result < 0)
        sa_error_wrap(err, "%s", path);
    sa_arena_free(arena);
    sa_json_free(doc);
    return result;
}

int sa_config_load(struct sa_config *config, int argc, char *const argv[], int from,
                   enum sa_config_mode mode, struct sa_error *err)
{
    struct args a = {.config = config, .argc = argc, .next = from, .argv = argv, .err = err};
    if (load_args(&a, mode) < 0)
        return -1;
    if (config->help)
        return 0;
    if (sa_config_load_env(config, err) < 0)
        return -1;
    int index = find_name(config, "config", strlen("config"));
    if (index == NONE || !config->settings[index].text)
        return 0;
    return sa_config_load_file(config, config->settings[index].text, err);
}
