/* The file methods, against a real tmpfs, with programs inside that get in the way. */
#include "box.h"

#include "base/clock.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct box box;

static int start(void **state)
{
    *state = &box;
    box_start(&box, &(struct box_options){.ws_size = "64m"});
    return 0;
}

static struct reply *ask(int method, const char *path)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, path);
    return box_open(&box, method, &body);
}

static struct reply *ask_with(int method, const char *path, int tag, int64_t value)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, path);
    sa_fields_add_int(&body, (uint16_t)tag, value);
    return box_open(&box, method, &body);
}

static void expect_failure_of(struct reply *r, enum sa_code code, const char *text)
{
    reply_wait(r);
    assert_failed(r, code, text);
    reply_free(r);
}

static void write_file(const char *path, const char *data)
{
    struct reply *r = ask(SA_METHOD_FILE_WRITE, path);
    reply_send(r, data, strlen(data), true);
    reply_wait(r);
    if (r->failed)
        fail_msg("write %s: %s", path, r->error.message);
    reply_free(r);
}

static const char *in_ws(const char *rest)
{
    static char path[4][4096];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", box.ws, rest);
    return path[turn];
}

/* --- read --- */

static void test_read(void **state)
{
    (void)state;
    shell_out(&box, "printf 'hello\\0world' > f; chmod 640 f; touch -d @1700000000.5 f");
    struct reply *r = ask(SA_METHOD_FILE_READ, "f");
    reply_wait(r);
    assert_false(r->failed);
    assert_int_equal(r->got[0], 11);
    assert_memory_equal(r->out[0].data, "hello\0world", 11);
    assert_true(r->eof[0]);
    assert_int_equal(r->note_count, 1);
    assert_string_equal(body_text(&r->notes, SA_FILE_NAME), "f");
    assert_string_equal(body_text(&r->notes, SA_FILE_TYPE), "file");
    assert_int_equal(body_int(&r->notes, SA_FILE_SIZE), 11);
    assert_int_equal(body_int(&r->notes, SA_FILE_PERMISSIONS), 0640);
    assert_true(body_int(&r->notes, SA_FILE_MODIFIED_MS) == 1700000000500);
    assert_true(strlen(body_text(&r->notes, SA_FILE_VERSION)) > 5);
    assert_string_equal(body_text(&r->notes, SA_FILE_FULL_PATH), in_ws("f"));
    reply_free(r);
}

static void expect_range(int64_t offset, int64_t length, const char *text)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, "f");
    sa_fields_add_int(&body, SA_FILE_OFFSET, offset);
    if (length >= 0)
        sa_fields_add_int(&body, SA_FILE_LENGTH, length);
    struct reply *r = box_open(&box, SA_METHOD_FILE_READ, &body);
    reply_wait(r);
    assert_false(r->failed);
    assert_true(r->eof[0]);
    assert_string_equal(r->out[0].data ? r->out[0].data : "", text);
    reply_free(r);
}

static void test_read_ranges(void **state)
{
    (void)state;
    write_file("f", "0123456789");
    expect_range(0, 3, "012");
    expect_range(4, -1, "456789");
    expect_range(8, 100, "89");
    expect_range(10, -1, "");
    expect_range(100, 5, "");
    expect_range(0, 0, "");
    expect_failure_of(ask_with(SA_METHOD_FILE_READ, "f", SA_FILE_OFFSET, -1), SA_EINVALID, "range");
}

static void test_read_empty_and_proc(void **state)
{
    (void)state;
    write_file("f", "");
    expect_range(0, -1, "");
    struct reply *r = ask(SA_METHOD_FILE_READ, "/usr/bin/env");
    reply_wait(r);
    assert_false(r->failed);
    assert_true(r->got[0] > 1000);
    assert_int_equal(body_int(&r->notes, SA_FILE_SIZE), r->got[0]);
    reply_free(r);
}

static void test_read_what_is_no_file(void **state)
{
    (void)state;
    shell_out(&box, "mkdir d; mkfifo p; perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); "
                    "bind(S, pack_sockaddr_un(\"s\"))'");
    int64_t begin = sa_monotonic_ms();
    expect_failure_of(ask(SA_METHOD_FILE_READ, "d"), SA_EINVALID, "is a directory");
    expect_failure_of(ask(SA_METHOD_FILE_READ, "p"), SA_EINVALID, "is a fifo");
    expect_failure_of(ask(SA_METHOD_FILE_READ, "s"), SA_EINVALID, "is a socket");
    expect_failure_of(ask(SA_METHOD_FILE_WRITE, "p"), SA_EINVALID, "is a fifo");
    expect_failure_of(ask(SA_METHOD_FILE_WRITE, "d"), SA_EINVALID, "is a directory");
    expect_failure_of(ask(SA_METHOD_FILE_READ, "nope"), SA_ENOTFOUND, "no such");
    assert_in_range(sa_monotonic_ms() - begin, 0, 30000);
}

/* Reading must not even open a FIFO: a writer that waits for a reader would notice. */
static void test_read_of_a_fifo_goes_unnoticed(void **state)
{
    (void)state;
    shell_out(&box, "mkfifo p");
    struct reply *writer =
        exec_start(&box, "sh", "-c", "echo ready; echo data > p; echo sent", NULL);
    reply_wait_bytes(writer, 1, 6);
    for (int i = 0; i < 20; i++)
        expect_failure_of(ask(SA_METHOD_FILE_READ, "p"), SA_EINVALID, "is a fifo");
    assert_string_equal(shell_out(&box, "cat p"), "data\n");
    reply_wait(writer);
    assert_exit(writer, 0);
    assert_out(writer, "ready\nsent\n");
    reply_free(writer);
}

static void test_read_of_the_unreadable(void **state)
{
    (void)state;
    shell_out(&box, "echo x > f; chmod 0 f");
    expect_failure_of(ask(SA_METHOD_FILE_READ, "f"), SA_EFORBIDDEN, "permission denied");
}

static void test_large_read_with_a_slow_reader(void **state)
{
    (void)state;
    shell_out(&box, "head -c 20000000 /dev/urandom > big");
    struct reply *r = ask(SA_METHOD_FILE_READ, "big");
    r->hold = true;
    reply_wait_bytes(r, 0, 400000);
    box_idle(&box, 50);
    assert_true(r->got[0] <= SA_LINK_WINDOW_BYTES);
    assert_string_equal(shell_out(&box, "echo alive"), "alive\n");
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    reply_wait(r);
    assert_int_equal(r->got[0], 20000000);
    /* Back through a write, and compared inside. */
    struct reply *w = ask(SA_METHOD_FILE_WRITE, "copy");
    reply_send(w, r->out[0].data, r->out[0].length, true);
    reply_wait(w);
    assert_false(w->failed);
    assert_int_equal(reply_int(w, SA_FILE_SIZE), 20000000);
    assert_string_equal(shell_out(&box, "cmp big copy && echo same"), "same\n");
    reply_free(w);
    reply_free(r);
}

static void test_file_that_shrinks_while_it_is_read(void **state)
{
    (void)state;
    shell_out(&box, "head -c 5000000 /dev/zero > f");
    struct reply *r = ask(SA_METHOD_FILE_READ, "f");
    r->hold = true;
    reply_wait_bytes(r, 0, 400000);
    shell_out(&box, ": > f");
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    expect_failure_of(r, SA_ECONFLICT, "cut short");
}

static void test_file_that_grows_while_it_is_read(void **state)
{
    (void)state;
    shell_out(&box, "head -c 1000000 /dev/zero > f");
    struct reply *r = ask(SA_METHOD_FILE_READ, "f");
    r->hold = true;
    reply_wait_bytes(r, 0, 400000);
    shell_out(&box, "head -c 1000000 /dev/zero >> f");
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    reply_wait(r);
    assert_int_equal(r->got[0], 1000000);
    reply_free(r);
}

static void test_read_cancel(void **state)
{
    (void)state;
    shell_out(&box, "head -c 9000000 /dev/zero > f");
    struct reply *r = ask(SA_METHOD_FILE_READ, "f");
    r->hold = true;
    reply_wait_bytes(r, 0, 100000);
    sa_stream_cancel(r->stream);
    expect_failure_of(r, SA_ECANCELED, "canceled");
}

/* --- paths --- */

static void test_bad_paths(void **state)
{
    (void)state;
    static char long_path[4200];
    memset(long_path, 'a', sizeof long_path - 1);
    shell_out(&box, "echo x > f; mkdir d");
    static const int methods[] = {SA_METHOD_FILE_READ, SA_METHOD_FILE_WRITE, SA_METHOD_FILE_STAT,
                                  SA_METHOD_FILE_LIST, SA_METHOD_FILE_MKDIR, SA_METHOD_FILE_REMOVE};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        sa_autobuf nul = SA_BUF_INIT, none = SA_BUF_INIT, latin = SA_BUF_INIT;
        expect_failure_of(ask(methods[i], "../etc/passwd"), SA_EINVALID, "\"..\" is not allowed");
        expect_failure_of(ask(methods[i], "d/../f"), SA_EINVALID, "\"..\" is not allowed");
        expect_failure_of(ask(methods[i], ".."), SA_EINVALID, "\"..\" is not allowed");
        expect_failure_of(ask(methods[i], ""), SA_EINVALID, "empty");
        expect_failure_of(ask(methods[i], "/etc/passwd"), SA_EFORBIDDEN, "outside the folders");
        expect_failure_of(ask(methods[i], "/"), SA_EFORBIDDEN, "outside the folders");
        expect_failure_of(ask(methods[i], "/usrx"), SA_EFORBIDDEN, "outside the folders");
        expect_failure_of(ask(methods[i], long_path), SA_EINVALID, "too long");
        sa_fields_add_bytes(&nul, SA_FILE_PATH, "f\0g", 3);
        expect_failure_of(box_open(&box, methods[i], &nul), SA_EINVALID, "NUL");
        sa_fields_add_bytes(&latin, SA_FILE_PATH, "\xff", 1);
        expect_failure_of(box_open(&box, methods[i], &latin), SA_EINVALID, "UTF-8");
        expect_failure_of(box_open(&box, methods[i], &none), SA_EINVALID, "empty");
    }
    assert_string_equal(shell_out(&box, "ls"), "d\nf\n");
}

static void test_forms_of_paths(void **state)
{
    (void)state;
    write_file("f", "x");
    shell_out(&box, "mkdir -p d/e; echo y > d/e/g; echo dots > ..f");
    static const char *const forms[] = {"f", "./f", ".//./f", "f/", "f/."};
    for (size_t i = 0; i < 3; i++) {
        struct reply *r = ask(SA_METHOD_FILE_STAT, forms[i]);
        reply_wait(r);
        assert_string_equal(reply_text(r, SA_FILE_FULL_PATH), in_ws("f"));
        reply_free(r);
        r = ask(SA_METHOD_FILE_STAT, in_ws(forms[i]));
        reply_wait(r);
        assert_string_equal(reply_text(r, SA_FILE_FULL_PATH), in_ws("f"));
        reply_free(r);
    }
    struct reply *r = ask(SA_METHOD_FILE_READ, in_ws("d//e/./g"));
    reply_wait(r);
    assert_string_equal(r->out[0].data, "y\n");
    reply_free(r);
    r = ask(SA_METHOD_FILE_READ, "..f"); /* only looks like it */
    reply_wait(r);
    assert_string_equal(r->out[0].data, "dots\n");
    reply_free(r);
}

static void test_links_inside(void **state)
{
    (void)state;
    char script[1000];
    shell_out(&box, "mkdir -p d/e; echo target > d/e/f; ln -s d/e/f rel; ln -s ../../d d/e/up");
    snprintf(script, sizeof script,
             "ln -s %s/d/e/f abs; ln -s %s/d absdir; ln -s %s other; "
             "echo over > %s/o; ln -s /usr/bin/env tool; ln -s rel chain; ln -s abs chain2",
             box.ws, box.ws, box.tmp, box.tmp);
    shell_out(&box, script);
    static const struct {
        const char *path, *content, *full;
    } cases[] = {{"rel", "target\n", "d/e/f"},        {"abs", "target\n", "d/e/f"},
                 {"absdir/e/f", "target\n", "d/e/f"}, {"d/e/up/e/f", "target\n", "d/e/f"},
                 {"chain", "target\n", "d/e/f"},      {"chain2", "target\n", "d/e/f"},
                 {"other/o", "over\n", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reply *r = ask(SA_METHOD_FILE_READ, cases[i].path);
        reply_wait(r);
        if (r->failed)
            fail_msg("%s: %s", cases[i].path, r->error.message);
        assert_string_equal(r->out[0].data, cases[i].content);
        if (cases[i].full)
            assert_string_equal(body_text(&r->notes, SA_FILE_FULL_PATH), in_ws(cases[i].full));
        reply_free(r);
    }
    struct reply *r = ask(SA_METHOD_FILE_READ, "tool");
    reply_wait(r);
    assert_false(r->failed);
    reply_free(r);
}

/* Found while the link is followed, or by where it names at once. */
static void expect_outside(struct reply *r)
{
    reply_wait(r);
    if (!r->failed || !strstr(r->error.message, "outside the folders"))
        assert_failed(r, SA_EFORBIDDEN, "leads out");
    assert_int_equal(r->error.code, SA_EFORBIDDEN);
    reply_free(r);
}

static void test_links_that_lead_out(void **state)
{
    (void)state;
    shell_out(&box,
              "ln -s /etc/passwd abs; ln -s ../../../../../../etc/passwd rel; ln -s /etc dir; "
              "ln -s .. up; ln -s loop loop; ln -s / root; ln -s /proc/self/root magic; "
              "ln -s /proc/1/cwd cwd; ln -s ../..//.. d");
    static const char *const paths[] = {"abs",
                                        "rel",
                                        "dir/passwd",
                                        "up/etc/passwd",
                                        "root/etc/passwd",
                                        "magic/etc/passwd",
                                        "cwd/etc/passwd",
                                        "d/etc/passwd"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        expect_outside(ask(SA_METHOD_FILE_READ, paths[i]));
        expect_outside(ask(SA_METHOD_FILE_WRITE, paths[i]));
    }
    expect_outside(ask(SA_METHOD_FILE_LIST, "dir"));
    expect_outside(ask(SA_METHOD_FILE_LIST, "up"));
    expect_outside(ask(SA_METHOD_FILE_MKDIR, "root/tmp/x"));
    expect_outside(ask(SA_METHOD_FILE_REMOVE, "dir/passwd"));
    expect_failure_of(ask(SA_METHOD_FILE_READ, "loop"), SA_EFORBIDDEN, "link");
}

static void test_read_roots_cannot_be_written(void **state)
{
    (void)state;
    expect_failure_of(ask(SA_METHOD_FILE_WRITE, "/usr/x"), SA_EFORBIDDEN, "not written");
    expect_failure_of(ask(SA_METHOD_FILE_MKDIR, "/usr/x"), SA_EFORBIDDEN, "not written");
    expect_failure_of(ask(SA_METHOD_FILE_REMOVE, "/usr/bin/env"), SA_EFORBIDDEN, "not written");
    shell_out(&box, "ln -s /usr/share link");
    expect_failure_of(ask(SA_METHOD_FILE_WRITE, "link/x"), SA_EFORBIDDEN, "not written");
}

/* A program swaps a folder for a link that leads out, all the time. No read may ever see what is
 * outside, no write may land there. */
static void test_races(void **state)
{
    (void)state;
    shell_out(&box, "mkdir -p d; echo inside > d/secret");
    char outside[200];
    snprintf(outside, sizeof outside, "%s/secret", box.dir);
    FILE *f = fopen(outside, "w");
    fputs("outside", f);
    fclose(f);
    sa_autobuf body = SA_BUF_INIT;
    char call[20];
    snprintf(call, sizeof call, "%ld", (long)SYS_renameat2);
    add_argv(&body, "perl", "-e",
             "$| = 1; ($dir, $call) = @ARGV; $call += 0; $d = q(d); @links = (q(l), q(m)); "
             "symlink q(..), q(l); symlink $dir, q(m); print qq(up\\n); "
             "while (1) { for (@links) { syscall($call, -100, $d, -100, $_, 2) == 0 or die } }",
             box.dir, call, NULL); /* renameat2(2) with RENAME_EXCHANGE */
    struct reply *swapper = exec_body(&box, &body);
    reply_wait_bytes(swapper, 1, 3);
    int inside = 0, refused = 0, other = 0;
    /* However the processor is shared: until both were seen. */
    for (int i = 0; i < 2000 || ((!inside || !refused) && i < 200000); i++) {
        struct reply *r = ask(SA_METHOD_FILE_READ, "d/secret");
        reply_wait(r);
        if (!r->failed) {
            assert_string_equal(r->out[0].data, "inside\n");
            inside++;
        } else if (r->error.code == SA_EFORBIDDEN) {
            refused++;
        } else {
            other++;
        }
        reply_free(r);
        struct reply *w = ask(SA_METHOD_FILE_WRITE, "d/new");
        reply_send(w, "new", 3, true);
        reply_wait(w);
        reply_free(w);
    }
    sa_stream_cancel(swapper->stream);
    reply_wait(swapper);
    reply_free(swapper);
    assert_true(inside > 0 && refused > 0);
    (void)other;
    snprintf(outside, sizeof outside, "%s/new", box.dir);
    assert_int_equal(access(outside, F_OK), -1);
    snprintf(outside, sizeof outside, "%s/secret", box.dir);
    assert_int_equal(unlink(outside), 0);
}

/* --- write --- */

static void test_write(void **state)
{
    (void)state;
    struct reply *r = ask(SA_METHOD_FILE_WRITE, "f");
    reply_send(r, "content", 7, true);
    reply_wait(r);
    assert_false(r->failed);
    assert_int_equal(reply_int(r, SA_FILE_CREATED), 1);
    assert_int_equal(reply_int(r, SA_FILE_SIZE), 7);
    assert_string_equal(reply_text(r, SA_FILE_NAME), "f");
    assert_string_equal(reply_text(r, SA_FILE_FULL_PATH), in_ws("f"));
    assert_int_equal(reply_int(r, SA_FILE_PERMISSIONS), 0644);
    reply_free(r);
    assert_string_equal(shell_out(&box, "cat f; chmod 751 f"), "content");
    r = ask(SA_METHOD_FILE_WRITE, "f");
    reply_send(r, "", 0, true);
    reply_wait(r);
    assert_int_equal(reply_int(r, SA_FILE_CREATED), 0);
    assert_int_equal(reply_int(r, SA_FILE_PERMISSIONS), 0751);
    reply_free(r);
    assert_string_equal(shell_out(&box, "cat f; ls -A"), "f\n");
    r = ask_with(SA_METHOD_FILE_WRITE, "f", SA_FILE_MODE, 0600);
    reply_send(r, "x", 1, true);
    reply_wait(r);
    assert_int_equal(reply_int(r, SA_FILE_PERMISSIONS), 0600);
    reply_free(r);
    expect_failure_of(ask_with(SA_METHOD_FILE_WRITE, "f", SA_FILE_MODE, 04755), SA_EINVALID,
                      "range");
}

static void test_write_through_links(void **state)
{
    (void)state;
    shell_out(&box, "echo old > f; ln -s f l; ln -s new dangling");
    write_file("l", "through");
    write_file("dangling", "created");
    assert_string_equal(shell_out(&box, "cat f; readlink l; cat new; readlink dangling"),
                        "throughf\ncreatednew\n");
}

static void test_write_parents(void **state)
{
    (void)state;
    expect_failure_of(ask(SA_METHOD_FILE_WRITE, "a/b/c"), SA_ENOTFOUND, "no such");
    struct reply *r = ask_with(SA_METHOD_FILE_WRITE, "a/b/c", SA_FILE_PARENTS, 1);
    reply_send(r, "x", 1, true);
    reply_wait(r);
    assert_false(r->failed);
    reply_free(r);
    r = ask_with(SA_METHOD_FILE_WRITE, "a/b/d", SA_FILE_PARENTS, 1);
    reply_send(r, "y", 1, true);
    reply_wait(r);
    assert_false(r->failed);
    reply_free(r);
    assert_string_equal(shell_out(&box, "cat a/b/c a/b/d"), "xy");
    r = ask_with(SA_METHOD_FILE_WRITE, "a/b/c/d", SA_FILE_PARENTS, 1);
    reply_wait(r);
    assert_true(r->failed);
    reply_free(r);
}

/* Until the end nothing is to be seen, neither under its name nor under another. */
static void test_write_is_atomic(void **state)
{
    (void)state;
    shell_out(&box, "echo old > f");
    struct reply *r = ask(SA_METHOD_FILE_WRITE, "f");
    struct reply *n = ask(SA_METHOD_FILE_WRITE, "n");
    reply_send(r, "half", 4, false);
    reply_send(n, "half", 4, false);
    box_idle(&box, 50);
    assert_string_equal(shell_out(&box, "cat f; ls -A"), "old\nf\n");
    reply_send(r, " done", 5, true);
    reply_send(n, " done", 5, true);
    reply_wait(r);
    reply_wait(n);
    assert_string_equal(shell_out(&box, "cat f n; ls -A"), "half donehalf donef\nn\n");
    reply_free(r);
    reply_free(n);
}

static void test_write_cancel(void **state)
{
    (void)state;
    shell_out(&box, "echo old > f");
    struct reply *r = ask(SA_METHOD_FILE_WRITE, "f");
    reply_send(r, "half", 4, false);
    box_idle(&box, 20);
    sa_stream_cancel(r->stream);
    expect_failure_of(r, SA_ECANCELED, "canceled");
    assert_string_equal(shell_out(&box, "cat f; ls -A; df . --output=used | tail -1 | tr -d ' '"),
                        "old\nf\n4\n");
}

static void test_write_to_a_folder_that_goes_away(void **state)
{
    (void)state;
    shell_out(&box, "mkdir d");
    struct reply *r = ask(SA_METHOD_FILE_WRITE, "d/f");
    reply_send(r, "x", 1, false);
    box_idle(&box, 20);
    shell_out(&box, "rmdir d");
    reply_send(r, "", 0, true);
    expect_failure_of(r, SA_ENOTFOUND, "no such");
}

static void test_write_where_a_folder_appears(void **state)
{
    (void)state;
    struct reply *r = ask(SA_METHOD_FILE_WRITE, "f");
    reply_send(r, "x", 1, false);
    box_idle(&box, 20);
    shell_out(&box, "mkdir f");
    reply_send(r, "", 0, true);
    expect_failure_of(r, SA_EINVALID, "is a folder");
    assert_string_equal(shell_out(&box, "ls -A"), "f\n");
}

static void test_no_space(void **state)
{
    (void)state;
    struct box small;
    box_start(&small, &(struct box_options){.ws_size = "1m"});
    size_t length = 5 * 1024 * 1024;
    char *data = calloc(1, length);
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, "f");
    shell_out(&small, "echo old > f");
    struct reply *r = box_open(&small, SA_METHOD_FILE_WRITE, &body);
    reply_send(r, data, length, true);
    reply_wait(r);
    assert_failed(r, SA_EQUOTA, "no space");
    reply_free(r);
    assert_string_equal(shell_out(&small, "cat f; ls -A"), "old\nf\n");
    r = box_open(&small, SA_METHOD_FILE_WRITE, &body); /* and the space is free again */
    reply_send(r, data, 900 * 1024, true);
    reply_wait(r);
    assert_false(r->failed);
    reply_free(r);
    free(data);
    box_stop(&small, 0);
}

static void test_many_writes_at_once(void **state)
{
    (void)state;
    static struct reply *replies[SA_LINK_STREAMS_MAX];
    static char data[100000];
    for (int i = 0; i < SA_LINK_STREAMS_MAX; i++) {
        char name[20];
        snprintf(name, sizeof name, "f%d", i);
        replies[i] = ask(SA_METHOD_FILE_WRITE, name);
        reply_send(replies[i], data, sizeof data, true);
    }
    for (int i = 0; i < SA_LINK_STREAMS_MAX; i++) {
        reply_wait(replies[i]);
        assert_false(replies[i]->failed);
        reply_free(replies[i]);
    }
    assert_string_equal(shell_out(&box, "cat f* | wc -c"), "25600000\n");
}

/* --- stat, mkdir, move --- */

static void test_stat(void **state)
{
    (void)state;
    shell_out(&box, "mkdir d; mkfifo p; ln -s where l; ln -s d ld");
    static const struct {
        const char *path, *type, *target;
    } cases[] = {{"d", "directory", ""}, {"p", "fifo", ""},      {"l", "symlink", "where"},
                 {"ld", "symlink", "d"}, {".", "directory", ""}, {"/usr/bin", "directory", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reply *r = ask(SA_METHOD_FILE_STAT, cases[i].path);
        reply_wait(r);
        assert_false(r->failed);
        assert_string_equal(reply_text(r, SA_FILE_TYPE), cases[i].type);
        assert_string_equal(reply_text(r, SA_FILE_TARGET), cases[i].target);
        reply_free(r);
    }
    expect_failure_of(ask(SA_METHOD_FILE_STAT, "x"), SA_ENOTFOUND, "no such");
    expect_failure_of(ask(SA_METHOD_FILE_STAT, "p/x"), SA_ENOTFOUND, "not a folder");
}

static void test_mkdir(void **state)
{
    (void)state;
    struct reply *r = ask(SA_METHOD_FILE_MKDIR, "a/b/c");
    reply_wait(r);
    assert_false(r->failed);
    assert_string_equal(reply_text(r, SA_FILE_TYPE), "directory");
    assert_string_equal(reply_text(r, SA_FILE_FULL_PATH), in_ws("a/b/c"));
    reply_free(r);
    r = ask_with(SA_METHOD_FILE_MKDIR, "a/b/d", SA_FILE_MODE, 0700);
    reply_wait(r);
    assert_int_equal(reply_int(r, SA_FILE_PERMISSIONS), 0700);
    reply_free(r);
    for (int i = 0; i < 2; i++) {
        static const char *const there[] = {"a/b/c", "."};
        r = ask(SA_METHOD_FILE_MKDIR, there[i]);
        reply_wait(r);
        assert_false(r->failed);
        reply_free(r);
    }
    shell_out(&box, "echo x > f; ln -s a/b link; ln -s nowhere dangling");
    expect_failure_of(ask(SA_METHOD_FILE_MKDIR, "f"), SA_ECONFLICT, "not a folder");
    expect_failure_of(ask(SA_METHOD_FILE_MKDIR, "f/x"), SA_ENOTFOUND, "not a folder");
    r = ask(SA_METHOD_FILE_MKDIR, "link/e/f");
    reply_wait(r);
    assert_false(r->failed);
    reply_free(r);
    assert_string_equal(shell_out(&box, "ls a/b"), "c\nd\ne\n");
}

static struct reply *move(const char *from, const char *to, bool parents)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, from);
    sa_fields_add_text(&body, SA_FILE_TO, to);
    if (parents)
        sa_fields_add_int(&body, SA_FILE_PARENTS, 1);
    struct reply *r = box_open(&box, SA_METHOD_FILE_MOVE, &body);
    reply_wait(r);
    return r;
}

static void test_move(void **state)
{
    (void)state;
    shell_out(&box, "echo f > f; echo g > g; mkdir d e; echo x > e/x; ln -s f l");
    struct reply *r = move("f", "d/h", false);
    assert_false(r->failed);
    assert_string_equal(reply_text(r, SA_FILE_FULL_PATH), in_ws("d/h"));
    reply_free(r);
    r = move("g", "d/h", false); /* replaces */
    assert_false(r->failed);
    reply_free(r);
    r = move("l", "n/e/w", true); /* the link itself */
    assert_false(r->failed);
    assert_string_equal(reply_text(r, SA_FILE_TYPE), "symlink");
    reply_free(r);
    r = move("d", "n/d", false);
    assert_false(r->failed);
    reply_free(r);
    assert_string_equal(shell_out(&box, "cat n/d/h; readlink n/e/w; ls"), "g\nf\ne\nn\n");
    r = move("n/d", "e", false);
    expect_failure_of(r, SA_ECONFLICT, "not empty");
    expect_failure_of(move("nope", "x", false), SA_ENOTFOUND, "nope");
    expect_failure_of(move("e/x", "no/x", false), SA_ENOTFOUND, "no");
    expect_failure_of(move("e", "e/sub", false), SA_EINVALID, "e");
    expect_failure_of(move(".", "x", false), SA_EFORBIDDEN, "root");
    expect_failure_of(move("e/x", "/usr/x", false), SA_EFORBIDDEN, "not written");
    expect_failure_of(move("/usr/bin/env", "x", false), SA_EFORBIDDEN, "not written");
    expect_failure_of(move("e/x", "../x", false), SA_EINVALID, "\"..\"");
    expect_failure_of(ask(SA_METHOD_FILE_MOVE, "e/x"), SA_EINVALID, "where to");
    assert_string_equal(shell_out(&box, "cat e/x"), "x\n");
}

/* --- list --- */

/* Names (or with `full`, paths after the workspace) of all entries, each on a line. */
static void names_of(const struct reply *r, bool full, struct sa_buf *out)
{
    struct sa_fields reader;
    struct sa_field f;
    sa_fields_init(&reader, r->notes.data, r->notes.length);
    while (sa_fields_next(&reader, &f, NULL) > 0) {
        assert_int_equal(f.tag, SA_FILE_ENTRY);
        struct sa_buf entry = {(char *)(size_t)f.data, f.length, f.length};
        const char *text = body_text(&entry, full ? SA_FILE_FULL_PATH : SA_FILE_NAME);
        sa_buf_printf(out, "%s\n", full ? text + strlen(box.ws) + 1 : text);
    }
}

static void expect_list(const char *path, bool recursive, bool full, const char *expected)
{
    sa_autobuf names = SA_BUF_INIT;
    struct reply *r = recursive ? ask_with(SA_METHOD_FILE_LIST, path, SA_FILE_RECURSIVE, 1)
                                : ask(SA_METHOD_FILE_LIST, path);
    reply_wait(r);
    if (r->failed)
        fail_msg("%s", r->error.message);
    names_of(r, full, &names);
    assert_string_equal(names.data ? names.data : "", expected);
    int lines = 0;
    for (const char *p = expected; *p; p++)
        lines += *p == '\n';
    assert_int_equal(reply_int(r, SA_FILE_COUNT), lines);
    reply_free(r);
}

static void test_list(void **state)
{
    (void)state;
    shell_out(&box, "mkdir -p b/sub B; touch b/sub/deep b/x a 10 9 .hidden 'with space' ü; "
                    "ln -s /etc link");
    expect_list(".", false, false, ".hidden\n10\n9\nB\na\nb\nlink\nwith space\nü\n");
    expect_list(box.ws, false, false, ".hidden\n10\n9\nB\na\nb\nlink\nwith space\nü\n");
    expect_list("b", false, true, "b/sub\nb/x\n");
    expect_list("b", true, true, "b/sub\nb/sub/deep\nb/x\n");
    expect_list("B", true, true, "");
    expect_failure_of(ask(SA_METHOD_FILE_LIST, "a"), SA_ENOTFOUND, "not a folder");
    expect_failure_of(ask(SA_METHOD_FILE_LIST, "nope"), SA_ENOTFOUND, "no such");
}

static void test_list_odd_names(void **state)
{
    (void)state;
    shell_out(&box,
              "perl -e 'open F, \">\", \"bad\\xff\\xfename\"; open F, \">\", \"tab\\tand\\\\\"'");
    expect_list(".", false, false, "bad\xef\xbf\xbd\xef\xbf\xbdname\ntab\tand\\\n");
}

static void test_large_list(void **state)
{
    (void)state;
    shell_out(&box,
              "perl -e 'mkdir q(d); for (1..20000) { open F, q(>), sprintf(q(d/file-%05d), $_) }'");
    struct reply *r = ask_with(SA_METHOD_FILE_LIST, ".", SA_FILE_RECURSIVE, 1);
    r->hold = true;
    assert_string_equal(shell_out(&box, "echo alive"), "alive\n");
    assert_false(r->ended);
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    reply_wait(r);
    assert_int_equal(reply_int(r, SA_FILE_COUNT), 20001);
    sa_autobuf names = SA_BUF_INIT;
    names_of(r, false, &names);
    const char *p = strchr(names.data, '\n') + 1;
    for (int i = 1; i <= 20000; i++) {
        char name[20];
        snprintf(name, sizeof name, "file-%05d\n", i);
        assert_memory_equal(p, name, strlen(name));
        p += strlen(name);
    }
    reply_free(r);
    r = ask(SA_METHOD_FILE_LIST, "d");
    sa_stream_cancel(r->stream);
    reply_wait(r);
    reply_free(r);
}

static void test_list_too_deep(void **state)
{
    (void)state;
    shell_out(&box, "perl -e 'for (1..100) { mkdir q(d); chdir q(d) }'");
    struct reply *r = ask_with(SA_METHOD_FILE_LIST, ".", SA_FILE_RECURSIVE, 1);
    expect_failure_of(r, SA_ETOOLARGE, "too deep");
    expect_list(".", false, false, "d\n");
}

/* --- remove --- */

static struct reply *remove_it(const char *path, bool recursive)
{
    struct reply *r = recursive ? ask_with(SA_METHOD_FILE_REMOVE, path, SA_FILE_RECURSIVE, 1)
                                : ask(SA_METHOD_FILE_REMOVE, path);
    reply_wait(r);
    return r;
}

static void expect_removed(const char *path, bool recursive, int64_t count)
{
    struct reply *r = remove_it(path, recursive);
    if (r->failed)
        fail_msg("remove %s: %s", path, r->error.message);
    assert_int_equal(reply_int(r, SA_FILE_COUNT), count);
    reply_free(r);
}

static void test_remove(void **state)
{
    (void)state;
    shell_out(&box,
              "echo x > f; mkdir -p d/e g; touch d/a d/e/b keep; ln -s keep l; ln -s ../keep d/l; "
              "mkfifo p");
    expect_failure_of(remove_it("d", false), SA_ECONFLICT, "not empty");
    expect_failure_of(remove_it("nope", true), SA_ENOTFOUND, "no such");
    expect_failure_of(remove_it(".", true), SA_EFORBIDDEN, "root");
    expect_failure_of(remove_it(box.ws, true), SA_EFORBIDDEN, "root");
    expect_removed("f", false, 1);
    expect_removed("g", false, 1);
    expect_removed("l", true, 1);
    expect_removed("p", false, 1);
    expect_removed("d", true, 5);
    assert_string_equal(shell_out(&box, "ls -A"), "keep\n");
}

static void test_remove_closed_folders(void **state)
{
    (void)state;
    shell_out(&box, "mkdir -p d/a/b d/c; touch d/a/b/f d/c/g; chmod 0 d/a/b d/c; chmod 500 d/a; "
                    "chmod 0 d");
    expect_removed("d", true, 6);
    assert_string_equal(shell_out(&box, "ls -A"), "");
}

static void test_remove_deep(void **state)
{
    (void)state;
    shell_out(&box, "perl -e 'for (1..3000) { mkdir q(d); chdir q(d); open F, q(>f) }'");
    expect_removed("d", true, 6000);
    assert_string_equal(shell_out(&box, "ls -A; df . --output=iused | tail -1 | tr -d ' '"), "1\n");
}

static void test_remove_wide(void **state)
{
    (void)state;
    shell_out(&box, "perl -e 'mkdir q(d); for (1..15000) { open F, q(>), qq(d/$_) }'");
    struct reply *r = ask_with(SA_METHOD_FILE_REMOVE, "d", SA_FILE_RECURSIVE, 1);
    assert_string_equal(shell_out(&box, "echo alive"), "alive\n");
    reply_wait(r);
    assert_int_equal(reply_int(r, SA_FILE_COUNT), 15001);
    reply_free(r);
}

static void test_remove_what_is_being_filled(void **state)
{
    (void)state;
    struct reply *filler = exec_start(&box, "perl", "-e",
                                      "mkdir q(d); $| = 1; print qq(up\\n); while (1) { mkdir "
                                      "q(d); $i++; open F, q(>), qq(d/$i) }",
                                      NULL);
    reply_wait_bytes(filler, 1, 3);
    struct reply *r = ask_with(SA_METHOD_FILE_REMOVE, "d", SA_FILE_RECURSIVE, 1);
    reply_wait(r); /* it ends, in one way or another */
    if (r->failed)
        assert_int_equal(r->error.code, SA_ECONFLICT);
    reply_free(r);
    sa_stream_cancel(filler->stream);
    reply_wait(filler);
    reply_free(filler);
}

#define T(f) cmocka_unit_test_setup(f, box_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_read),
        T(test_read_ranges),
        T(test_read_empty_and_proc),
        T(test_read_what_is_no_file),
        T(test_read_of_a_fifo_goes_unnoticed),
        T(test_read_of_the_unreadable),
        T(test_large_read_with_a_slow_reader),
        T(test_file_that_shrinks_while_it_is_read),
        T(test_file_that_grows_while_it_is_read),
        T(test_read_cancel),
        T(test_bad_paths),
        T(test_forms_of_paths),
        T(test_links_inside),
        T(test_links_that_lead_out),
        T(test_read_roots_cannot_be_written),
        T(test_races),
        T(test_write),
        T(test_write_through_links),
        T(test_write_parents),
        T(test_write_is_atomic),
        T(test_write_cancel),
        T(test_write_to_a_folder_that_goes_away),
        T(test_write_where_a_folder_appears),
        T(test_no_space),
        T(test_many_writes_at_once),
        T(test_stat),
        T(test_mkdir),
        T(test_move),
        T(test_list),
        T(test_list_odd_names),
        T(test_large_list),
        T(test_list_too_deep),
        T(test_remove),
        T(test_remove_closed_folders),
        T(test_remove_deep),
        T(test_remove_wide),
        T(test_remove_what_is_being_filled),
    };
    return cmocka_run_group_tests(tests, start, box_end);
}
