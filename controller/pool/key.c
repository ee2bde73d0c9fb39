/*
 * What the pods of a pool have to be: the security context that the rules decide for whoever asks
 * for nothing special (no tenant, no user), the pool key that follows, and the template, a digest
 * of all else that goes into them. The rules are asked again every minute, and when they change.
 */
#include "controller/pool/private.h"

#include "base/clock.h"
#include "claim/runtime_fit.h"
#include "kinds/pod.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_AGAIN_MS = 1000, CHECK_EACH_MS = 200 /* against the rules */ };

/* ---- posture ---- */

static const void *spec_of(const struct sa_informer *informer, const char *name)
{
    const struct sa_object *object = sa_informer_get(informer, name);
    return object ? sa_object_spec(object) : NULL;
}

int sa_pool_posture(const struct sa_pool *pool, const struct sa_warm_pool_spec *spec,
                    struct sa_arena *arena, struct sa_posture *posture,
                    const struct sa_runtime_spec **runtime, struct sa_error *err)
{
    const struct sa_caches *caches = pool->controller->options.caches;
    const struct sa_posture own = {.level = spec->level,
                                   .security_context = "",
                                   .runtime_class = spec->placement.runtime_class};
    const struct sa_profile_spec *profile = NULL;
    const struct sa_object *environment = sa_informer_get(caches->runtimes, spec->runtime);
    if (sa_runtime_fit(spec->runtime, environment, &spec->resources, err) < 0)
        return -1;
    if (!environment) /* built in, and not made yet */
        return sa_error_set(err, SA_ECANCELED, "the runtime is being made");
    *runtime = sa_object_spec(environment);
    if (spec->profile[0] && !(profile = spec_of(caches->profiles, spec->profile)))
        return sa_error_at(err, SA_ENOTFOUND, "spec.profile",
                           "spec.profile: there is no SandboxProfile \"%.63s\"", spec->profile);
    return sa_posture_join(&own, profile, arena, posture, err);
}

/* ---- digests ---- */

static void put_texts(struct sa_json_w *w, const char *key, const struct sa_json_strings *texts)
{
    sa_json_put_strings(w, key, texts->items, texts->count);
}

static void print_template(const struct sa_warm_pool_spec *spec,
                           const struct sa_runtime_spec *runtime, const struct sa_posture *posture,
                           const char *required, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    put_texts(&w, "packages", &spec->preload_packages);
    put_texts(&w, "scripts", &spec->preload_scripts);
    put_texts(&w, "imports", &spec->imports);
    put_texts(&w, "controls", &posture->required_controls);
    sa_json_put_string(&w, "required", required);
    sa_json_put_string(&w, "runtimeClass", posture->runtime_class);
    sa_json_put_string(&w, "image", runtime->image);
    sa_json_put_string(&w, "rootfs", runtime->rootfs);
    sa_json_put_int(&w, "language", runtime->language);
    sa_json_put_object(&w, "nodeSelector");
    for (size_t i = 0; i < spec->placement.node_selector.count; i++)
        sa_json_put_string(&w, spec->placement.node_selector.items[i].key,
                           spec->placement.node_selector.items[i].value);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
}

static void digest(const struct sa_buf *text, char *out, size_t hex_digits)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned length;
    if (EVP_Digest(text->data, text->length, hash, &length, EVP_sha256(), NULL) != 1)
        abort();
    for (size_t i = 0; i < hex_digits; i++)
        out[i] = hex[i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4];
    out[hex_digits] = '\0';
}

/* ---- what is known ---- */

static void unknown(struct sa_pool *pool, const char *reason, const char *message)
{
    const struct sa_object *object = sa_pool_object(pool);
    pool->make.known = false;
    if (object && reason[0] && strcmp(pool->make.message, message) != 0)
        sa_record(pool->controller->recorder, object, SA_EVENT_WARNING, reason, "%s", message);
    snprintf(pool->make.reason, sizeof pool->make.reason, "%s", reason);
    snprintf(pool->make.message, sizeof pool->make.message, "%s", message);
}

static void cannot(struct sa_pool *pool, const struct sa_error *err)
{
    if (err->code == SA_ECANCELED) /* a moment */
        unknown(pool, "", "");
    else if (strcmp(err->path, "spec.profile") == 0)
        unknown(pool, "ProfileNotFound", err->message);
    else if (err->code == SA_ECONFLICT)
        unknown(pool, "ProfileMismatch", err->message);
    else
        unknown(pool, sa_runtime_fit_reason(err), err->message);
}

static void keep(struct sa_pool *pool, const struct sa_security_answer *answer)
{
    sa_autobuf text = SA_BUF_INIT;
    for (size_t i = 0; i < answer->required.count; i++)
        sa_buf_printf(&text, "%s%s", text.length ? "," : "", answer->required.items[i]);
    free(pool->make.required);
    pool->make.required = sa_buf_steal(&text);
    snprintf(pool->make.digest, sizeof pool->make.digest, "%s", answer->profile);
}

static void complete(struct sa_pool *pool, const struct sa_warm_pool_spec *spec,
                     const struct sa_runtime_spec *runtime, const struct sa_posture *posture)
{
    sa_autobuf text = SA_BUF_INIT;
    sa_pool_key(&(struct sa_pool_key){.runtime = spec->runtime,
                                      .profile = spec->profile,
                                      .digest = pool->make.digest,
                                      .level = spec->level,
                                      .resources = &spec->resources},
                pool->make.key);
    print_template(spec, runtime, posture, pool->make.required ? pool->make.required : "", &text);
    digest(&text, pool->make.template_, SA_POOL_TEMPLATE_BYTES - 1);
    pool->make.known = true;
    pool->make.reason[0] = pool->make.message[0] = '\0';
}

/* What was decided before stays in force while the rules cannot be asked: pods that are there stay,
 * but what is refused is made no more. */
static void on_security(void *user, const struct sa_denial *denial,
                        const struct sa_security_answer *answer)
{
    struct sa_pool *pool = user;
    pool->asking = NULL;
    pool->make.checked_ms = 0;
    if (!denial)
        keep(pool, answer);
    else if (!pool->make.digest[0] || denial->error.code != SA_EUNAVAILABLE) {
        pool->make.digest[0] = '\0';
        unknown(pool, sa_code_condition(denial->error.code), denial->error.message);
    }
    sa_pool_wake(pool);
}

/* The digest, as far as it is known; asks where it is to be asked anew. */
static void ask(struct sa_pool *pool, const struct sa_warm_pool_spec *spec,
                const struct sa_posture *posture, const char *namespace_)
{
    const struct sa_controllers_options *options = &pool->controller->options;
    if (options->profile_digest) {
        snprintf(pool->make.digest, sizeof pool->make.digest, "%s", options->profile_digest);
        return;
    }
    const struct sa_security_ask question = {
        .level = sa_security_level_name(posture->level),
        .runtime = spec->runtime,
        .profile = spec->profile[0] ? spec->profile : NULL,
        .overrides = posture->security_context[0] ? posture->security_context : NULL,
        .namespace_ = namespace_};
    const struct sa_security_answer *answer = sa_security_known(options->security, &question);
    if (answer) {
        keep(pool, answer);
        return;
    }
    if (pool->asking || (pool->asked_ms && sa_monotonic_ms() - pool->asked_ms < ASK_AGAIN_MS))
        return;
    pool->asked_ms = sa_monotonic_ms();
    pool->asking = sa_security_ask(options->security, &question, on_security, pool);
}

static const char *version_of(const struct sa_informer *informer, const char *name)
{
    const struct sa_object *object = name[0] ? sa_informer_get(informer, name) : NULL;
    return object ? sa_object_meta(object)->resource_version : "";
}

/* Pools are looked at very often, and this nearly always comes out as it did before. */
static bool is_of_now(struct sa_pool *pool, const struct sa_object *object)
{
    const struct sa_caches *caches = pool->controller->options.caches;
    const struct sa_warm_pool_spec *spec = sa_object_spec(object);
    const int64_t now_ms = sa_monotonic_ms();
    char of[SA_POOL_OF_BYTES];
    snprintf(of, sizeof of, "%s %lld %s %s", sa_object_meta(object)->uid,
             (long long)sa_object_meta(object)->generation,
             version_of(caches->runtimes, spec->runtime),
             version_of(caches->profiles, spec->profile));
    if (pool->make.known && now_ms - pool->make.checked_ms < CHECK_EACH_MS &&
        strcmp(of, pool->make.of) == 0)
        return true;
    memcpy(pool->make.of, of, sizeof of);
    pool->make.checked_ms = now_ms;
    return false;
}

void sa_pool_make_update(struct sa_pool *pool, const struct sa_object *object)
{
    if (is_of_now(pool, object))
        return;
    const struct sa_warm_pool_spec *spec = sa_object_spec(object);
    const struct sa_runtime_spec *runtime = NULL;
    struct sa_arena *arena = sa_arena_new();
    struct sa_posture posture = {.security_context = "", .runtime_class = ""};
    struct sa_error error;
    if (sa_pool_posture(pool, spec, arena, &posture, &runtime, &error) < 0) {
        cannot(pool, &error);
    } else {
        ask(pool, spec, &posture, sa_object_meta(object)->namespace_);
        if (pool->make.digest[0])
            complete(pool, spec, runtime, &posture);
    }
    sa_arena_free(arena);
}

void sa_pool_make_forget(struct sa_pool *pool)
{
    sa_security_forget(pool->asking);
    pool->asking = NULL;
    free(pool->make.required);
    pool->make.required = NULL;
}
