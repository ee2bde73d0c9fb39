#include "json/notes.h"

#include "json/internal.h"

struct sa_error *sa_json_new_note(struct sa_arena *arena, struct sa_error **list, size_t *count)
{
    if (*count == SA_JSON_NOTES_MAX)
        return NULL;
    if (!*list)
        *list = sa_arena_alloc(arena, SA_JSON_NOTES_MAX * sizeof **list);
    return &(*list)[(*count)++];
}

bool sa_json_go_on(struct sa_json_notes *notes, int rc, const struct sa_error *err, bool *failed)
{
    if (rc == 0)
        return true;
    *failed = true;
    if (!notes)
        return false;
    const struct sa_error *last =
        notes->mistake_count ? &notes->mistakes[notes->mistake_count - 1] : NULL;
    if (last && strcmp(last->path, err->path) == 0 && strcmp(last->message, err->message) == 0)
        return notes->mistake_count < SA_JSON_NOTES_MAX;
    struct sa_error *note = sa_json_new_note(notes->arena, &notes->mistakes, &notes->mistake_count);
    if (note)
        *note = *err;
    return note != NULL;
}

bool sa_json_is_mistaken(const struct sa_json_obj *json, const char *key)
{
    const struct sa_json_notes *notes = json->notes;
    char member[sizeof notes->mistakes->path];
    if (!notes || !notes->mistake_count)
        return false;
    const size_t n = sa_json_path(SA_JSON_MEMBER(json, key), member, sizeof member);
    for (size_t i = 0; i < notes->mistake_count; i++) {
        const char *path = notes->mistakes[i].path;
        if (strncmp(path, member, n) == 0 && (path[n] == '\0' || path[n] == '.' || path[n] == '['))
            return true;
    }
    return false;
}
