/* FILE_WATCH: events of real programs on a real tmpfs. */
#include "box.h"

#include "base/cleanup.h"

enum { PATIENCE_MS = 60000 };

static struct box box;

static int start(void **state)
{
    *state = &box;
    box_start(&box, &(struct box_options){.ws_size = "16m"});
    return 0;
}

/* --- a watch, and what it told --- */

static bool is_watching(void *arg)
{
    const struct reply *r = arg;
    return r->note_count > 0 || r->ended;
}

static struct reply *open_watch(const char *path, bool recursive)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, path);
    sa_fields_add_int(&body, SA_FILE_RECURSIVE, recursive);
    return box_open(&box, SA_METHOD_FILE_WATCH, &body);
}

static struct reply *watch(const char *path, bool recursive)
{
    struct reply *r = open_watch(path, recursive);
    assert_true(box_run(&box, PATIENCE_MS, is_watching, r));
    if (r->ended)
        fail_msg("%s", r->error.message);
    assert_int_equal(r->notes.length, 0);
    return r;
}

static void end_watch(struct reply *r)
{
    sa_stream_cancel(r->stream);
    reply_wait(r);
    assert_failed(r, SA_ECANCELED, "canceled");
    reply_free(r);
}

static const char *below_ws(const char *path)
{
    size_t length = strlen(box.ws);
    assert_memory_equal(path, box.ws, length);
    return path[length] ? path + length + 1 : ".";
}

/* "TYPE KIND PATH[ < FROM];" of each event beyond the first `from` bytes of the notes. */
static void events_of(const struct reply *r, size_t from, struct sa_buf *out)
{
    struct sa_fields reader;
    struct sa_field f;
    sa_fields_init(&reader, r->notes.data + from, r->notes.length - from);
    while (sa_fields_next(&reader, &f, NULL) > 0) {
        assert_int_equal(f.tag, SA_FILE_EVENT);
        struct sa_buf event = {(char *)(size_t)f.data, f.length, f.length};
        sa_buf_printf(out, "%s ", body_text(&event, SA_FILE_EVENT_TYPE));
        sa_buf_printf(out, "%s ", body_text(&event, SA_FILE_TYPE));
        sa_buf_adds(out, below_ws(body_text(&event, SA_FILE_FULL_PATH)));
        if (body_text(&event, SA_FILE_EVENT_FROM)[0])
            sa_buf_printf(out, " < %s", below_ws(body_text(&event, SA_FILE_EVENT_FROM)));
        sa_buf_addc(out, ';');
    }
    sa_buf_addc(out, '\0');
}

struct wanted {
    const struct reply *reply;
    const char *text, *or_text; /* either; each a whole event */
    size_t seen; /* bytes of the notes: each is looked at once, as they may be many */
};

static bool has_told(void *arg)
{
    struct wanted *w = arg;
    sa_autobuf text = SA_BUF_INIT;
    events_of(w->reply, w->seen, &text);
    w->seen = w->reply->notes.length;
    return w->reply->ended || strstr(text.data, w->text) ||
           (w->or_text && strstr(text.data, w->or_text));
}

/* Until this was told, which `text` then ends with or holds. */
static void wait_told(struct reply *r, const char *wanted, struct sa_buf *text)
{
    struct wanted w = {.reply = r, .text = wanted};
    bool told = box_run(&box, PATIENCE_MS, has_told, &w);
    events_of(r, 0, text);
    if (!told || !strstr(text->data, wanted))
        fail_msg("no \"%s\" in \"%.500s\"", wanted, text->data);
}

static void expect_events(struct reply *r, const char *script, const char *expected)
{
    sa_autobuf text = SA_BUF_INIT, end = SA_BUF_INIT;
    shell_out(&box, script);
    shell_out(&box, "mkdir END");
    wait_told(r, "create directory END;", &text);
    sa_buf_printf(&end, "%screate directory END;", expected);
    assert_string_equal(text.data, end.data);
}

/* --- tests --- */

static void test_events(void **state)
{
    (void)state;
    shell_out(&box, "mkdir d; echo > d/old; echo > d/gone");
    struct reply *r = watch(".", true);
    /* One after the other: who looks late does not tell of what is gone already. */
    static const struct {
        const char *script, *told;
    } steps[] = {{"mkdir e", "create directory e;"},
                 {"echo >> d/old", "write file d/old;"},
                 {"chmod 600 d/old", "chmod file d/old;"},
                 {"mv d/old e/new", "rename file e/new < d/old;"}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        sa_autobuf text = SA_BUF_INIT;
        shell_out(&box, steps[i].script);
        wait_told(r, steps[i].told, &text);
    }
    expect_events(r, "rm d/gone",
                  "create directory e;write file d/old;chmod file d/old;"
                  "rename file e/new < d/old;remove file d/gone;");
    end_watch(r);
}

static void test_a_folder_alone(void **state)
{
    (void)state;
    shell_out(&box, "mkdir d");
    struct reply *r = watch(".", false);
    expect_events(r, "mkdir d/below; mkdir e; mkdir e/below", "create directory e;");
    end_watch(r);
}

/* What is made in a folder before it is watched is told all the same. */
static void test_new_folders(void **state)
{
    sa_autobuf text = SA_BUF_INIT;
    char wanted[60];
    (void)state;
    struct reply *r = watch(".", true);
    shell_out(&box, "for i in $(seq 40); do mkdir -p d$i/e/f; done; mkdir END");
    wait_told(r, "create directory END;", &text);
    for (int i = 1; i <= 40; i++) {
        snprintf(wanted, sizeof wanted, "create directory d%d/e/f;", i);
        assert_non_null(strstr(text.data, wanted));
    }
    end_watch(r);
}

/* A folder that moves within takes its name along; one that leaves is not watched any more. */
static void test_folders_that_move(void **state)
{
    (void)state;
    shell_out(&box, "mkdir -p w/a/b");
    sa_autobuf text = SA_BUF_INIT;
    struct reply *r = watch("w", true);
    shell_out(&box, "mv w/a w/z; mkdir w/z/b/c; mv w/z left; mkdir left/b/unseen w/END");
    wait_told(r, "create directory w/END;", &text);
    assert_string_equal(text.data, "rename directory w/z < w/a;create directory w/z/b/c;"
                                   "remove directory w/z;create directory w/END;");
    end_watch(r);
}

/* A write of ours is one event, and its hidden name is never told. */
static void test_uploads(void **state)
{
    sa_autobuf body = SA_BUF_INIT;
    (void)state;
    shell_out(&box, "echo > up");
    struct reply *r = watch(".", true);
    sa_fields_add_text(&body, SA_FILE_PATH, "up");
    struct reply *up = box_open(&box, SA_METHOD_FILE_WRITE, &body);
    reply_send(up, "text", 4, true);
    reply_wait(up);
    assert_false(up->failed);
    reply_free(up);
    expect_events(r, ":", "write file up;");
    end_watch(r);
}

static void test_the_folder_goes(void **state)
{
    (void)state;
    shell_out(&box, "mkdir d e");
    struct reply *removed = watch("d", false), *moved = watch("e", true);
    shell_out(&box, "rmdir d; mv e f");
    reply_wait(removed);
    assert_failed(removed, SA_ENOTFOUND, "was removed");
    reply_free(removed);
    reply_wait(moved);
    assert_failed(moved, SA_ENOTFOUND, "moved away");
    reply_free(moved);
}

static void refuses(const char *path, enum sa_code code, const char *text)
{
    struct reply *r = open_watch(path, true);
    reply_wait(r);
    assert_failed(r, code, text);
    assert_int_equal(r->note_count, 0);
    reply_free(r);
}

static void test_what_cannot_be_watched(void **state)
{
    (void)state;
    shell_out(&box, "echo > f; ln -s /usr l");
    refuses("nope", SA_ENOTFOUND, "nope");
    refuses("f", SA_ENOTFOUND, "f");
    refuses("/usr", SA_EFORBIDDEN, "");
    refuses("l", SA_EFORBIDDEN, "");
    refuses("/proc", SA_EFORBIDDEN, "");
    refuses("../x", SA_EINVALID, "\"..\"");
}

/* A new folder is told of, once what was still on its way is through: with it, events may get lost
 * once more. */
static void goes_on(struct reply *r)
{
    char script[32], wanted[48];
    for (int i = 0; i < 100; i++) {
        struct wanted w = {.reply = r, .text = wanted, .or_text = "overflow directory .;"};
        w.seen = r->notes.length;
        snprintf(script, sizeof script, "mkdir END%d", i);
        snprintf(wanted, sizeof wanted, "create directory END%d;", i);
        shell_out(&box, script);
        assert_true(box_run(&box, PATIENCE_MS, has_told, &w));
        assert_false(r->ended);
        sa_autobuf text = SA_BUF_INIT;
        events_of(r, 0, &text);
        if (strstr(text.data, wanted))
            return;
    }
    fail_msg("each new folder was lost");
}

/* Nobody takes what is told: it is dropped beyond a bound, and said so; then it goes on. More than
 * the credit, the runtime and the kernel hold together, whichever of them is quicker. */
static void test_overflow(void **state)
{
    sa_autobuf text = SA_BUF_INIT;
    (void)state;
    struct reply *r = watch(".", true);
    r->hold = true;
    shell_out(&box,
              "n=$(printf %0200d 0); i=0; while [ $i -lt 40000 ]; do : > $n$i; i=$((i+1)); done");
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    wait_told(r, "overflow directory .;", &text);
    goes_on(r);
    end_watch(r);
}

/* Each gives back what it held: instances are few. */
static void test_watches_come_and_go(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++)
        end_watch(watch(".", true));
}

#define T(f) cmocka_unit_test_setup(f, box_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_events),
        T(test_a_folder_alone),
        T(test_new_folders),
        T(test_folders_that_move),
        T(test_uploads),
        T(test_the_folder_goes),
        T(test_what_cannot_be_watched),
        T(test_overflow),
        T(test_watches_come_and_go),
    };
    return cmocka_run_group_tests(tests, start, box_end);
}
