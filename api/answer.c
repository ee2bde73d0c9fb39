#include "api/answer.h"

#include "api/exec_output.h"
#include "base/utf8.h"

#include <string.h>

void sa_answer_init(struct sa_answer *a, bool tail)
{
    *a = (struct sa_answer){.tail = tail, .main_result = -1};
}

void sa_answer_deinit(struct sa_answer *a)
{
    sa_buf_deinit(&a->outputs[0]);
    sa_buf_deinit(&a->outputs[1]);
    sa_buf_deinit(&a->results);
    sa_buf_deinit(&a->error);
}

/* How many bytes at the beginning are the rest of a character. */
static size_t broken_head(const struct sa_buf *out)
{
    size_t n = 0;
    while (n < 3 && n < out->length && ((unsigned char)out->data[n] & 0xC0) == 0x80)
        n++;
    return n;
}

static void keep_last(struct sa_buf *out, bool *cut, bool last)
{
    size_t slack = last ? 0 : SA_ANSWER_TAIL_MAX; /* moved seldom */
    if (out->length <= SA_ANSWER_TAIL_MAX + slack)
        return;
    sa_buf_consume(out, out->length - SA_ANSWER_TAIL_MAX);
    *cut = true;
    if (last)
        sa_buf_consume(out, broken_head(out));
}

static void add_output(struct sa_answer *a, int which, const void *data, size_t length)
{
    struct sa_buf *out = &a->outputs[which];
    size_t take = length;
    if (a->tail) {
        if (length > SA_ANSWER_TAIL_MAX) {
            data = (const char *)data + length - SA_ANSWER_TAIL_MAX;
            take = SA_ANSWER_TAIL_MAX;
            a->cut[which] = true;
        }
        sa_buf_add(out, data, take);
        keep_last(out, &a->cut[which], false);
        return;
    }
    if (take > SA_EXECUTION_WHOLE_MAX - out->length) {
        take = SA_EXECUTION_WHOLE_MAX - out->length;
        a->cut[which] = true;
    }
    sa_buf_add(out, data, take);
}

/* {"data":{...},"main":true} */
static void add_result(struct sa_answer *a, const char *text, size_t length)
{
    const struct sa_json_limits limits = {.max_bytes = SA_SPOOL_ITEM_MAX, .max_depth = 100};
    size_t most = a->tail ? SA_ANSWER_TAIL_MAX : SA_ANSWER_RESULTS_MAX;
    struct sa_json_doc *doc = sa_json_parse(text, length, &limits, NULL);
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_obj root;
    const char *data;
    size_t data_length;
    bool main = false;
    if (doc && sa_json_root(doc, arena, &root, NULL) == 0 &&
        sa_json_get_raw(&root, "data", &data, &data_length, NULL) == 0 &&
        sa_json_opt_bool(&root, "main", &main, NULL, NULL) == 0 &&
        a->results.length + data_length < most) {
        if (a->result_count)
            sa_buf_addc(&a->results, ',');
        sa_buf_add(&a->results, data, data_length);
        if (main)
            a->main_result = (int64_t)a->result_count;
        a->result_count++;
    }
    sa_json_free(doc);
    sa_arena_free(arena);
}

void sa_answer_add(struct sa_answer *a, enum sa_item_kind kind, const void *data, size_t length)
{
    if (kind == SA_ITEM_STDOUT || kind == SA_ITEM_STDERR) {
        add_output(a, kind == SA_ITEM_STDERR, data, length);
    } else if (kind == SA_ITEM_RESULT) {
        add_result(a, data, length);
    } else if (kind == SA_ITEM_ERROR && !(a->tail && length > SA_ANSWER_TAIL_MAX)) {
        a->error.length = 0;
        sa_buf_add(&a->error, data, length);
    }
}

static void put_outputs(const struct sa_answer *a, struct sa_json_w *w)
{
    const struct sa_buf *out = &a->outputs[0], *err = &a->outputs[1];
    if (sa_utf8_valid(out->data, out->length) && sa_utf8_valid(err->data, err->length)) {
        sa_json_put_stringn(w, "stdout", out->length ? out->data : "", out->length);
        sa_json_put_stringn(w, "stderr", err->length ? err->data : "", err->length);
        return;
    }
    sa_json_put_base64(w, "stdout", out->data, out->length);
    sa_json_put_base64(w, "stderr", err->data, err->length);
    sa_json_put_string(w, "encoding", "base64");
}

/* A capped output ends where the cap fell: do not let a split character make it look binary. */
void sa_answer_end(struct sa_answer *a)
{
    for (int i = 0; i < 2; i++) {
        struct sa_buf *out = &a->outputs[i];
        if (a->tail)
            keep_last(out, &a->cut[i], true);
        else if (out->length >= SA_EXECUTION_WHOLE_MAX)
            out->length -= sa_utf8_partial_tail(out->data, out->length);
    }
}

void sa_answer_print(struct sa_answer *a, const char *id, const struct sa_exec_result *result,
                     struct sa_json_w *w)
{
    struct sa_exec_result end = *result;
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "id", id);
    sa_answer_end(a);
    for (int i = 0; i < 2; i++)
        end.truncated[i ? SA_CHANNEL_ERR : SA_CHANNEL_OUT] |= a->cut[i];
    put_outputs(a, w);
    sa_json_put_array(w, "results");
    if (a->results.length)
        sa_json_w_raw(w, a->results.data, a->results.length);
    sa_json_w_end_array(w);
    if (a->main_result >= 0)
        sa_json_put_int(w, "mainResult", a->main_result);
    if (a->error.length) {
        sa_json_put_raw(w, "error", a->error.data, a->error.length);
        end.error = NULL;
    }
    sa_exec_result_print(&end, w);
    if (a->more)
        a->more(a, w);
    sa_json_w_end_object(w);
}
