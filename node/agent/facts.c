/* What the node says of a sandbox, once for all that are alike. */
#include "agent/private.h"

#include "base/arena.h"

#include <stdlib.h>

enum { NAMES_MAX = 64, TEXT_MAX = 512 };

static bool is_text(const struct sa_field *f)
{
    return (f->tag == SA_NODE_CONTROL || f->tag == SA_NODE_WEAKER) && f->length <= TEXT_MAX;
}

/* The fields that matter, as they came. */
static void make_key(struct sa_fields fields, struct sa_buf *key)
{
    struct sa_field f;
    for (size_t count = 0; count < NAMES_MAX && sa_fields_next(&fields, &f, NULL) > 0;) {
        if (!is_text(&f))
            continue;
        sa_fields_add_bytes(key, f.tag, f.data, f.length);
        count++;
    }
}

static void read_texts(struct sa_agent_fact *fact)
{
    struct sa_fields fields;
    struct sa_field f;
    const char **controls = sa_arena_alloc(fact->arena, NAMES_MAX * sizeof *controls);
    const char **weaker = sa_arena_alloc(fact->arena, NAMES_MAX * sizeof *weaker);
    struct sa_buf joined = SA_BUF_INIT;
    sa_fields_init(&fields, fact->key.data, fact->key.length);
    while (sa_fields_next(&fields, &f, NULL) > 0) {
        const char *text = sa_arena_strndup(fact->arena, (const char *)f.data, f.length);
        if (f.tag == SA_NODE_WEAKER) {
            weaker[fact->facts.weaker_count++] = text;
        } else {
            controls[fact->facts.control_count++] = text;
            sa_buf_printf(&joined, "%s%s", joined.length ? "," : "", text);
        }
    }
    fact->facts.controls = controls;
    fact->facts.weaker = weaker;
    fact->controls = sa_buf_steal(&joined);
}

/* True: they are others than before. */
bool sa_agent_take_facts(struct sa_agent_pod *pod, struct sa_fields fields)
{
    struct sa_agent *agent = pod->agent;
    struct sa_buf key = SA_BUF_INIT;
    struct sa_agent_fact *fact;
    make_key(fields, &key);
    sa_buf_reserve(&key, 1);
    HASH_FIND(hh, agent->facts, key.data, key.length, fact);
    if (fact) {
        sa_buf_deinit(&key);
    } else {
        fact = sa_alloc(sizeof *fact);
        fact->arena = sa_arena_new_sized(1024);
        fact->key = key;
        read_texts(fact);
        HASH_ADD_KEYPTR(hh, agent->facts, fact->key.data, fact->key.length, fact);
    }
    if (fact == pod->fact)
        return false;
    fact->refs++;
    sa_agent_drop_facts(pod);
    pod->fact = fact;
    pod->annotated = false;
    return true;
}

void sa_agent_drop_facts(struct sa_agent_pod *pod)
{
    struct sa_agent_fact *fact = pod->fact;
    pod->fact = NULL;
    if (!fact || --fact->refs)
        return;
    HASH_DEL(pod->agent->facts, fact);
    sa_arena_free(fact->arena);
    sa_buf_deinit(&fact->key);
    free(fact->controls);
    free(fact);
}
