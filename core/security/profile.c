#include "security/profile.h"

#include "base/cleanup.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* The lists of a profile are not const, as its decoder frees them. */
static struct sa_text_list list_of(const struct sa_json_strings *from)
{
    return (struct sa_text_list){(char **)(size_t)from->items, from->count};
}

static bool has(const struct sa_json_strings *list, const char *text)
{
    const struct sa_text_list view = list_of(list);
    return sa_text_list_has(&view, text);
}

static void add(struct sa_json_strings *to, const struct sa_json_strings *from,
                const struct sa_json_strings *except)
{
    for (size_t i = 0; i < from->count; i++)
        if (!has(to, from->items[i]) && !(except && has(except, from->items[i])))
            to->items[to->count++] = from->items[i];
}

static int check_filters(const struct sa_rules_answer *rules, struct sa_error *err)
{
    for (size_t i = 0; i < SA_LANGUAGE_COUNT; i++) {
        const struct sa_policy_filter *f = &rules->filters[i];
        if (!f->allow.count)
            return sa_error_at(err, SA_ECONTROL, "seccomp",
                               "the rules allow no system call to %s at seccomp level %s: they do "
                               "not know this level",
                               sa_languages[i], rules->context.seccomp);
        if (f->allow.count > SA_FILTER_NAMES_MAX || f->telling.count > SA_FILTER_NAMES_MAX)
            return sa_error_at(err, SA_ECONTROL, "seccomp", "the filter of %s has over %d names",
                               sa_languages[i], SA_FILTER_NAMES_MAX);
    }
    return 0;
}

static int check_class(const char *level, const struct sa_policy_context *context,
                       struct sa_error *err)
{
    const char *class = context->runtime_class;
    if (strcmp(class, "native") == 0)
        return 0;
    if (strcmp(class, "gvisor") == 0)
        class = "gVisor";
    return sa_error_at(err, SA_ECONTROL, "securityLevel",
                       "securityLevel %s needs %s, which this node does not offer; use standard",
                       level, class);
}

static unsigned flags_of(const struct sa_policy_context *c)
{
    return (c->no_new_privs ? SA_PROFILE_NO_NEW_PRIVS : 0u) |
           (c->read_only_root ? SA_PROFILE_READ_ONLY_ROOT : 0u) |
           (c->private_network ? SA_PROFILE_PRIVATE_NETWORK : 0u) |
           (c->mask_proc ? SA_PROFILE_MASK_PROC : 0u) |
           (c->landlock.enabled ? SA_PROFILE_USE_LANDLOCK : 0u);
}

static void digest(const struct sa_buf *body, char id[SA_PROFILE_ID_BYTES])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_Digest(body->data, body->length, hash, &length, EVP_sha256(), NULL);
    for (unsigned i = 0; i < 32; i++)
        snprintf(id + 2 * (size_t)i, 3, "%02x", hash[i]);
}

/* The union of what the languages may; telling is what is so for one and allowed to none. */
static void fill_filters(const struct sa_rules_answer *rules, struct sa_profile *p,
                         struct sa_arena *arena)
{
    struct sa_json_strings allow = {0}, telling = {0};
    size_t allowed = 0, told = 0;
    for (size_t i = 0; i < SA_LANGUAGE_COUNT; i++) {
        allowed += rules->filters[i].allow.count;
        told += rules->filters[i].telling.count;
    }
    allow.items = sa_arena_alloc(arena, (allowed + 1) * sizeof *allow.items);
    telling.items = sa_arena_alloc(arena, (told + 1) * sizeof *telling.items);
    for (size_t i = 0; i < SA_LANGUAGE_COUNT; i++)
        add(&allow, &rules->filters[i].allow, NULL);
    for (size_t i = 0; i < SA_LANGUAGE_COUNT; i++)
        add(&telling, &rules->filters[i].telling, NULL);
    snprintf(p->filters[0].language, sizeof p->filters[0].language, "base");
    p->filters[0].allow = list_of(&allow);
    p->filters[0].telling = list_of(&telling);
    p->filter_count = 1 + SA_LANGUAGE_COUNT;
    for (size_t i = 0; i < SA_LANGUAGE_COUNT; i++) {
        struct sa_profile_filter *f = &p->filters[1 + i];
        snprintf(f->language, sizeof f->language, "%s", sa_languages[i]);
        f->allow = list_of(&rules->filters[i].allow);
        f->telling = list_of(&rules->filters[i].telling);
    }
}

int sa_security_profile(const char *level, const struct sa_rules_answer *rules,
                        char id[SA_PROFILE_ID_BYTES], struct sa_buf *out, struct sa_error *err)
{
    const struct sa_policy_context *c = &rules->context;
    if (check_class(level, c, err) < 0 || check_filters(rules, err) < 0)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    struct sa_profile p = {.uid = c->uid,
                           .gid = c->gid,
                           .pids = c->limits.pids,
                           .open_files = c->limits.open_files,
                           .file_bytes = c->limits.file_size_bytes,
                           .core_bytes = c->limits.core_bytes,
                           .flags = flags_of(c),
                           .capabilities = list_of(&c->capabilities),
                           .writable = list_of(&c->writable_paths),
                           .landlock = list_of(&c->landlock.writable),
                           .devices = list_of(&c->devices)};
    fill_filters(rules, &p, arena);
    sa_profile_encode(&p, out);
    sa_arena_free(arena);
    if (out->length > SA_NODE_MESSAGE_MAX - 256)
        return sa_error_at(err, SA_ECONTROL, "seccomp",
                           "the security context has %zu bytes, too many to be sent; name sets",
                           out->length);
    digest(out, id);
    return 0;
}
