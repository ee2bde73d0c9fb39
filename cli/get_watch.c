/*
 * `get -w`: what is there, and then each change. The server's watch is a stream of JSON lines
 * ({"type","object"}, as Kubernetes has it), resumed at the version seen last after it broke. When
 * that is too old all is listed again. What is printed already is remembered by name, so that only
 * rows which say something new are printed.
 *
 * Sandboxes have no watch: they are listed again every second; one that is not there any more is
 * shown as it ended.
 */
#include "get.h"

#include "command.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

enum {
    LINE_MAX_BYTES = 2 * 1024 * 1024,
    RETRY_FIRST_MS = 250,
    RETRY_MAX_MS = 5000,
    LIST_AGAIN_MS = 1000,
};

struct known {
    char *name;  /* key; of a sandbox its id */
    char *says;  /* what was printed of it */
    bool listed; /* in the latest list */
    UT_hash_handle hh;
};

struct follow {
    const struct sa_get *get;
    struct sa_rows rows;
    struct known *known;
    struct sa_buf version, line;
    struct sa_error error; /* that ended the stream from our side; code SA_OK: none */
    bool connected;        /* ever */
    int retry_ms;
};

static bool is_table(const struct sa_get *get)
{
    return get->output == SA_OUTPUT_TABLE || get->output == SA_OUTPUT_WIDE;
}

/* ---- rows ---- */

static struct known *find(struct follow *f, const char *name)
{
    struct known *k;
    HASH_FIND_STR(f->known, name, k);
    if (!k) {
        k = sa_alloc(sizeof *k);
        k->name = sa_strdup(name);
        HASH_ADD_KEYPTR(hh, f->known, k->name, strlen(k->name), k);
    }
    return k;
}

static void forget(struct follow *f, struct known *k)
{
    HASH_DEL(f->known, k); // NOLINT(clang-analyzer-*)
    free(k->name);
    free(k->says);
    free(k);
}

static const char *key_of(const struct sa_json_value *object)
{
    const char *id = sa_object_text(object, ".id");
    return *id ? id : sa_object_text(object, ".metadata.name");
}

/* Print it if it says something new. */
static void show_object(struct follow *f, const struct sa_json_value *object, bool deleted)
{
    sa_autobuf says = SA_BUF_INIT;
    struct known *k = find(f, key_of(object));
    size_t cells = f->rows.table.count;
    k->listed = true;
    if (is_table(f->get))
        sa_rows_add(&f->rows, object, &says);
    else if (!*sa_object_text(object, ".metadata.resourceVersion"))
        sa_json_value_print(object, &says);
    else
        sa_buf_adds(&says, sa_object_text(object, ".metadata.resourceVersion"));
    bool news = !k->says || strcmp(k->says, says.data) != 0;
    if (news && !is_table(f->get))
        sa_get_print(f->get, object);
    if (!news)
        sa_table_drop(&f->rows.table, cells);
    free(k->says);
    k->says = sa_buf_steal(&says);
    if (deleted)
        forget(f, k);
}

static void show_listed(void *user, const struct sa_json_value *object)
{
    show_object(user, object, false);
}

/* Output that cannot be written any more ends it. */
static int flush(struct follow *f, struct sa_error *err)
{
    const struct sa_table *table = &f->rows.table;
    if (is_table(f->get) && table->count > (table->headed ? 0 : table->columns))
        sa_table_print(&f->rows.table);
    if (fflush(stdout) == EOF || ferror(stdout))
        return sa_error_set(err, SA_EINTERNAL, "writing the output failed");
    return 0;
}

/* ---- lists ---- */

/* The end of what is listed no more. */
static void show_ended(struct follow *f, const char *name)
{
    struct sa_error ignored;
    struct sa_get one = *f->get;
    one.names = &name;
    one.name_count = 1;
    sa_get_each(&one, show_listed, f, NULL, &ignored);
}

static int list(struct follow *f, struct sa_error *err)
{
    struct known *k, *next;
    struct sa_get all = *f->get;
    sa_autofree char *field = NULL;
    for (k = f->known; k; k = k->hh.next)
        k->listed = false;
    if (all.name_count && all.resource != &sa_resource_sandbox) { /* by its version, too */
        all.fields = field = sa_printf("metadata.name=%s", all.names[0]);
        all.name_count = 0;
    }
    if (sa_get_each(&all, show_listed, f, &f->version, err) < 0)
        return -1;
    if (field && !f->known && !f->connected)
        return sa_error_set(err, SA_ENOTFOUND, "no %s \"%.64s\"", all.resource->singular,
                            f->get->names[0]);
    HASH_ITER (hh, f->known, k, next) {
        if (k->listed)
            continue;
        if (!f->version.length)
            show_ended(f, k->name);
        forget(f, k);
    }
    return flush(f, err);
}

/* ---- the stream ---- */

static int take_error(struct follow *f, const struct sa_json_value *status)
{
    const struct sa_json_value *code = sa_value_at(status, ".code");
    bool number = code && sa_json_value_type(code) == SA_JSON_NUMBER;
    int http = number ? (int)sa_json_value_number(code) : 0;
    return sa_error_set(&f->error,
                        http == 410   ? SA_EEXPIRED
                        : http == 503 ? SA_EUNAVAILABLE
                                      : SA_EINTERNAL,
                        "%s", sa_object_text(status, ".message"));
}

static int take_event(struct follow *f, const struct sa_json_value *event)
{
    const struct sa_json_value *object = sa_value_at(event, ".object");
    const char *type = sa_object_text(event, ".type");
    if (!object || sa_json_value_type(object) != SA_JSON_OBJECT)
        return sa_error_set(&f->error, SA_EPROTOCOL, "the server's watch is none");
    if (strcmp(type, "ERROR") == 0)
        return take_error(f, object);
    const char *version = sa_object_text(object, ".metadata.resourceVersion");
    if (*version) {
        f->version.length = 0;
        sa_buf_adds(&f->version, version);
    }
    if (strcmp(type, "BOOKMARK") != 0)
        show_object(f, object, strcmp(type, "DELETED") == 0);
    return 0;
}

static int take_line(struct follow *f, const char *text, size_t length)
{
    if (length == 0) /* a sign of life */
        return 0;
    struct sa_json_doc *doc = sa_json_parse(text, length, NULL, &f->error);
    int rc = doc ? take_event(f, sa_json_top(doc)) : -1;
    sa_json_free(doc);
    return rc;
}

static int on_data(void *user, const char *data, size_t length)
{
    struct follow *f = user;
    const char *end;
    f->connected = true;
    f->retry_ms = RETRY_FIRST_MS;
    sa_buf_add(&f->line, data, length);
    while (f->line.length && (end = memchr(f->line.data, '\n', f->line.length))) {
        size_t n = (size_t)(end - f->line.data);
        if (take_line(f, f->line.data, n) < 0)
            return -1;
        sa_buf_consume(&f->line, n + 1);
    }
    if (f->line.length > LINE_MAX_BYTES)
        return sa_error_set(&f->error, SA_EPROTOCOL, "a line of the server's watch is too long");
    return flush(f, &f->error);
}

static int stream(struct follow *f, struct sa_error *err)
{
    sa_autobuf path = SA_BUF_INIT;
    struct sa_get all = *f->get;
    sa_autofree char *query = sa_printf("watch=true&resourceVersion=%s", f->version.data);
    sa_autofree char *field = all.name_count ? sa_printf("metadata.name=%s", all.names[0]) : NULL;
    if (field)
        all.fields = field;
    sa_get_list_path(&all, query, &path);
    f->line.length = 0;
    f->error.code = SA_OK;
    struct sa_client_request request = {.method = "GET",
                                        .path = path.data,
                                        .accept = "application/x-ndjson",
                                        .sink = on_data,
                                        .user = f};
    int rc = sa_client_send(f->get->client, &request, err);
    if (rc < 0 && f->error.code) {
        *err = f->error;
        err->path[0] = '\0';
    }
    return rc;
}

/* ---- the whole ---- */

static void wait_ms(int ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

/* After the first list whatever may pass is waited for. */
static bool may_pass(const struct follow *f, const struct sa_error *err)
{
    return f->connected && (err->code == SA_EUNAVAILABLE || err->code == SA_ETIMEOUT ||
                            err->code == SA_ERATELIMITED || err->code == SA_EEXPIRED);
}

static void back_off(struct follow *f, const struct sa_error *err)
{
    if (f->retry_ms == RETRY_FIRST_MS)
        fprintf(stderr, "secureagent %s: %s; trying again\n", f->get->command, err->message);
    wait_ms(f->retry_ms);
    f->retry_ms = f->retry_ms * 2 < RETRY_MAX_MS ? f->retry_ms * 2 : RETRY_MAX_MS;
}

/* List, then stream as long as it goes on; 0: list again. */
static int round_of(struct follow *f, struct sa_error *err)
{
    if (list(f, err) < 0)
        return -1;
    f->connected = true;
    if (!f->version.length) {
        wait_ms(LIST_AGAIN_MS);
        return 0;
    }
    for (;;) {
        if (stream(f, err) == 0)
            wait_ms(RETRY_FIRST_MS); /* the server ended it: go on there, but not in haste */
        else if (err->code == SA_EEXPIRED)
            return 0;
        else if (may_pass(f, err))
            back_off(f, err);
        else
            return -1;
    }
}

int sa_get_follow(const struct sa_get *get, struct sa_error *err)
{
    struct follow f = {.get = get, .retry_ms = RETRY_FIRST_MS};
    struct known *k, *next;
    sa_rows_init(&f.rows, get->resource, get->output == SA_OUTPUT_WIDE);
    for (;;) {
        if (round_of(&f, err) == 0)
            continue;
        if (!may_pass(&f, err))
            break;
        back_off(&f, err);
    }
    HASH_ITER (hh, f.known, k, next)
        forget(&f, k);
    sa_buf_deinit(&f.version);
    sa_buf_deinit(&f.line);
    sa_table_deinit(&f.rows.table);
    return -1;
}
