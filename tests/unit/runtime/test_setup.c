/* SETUP: the environment of every program from then on, of those that the template forks, too. */
#include "box.h"

#include "base/arena.h"
#include "base/clock.h"

static struct box box;

static int start(void **state)
{
    *state = &box;
    box_start(&box, &(struct box_options){.kernels = true});
    return 0;
}

static struct reply *setup(const struct sa_buf *body)
{
    struct reply *r = box_open(&box, SA_METHOD_SETUP, body);
    reply_wait(r);
    return r;
}

static void set_up(const char *a, const char *b)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_SETUP_ENV, a);
    sa_fields_add_text(&body, SA_SETUP_ENV, b);
    struct reply *r = setup(&body);
    if (r->failed)
        fail_msg("%s", r->error.message);
    reply_free(r);
}

static void test_every_program(void **state)
{
    (void)state;
    set_up("FROM_BOOT=changed", "OWN=mine=yes");
    assert_string_equal(shell_out(&box, "echo $FROM_BOOT $OWN $PATH"),
                        "changed mine=yes /usr/bin:/bin\n");
}

static void test_request_goes_first(void **state)
{
    sa_autobuf extra = SA_BUF_INIT;
    (void)state;
    set_up("OWN=setup", "PATH=/bin:/usr/bin");
    sa_fields_add_text(&extra, SA_EXEC_ENV, "OWN=request");
    struct reply *r = shell(&box, "echo $OWN $FROM_BOOT", &extra);
    assert_exit(r, 0);
    assert_out(r, "request yes\n");
    reply_free(r);
}

static void test_last_of_a_name(void **state)
{
    (void)state;
    set_up("OWN=one", "OWN=two");
    assert_string_equal(shell_out(&box, "echo $OWN"), "two\n");
}

static void test_once(void **state)
{
    (void)state;
    set_up("OWN=first", "B=b");
    struct reply *r = setup(NULL);
    assert_failed(r, SA_ECONFLICT, "RESET");
    reply_free(r);
    assert_string_equal(shell_out(&box, "echo $OWN"), "first\n");
}

static void refused(const char *entry, enum sa_code code)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_SETUP_ENV, "OWN=half");
    sa_fields_add_text(&body, SA_SETUP_ENV, entry);
    struct reply *r = setup(&body);
    assert_failed(r, code, "NAME=value");
    assert_string_equal(r->error.path, "env");
    assert_null(strstr(r->error.message, "secret"));
    reply_free(r);
}

static void test_bad_ones_change_nothing(void **state)
{
    (void)state;
    refused("secret", SA_EINVALID);
    refused("=secret", SA_EINVALID);
    assert_string_equal(shell_out(&box, "echo \"[$OWN]\""), "[]\n");
    set_up("OWN=now", "B=b"); /* and it is not set up yet */
}

static void test_many(void **state)
{
    sa_autobuf body = SA_BUF_INIT;
    (void)state;
    for (int i = 0; i <= 256; i++) {
        char text[32];
        snprintf(text, sizeof text, "N%d=1", i);
        sa_fields_add_text(&body, SA_SETUP_ENV, text);
    }
    struct reply *r = setup(&body);
    assert_failed(r, SA_ETOOLARGE, "256");
    reply_free(r);
}

/* --- templates --- */

static struct reply *python(void)
{
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "python3", "-c",
             "import os, sys\n"
             "print(open('/proc/self/cmdline').read().split('\\0')[1].endswith('template.py'), "
             "os.environ.get('OWN'),\n"
             "      os.environ.get('PYTHONPATH'), '/own' in sys.path)",
             NULL);
    sa_fields_add_text(&body, SA_EXEC_TEMPLATE, "python");
    struct reply *r = exec_body(&box, &body);
    reply_wait(r);
    assert_exit(r, 0);
    return r;
}

/* Until it prints this. Whether the template is there in time is not promised, what it gives is. */
static void comes_to_print(const char *forked, const char *plain)
{
    int64_t until = sa_monotonic_ms() + 60000;
    for (;;) {
        struct reply *r = python();
        const char *out = r->out[SA_CHANNEL_OUT].data;
        bool done = strcmp(out, forked) == 0;
        if (!done && strcmp(out, plain) != 0)
            fail_msg("it printed %s", out);
        reply_free(r);
        if (done)
            return;
        if (sa_monotonic_ms() > until)
            fail_msg("no template");
    }
}

static void test_warmed_before(void **state)
{
    (void)state;
    comes_to_print("True None None False\n", "False None None False\n");
    box_idle(&box, 30);
    set_up("OWN=mine", "B=b");
    comes_to_print("True mine None False\n", "False mine None False\n");
}

/* What the interpreter reads when it starts: another template has to start. */
static void test_early_names(void **state)
{
    (void)state;
    comes_to_print("True None None False\n", "False None None False\n");
    set_up("OWN=mine", "PYTHONPATH=/own");
    comes_to_print("True mine /own True\n", "False mine /own True\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_program, start, box_end),
        cmocka_unit_test_setup_teardown(test_request_goes_first, start, box_end),
        cmocka_unit_test_setup_teardown(test_last_of_a_name, start, box_end),
        cmocka_unit_test_setup_teardown(test_once, start, box_end),
        cmocka_unit_test_setup_teardown(test_bad_ones_change_nothing, start, box_end),
        cmocka_unit_test_setup_teardown(test_many, start, box_end),
        cmocka_unit_test_setup_teardown(test_warmed_before, start, box_end),
        cmocka_unit_test_setup_teardown(test_early_names, start, box_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
