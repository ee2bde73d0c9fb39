/* One option's value: from text, checked, kept, and asked for. */
#include "base/arena.h"
#include "config/internal.h"
#include "json/quantity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sa_config *sa_config_new(const struct sa_option *options, size_t count)
{
    struct sa_config *config = sa_alloc(sizeof *config);
    config->options = options;
    config->count = count;
    config->settings = sa_alloc(count * sizeof *config->settings);
    for (size_t i = 0; i < count; i++)
        if (strlen(options[i].name) >= NAME_BYTES ||
            (options[i].fallback &&
             sa_config_take(config, i, options[i].fallback, DEFAULT, NULL) < 0))
            abort(); /* a table with a bad default */
    return config;
}

static void clear(struct setting *setting)
{
    for (size_t i = 0; i < setting->item_count; i++)
        free(setting->items[i]);
    free(setting->items);
    free(setting->text);
    *setting = (struct setting){.text = NULL};
}

void sa_config_free(struct sa_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->count; i++)
        clear(&config->settings[i]);
    free(config->settings);
    free(config->args);
    free(config);
}

static int parse_int(const char *text, int64_t *out, struct sa_error *err)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || !strchr("-0123456789", *text))
        return sa_error_set(err, SA_EINVALID, "expected an integer");
    *out = value;
    return 0;
}

static int parse_bool(const char *text, int64_t *out, struct sa_error *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = (int64_t)(i & 1);
            return 0;
        }
    return sa_error_set(err, SA_EINVALID, "expected true or false");
}

/* Milliseconds of the unit at the start of *text, moved behind it; 0 when there is none. */
static int64_t unit_ms(const char **text)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t n = strlen(units[i].name);
        if (strncmp(*text, units[i].name, n) == 0) {
            *text += n;
            return units[i].ms;
        }
    }
    return 0;
}

int sa_duration_parse(const char *text, int64_t *ms, struct sa_error *err)
{
    const char *p = text;
    int64_t total = 0;
    bool ok = strcmp(text, "0") == 0;
    while (!ok) {
        char *end;
        int64_t part, unit;
        errno = 0;
        if (*p < '0' || *p > '9')
            break;
        long long number = strtoll(p, &end, 10);
        p = end;
        unit = unit_ms(&p);
        if (errno || !unit || __builtin_mul_overflow(number, unit, &part) ||
            __builtin_add_overflow(total, part, &total))
            break;
        ok = *p == '\0';
    }
    if (!ok)
        return sa_error_set(err, SA_EINVALID,
                            "expected a duration such as 250ms, 30s, 5m or 1h30m");
    *ms = total;
    return 0;
}

static int parse(const struct sa_option *option, const char *text, int64_t *number,
                 struct sa_error *err)
{
    switch (option->kind) {
    case SA_OPTION_STRING:
    case SA_OPTION_LIST:
        return 0;
    case SA_OPTION_PATH:
        return *text ? 0 : sa_error_set(err, SA_EINVALID, "expected a path");
    case SA_OPTION_INT:
        return parse_int(text, number, err);
    case SA_OPTION_BOOL:
        return parse_bool(text, number, err);
    case SA_OPTION_DURATION:
        return sa_duration_parse(text, number, err);
    case SA_OPTION_SIZE:
        if (sa_quantity_bytes(text, number, NULL) < 0)
            return sa_error_set(err, SA_EINVALID, "expected a size such as 512Mi or 4096");
        return 0;
    }
    abort();
}

static int check_range(const struct sa_option *option, int64_t number, struct sa_error *err)
{
    bool given = option->low || option->high;
    if (option->kind == SA_OPTION_BOOL || option->kind == SA_OPTION_STRING ||
        option->kind == SA_OPTION_PATH || option->kind == SA_OPTION_LIST)
        return 0;
    if (given ? number >= option->low && number <= option->high : number >= 0)
        return 0;
    const char *unit = option->kind == SA_OPTION_DURATION ? " ms"
                       : option->kind == SA_OPTION_SIZE   ? " bytes"
                                                          : "";
    if (!given)
        return sa_error_set(err, SA_EINVALID, "must not be negative");
    return sa_error_set(err, SA_EINVALID, "expected %lld..%lld%s", (long long)option->low,
                        (long long)option->high, unit);
}

/* What to call the option in a message: by where it came from. */
static void wrap(const struct sa_option *option, const char *text, enum source source,
                 struct sa_error *err)
{
    char name[NAME_BYTES];
    if (!err)
        return;
    if (!option->secret)
        sa_error_wrap(err, "\"%.80s\"", text);
    snprintf(err->path, sizeof err->path, "%s", option->name);
    if (source == FROM_ENV) {
        sa_error_wrap(err, "%s", option->env);
    } else if (source == FROM_FILE) {
        sa_config_camel(option->name, name);
        sa_error_wrap(err, "%s", name);
    } else {
        sa_error_wrap(err, "--%s", option->name);
    }
}

/* Another string of a list; those of a weaker source are forgotten. */
static int append(struct setting *setting, const char *text, enum source source,
                  struct sa_error *err)
{
    if (setting->source != source)
        clear(setting);
    if (setting->item_count >= SA_CONFIG_LIST_MAX)
        return sa_error_set(err, SA_ETOOLARGE, "given more than %d times", SA_CONFIG_LIST_MAX);
    setting->items = sa_realloc(setting->items, (setting->item_count + 1) * sizeof *setting->items);
    setting->items[setting->item_count++] = sa_strdup(text);
    return 0;
}

int sa_config_take(struct sa_config *config, size_t index, const char *text, enum source source,
                   struct sa_error *err)
{
    const struct sa_option *option = &config->options[index];
    struct setting *setting = &config->settings[index];
    int64_t number = 0;
    if (parse(option, text, &number, err) < 0 || check_range(option, number, err) < 0) {
        wrap(option, text, source, err);
        return -1;
    }
    if (setting->source > source)
        return 0; /* checked all the same: a mistake is a mistake */
    if (option->kind == SA_OPTION_LIST && append(setting, text, source, err) < 0) {
        wrap(option, text, source, err);
        return -1;
    }
    free(setting->text);
    setting->text = sa_strdup(text);
    setting->number = number;
    setting->source = source;
    return 0;
}

static size_t index_of(const struct sa_config *config, const char *name)
{
    for (size_t i = 0; i < config->count; i++)
        if (strcmp(config->options[i].name, name) == 0)
            return i;
    abort(); /* not declared */
}

int sa_config_set(struct sa_config *config, const char *name, const char *text,
                  struct sa_error *err)
{
    return sa_config_take(config, index_of(config, name), text, FROM_FLAG, err);
}

static const struct setting *of_kind(const struct sa_config *config, const char *name,
                                     enum sa_option_kind kind)
{
    size_t i = index_of(config, name);
    if (config->options[i].kind != kind)
        abort(); /* declared as another kind */
    return &config->settings[i];
}

const char *sa_config_string(const struct sa_config *config, const char *name)
{
    size_t i = index_of(config, name);
    enum sa_option_kind kind = config->options[i].kind;
    if (kind != SA_OPTION_STRING && kind != SA_OPTION_PATH)
        abort();
    return config->settings[i].text;
}

size_t sa_config_list(const struct sa_config *config, const char *name, char *const **items)
{
    const struct setting *setting = of_kind(config, name, SA_OPTION_LIST);
    *items = setting->items;
    return setting->item_count;
}

int64_t sa_config_int(const struct sa_config *config, const char *name)
{
    return of_kind(config, name, SA_OPTION_INT)->number;
}

bool sa_config_bool(const struct sa_config *config, const char *name)
{
    return of_kind(config, name, SA_OPTION_BOOL)->number != 0;
}

int64_t sa_config_ms(const struct sa_config *config, const char *name)
{
    return of_kind(config, name, SA_OPTION_DURATION)->number;
}

int64_t sa_config_bytes(const struct sa_config *config, const char *name)
{
    return of_kind(config, name, SA_OPTION_SIZE)->number;
}

const char *sa_config_source(const struct sa_config *config, const char *name)
{
    static const char *const names[] = {"unset", "default", "file", "environment", "flag"};
    return names[config->settings[index_of(config, name)].source];
}
