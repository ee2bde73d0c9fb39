/* Showing what the server answers: tables for people, JSON and YAML for programs. */
#ifndef SA_CLI_SHOW_H
#define SA_CLI_SHOW_H

#include "base/buf.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Option "output". */
#define SA_OUTPUT_OPTION                                                                           \
    {                                                                                              \
        .name = "output", .letter = 'o', .kind = SA_OPTION_STRING, .fallback = "table",            \
        .value = "FORMAT", .help = "table, json or yaml"                                           \
    }
enum sa_output {
    SA_OUTPUT_TABLE,
    SA_OUTPUT_JSON,
    SA_OUTPUT_YAML,
    SA_OUTPUT_WIDE, /* only of sa_output_read_more(): a table with more columns */
    SA_OUTPUT_NAME  /* as this: "kind/name" */
};
/* SA_EINVALID for something else. */
int sa_output_read(const struct sa_config *config, enum sa_output *output, struct sa_error *err);
int sa_output_read_more(const struct sa_config *config, enum sa_output *output,
                        struct sa_error *err);
/* Print JSON text as it is, or as YAML in block style (libyaml). */
int sa_output_print(enum sa_output output, const char *json, size_t length, struct sa_error *err);

/* May standard output be painted? A terminal, and neither NO_COLOR nor TERM=dumb. */
bool sa_color_wanted(void);
/* Paints a phase or status: green for what runs well, yellow for what is between, red for what
 * failed. Only with `color`; the text otherwise. */
const char *sa_color_phase(const char *phase, bool color);
#define SA_COLOR_BOLD "[1m"
#define SA_COLOR_OFF "[0m"

/* Control characters become `?`: what code in a sandbox has named must not paint the terminal. */
void sa_make_printable(char *text);

/* Cells are collected and printed in columns as wide as they need to be. The first row is the
 * heading. They are made printable. */
enum { SA_TABLE_COLUMNS_MAX = 16 };
struct sa_table {
    size_t columns, count;
    size_t phase_column; /* painted by sa_color_phase() on a terminal; 0: none */
    char **cells;
    size_t widths[SA_TABLE_COLUMNS_MAX]; /* so far */
    bool headed;                         /* the heading was printed */
};
void sa_table_add(struct sa_table *table, const char *cell);
/* Forget the cells added after the first `count`. */
void sa_table_drop(struct sa_table *table, size_t count);
/* Print what was added and forget it. Rows that are added and printed later follow in the same
 * columns, which only grow wider. */
void sa_table_print(struct sa_table *table);
void sa_table_deinit(struct sa_table *table);

enum { SA_SPAN_BYTES = 24 };
/* Time between two moments as people say it: "5s", "12m", "3h", "2d". */
void sa_span(int64_t ms, char out[SA_SPAN_BYTES]);
/* RFC 3339 in UTC to milliseconds since 1970; -1 when it is none. */
int64_t sa_time_parse(const char *text);

#endif
