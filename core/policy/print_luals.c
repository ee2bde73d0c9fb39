/* The tables as annotations of LuaLS (the Lua language server), from which editors complete the
 * members of inputs and verdicts. */
#include "policy/tables.h"

#include <ctype.h>
#include <stdio.h>

enum { CLASSES_MAX = 64, NAME_BYTES = 64 };

/* A table is one class, wherever it is used. */
struct classes {
    struct sa_buf *out;
    const struct sa_policy_field *seen[CLASSES_MAX];
    size_t count;
};

/* "sa.Sandbox" of "sandbox"; elements of lists are "sa.EventsItem". */
static void class_name(char name[NAME_BYTES], const char *of, const char *suffix)
{
    snprintf(name, NAME_BYTES, "sa.%c%s%s", toupper((unsigned char)of[0]), of + 1, suffix);
}

static const char *suffix_of(const struct sa_policy_field *field)
{
    return field->type == SA_FIELD_OBJECTS ? "Item" : "";
}

static void print_type(struct sa_buf *out, const struct sa_policy_field *field)
{
    static const char *const names[] = {
        [SA_FIELD_BOOL] = "boolean",   [SA_FIELD_INT] = "integer",
        [SA_FIELD_NUMBER] = "number",  [SA_FIELD_TEXT] = "string",
        [SA_FIELD_TEXTS] = "string[]", [SA_FIELD_MAP] = "table<string, string>",
        [SA_FIELD_ANY] = "table"};
    char name[NAME_BYTES];
    if (field->fields) {
        class_name(name, field->name, suffix_of(field));
        sa_buf_printf(out, "%s%s", name, field->type == SA_FIELD_OBJECTS ? "[]" : "");
    } else if (field->values) {
        for (const char *const *v = field->values; *v; v++)
            sa_buf_printf(out, "%s\"%s\"", v == field->values ? "" : "|", *v);
    } else {
        sa_buf_adds(out, names[field->type]);
    }
}

/* What may be absent in an input. */
static bool optional(const struct sa_policy_field *field)
{
    return field->type == SA_FIELD_TEXT || field->type == SA_FIELD_ANY ||
           field->flags & SA_FIELD_OMIT_ZERO;
}

static void print_fields(struct classes *c, const struct sa_policy_field *fields, bool all_optional)
{
    for (; fields->name; fields++) {
        const bool absent = all_optional || optional(fields);
        sa_buf_printf(c->out, "---@field %s%s ", fields->name, absent ? "?" : "");
        print_type(c->out, fields);
        sa_buf_printf(c->out, " %s\n", fields->doc);
    }
}

/* The classes that a table uses, each once, before it. */
static void print_used(struct classes *c, const struct sa_policy_field *fields)
{
    char name[NAME_BYTES];
    for (; fields->name; fields++) {
        size_t i = 0;
        while (i < c->count && c->seen[i] != fields->fields)
            i++;
        if (!fields->fields || i < c->count || c->count == CLASSES_MAX)
            continue;
        c->seen[c->count++] = fields->fields;
        print_used(c, fields->fields);
        class_name(name, fields->name, suffix_of(fields));
        sa_buf_printf(c->out, "---@class %s\n", name);
        print_fields(c, fields->fields, false);
        sa_buf_addc(c->out, '\n');
    }
}

static void print_verdict(struct classes *c, const struct sa_policy_point *point)
{
    char name[NAME_BYTES];
    class_name(name, point->name, "Verdict");
    sa_buf_printf(c->out, "---@class %s\n", name);
    if (point->combine == SA_COMBINE_FIRST_FINAL) {
        sa_buf_adds(c->out, "---@field verdict ");
        for (const char *const *v = point->verdicts; *v; v++)
            sa_buf_printf(c->out, "%s\"%s\"", v == point->verdicts ? "" : "|", *v);
        sa_buf_adds(c->out, "\n");
    }
    for (const struct sa_policy_field *f = point->returns; f->name; f++) {
        sa_buf_printf(c->out, "---@field %s ", f->name);
        print_type(c->out, f);
        sa_buf_printf(c->out, " %s\n", f->doc);
    }
    sa_buf_adds(c->out, "---@field rule? string id of the rule that decided, for people and logs\n"
                        "---@field reason? string why, for a person; a denial needs it\n");
    if (point->changes) {
        class_name(name, point->name, "Changes");
        sa_buf_printf(c->out, "---@field changes? %s what to change of input.%s\n", name,
                      point->target);
    } else if (point->target) {
        sa_buf_printf(c->out, "---@field changes? table what to change of input.%s\n",
                      point->target);
    }
    sa_buf_addc(c->out, '\n');
}

static void print_point(struct classes *c, const struct sa_policy_point *point)
{
    char input[NAME_BYTES], verdict[NAME_BYTES], name[NAME_BYTES];
    class_name(input, point->name, "Input");
    class_name(verdict, point->name, "Verdict");
    print_used(c, point->input);
    sa_buf_printf(c->out, "---@class %s\n", input);
    print_fields(c, point->input, false);
    sa_buf_addc(c->out, '\n');
    if (point->changes) {
        class_name(name, point->name, "Changes");
        sa_buf_printf(c->out, "---@class %s\n", name);
        print_fields(c, point->changes, true);
        sa_buf_addc(c->out, '\n');
    }
    print_verdict(c, point);
    class_name(name, point->name, "Rule");
    sa_buf_printf(c->out,
                  "---%s\n---Without a rule that can be asked: %s.\n---@class %s: sa.Rule\n"
                  "---@field point \"%s\"\n---@field decide fun(input: %s, params: table): %s?\n\n",
                  point->doc, point->fallback, name, point->name, input, verdict);
}

void sa_policy_print_luals(struct sa_buf *out)
{
    struct classes c = {.out = out};
    sa_buf_adds(
        out,
        "---@meta\n"
        "-- Types of the rules' inputs and verdicts, generated from the tables of core/policy.\n"
        "-- Annotate a rule: `---@type sa.ExecuteRule` before `local rule = { ... }`.\n\n"
        "---@class sa.Param\n"
        "---@field type \"string\"|\"integer\"|\"number\"|\"boolean\"|\"list\"|\"map\"|"
        "\"quantity\"|\"duration\"\n"
        "---@field default any\n"
        "---@field description? string\n"
        "---@field values? string[] all that a string may be\n"
        "---@field maxLength? integer bytes of a string\n"
        "---@field min? number\n"
        "---@field max? number\n"
        "---@field items? string type of a list's elements\n\n"
        "---@class sa.Rule\n"
        "---@field name string a-z, 0-9 and -; unique\n"
        "---@field version integer\n"
        "---@field point string\n"
        "---@field description? string\n"
        "---@field params? table<string, sa.Param>\n\n");
    for (size_t i = 0; i < SA_POINT_COUNT; i++)
        print_point(&c, &sa_policy_points[i]);
    out->data[--out->length] = '\0'; /* one empty line less */
}
