/*
 * Resources over REST, of whatever kind: one implementation for all that stand in the table of
 * resources.c. A request and an answer hold a whole object (apiVersion, kind, metadata, spec,
 * status), as Kubernetes' API server has it; those in namespaces are served in "default".
 *
 *   resources.c               which there are, what requests share, the answers
 *   handle_resources.c        routes, reading one, lists
 *   handle_resources_watch.c  watches
 *   handle_resources_write.c  create, replace, patch, delete: asked of the admission rules first
 *   resource_body.c           what clients send, as it may be stored
 */
#ifndef SA_API_RESOURCES_H
#define SA_API_RESOURCES_H

#include "api/app.h"
#include "kinds/resources.h"

enum { SA_RESOURCE_PAGE_DEFAULT = 100, SA_RESOURCE_PAGE_MAX = 500 };

struct sa_resource_ask { /* lives as long as the request */
    struct sa_app *app;
    struct sa_http_request *request;
    const struct sa_principal *principal;
    const struct sa_kind *kind;
    const char *name;             /* of the path; NULL: the collection */
    struct sa_objects_call *call; /* under way */
};

/* The kind by the path. */
void sa_resource_ask_init(struct sa_resource_ask *ask, struct sa_app *app,
                          struct sa_http_request *request, const struct sa_principal *principal);
/* The store was asked: forget the call when the client goes. */
void sa_resource_asked(struct sa_resource_ask *ask, struct sa_objects_call *call);
/* And has answered. */
void sa_resource_told(struct sa_resource_ask *ask);

/* Which objects a list or watch of this request is about: its selectors; of `/events` those about
 * the object that the path names. `ask->kind` is what is listed then. */
void sa_resource_select(struct sa_resource_ask *ask, struct sa_objects_select *select);
/* The query parameter resourceVersion; NULL where there is none, or "0" (any). -1: malformed. */
int sa_resource_version(const struct sa_http_request *request, const char **version,
                        struct sa_error *err);
/* Has this store not come so far yet? Versions are decimal numbers of any length (KEP-5504). */
bool sa_resource_is_newer(const char *version, const char *than);

void sa_respond_object(struct sa_http_request *request, int status, const struct sa_object *object);

/* ---- watches ---- */

struct sa_resource_watch;
/* `version` NULL: with all that is there first. */
void sa_resource_watch_start(struct sa_resource_ask *ask, const struct sa_objects_select *select,
                             const char *version);
/* All of them, since the server stops. */
void sa_resource_watches_end(struct sa_app *app);

/* ---- what clients send ---- */

struct sa_resource_body {
    const char *name;    /* it must have; NULL: it is a create */
    bool whole;          /* it is all of an object, no patch */
    const char *version; /* metadata.resourceVersion as sent; NULL: none */
};
/* Read what is asked for before anything is decoded. SA_EINVALID with the path. */
int sa_resource_body_read(const char *json, size_t length, struct sa_arena *arena,
                          struct sa_resource_body *body, struct sa_error *err);
/* A write is checked, and what it must not say put right: the object as it may be stored.
 * `old` NULL: a create. With `whole`, `json` replaces all of the object; what is the server's and
 * not mentioned stays. Else (a merge patch was applied) it is removed, and refused. `notes` get all
 * mistakes, and what was dropped; NULL: none. */
int sa_resource_body_check(const struct sa_resource_ask *ask, const char *json, size_t length,
                           const struct sa_object *old, bool whole, bool lenient,
                           struct sa_json_notes *notes, struct sa_buf *out, struct sa_error *err);
/* {metadata, spec}, as rules see it (kinds/admission.h). */
int sa_resource_review(const char *json, size_t length, struct sa_buf *out, struct sa_error *err);
/* Labels, annotations and spec of the review that came back, put into the object. */
int sa_resource_reviewed(const char *json, size_t length, const struct sa_buf *review,
                         struct sa_buf *out, struct sa_error *err);

sa_api_handler sa_handle_create_resource, sa_handle_replace_resource, sa_handle_patch_resource,
    sa_handle_delete_resource;

#endif
