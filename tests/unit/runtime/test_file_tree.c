/* FILE_COPY, FILE_EXPORT and FILE_IMPORT: whole trees, and what gets in their way. */
#include "box.h"

#include "base/cleanup.h"

#include <errno.h>

static struct box box;

static int start(void **state)
{
    *state = &box;
    box_start(&box, &(struct box_options){.ws_size = "16m"});
    return 0;
}

static void expect_failure_of(struct reply *r, enum sa_code code, const char *text)
{
    reply_wait(r);
    assert_failed(r, code, text);
    reply_free(r);
}

/* --- copy --- */

static struct reply *copy(const char *from, const char *to, bool keep)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, from);
    sa_fields_add_text(&body, SA_FILE_TO, to);
    sa_fields_add_int(&body, SA_FILE_KEEP, keep);
    return box_open(&box, SA_METHOD_FILE_COPY, &body);
}

static void copies(const char *from, const char *to, int created)
{
    struct reply *r = copy(from, to, false);
    reply_wait(r);
    if (r->failed)
        fail_msg("copy %s: %s", from, r->error.message);
    assert_int_equal(reply_int(r, SA_FILE_CREATED), created);
    reply_free(r);
}

static void test_copy_of_a_file(void **state)
{
    (void)state;
    shell_out(&box, "echo f > f; chmod 750 f; echo g > g");
    copies("f", "copy", 1);
    copies("f", "g", 0);
    assert_string_equal(shell_out(&box, "cat f copy g; stat -c %a copy g"), "f\nf\nf\n750\n750\n");
    expect_failure_of(copy("f", "g", true), SA_ECONFLICT, "g");
    expect_failure_of(copy("nope", "x", false), SA_ENOTFOUND, "nope");
    expect_failure_of(copy("f", "no/x", false), SA_ENOTFOUND, "no");
    expect_failure_of(copy("f", "/usr/x", false), SA_EFORBIDDEN, "not written");
    expect_failure_of(copy("f", "../x", false), SA_EINVALID, "\"..\"");
}

static void test_copy_of_a_tree(void **state)
{
    char far[200];
    (void)state;
    shell_out(&box,
              "mkdir -p d/e/empty; echo 1 > d/1; echo 2 > d/e/2; ln -s ../1 d/e/l; chmod 700 d/e");
    copies("d", "c", 1);
    snprintf(far, sizeof far, "%s/c", box.tmp);
    copies("d", far, 1);
    assert_string_equal(shell_out(&box, "diff -r d c && diff -r d ../tmp/c && readlink c/e/l;"
                                        "stat -c %a c/e; ls -A . ../tmp"),
                        "../1\n700\n.:\nc\nd\n\n../tmp:\nc\n");
    expect_failure_of(copy("d", "d/e/inside", false), SA_EINVALID, "inside");
    expect_failure_of(copy("d", "c/1", false), SA_ECONFLICT, "c/1");
    expect_failure_of(copy("d", "c", false), SA_ECONFLICT, "not empty");
    assert_string_equal(shell_out(&box, "ls -A"), "c\nd\n");
}

/* What cannot be copied whole leaves nothing. */
static void test_copy_that_fails(void **state)
{
    (void)state;
    shell_out(&box, "mkdir d; echo > d/a; mkfifo d/z");
    expect_failure_of(copy("d", "c", false), SA_EINVALID, "z");
    assert_string_equal(shell_out(&box, "ls -A"), "d\n");
    shell_out(&box, "rm d/z; head -c 9000000 /dev/zero > d/big");
    struct reply *r = copy("d", "c", false);
    reply_wait(r);
    assert_true(r->failed && r->error.sys_errno == ENOSPC);
    reply_free(r);
    assert_string_equal(shell_out(&box, "ls -A"), "d\n");
}

static void test_copy_cancel(void **state)
{
    (void)state;
    shell_out(&box,
              "mkdir d; head -c 7000000 /dev/zero > d/big; for i in $(seq 500); do : > d/$i; done");
    struct reply *r = copy("d", "c", false);
    sa_stream_cancel(r->stream);
    reply_wait(r); /* too late, or not at all */
    assert_true(!r->failed || r->error.code == SA_ECANCELED);
    assert_string_equal(shell_out(&box, "ls -A"), r->failed ? "d\n" : "c\nd\n");
    reply_free(r);
}

/* --- export --- */

static struct reply *export(const char *path)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, path);
    return box_open(&box, SA_METHOD_FILE_EXPORT, &body);
}

/* "NAME TYPE MODE SIZE[ -> TARGET]" of each entry, each on a line behind a line. */
static void entries_of(const struct reply *r, struct sa_buf *out)
{
    struct sa_fields reader;
    struct sa_field f;
    int64_t size = 0, number;
    sa_fields_init(&reader, r->notes.data, r->notes.length);
    while (sa_fields_next(&reader, &f, NULL) > 0) {
        if (f.tag == SA_FILE_NAME)
            sa_buf_addc(out, '\n');
        if (f.tag == SA_FILE_TARGET)
            sa_buf_adds(out, " -> ");
        if (f.tag == SA_FILE_TYPE)
            sa_buf_addc(out, ' ');
        if (f.tag == SA_FILE_NAME || f.tag == SA_FILE_TARGET || f.tag == SA_FILE_TYPE)
            sa_buf_add(out, f.data, f.length);
        if (f.tag == SA_FILE_SIZE)
            assert_int_equal(sa_field_int(&f, &size, NULL), 0);
        if (f.tag == SA_FILE_MODE && sa_field_int(&f, &number, NULL) == 0)
            sa_buf_printf(out, " %o %d", (unsigned)number, (int)size);
    }
    sa_buf_adds(out, "\n");
}

static void test_export(void **state)
{
    static const char *const entries[] = {"\nf file 640 5\n", "\nsub directory 750 0\n",
                                          "\nsub/g file 644 3\n"};
    sa_autobuf text = SA_BUF_INIT;
    (void)state;
    shell_out(&box,
              "umask 022; mkdir -p d/sub; printf hello > d/f; chmod 640 d/f; printf xyz > d/sub/g;"
              "chmod 750 d/sub; ln -s sub/g d/l; mkfifo d/pipe");
    struct reply *r = export("d");
    reply_wait(r);
    assert_false(r->failed);
    assert_true(r->eof[0]);
    assert_int_equal(r->note_count, 4);
    assert_int_equal(reply_int(r, SA_FILE_COUNT), 4);
    assert_int_equal(r->got[0], 8);
    entries_of(r, &text);
    for (size_t i = 0; i < SA_COUNT(entries); i++)
        if (!strstr(text.data, entries[i]))
            fail_msg("no %s in %s", entries[i], text.data);
    assert_non_null(strstr(text.data, "\nl symlink 777 0 -> sub/g\n"));
    reply_free(r);
    expect_failure_of(export("nope"), SA_ENOTFOUND, "nope");
    expect_failure_of(export("/proc"), SA_EFORBIDDEN, "");
}

static void test_export_of_a_file(void **state)
{
    (void)state;
    shell_out(&box, "printf hello > f");
    struct reply *r = export("f");
    reply_wait(r);
    assert_false(r->failed);
    assert_string_equal(body_text(&r->notes, SA_FILE_NAME), "f");
    assert_int_equal(r->got[0], 5);
    assert_memory_equal(r->out[0].data, "hello", 5);
    reply_free(r);
}

/* A reader that takes nothing for a while: it waits, and all comes. */
static void test_export_to_a_slow_reader(void **state)
{
    (void)state;
    shell_out(&box, "head -c 5000000 /dev/zero > f");
    struct reply *r = export("f");
    r->hold = r->discard = true;
    reply_wait_bytes(r, 0, 100000);
    box_idle(&box, 100);
    assert_false(r->ended);
    assert_true(r->got[0] < 5000000);
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    reply_wait(r);
    assert_false(r->failed);
    assert_int_equal(r->got[0], 5000000);
    reply_free(r);
}

static void test_export_cancel(void **state)
{
    (void)state;
    shell_out(&box, "head -c 5000000 /dev/zero > f");
    struct reply *r = export("f");
    r->hold = true;
    reply_wait_bytes(r, 0, 100000);
    sa_stream_cancel(r->stream);
    expect_failure_of(r, SA_ECANCELED, "canceled");
}

/* --- import --- */

static struct reply *import(const char *path)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, path);
    return box_open(&box, SA_METHOD_FILE_IMPORT, &body);
}

/* `content`: of a file, or the target of a link. */
static void put(struct reply *r, const char *name, const char *type, int mode, const char *content)
{
    sa_autobuf note = SA_BUF_INIT;
    bool link = !strcmp(type, "symlink");
    sa_fields_add_text(&note, SA_FILE_NAME, name);
    sa_fields_add_text(&note, SA_FILE_TYPE, type);
    if (mode)
        sa_fields_add_int(&note, SA_FILE_MODE, mode);
    sa_fields_add_int(&note, SA_FILE_MODIFIED_MS, INT64_C(1700000000000));
    if (link)
        sa_fields_add_text(&note, SA_FILE_TARGET, content);
    assert_int_equal(sa_stream_note(r->stream, note.data, note.length), 0);
    if (content && !link)
        assert_int_equal(sa_stream_write(r->stream, SA_CHANNEL_IN, content, strlen(content)),
                         strlen(content));
}

static int imported(struct reply *r)
{
    sa_stream_eof(r->stream, SA_CHANNEL_IN);
    reply_wait(r);
    if (r->failed)
        fail_msg("%s", r->error.message);
    int count = (int)reply_int(r, SA_FILE_COUNT);
    reply_free(r);
    return count;
}

static void test_import(void **state)
{
    (void)state;
    struct reply *r = import("new/top");
    put(r, "d", "directory", 0750, NULL);
    put(r, "d/f", "file", 0640, "hello");
    put(r, "a/b/c", "file", 0, "deep");
    put(r, "d/l", "symlink", 0, "f");
    put(r, "none", "file", 0600, NULL);
    assert_int_equal(imported(r), 5);
    assert_string_equal(shell_out(&box, "cd new/top; cat d/f a/b/c none; echo; readlink d/l;"
                                        "stat -c '%a %Y' d/f; stat -c %a d a/b/c none"),
                        "hellodeep\nf\n640 1700000000\n750\n644\n600\n");
}

static void test_import_over_what_is_there(void **state)
{
    (void)state;
    shell_out(&box, "mkdir d; echo old > f; chmod 600 f; ln -s nowhere l; echo stays > d/x");
    struct reply *r = import(".");
    put(r, "f", "file", 0644, "new");
    put(r, "d", "directory", 0755, NULL);
    put(r, "l", "symlink", 0, "f");
    assert_int_equal(imported(r), 3);
    assert_string_equal(shell_out(&box, "cat f; echo; cat d/x; readlink l; ls -A"),
                        "new\nstays\nf\nd\nf\nl\n");
    r = import(".");
    put(r, "f", "directory", 0755, NULL);
    expect_failure_of(r, SA_ECONFLICT, "not a folder");
    r = import(".");
    put(r, "d", "file", 0644, "x");
    sa_stream_eof(r->stream, SA_CHANNEL_IN);
    expect_failure_of(r, SA_EINVALID, "is a folder (0 entries");
    assert_string_equal(shell_out(&box, "cat d/x; ls -A"), "stays\nd\nf\nl\n");
}

static void refuses(const char *name, const char *type, enum sa_code code, const char *text)
{
    struct reply *r = import("in");
    put(r, name, type, 0, "x");
    sa_stream_eof(r->stream, SA_CHANNEL_IN);
    expect_failure_of(r, code, text);
}

/* Nothing is put anywhere but below the folder, whatever links are there. */
static void test_import_stays_below(void **state)
{
    (void)state;
    shell_out(&box, "mkdir in out; ln -s ../out in/l; ln -s ../out/f in/f");
    refuses("l/f", "file", SA_EFORBIDDEN, "a link is in the way");
    refuses("l/d/f", "file", SA_EFORBIDDEN, "a link is in the way");
    refuses("/f", "file", SA_EINVALID, "no good name");
    refuses("", "file", SA_EINVALID, "no good name");
    refuses("..", "directory", SA_EINVALID, "is no name");
    refuses("a/", "file", SA_EINVALID, "is no name");
    refuses("a", "fifo", SA_EINVALID, "no known type");
    struct reply *r = import("in");
    put(r, "../out/f", "file", 0, "x");
    sa_stream_eof(r->stream, SA_CHANNEL_IN);
    reply_wait(r);
    assert_true(r->failed);
    reply_free(r);
    r = import("in");
    put(r, "f", "file", 0, "replaced"); /* the link itself */
    assert_int_equal(imported(r), 1);
    r = import("in");
    put(r, "new", "symlink", 0, "../out"); /* and one that it made is not gone through, either */
    put(r, "new/x", "file", 0, "x");
    expect_failure_of(r, SA_EFORBIDDEN, "a link is in the way (1 entries");
    assert_string_equal(shell_out(&box, "ls -A . out; cat in/f"), ".:\nin\nout\n\nout:\nreplaced");
    expect_failure_of(import("/usr/share"), SA_EFORBIDDEN, "not written");
}

/* The file that was being sent is not there, what came before it is. */
static void test_import_cancel(void **state)
{
    (void)state;
    struct reply *r = import(".");
    put(r, "whole", "file", 0, "whole");
    put(r, "half", "file", 0, "ha");
    box_idle(&box, 50);
    sa_stream_cancel(r->stream);
    expect_failure_of(r, SA_ECANCELED, "canceled");
    assert_string_equal(shell_out(&box, "ls -A; cat whole"), "whole\nwhole");
}

static void test_import_without_space(void **state)
{
    static char data[300000];
    (void)state;
    shell_out(&box, "head -c 16500000 /dev/zero > fill; : > f");
    struct reply *r = import(".");
    memset(data, 'x', sizeof data - 1);
    put(r, "f", "file", 0, data);
    reply_wait(r);
    assert_true(r->failed && r->error.sys_errno == ENOSPC);
    reply_free(r);
    assert_string_equal(shell_out(&box, "ls -A; wc -c < f"), "f\nfill\n0\n");
}

#define T(f) cmocka_unit_test_setup(f, box_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_copy_of_a_file),
        T(test_copy_of_a_tree),
        T(test_copy_that_fails),
        T(test_copy_cancel),
        T(test_export),
        T(test_export_of_a_file),
        T(test_export_to_a_slow_reader),
        T(test_export_cancel),
        T(test_import),
        T(test_import_over_what_is_there),
        T(test_import_stays_below),
        T(test_import_cancel),
        T(test_import_without_space),
    };
    return cmocka_run_group_tests(tests, start, box_end);
}
