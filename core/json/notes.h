/*
 * Gathering the mistakes of a document, so that all of them can be told at once. A cursor with
 * notes hands them to its children; whoever decodes goes on after a mistake where that makes sense:
 *
 *     bool failed = false;
 *     return sa_json_go_on(json->notes, decode_a(json, err), err, &failed) &&
 *                    sa_json_go_on(json->notes, decode_b(json, err), err, &failed) && !failed
 *                ? 0
 *                : -1;
 *
 * Without notes that ends at the first mistake.
 */
#ifndef SA_JSON_NOTES_H
#define SA_JSON_NOTES_H

#include "json/json.h"

enum { SA_JSON_NOTES_MAX = 32 }; /* of each: what is beyond is not looked for, or not listed */

/* Zero it, but for the arena. */
struct sa_json_notes {
    struct sa_arena *arena; /* the lists are taken from it once there is something to note */
    struct sa_error *mistakes;
    size_t mistake_count;
    struct sa_error *dropped; /* unknown fields that were read over */
    size_t dropped_count;
};

/* What a step returned: true, go on with the next one. A failure sets *failed and is noted, once;
 * it may be what a child has noted already. False: there are no notes, or they are full. */
bool sa_json_go_on(struct sa_json_notes *notes, int rc, const struct sa_error *err, bool *failed);
/* Has a mistake been noted of the member `key` ("cpu", or "resources.cpu"), or below it? Then it
 * has its default, and is not to be compared. */
bool sa_json_is_mistaken(const struct sa_json_obj *json, const char *key);
/* As sa_json_finish() of a reader that is lenient: what was never asked for is noted as dropped. */
void sa_json_drop_unknown(struct sa_json_obj *json);

#endif
