/* Showing lists: a table for people, JSON for programs. */
#ifndef SA_CLI_SHOW_H
#define SA_CLI_SHOW_H

#include "base/buf.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Option "output": table or json. */
#define SA_OUTPUT_OPTION                                                                           \
    {                                                                                              \
        .name = "output", .letter = 'o', .kind = SA_OPTION_STRING, .fallback = "table",            \
        .value = "FORMAT", .help = "table or json"                                                 \
    }
/* SA_EINVALID for something else. */
int sa_output_is_json(const struct sa_config *config, bool *json, struct sa_error *err);

/* Cells are collected and printed in columns as wide as they need to be. The first row is the
 * heading. Control characters are shown as `?`: a name must not paint the terminal. */
struct sa_table {
    size_t columns, count;
    char **cells;
};
void sa_table_add(struct sa_table *table, const char *cell);
void sa_table_print(const struct sa_table *table);
void sa_table_deinit(struct sa_table *table);

enum { SA_SPAN_BYTES = 24 };
/* Time between two moments as people say it: "5s", "12m", "3h", "2d". */
void sa_span(int64_t ms, char out[SA_SPAN_BYTES]);
/* RFC 3339 in UTC to milliseconds since 1970; -1 when it is none. */
int64_t sa_time_parse(const char *text);

#endif
