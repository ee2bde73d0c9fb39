/* --help and --print-config. */
#include "config/internal.h"

#include <stdio.h>
#include <string.h>

enum { LEFT_BYTES = 96, WIDEST = 34 /* longer flags have their help on the next line */ };

static const char *placeholder(const struct sa_option *option)
{
    static const char *const by_kind[] = {
        [SA_OPTION_STRING] = "TEXT",   [SA_OPTION_INT] = "N",     [SA_OPTION_BOOL] = "",
        [SA_OPTION_DURATION] = "TIME", [SA_OPTION_SIZE] = "SIZE", [SA_OPTION_PATH] = "PATH",
        [SA_OPTION_LIST] = "TEXT"};
    return option->value ? option->value : by_kind[option->kind];
}

/* "  -o, --output FORMAT". A boolean that is on by default is --[no-]name. */
static size_t left_side(const struct sa_option *option, char out[LEFT_BYTES])
{
    char letter[8] = "    ";
    const char *value = placeholder(option);
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    bool on =
        option->kind == SA_OPTION_BOOL && option->fallback && strcmp(option->fallback, "true") == 0;
    int n = snprintf(out, LEFT_BYTES, "  %s--%s%s%s%s", letter, on ? "[no-]" : "", option->name,
                     *value ? " " : "", value);
    return n < LEFT_BYTES ? (size_t)n : LEFT_BYTES - 1;
}

static void help_line(const char *left, size_t column, const struct sa_option *option,
                      struct sa_buf *out)
{
    if (strlen(left) > column)
        sa_buf_printf(out, "%s\n%*s  %s", left, (int)column, "", option->help);
    else
        sa_buf_printf(out, "%-*s  %s", (int)column, left, option->help);
    if (option->fallback && *option->fallback && option->kind != SA_OPTION_BOOL && !option->secret)
        sa_buf_printf(out, " (default %s)", option->fallback);
    if (option->env)
        sa_buf_printf(out, " [$%s]", option->env);
    sa_buf_addc(out, '\n');
}

void sa_config_help(const struct sa_config *config, const char *usage, const char *about,
                    struct sa_buf *out)
{
    static const struct sa_option built_in[] = {
        {.name = "help", .kind = SA_OPTION_BOOL, .letter = 'h', .help = "show this help"},
        {.name = "print-config",
         .kind = SA_OPTION_BOOL,
         .help = "show every value and where it came from"},
    };
    char left[LEFT_BYTES];
    size_t column = 0;
    for (size_t i = 0; i < config->count + 2; i++) {
        const struct sa_option *o =
            i < config->count ? &config->options[i] : &built_in[i - config->count];
        size_t n = left_side(o, left);
        if (n > column && n <= WIDEST)
            column = n;
    }
    sa_buf_printf(out, "usage: %s\n", usage);
    if (about)
        sa_buf_printf(out, "\n%s\n", about);
    sa_buf_adds(out, "\noptions:\n");
    for (size_t i = 0; i < config->count + 2; i++) {
        const struct sa_option *o =
            i < config->count ? &config->options[i] : &built_in[i - config->count];
        left_side(o, left);
        help_line(left, column, o, out);
    }
}

/* The value on one line: control characters would let a value look like a line of its own. */
static void add_value(const struct sa_option *option, const struct setting *setting,
                      struct sa_buf *out)
{
    if (!setting->text)
        return;
    if (option->secret) {
        sa_buf_adds(out, "***");
        return;
    }
    size_t count = setting->item_count ? setting->item_count : 1;
    for (size_t i = 0; i < count; i++) {
        if (i)
            sa_buf_adds(out, ", ");
        for (const char *c = setting->item_count ? setting->items[i] : setting->text; *c; c++)
            sa_buf_addc(out, (unsigned char)*c < 0x20 || *c == 0x7F ? '?' : *c);
    }
}

void sa_config_print(const struct sa_config *config, struct sa_buf *out)
{
    size_t widest = 0;
    for (size_t i = 0; i < config->count; i++)
        if (strlen(config->options[i].name) > widest)
            widest = strlen(config->options[i].name);
    for (size_t i = 0; i < config->count; i++) {
        const struct sa_option *option = &config->options[i];
        size_t start = out->length;
        sa_buf_printf(out, "%-*s = ", (int)widest, option->name);
        add_value(option, &config->settings[i], out);
        size_t used = out->length - start, column = widest + 36;
        sa_buf_printf(out, "%*s# %s\n", (int)(used < column ? column - used : 1), "",
                      sa_config_source(config, option->name));
    }
}

bool sa_config_help_asked(const struct sa_config *config)
{
    return config->help;
}

bool sa_config_print_asked(const struct sa_config *config)
{
    return config->print;
}
