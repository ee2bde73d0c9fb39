/*
 * The recorder: what was said of late by what it said, and how much each object may still say.
 * Both are bounded: what was not used for the longest time is forgotten first.
 */
#include "objects/recorder.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    SAID_MAX = 4096,
    SPEAKERS_MAX = 4096,
    AGAIN_MS = 10 * 60 * 1000,
    BURST = 25,
    ONE_MORE_MS = 5 * 60 * 1000,
    MESSAGE_BYTES = 1024,
    SUFFIX_BYTES = 18, /* ".", 16 hexadecimal digits, NUL */
};

struct said { /* an event: known by object, type, reason and message */
    UT_hash_handle hh;
    struct sa_recorder *recorder;
    struct sa_objects_call *call;
    struct sa_event event; /* its strings are the arena's */
    struct sa_arena *arena;
    char *namespace_, *name;
    int64_t last_ms; /* monotonic */
    bool made;       /* it is in the store */
    bool more;       /* it happened again while it was written */
    size_t key_length;
    char key[];
};
struct speaker { /* an object, by uid */
    UT_hash_handle hh;
    int64_t tokens_ms; /* time that was saved up; ONE_MORE_MS buys an event */
    int64_t seen_ms;
    char uid[SA_UID_BYTES];
};
struct sa_recorder {
    struct sa_objects *objects;
    char *component;
    int64_t (*now_ms)(void);
    struct said *said;        /* in the order of their last use */
    struct speaker *speakers; /* likewise */
};

/* ---- writing ---- */

static void write_event(struct said *said);

/* What could not be written is written whole the next time it happens. */
static void on_written(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct said *said = user;
    (void)object;
    said->call = NULL;
    bool again = said->more || (err && err->code == SA_ENOTFOUND && said->made);
    said->made = !err;
    said->more = false;
    if (again)
        write_event(said);
}

static void create(struct said *said)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "metadata");
    sa_json_put_string(&w, "namespace", said->namespace_);
    sa_json_put_string(&w, "name", said->name);
    sa_json_w_end_object(&w);
    sa_kind_event.print_spec(&said->event, &w);
    sa_json_w_end_object(&w);
    said->call = sa_objects_create(said->recorder->objects, &sa_kind_event, text.data, text.length,
                                   false, on_written, said);
}

static void count(struct said *said)
{
    char json[96], when[SA_RFC3339_BYTES];
    sa_rfc3339(said->event.last_ms, when);
    int length = snprintf(json, sizeof json, "{\"count\":%lld,\"lastTimestamp\":\"%s\"}",
                          (long long)said->event.count, when);
    said->call = sa_objects_patch(said->recorder->objects, &sa_kind_event,
                                  &(struct sa_objects_patch){.namespace_ = said->namespace_,
                                                             .name = said->name,
                                                             .json = json,
                                                             .length = (size_t)length},
                                  on_written, said);
}

static void write_event(struct said *said)
{
    if (said->call)
        said->more = true;
    else if (said->made)
        count(said);
    else
        create(said);
}

/* ---- what was said ---- */

static void drop_said(struct said *said)
{
    if (said->call)
        sa_objects_forget(said->recorder->objects, said->call);
    HASH_DEL(said->recorder->said, said);
    sa_arena_free(said->arena);
    free(said);
}

static char *name_for(struct sa_arena *arena, const char *about)
{
    uint64_t random;
    sa_random(&random, sizeof random);
    return sa_arena_printf(arena, "%.*s.%016llx", SA_OBJECT_NAME_MAX - SUFFIX_BYTES, about,
                           (unsigned long long)random);
}

static struct said *add_said(struct sa_recorder *recorder, const struct sa_object *about,
                             enum sa_event_type type, const char *reason, const char *message,
                             const char *key, size_t key_length)
{
    const struct sa_object_meta *meta = sa_object_meta(about);
    struct said *said = sa_alloc(sizeof *said + key_length);
    struct sa_arena *arena = sa_arena_new_sized(512);
    said->recorder = recorder;
    said->arena = arena;
    said->event = (struct sa_event){
        .about = {.api_version = sa_object_kind(about)->api_version,
                  .kind = sa_object_kind(about)->name,
                  .namespace_ = sa_arena_strdup(arena, meta->namespace_),
                  .name = sa_arena_strdup(arena, meta->name),
                  .uid = sa_arena_strdup(arena, meta->uid),
                  .resource_version = sa_arena_strdup(arena, meta->resource_version)},
        .type = type,
        .reason = sa_arena_strdup(arena, reason),
        .message = sa_arena_strdup(arena, message),
        .component = recorder->component,
        .first_ms = sa_wall_ms()};
    said->namespace_ =
        sa_arena_strdup(arena, meta->namespace_[0] ? meta->namespace_ : SA_NAMESPACE_DEFAULT);
    said->name = name_for(arena, meta->name);
    said->key_length = key_length;
    memcpy(said->key, key, key_length);
    HASH_ADD_KEYPTR(hh, recorder->said, said->key, key_length, said);
    if (HASH_COUNT(recorder->said) > SAID_MAX)
        drop_said(recorder->said);
    return said;
}

/* Now the last one used. */
static struct said *find_said(struct sa_recorder *recorder, const char *key, size_t key_length,
                              int64_t now)
{
    struct said *said;
    HASH_FIND(hh, recorder->said, key, key_length, said);
    if (said && now - said->last_ms > AGAIN_MS) {
        drop_said(said);
        said = NULL;
    }
    if (said) {
        HASH_DEL(recorder->said, said);
        HASH_ADD_KEYPTR(hh, recorder->said, said->key, said->key_length, said);
    }
    return said;
}

/* ---- floods ---- */

static struct speaker *speaker_of(struct sa_recorder *recorder, const char *uid, int64_t now)
{
    struct speaker *speaker;
    HASH_FIND_STR(recorder->speakers, uid, speaker);
    if (speaker) {
        HASH_DEL(recorder->speakers, speaker);
    } else {
        speaker = sa_alloc(sizeof *speaker);
        snprintf(speaker->uid, sizeof speaker->uid, "%s", uid);
        speaker->tokens_ms = (int64_t)BURST * ONE_MORE_MS;
        speaker->seen_ms = now;
    }
    HASH_ADD_STR(recorder->speakers, uid, speaker);
    return speaker;
}

static void drop_speaker(struct sa_recorder *recorder, struct speaker *speaker)
{
    HASH_DEL(recorder->speakers, speaker); // NOLINT(clang-analyzer-*)
    free(speaker);
}

static bool may_speak(struct sa_recorder *recorder, const char *uid, int64_t now)
{
    struct speaker *speaker = speaker_of(recorder, uid, now);
    if (HASH_COUNT(recorder->speakers) > SPEAKERS_MAX)
        drop_speaker(recorder, recorder->speakers);
    speaker->tokens_ms += now - speaker->seen_ms;
    speaker->seen_ms = now;
    if (speaker->tokens_ms > (int64_t)BURST * ONE_MORE_MS)
        speaker->tokens_ms = (int64_t)BURST * ONE_MORE_MS;
    if (speaker->tokens_ms < ONE_MORE_MS)
        return false;
    speaker->tokens_ms -= ONE_MORE_MS;
    return true;
}

/* ---- the interface ---- */

void sa_record(struct sa_recorder *recorder, const struct sa_object *about, enum sa_event_type type,
               const char *reason, const char *fmt, ...)
{
    char message[MESSAGE_BYTES + 1];
    sa_autobuf key = SA_BUF_INIT;
    const char *uid = sa_object_meta(about)->uid;
    int64_t now = recorder->now_ms();
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    sa_buf_printf(&key, "%s\n%d\n%s\n%s", uid, (int)type, reason, message);
    struct said *said = find_said(recorder, key.data, key.length, now);
    if (!said)
        said = add_said(recorder, about, type, reason, message, key.data, key.length);
    said->last_ms = now;
    said->event.count++;
    said->event.last_ms = sa_wall_ms();
    if (may_speak(recorder, uid, now))
        write_event(said);
}

struct sa_recorder *sa_recorder_new(struct sa_objects *objects, const char *component,
                                    int64_t (*now_ms)(void))
{
    struct sa_recorder *recorder = sa_alloc(sizeof *recorder);
    *recorder = (struct sa_recorder){.objects = objects,
                                     .component = sa_strdup(component),
                                     .now_ms = now_ms ? now_ms : sa_monotonic_ms};
    return recorder;
}

void sa_recorder_free(struct sa_recorder *recorder)
{
    struct said *said, *next_said;
    struct speaker *speaker, *next_speaker;
    if (!recorder)
        return;
    HASH_ITER (hh, recorder->said, said, next_said)
        drop_said(said);
    HASH_ITER (hh, recorder->speakers, speaker, next_speaker)
        drop_speaker(recorder, speaker);
    free(recorder->component);
    free(recorder);
}
