/*
 * The client of the REST API that the sub-commands use (libcurl). The server is, in this order:
 * --url and --api-key, SECUREAGENT_URL and SECUREAGENT_API_KEY, or the one that `secureagent up`
 * runs on this machine (DATA/cli.json). Blocking; one thread. A signal on the descriptor given to
 * sa_client_watch() interrupts a request at once.
 */
#ifndef SA_CLI_CLIENT_H
#define SA_CLI_CLIENT_H

#include "base/buf.h"
#include "config/config.h"
#include "json/json.h"

/* Options of every client command; put them at the end of a table. */
/* clang-format off */
#define SA_CLIENT_OPTIONS                                                                          \
    {.name = "url", .kind = SA_OPTION_STRING, .env = "SECUREAGENT_URL", .value = "URL",            \
     .help = "server to use (default: the one on this machine)"},                                  \
    {.name = "api-key", .kind = SA_OPTION_STRING, .secret = true, .env = "SECUREAGENT_API_KEY",    \
     .value = "KEY", .help = "key to use there"},                                                  \
    {.name = "cacert", .kind = SA_OPTION_PATH, .env = "SECUREAGENT_CACERT",                        \
     .help = "PEM file of authorities to trust for https"},                                        \
    {.name = "data-dir", .kind = SA_OPTION_PATH, .env = "SECUREAGENT_DATA_DIR",                    \
     .help = "data directory of the server on this machine"}
/* clang-format on */

struct sa_client;

/* SA_EUNAVAILABLE when no server is known. */
struct sa_client *sa_client_open(const struct sa_config *config, struct sa_error *err);
/* The server that this very process runs. */
struct sa_client *sa_client_open_own(const char *url, const char *key, const char *tls_cert,
                                     struct sa_error *err);
void sa_client_close(struct sa_client *client); /* NULL is allowed */
const char *sa_client_url(const struct sa_client *client);

/* While `fd` is readable requests fail with SA_ECANCELED; -1: never. */
void sa_client_watch(struct sa_client *client, int fd);

/* Gets a piece of the body of a 2xx answer; nonzero ends the request as canceled. */
typedef int (*sa_client_sink)(void *user, const char *data, size_t length);

struct sa_progress;
struct sa_client_request {
    const char *method; /* "GET" */
    const char *path;   /* "/api/v1/..." */
    const char *accept; /* NULL: JSON */
    const char *body;   /* NULL: none */
    size_t body_length;
    int upload; /* with `uploads`: a file that is sent as the body, from its position on */
    bool uploads;
    const char *type;          /* of the body; NULL: by what it is */
    const bool *upload_failed; /* true at the end of `upload`: it is not whole, cut the request */
    struct sa_progress *progress; /* of an upload, and the total of a download; may be NULL */
    sa_client_sink sink;          /* NULL: the body goes to *answer */
    void *user;
    struct sa_buf *answer;  /* may be NULL */
    struct sa_buf *refusal; /* gets the body of an answer that is not 2xx; may be NULL */
    long *status;           /* the answer's; may be NULL */
};

/* 0 on 2xx. Other statuses become an error with the code and message of the answer's body;
 * SA_EUNAVAILABLE: nobody answers there. */
int sa_client_send(struct sa_client *client, const struct sa_client_request *request,
                   struct sa_error *err);

/* When the last answer refused for several mistakes: all of them; the error was the first. */
struct sa_json_notes *sa_client_mistakes(struct sa_client *client);

/* The answer as JSON; the document is freed with sa_json_free(), `root` uses `arena`. */
struct sa_json_doc *sa_client_json(const struct sa_buf *answer, struct sa_arena *arena,
                                   struct sa_json_obj *root, struct sa_error *err);

/* Append `text` percent-encoded; slashes stay when `path`. */
void sa_url_escape(struct sa_buf *out, const char *text, bool path);

#endif
