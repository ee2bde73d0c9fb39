#include "show.h"

#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int sa_output_is_json(const struct sa_config *config, bool *json, struct sa_error *err)
{
    const char *output = sa_config_string(config, "output");
    *json = strcmp(output, "json") == 0;
    if (!*json && strcmp(output, "table") != 0)
        return sa_error_at(err, SA_EINVALID, "output", "--output: \"%.32s\": table or json",
                           output);
    return 0;
}

void sa_table_add(struct sa_table *table, const char *cell)
{
    if ((table->count & (table->count - 1)) == 0) /* grows at powers of two */
        table->cells =
            sa_realloc(table->cells, (table->count ? 2 * table->count : 1) * sizeof *table->cells);
    char *copy = sa_strdup(*cell ? cell : "-");
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    table->cells[table->count++] = copy;
}

static size_t width(const struct sa_table *table, size_t column)
{
    size_t widest = 0;
    for (size_t i = column; i < table->count; i += table->columns)
        if (strlen(table->cells[i]) > widest)
            widest = strlen(table->cells[i]);
    return widest;
}

void sa_table_print(const struct sa_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        if (column + 1 == table->columns)
            puts(table->cells[i]);
        else
            printf("%-*s  ", (int)width(table, column), table->cells[i]);
    }
}

void sa_table_deinit(struct sa_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct sa_table){0, 0, NULL};
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
