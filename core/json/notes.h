/*
 * Gathering the mistakes of a document, so that all of them can be told at once. A cursor with
 * notes hands them to its children; whoever decodes goes on after a mistake where that makes sense:
 *
 *     bool failed = false;
 *     if (decode_a(json, err) < 0 && !sa_json_go_on(json, err, &failed))
 *         return -1;
 *     if (decode_b(json, err) < 0 && !sa_json_go_on(json, err, &failed))
 *         return -1;
 *     return failed ? -1 : 0;
 *
 * Without notes that ends at the first mistake.
 */
#ifndef SA_JSON_NOTES_H
#define SA_JSON_NOTES_H

#include "json/json.h"

enum { SA_JSON_NOTES_MAX = 32 }; /* of each: what is beyond is not looked for, or not listed */

struct sa_json_notes { /* large: not on the stack. Zero it. */
    struct sa_error mistakes[SA_JSON_NOTES_MAX];
    size_t mistake_count;
    struct sa_error dropped[SA_JSON_NOTES_MAX]; /* unknown fields that were read over */
    size_t dropped_count;
};

/* Note `err`, once; it may be what a child has noted already. False: there are no notes, or they
 * are full. */
bool sa_json_go_on(const struct sa_json_obj *json, const struct sa_error *err, bool *failed);
/* As sa_json_finish() of a reader that is lenient: what was never asked for is noted as dropped. */
void sa_json_drop_unknown(struct sa_json_obj *json);

#endif
