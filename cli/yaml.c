/* JSON shown as YAML: JSON is YAML, so its events are read and written again in block style. */
#include "show.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* Words that mean something else than their letters when they are not quoted (YAML 1.1 and 1.2). */
static bool special(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};
    for (size_t i = 0; i < SA_COUNT(words); i++)
        if (strcasecmp(words[i], text) == 0)
            return true;
    return false;
}

/* A string that needs no quotes: begins with a letter or a slash, and holds nothing odd. */
static bool plain(const char *text, size_t length)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char more[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+";
    return length > 0 && strlen(text) == length && (strchr(letters, text[0]) || text[0] == '/') &&
           strspn(text, more) == length && !special(text);
}

static void restyle(yaml_event_t *event)
{
    if (event->type == YAML_SEQUENCE_START_EVENT)
        event->data.sequence_start.style = YAML_BLOCK_SEQUENCE_STYLE;
    if (event->type == YAML_MAPPING_START_EVENT)
        event->data.mapping_start.style = YAML_BLOCK_MAPPING_STYLE;
    if (event->type == YAML_DOCUMENT_START_EVENT)
        event->data.document_start.implicit = 1;
    if (event->type == YAML_DOCUMENT_END_EVENT)
        event->data.document_end.implicit = 1;
    if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return;
    bool bare = plain((const char *)event->data.scalar.value, event->data.scalar.length);
    event->data.scalar.style = bare ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    event->data.scalar.plain_implicit = event->data.scalar.quoted_implicit = 1;
}

static int copy_events(yaml_parser_t *parser, yaml_emitter_t *emitter)
{
    for (bool last = false; !last;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return -1;
        last = event.type == YAML_STREAM_END_EVENT;
        restyle(&event);
        if (!yaml_emitter_emit(emitter, &event)) /* takes the event in any case */
            return -1;
    }
    return 0;
}

static int print_yaml(const char *json, size_t length, struct sa_error *err)
{
    yaml_parser_t parser;
    yaml_emitter_t emitter;
    if (!yaml_parser_initialize(&parser))
        return sa_error_set(err, SA_EINTERNAL, "libyaml cannot be initialised");
    if (!yaml_emitter_initialize(&emitter)) {
        yaml_parser_delete(&parser);
        return sa_error_set(err, SA_EINTERNAL, "libyaml cannot be initialised");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)json, length);
    yaml_emitter_set_output_file(&emitter, stdout);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    int rc = copy_events(&parser, &emitter);
    if (rc < 0)
        sa_error_set(err, SA_EINTERNAL, "the server's answer as YAML: %s",
                     parser.problem ? parser.problem : "output failed");
    yaml_emitter_delete(&emitter);
    yaml_parser_delete(&parser);
    return rc;
}

int sa_output_print(enum sa_output output, const char *json, size_t length, struct sa_error *err)
{
    if (output == SA_OUTPUT_YAML)
        return print_yaml(json, length, err);
    fwrite(json, 1, length, stdout);
    if (length == 0 || json[length - 1] != '\n')
        putchar('\n');
    return 0;
}
