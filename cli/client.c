#include "client.h"

#include "client_private.h"
#include "datadir.h"
#include "progress.h"

#include "base/cleanup.h"
#include "json/notes.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    ANSWER_MAX = 64 * 1024 * 1024,
    ERROR_BODY_MAX = 64 * 1024,
    CONNECT_MS = 10 * 1000,
    POLL_MS = 1000,
};

#define KEY_HEADER "X-API-Key: "

struct sa_client {
    CURL *easy;
    CURLM *multi;
    struct curl_slist *key_header;
    char *url, *cacert;
    bool own_server; /* found through its data directory */
    int watched;
    struct sa_json_notes mistakes; /* that the last answer tells of */
};

struct transfer {
    struct sa_client *client;
    const struct sa_client_request *request;
    long status;
    struct sa_buf refused; /* body of an answer that is not 2xx */
    bool sink_failed;
};

/* ---- which server ---- */

/* Both return the key (malloc'd), or NULL. */
static char *find_local(struct sa_client *client, const struct sa_config *config,
                        struct sa_error *err)
{
    const char *given = sa_config_string(config, "data-dir");
    sa_autofree char *dir = given ? sa_strdup(given) : sa_datadir_default();
    struct sa_clifile file;
    struct sa_error error;
    if (sa_clifile_read(dir, &file, &error) < 0) {
        if (error.code == SA_ENOTFOUND)
            sa_error_set(err, SA_EUNAVAILABLE,
                         "no server is running here (nothing in %s): start one with "
                         "`secureagent up`, or name one with --url and --api-key",
                         dir);
        else
            *err = error;
        return NULL;
    }
    client->url = file.url;
    client->cacert = file.tls_cert;
    client->own_server = true;
    return file.key;
}

static char *find_named(struct sa_client *client, const char *url, const char *key,
                        struct sa_error *err)
{
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        sa_error_at(err, SA_EINVALID, "url",
                    "--url: \"%.80s\" should begin with http:// or https://", url);
        return NULL;
    }
    if (!key) {
        sa_error_at(err, SA_EUNAUTHORIZED, "api-key",
                    "%s needs an API key: --api-key KEY or SECUREAGENT_API_KEY", url);
        return NULL;
    }
    client->url = sa_strdup(url);
    for (size_t length = strlen(url); length && client->url[length - 1] == '/'; length--)
        client->url[length - 1] = '\0';
    return sa_strdup(key);
}

static char *find_server(struct sa_client *client, const struct sa_config *config,
                         struct sa_error *err)
{
    const char *url = sa_config_string(config, "url"), *given = sa_config_string(config, "api-key");
    if (given && strpbrk(given, "\r\n")) {
        sa_error_at(err, SA_EINVALID, "api-key", "the API key must be one line");
        return NULL;
    }
    if (url)
        return find_named(client, url, given, err);
    char *key = find_local(client, config, err);
    if (!key || !given)
        return key;
    free(key);
    return sa_strdup(given);
}

/* The header that carries the key, whose memory is wiped and freed. */
static struct curl_slist *key_header(char *key)
{
    sa_autofree char *header = sa_printf(KEY_HEADER "%s", key);
    struct curl_slist *list = curl_slist_append(NULL, header);
    explicit_bzero(key, strlen(key));
    explicit_bzero(header, strlen(header));
    free(key);
    return list;
}

/* Takes the key, and the client, which it frees on failure. */
static struct sa_client *start(struct sa_client *client, char *key, struct sa_error *err)
{
    client->watched = -1;
    client->mistakes.arena = sa_arena_new();
    client->key_header = key_header(key);
    client->easy = curl_easy_init();
    client->multi = curl_multi_init();
    if (client->key_header && client->easy && client->multi)
        return client;
    sa_error_set(err, SA_EINTERNAL, "libcurl cannot be initialised");
    sa_client_close(client);
    return NULL;
}

struct sa_client *sa_client_open(const struct sa_config *config, struct sa_error *err)
{
    struct sa_client *client = sa_alloc(sizeof *client);
    char *key = find_server(client, config, err);
    if (!key) {
        sa_client_close(client);
        return NULL;
    }
    if (sa_config_string(config, "cacert")) {
        free(client->cacert);
        client->cacert = sa_strdup(sa_config_string(config, "cacert"));
        client->own_server = false;
    }
    return start(client, key, err);
}

struct sa_client *sa_client_open_own(const char *url, const char *key, const char *tls_cert,
                                     struct sa_error *err)
{
    struct sa_client *client = sa_alloc(sizeof *client);
    client->url = sa_strdup(url);
    client->cacert = tls_cert ? sa_strdup(tls_cert) : NULL;
    client->own_server = true;
    return start(client, sa_strdup(key), err);
}

void sa_client_close(struct sa_client *client)
{
    if (!client)
        return;
    curl_multi_cleanup(client->multi);
    curl_easy_cleanup(client->easy);
    curl_slist_free_all(client->key_header);
    free(client->url);
    free(client->cacert);
    sa_arena_free(client->mistakes.arena);
    free(client);
}

const char *sa_client_url(const struct sa_client *client)
{
    return client->url;
}

const char *sa_client_key(const struct sa_client *client)
{
    return client->key_header->data + sizeof KEY_HEADER - 1;
}

const char *sa_client_cacert(const struct sa_client *client)
{
    return client->cacert;
}

bool sa_client_is_own_server(const struct sa_client *client)
{
    return client->own_server;
}

void sa_client_watch(struct sa_client *client, int fd)
{
    client->watched = fd;
}

/* ---- a request ---- */

static void begin_answer(struct transfer *t)
{
    curl_off_t length = -1;
    curl_easy_getinfo(t->client->easy, CURLINFO_RESPONSE_CODE, &t->status);
    curl_easy_getinfo(t->client->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (t->request->progress && t->request->sink && length > 0)
        t->request->progress->total = length;
}

static size_t on_body(char *data, size_t one, size_t length, void *user)
{
    struct transfer *t = user;
    (void)one;
    if (!t->status)
        begin_answer(t);
    if (t->status < 200 || t->status > 299) {
        if (t->refused.length + length <= ERROR_BODY_MAX)
            sa_buf_add(&t->refused, data, length);
        return length;
    }
    if (t->request->sink) {
        t->sink_failed = t->request->sink(t->request->user, data, length) != 0;
        return t->sink_failed ? 0 : length;
    }
    if (!t->request->answer)
        return length;
    if (t->request->answer->length + length > ANSWER_MAX)
        return 0;
    sa_buf_add(t->request->answer, data, length);
    return length;
}

static size_t on_upload(char *to, size_t one, size_t room, void *user)
{
    const struct transfer *t = user;
    ssize_t n;
    (void)one;
    do
        n = read(t->request->upload, to, room);
    while (n < 0 && errno == EINTR);
    if (n == 0 && t->request->upload_failed && *t->request->upload_failed)
        return CURL_READFUNC_ABORT;
    if (n > 0 && t->request->progress)
        sa_progress_add(t->request->progress, n);
    return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

/* The body: bytes, a file, or nothing. */
static void set_body(CURL *easy, struct transfer *t)
{
    const struct sa_client_request *r = t->request;
    struct stat st;
    if (r->uploads) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
        curl_easy_setopt(easy, CURLOPT_READDATA, t);
        if (fstat(r->upload, &st) == 0 && S_ISREG(st.st_mode))
            curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 1024L * 1024L);
    } else if (r->body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_length);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
}

static void set_tls(CURL *easy, const struct sa_client *client)
{
    if (client->cacert)
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->cacert);
    /* Our own server's very certificate is the anchor; the name in it is for others. */
    if (client->own_server && client->cacert)
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
}

static struct curl_slist *headers(const struct sa_client *client, const struct sa_client_request *r)
{
    sa_autofree char *accept = sa_printf("Accept: %s", r->accept ? r->accept : "application/json");
    struct curl_slist *list = curl_slist_append(NULL, client->key_header->data);
    list = curl_slist_append(list, accept);
    list = curl_slist_append(list, "Expect:"); /* no round trip before a body */
    sa_autofree char *type = sa_printf("Content-Type: %s", r->type      ? r->type
                                                           : r->uploads ? "application/octet-stream"
                                                                        : "application/json");
    return curl_slist_append(list, type);
}

static int canceled(struct sa_error *err)
{
    return sa_error_set(err, SA_ECANCELED, "interrupted");
}

/* Drive the transfer; *result is libcurl's verdict. */
static int drive(struct sa_client *client, CURLcode *result, struct sa_error *err)
{
    struct curl_waitfd watched = {.fd = client->watched, .events = CURL_WAIT_POLLIN};
    unsigned extra = client->watched >= 0;
    int running = 1, left;
    while (running) {
        if (curl_multi_perform(client->multi, &running) != CURLM_OK)
            return sa_error_set(err, SA_EINTERNAL, "libcurl failed");
        if (!running)
            break;
        watched.revents = 0;
        if (curl_multi_poll(client->multi, &watched, extra, POLL_MS, NULL) != CURLM_OK)
            return sa_error_set(err, SA_EINTERNAL, "libcurl failed");
        if (watched.revents)
            return canceled(err);
    }
    const CURLMsg *message = curl_multi_info_read(client->multi, &left);
    *result = message ? message->data.result : CURLE_FAILED_INIT;
    return 0;
}

static int refused(const struct transfer *t, struct sa_error *err)
{
    struct sa_client *client = t->client;
    return sa_refusal_read(client->url, t->status, &t->refused, &client->mistakes, err);
}

static int verdict(struct transfer *t, CURLcode result, struct sa_error *err)
{
    const char *url = t->client->url;
    curl_easy_getinfo(t->client->easy, CURLINFO_RESPONSE_CODE, &t->status);
    if (t->sink_failed)
        return canceled(err);
    if (result == CURLE_OK)
        return t->status >= 200 && t->status <= 299 ? 0 : refused(t, err);
    if (t->refused.length && t->status >= 400)
        return refused(t, err); /* it answered before it had read the whole body */
    if (result == CURLE_COULDNT_CONNECT && t->client->own_server)
        return sa_error_set(err, SA_EUNAVAILABLE,
                            "no server answers at %s: start one with `secureagent up`", url);
    if (result == CURLE_COULDNT_CONNECT)
        return sa_error_set(err, SA_EUNAVAILABLE,
                            "no server answers at %s: is `secureagent up` running there? (see "
                            "--url and SECUREAGENT_URL)",
                            url);
    return sa_error_set(err, SA_EUNAVAILABLE, "%s: %s", url, curl_easy_strerror(result));
}

int sa_client_send(struct sa_client *client, const struct sa_client_request *request,
                   struct sa_error *err)
{
    struct transfer t = {.client = client, .request = request};
    client->mistakes.mistake_count = 0;
    sa_autofree char *url = sa_printf("%s%s", client->url, request->path);
    struct curl_slist *list = headers(client, request);
    CURLcode result = CURLE_OK;
    CURL *easy = client->easy;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "secureagent/" SA_VERSION);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L); /* a stream may be silent for long */
    if (client->own_server) /* on this machine: no proxy has business in between */
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    set_tls(easy, client);
    set_body(easy, &t);
    curl_multi_add_handle(client->multi, easy);
    int rc = drive(client, &result, err);
    if (rc == 0)
        rc = verdict(&t, result, err);
    if (request->status)
        *request->status = t.status;
    curl_multi_remove_handle(client->multi, easy);
    curl_slist_free_all(list);
    if (request->refusal)
        sa_buf_add(request->refusal, t.refused.data, t.refused.length);
    sa_buf_deinit(&t.refused);
    return rc;
}

struct sa_json_notes *sa_client_mistakes(struct sa_client *client)
{
    return &client->mistakes;
}

struct sa_json_doc *sa_client_json(const struct sa_buf *answer, struct sa_arena *arena,
                                   struct sa_json_obj *root, struct sa_error *err)
{
    static const struct sa_json_limits limits = {.max_bytes = ANSWER_MAX, .max_values = 4000000};
    struct sa_json_doc *doc =
        sa_json_parse(answer->data ? answer->data : "", answer->length, &limits, err);
    if (doc && sa_json_root(doc, arena, root, err) == 0)
        return doc;
    sa_json_free(doc);
    sa_error_wrap(err, "the server's answer");
    return NULL;
}

void sa_url_escape(struct sa_buf *out, const char *text, bool path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (const char *c = text; *c; c++)
        if (strchr(plain, *c) || (path && *c == '/'))
            sa_buf_addc(out, *c);
        else
            sa_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*c);
}
