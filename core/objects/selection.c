/* Which objects a list or a watch is about. */
#include "objects/embedded_private.h"

#include <string.h>

static bool known_path(const struct sa_kind *kind, const char *path)
{
    if (strcmp(path, "metadata.name") == 0 || strcmp(path, "metadata.namespace") == 0)
        return true;
    for (const struct sa_kind_field *f = kind->fields; f && f->path; f++)
        if (strcmp(f->path, path) == 0)
            return true;
    return false;
}

static int add_term(struct sa_selection *s, const struct sa_kind *kind, char *text,
                    struct sa_error *err)
{
    char *operator= strpbrk(text, "!=");
    bool equal = operator&& operator[0] == '=';
    if (!operator||(!equal && operator[1] != '='))
        return sa_error_at(err, SA_EINVALID, "fieldSelector",
                           "fieldSelector: \"%.80s\": expected path=value or path!=value", text);
    char *value = operator+ 1;
    if (*value == '=')
        value++;
    *operator= '\0';
    if (!known_path(kind, text))
        return sa_error_at(err, SA_EINVALID, "fieldSelector",
                           "fieldSelector: %s cannot be selected by \"%.80s\"", kind->name, text);
    if (s->field_count == SA_FIELD_TERMS_MAX)
        return sa_error_at(err, SA_EINVALID, "fieldSelector", "fieldSelector: at most %d terms",
                           SA_FIELD_TERMS_MAX);
    s->fields[s->field_count++] =
        (struct sa_field_term){.path = text, .value = value, .equal = equal};
    return 0;
}

static int parse_fields(struct sa_selection *s, const struct sa_kind *kind, const char *text,
                        struct sa_error *err)
{
    char *copy = sa_arena_strdup(s->arena, text), *at = copy, *term;
    while ((term = strsep(&at, ",")))
        if (*term && add_term(s, kind, term, err) < 0)
            return -1;
    return 0;
}

int sa_selection_init(struct sa_selection *s, const struct sa_kind *kind,
                      const struct sa_objects_select *select, struct sa_error *err)
{
    *s = (struct sa_selection){.arena = sa_arena_new_sized(256)};
    if (!select)
        return 0;
    if (select->namespace_)
        s->namespace_ = sa_arena_strdup(s->arena, select->namespace_);
    /* The text is the selector's, too. */
    if ((select->label_selector &&
         sa_selector_parse(sa_arena_strdup(s->arena, select->label_selector), s->arena, &s->labels,
                           err) < 0) ||
        (select->field_selector && parse_fields(s, kind, select->field_selector, err) < 0)) {
        sa_selection_deinit(s);
        return -1;
    }
    return 0;
}

void sa_selection_deinit(struct sa_selection *s)
{
    sa_arena_free(s->arena);
    s->arena = NULL;
}

static const char *field_of(const struct sa_object *object, const char *path)
{
    if (strcmp(path, "metadata.name") == 0)
        return sa_object_meta(object)->name;
    if (strcmp(path, "metadata.namespace") == 0)
        return sa_object_meta(object)->namespace_;
    for (const struct sa_kind_field *f = sa_object_kind(object)->fields; f && f->path; f++)
        if (strcmp(f->path, path) == 0)
            return f->of(object);
    return "";
}

bool sa_selection_matches(const struct sa_selection *s, const struct sa_object *object)
{
    const struct sa_object_meta *meta = sa_object_meta(object);
    if (s->namespace_ && strcmp(s->namespace_, meta->namespace_) != 0)
        return false;
    for (size_t i = 0; i < s->field_count; i++) {
        const struct sa_field_term *term = &s->fields[i];
        if ((strcmp(field_of(object, term->path), term->value) == 0) != term->equal)
            return false;
    }
    return sa_selector_matches(&s->labels, &meta->labels);
}
