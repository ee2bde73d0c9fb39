/*
 * The record of decisions behind engine.h: the last SA_RECORD_MAX in at most SA_RECORD_BYTES.
 * Denials have up to half of the room for themselves: what is plentiful does not drive out what
 * somebody will ask about. One thread.
 */
#ifndef SA_LUA_RECORD_H
#define SA_LUA_RECORD_H

#include "lua/engine.h"

enum { SA_RECORD_MAX = 4096, SA_RECORD_BYTES = 8 * 1024 * 1024 };

struct sa_record;

struct sa_record *sa_record_new(void);
void sa_record_free(struct sa_record *record); /* NULL is allowed */

/* Keep a copy of all that `decision` holds (`sequence` is given here), and tell the listeners.
 * `input` is an encoded value. */
void sa_record_add(struct sa_record *record, const struct sa_decision *decision, const void *input,
                   size_t input_length);
const struct sa_decision *sa_record_find(const struct sa_record *record, const char *id);
const struct sa_decision *sa_record_after(const struct sa_record *record, uint64_t sequence);
/* The newest before `sequence`; UINT64_MAX: the newest. */
const struct sa_decision *sa_record_before(const struct sa_record *record, uint64_t sequence);
void sa_record_listen(struct sa_record *record, struct sa_engine_listener *listener);
void sa_record_unlisten(struct sa_record *record, struct sa_engine_listener *listener);

/* One that outlives its place in the record. `input` as it was recorded, encoded. */
struct sa_recorded;
struct sa_recorded *sa_recorded_ref(const struct sa_decision *decision);
void sa_recorded_unref(struct sa_recorded *recorded);
const struct sa_decision *sa_recorded_decision(const struct sa_recorded *recorded);
/* Its memory is the recorded one's: it must not be changed. */
struct sa_buf sa_recorded_input(const struct sa_recorded *recorded);

#endif
