#include "show.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int read_output(const struct sa_config *config, size_t count, const char *expected,
                       enum sa_output *output, struct sa_error *err)
{
    static const char *const names[] = {"table", "json", "yaml", "wide", "name"};
    const char *given = sa_config_string(config, "output");
    for (size_t i = 0; i < count; i++)
        if (strcmp(given, names[i]) == 0) {
            *output = (enum sa_output)i;
            return 0;
        }
    return sa_error_at(err, SA_EINVALID, "output", "--output: \"%.32s\": %s", given, expected);
}

int sa_output_read(const struct sa_config *config, enum sa_output *output, struct sa_error *err)
{
    return read_output(config, 3, "table, json or yaml", output, err);
}

int sa_output_read_more(const struct sa_config *config, enum sa_output *output,
                        struct sa_error *err)
{
    return read_output(config, 5, "table, wide, json, yaml or name", output, err);
}

bool sa_color_wanted(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(1) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

const char *sa_color_phase(const char *phase, bool color)
{
    static const char *const good[] = {"Running", "exited",   "running", "idle",
                                       "Ready",   "Assigned", NULL};
    static const char *const bad[] = {"Failed", "failed", "oom", "timeout", "signaled", NULL};
    for (size_t i = 0; color && good[i]; i++)
        if (strcmp(phase, good[i]) == 0)
            return "[32m";
    for (size_t i = 0; color && bad[i]; i++)
        if (strcmp(phase, bad[i]) == 0)
            return "[31m";
    return color ? "[33m" : "";
}

/* U+0080 to U+009F as UTF-8: to some terminals as good as an escape. */
static bool is_c1(const char *c)
{
    return (unsigned char)c[0] == 0xC2 && (unsigned char)c[1] >= 0x80 && (unsigned char)c[1] < 0xA0;
}

void sa_make_printable(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F || is_c1(c))
            *c = '?';
}

void sa_table_add(struct sa_table *table, const char *cell)
{
    if ((table->count & (table->count - 1)) == 0) /* grows at powers of two */
        table->cells =
            sa_realloc(table->cells, (table->count ? 2 * table->count : 1) * sizeof *table->cells);
    char *copy = sa_strdup(*cell ? cell : "-");
    sa_make_printable(copy);
    table->cells[table->count++] = copy;
}

static void widen(struct sa_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t length = strlen(table->cells[i]), column = i % table->columns;
        if (length > table->widths[column])
            table->widths[column] = length;
    }
}

static void print_cell(const struct sa_table *table, size_t i, bool color)
{
    size_t column = i % table->columns;
    int pad = column + 1 == table->columns ? 0 : (int)table->widths[column] + 2;
    const char *before = "", *cell = table->cells[i];
    if (color && i < table->columns && !table->headed)
        before = SA_COLOR_BOLD;
    else if (color && table->phase_column && column == table->phase_column)
        before = sa_color_phase(cell, color);
    printf("%s%s%s%*s", before, cell, *before ? SA_COLOR_OFF : "",
           pad ? pad - (int)strlen(cell) : 0, "");
    if (!pad)
        putchar('\n');
}

void sa_table_drop(struct sa_table *table, size_t count)
{
    while (table->count > count)
        free(table->cells[--table->count]);
    if (count)
        return;
    free(table->cells);
    table->cells = NULL;
}

void sa_table_print(struct sa_table *table)
{
    bool color = sa_color_wanted();
    widen(table);
    for (size_t i = 0; i < table->count; i++)
        print_cell(table, i, color);
    table->headed = table->headed || table->count;
    sa_table_drop(table, 0);
}

void sa_table_deinit(struct sa_table *table)
{
    sa_table_drop(table, 0);
    *table = (struct sa_table){0};
}

void sa_span(int64_t ms, char out[SA_SPAN_BYTES])
{
    static const struct {
        int64_t below_s, unit_s;
        char letter;
    } steps[] = {{120, 1, 's'}, {7200, 60, 'm'}, {172800, 3600, 'h'}, {INT64_MAX, 86400, 'd'}};
    int64_t seconds = ms > 0 ? ms / 1000 : 0;
    size_t i = 0;
    while (seconds >= steps[i].below_s)
        i++;
    snprintf(out, SA_SPAN_BYTES, "%lld%c", (long long)(seconds / steps[i].unit_s), steps[i].letter);
}

int64_t sa_time_parse(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    return rest ? (int64_t)timegm(&tm) * 1000 : -1;
}
