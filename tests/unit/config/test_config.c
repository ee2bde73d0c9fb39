/* core/config: precedence, refusals and what is printed. */
#include "config/config.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct sa_option options[] = {
    {.name = "listen",
     .kind = SA_OPTION_STRING,
     .letter = 'l',
     .fallback = "127.0.0.1:8080",
     .env = "SA_TEST_LISTEN",
     .value = "ADDR:PORT",
     .help = "address to serve on"},
    {.name = "data-dir",
     .kind = SA_OPTION_PATH,
     .env = "SA_TEST_DATA_DIR",
     .help = "where to keep data"},
    {.name = "workers",
     .kind = SA_OPTION_INT,
     .fallback = "2",
     .low = 1,
     .high = 64,
     .help = "threads"},
    {.name = "idle-timeout",
     .kind = SA_OPTION_DURATION,
     .fallback = "30s",
     .help = "until it is closed"},
    {.name = "max-body",
     .kind = SA_OPTION_SIZE,
     .fallback = "1Mi",
     .low = 1024,
     .high = 1 << 30,
     .help = "largest request body"},
    {.name = "access-log",
     .kind = SA_OPTION_BOOL,
     .letter = 'a',
     .fallback = "true",
     .env = "SA_TEST_ACCESS_LOG",
     .help = "log requests"},
    {.name = "admin-token",
     .kind = SA_OPTION_STRING,
     .secret = true,
     .fallback = "changeme",
     .env = "SA_TEST_TOKEN",
     .help = "secret of the administrator"},
    {.name = "config", .kind = SA_OPTION_PATH, .help = "file of options"},
};

static const char *const variables[] = {"SA_TEST_LISTEN", "SA_TEST_DATA_DIR", "SA_TEST_ACCESS_LOG",
                                        "SA_TEST_TOKEN"};
static char file[] = "/tmp/sa-config-XXXXXX";

struct fixture {
    struct sa_config *config;
    struct sa_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    for (size_t i = 0; i < SA_COUNT(variables); i++)
        unsetenv(variables[i]);
    strcpy(file, "/tmp/sa-config-XXXXXX");
    close(mkstemp(file));
    f->config = sa_config_new(options, SA_COUNT(options));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(file);
    sa_config_free(f->config);
    free(f);
    return 0;
}

static void write_text(const char *text)
{
    FILE *out = fopen(file, "w");
    fputs(text, out);
    fclose(out);
}

/* Load the words behind the program's name; the last is NULL. */
static int load_mode(struct fixture *f, enum sa_config_mode mode, char *const words[])
{
    int count = 0;
    while (words[count])
        count++;
    return sa_config_load(f->config, count, words, 0, mode, &f->err);
}
#define load(f, ...) load_mode(f, SA_CONFIG_MIXED, (char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define load_up_to(f, ...) load_mode(f, SA_CONFIG_POSITIONAL_ENDS, (char *[]){__VA_ARGS__, NULL})

static void assert_refused(struct fixture *f, const char *path, const char *message)
{
    assert_int_equal(f->err.code, SA_EINVALID);
    assert_string_equal(f->err.message, message);
    assert_string_equal(f->err.path, path);
}

static void defaults_apply(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f), 0);
    assert_string_equal(sa_config_string(f->config, "listen"), "127.0.0.1:8080");
    assert_null(sa_config_string(f->config, "data-dir"));
    assert_int_equal(sa_config_int(f->config, "workers"), 2);
    assert_int_equal(sa_config_ms(f->config, "idle-timeout"), 30000);
    assert_int_equal(sa_config_bytes(f->config, "max-body"), 1 << 20);
    assert_true(sa_config_bool(f->config, "access-log"));
    assert_string_equal(sa_config_source(f->config, "listen"), "default");
    assert_string_equal(sa_config_source(f->config, "data-dir"), "unset");
}

static void later_places_win(void **state)
{
    struct fixture *f = *state;
    write_text("{\"listen\":\"file:1\",\"dataDir\":\"/file\",\"workers\":3,"
               "\"idleTimeout\":\"1m\",\"accessLog\":false,\"maxBody\":2048}");
    setenv("SA_TEST_LISTEN", "env:1", 1);
    setenv("SA_TEST_DATA_DIR", "/env", 1);
    setenv("SA_TEST_TOKEN", "", 1); /* as if it were not there */
    assert_int_equal(load(f, "--listen", "flag:1", "--config", file), 0);
    assert_string_equal(sa_config_string(f->config, "listen"), "flag:1");
    assert_string_equal(sa_config_source(f->config, "listen"), "flag");
    assert_string_equal(sa_config_string(f->config, "data-dir"), "/env");
    assert_string_equal(sa_config_source(f->config, "data-dir"), "environment");
    assert_int_equal(sa_config_int(f->config, "workers"), 3);
    assert_int_equal(sa_config_ms(f->config, "idle-timeout"), 60000);
    assert_int_equal(sa_config_bytes(f->config, "max-body"), 2048);
    assert_false(sa_config_bool(f->config, "access-log"));
    assert_string_equal(sa_config_source(f->config, "workers"), "file");
    assert_string_equal(sa_config_string(f->config, "admin-token"), "changeme");
}

static void flags_have_several_forms(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "-l", "a:1", "--max-body=4Ki", "--no-access-log",
                          "--admin-token=", "one", "-", "--workers", "5", "--", "--listen", "two"),
                     0);
    assert_string_equal(sa_config_string(f->config, "listen"), "a:1");
    assert_int_equal(sa_config_bytes(f->config, "max-body"), 4096);
    assert_false(sa_config_bool(f->config, "access-log"));
    assert_string_equal(sa_config_string(f->config, "admin-token"), "");
    assert_int_equal(sa_config_int(f->config, "workers"), 5);
    char *const *args;
    assert_int_equal(sa_config_args(f->config, &args), 4);
    assert_string_equal(args[0], "one");
    assert_string_equal(args[1], "-");
    assert_string_equal(args[2], "--listen");
    assert_string_equal(args[3], "two");
    assert_int_equal(load(f, "-a", "--access-log=no", "-lb:2"), 0);
    assert_false(sa_config_bool(f->config, "access-log"));
    assert_string_equal(sa_config_string(f->config, "listen"), "b:2");
    assert_int_equal(load(f, "-al", "c:3", "-aald:4"), 0);
    assert_true(sa_config_bool(f->config, "access-log"));
    assert_string_equal(sa_config_string(f->config, "listen"), "d:4");
}

static void a_positional_can_end_the_flags(void **state)
{
    struct fixture *f = *state;
    char *const *args;
    assert_int_equal(load_up_to(f, "--workers", "9", "sb-1", "ls", "-la", "--workers", "1"), 0);
    assert_int_equal(sa_config_args(f->config, &args), 5);
    assert_string_equal(args[2], "-la");
    assert_int_equal(sa_config_int(f->config, "workers"), 9);
}

static void mistakes_are_explained(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "--listn", "x"), -1);
    assert_refused(f, "listn", "unknown flag --listn, did you mean --listen?");
    assert_int_equal(load(f, "--lisen=x"), -1);
    assert_refused(f, "lisen", "unknown flag --lisen, did you mean --listen?");
    assert_int_equal(load(f, "--zzzzzzz"), -1);
    assert_refused(f, "zzzzzzz", "unknown flag --zzzzzzz (--help lists them)");
    assert_int_equal(load(f, "--hepl"), -1);
    assert_refused(f, "hepl", "unknown flag --hepl, did you mean --help?");
    assert_int_equal(load(f, "-z"), -1);
    assert_int_equal(load(f, "-ax"), -1);
    assert_int_equal(load(f, "--no-listen"), -1);
    assert_int_equal(load(f, "--listen"), -1);
    assert_refused(f, "listen", "--listen needs a value");
    assert_int_equal(load(f, "--workers", "many"), -1);
    assert_refused(f, "workers", "--workers: \"many\": expected an integer");
    assert_int_equal(load(f, "--workers=65"), -1);
    assert_refused(f, "workers", "--workers: \"65\": expected 1..64");
    assert_int_equal(load(f, "--max-body=12parsecs"), -1);
    assert_refused(f, "max-body",
                   "--max-body: \"12parsecs\": expected a size such as 512Mi or 4096");
    assert_int_equal(load(f, "--max-body=1"), -1);
    assert_refused(f, "max-body", "--max-body: \"1\": expected 1024..1073741824 bytes");
    assert_int_equal(load(f, "--access-log=maybe"), -1);
    assert_int_equal(load(f, "--data-dir="), -1);
    assert_string_equal(sa_config_string(f->config, "listen"), "127.0.0.1:8080");
}

static void the_environment_and_the_file_are_checked(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *path, *message;
    } bad[] = {
        {"{\"lissten\":\"x\"}", "lissten",
         "lissten: unknown field \"lissten\", did you mean \"listen\"?"},
        {"{\"data-dir\":\"/x\"}", "data-dir",
         "data-dir: unknown field \"data-dir\", did you mean \"dataDir\"?"},
        {"{\"workers\":99}", "workers", "workers: \"99\": expected 1..64"},
        {"{\"workers\":1.5}", "workers", "workers: \"1.5\": expected an integer"},
        {"{\"idleTimeout\":30}", "idleTimeout",
         "idleTimeout: expected text in quotes, got a number"},
        {"{\"listen\":true}", "listen", "listen: expected text, got true or false"},
        {"{\"listen\":[]}", "listen", "listen: expected a string, got an array"},
        {"[]", "", "expected an object, got an array"},
        {"{", "", "JSON, line 1, column 2: expected a key in quotes"},
    };
    for (size_t i = 0; i < SA_COUNT(bad); i++) {
        sa_autobuf message = SA_BUF_INIT;
        write_text(bad[i].text);
        f->err = (struct sa_error){0};
        assert_int_equal(load(f, "--config", file), -1);
        sa_buf_printf(&message, "%s: %s", file, bad[i].message);
        assert_refused(f, bad[i].path, message.data);
    }
    assert_int_equal(load(f, "--config", "/nowhere/at.all"), -1);
    assert_int_equal(f->err.code, SA_ENOTFOUND);
    setenv("SA_TEST_ACCESS_LOG", "perhaps", 1);
    assert_int_equal(load(f, "--access-log"), -1); /* a mistake even where a flag wins */
    assert_refused(f, "access-log", "SA_TEST_ACCESS_LOG: \"perhaps\": expected true or false");
}

static void secrets_are_not_shown(void **state)
{
    struct fixture *f = *state;
    sa_autobuf out = SA_BUF_INIT;
    setenv("SA_TEST_TOKEN", "hunter2", 1);
    assert_int_equal(load(f, "--print-config", "--listen", "x\nfake = 1"), 0);
    assert_true(sa_config_print_asked(f->config));
    assert_false(sa_config_help_asked(f->config));
    assert_string_equal(sa_config_string(f->config, "admin-token"), "hunter2");
    sa_config_print(f->config, &out);
    assert_null(strstr(out.data, "hunter2"));
    assert_null(strstr(out.data, "changeme"));
    assert_non_null(
        strstr(out.data, "admin-token  = ***                              # environment\n"));
    assert_non_null(strstr(out.data, "listen       = x?fake = 1                       # flag\n"));
    assert_non_null(
        strstr(out.data, "workers      = 2                                # default\n"));
    out.length = 0;
    sa_config_help(f->config, "x", NULL, &out);
    assert_null(strstr(out.data, "changeme"));
}

static void help_is_aligned(void **state)
{
    struct fixture *f = *state;
    sa_autobuf out = SA_BUF_INIT;
    assert_int_equal(load(f, "-h", "--what-is-this"), 0);
    assert_true(sa_config_help_asked(f->config));
    sa_config_help(f->config, "secureagent up [options]", "Serve.", &out);
    assert_string_equal(out.data,
                        "usage: secureagent up [options]\n\nServe.\n\noptions:\n"
                        "  -l, --listen ADDR:PORT   address to serve on (default 127.0.0.1:8080) "
                        "[$SA_TEST_LISTEN]\n"
                        "      --data-dir PATH      where to keep data [$SA_TEST_DATA_DIR]\n"
                        "      --workers N          threads (default 2)\n"
                        "      --idle-timeout TIME  until it is closed (default 30s)\n"
                        "      --max-body SIZE      largest request body (default 1Mi)\n"
                        "  -a, --[no-]access-log    log requests [$SA_TEST_ACCESS_LOG]\n"
                        "      --admin-token TEXT   secret of the administrator [$SA_TEST_TOKEN]\n"
                        "      --config PATH        file of options\n"
                        "  -h, --help               show this help\n"
                        "      --print-config       show every value and where it came from\n");
}

static void durations_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"0", 0},
                 {"0s", 0},
                 {"250ms", 250},
                 {"30s", 30000},
                 {"5m", 300000},
                 {"1h30m", 5400000},
                 {"2d", 172800000},
                 {"1m500ms", 60500},
                 {"", -1},
                 {"5", -1},
                 {"s", -1},
                 {"-5s", -1},
                 {"5 s", -1},
                 {"5x", -1},
                 {"1h30", -1},
                 {"1.5h", -1},
                 {"99999999999999999999s", -1},
                 {"9223372036854775807d", -1}};
    for (size_t i = 0; i < SA_COUNT(cases); i++) {
        int64_t ms = -1;
        sa_duration_parse(cases[i].text, &ms, NULL);
        if (ms != cases[i].ms)
            fail_msg("%s: %lld", cases[i].text, (long long)ms);
    }
}

static void lists_collect_flags_and_forget_weaker_sources(void **state)
{
    static const struct sa_option list[] = {
        {.name = "env", .kind = SA_OPTION_LIST, .env = "SA_TEST_LIST", .help = "variables"}};
    char *argv[] = {"x", "--env", "A=1", "file", "--env=B=two\nlines", NULL};
    struct sa_config *config = sa_config_new(list, 1);
    struct sa_error err;
    char *const *items;
    sa_autobuf shown = SA_BUF_INIT;
    (void)state;
    setenv("SA_TEST_LIST", "weaker", 1);
    assert_int_equal(sa_config_list(config, "env", &items), 0);
    assert_int_equal(sa_config_load_env(config, &err), 0);
    assert_int_equal(sa_config_list(config, "env", &items), 1);
    assert_int_equal(sa_config_load(config, 5, argv, 1, SA_CONFIG_MIXED, &err), 0);
    assert_int_equal(sa_config_list(config, "env", &items), 2);
    assert_string_equal(items[0], "A=1");
    assert_string_equal(items[1], "B=two\nlines");
    sa_config_print(config, &shown);
    assert_non_null(strstr(shown.data, "env = A=1, B=two?lines"));
    for (size_t i = 2; i < SA_CONFIG_LIST_MAX; i++)
        assert_int_equal(sa_config_set(config, "env", "x", &err), 0);
    assert_int_equal(sa_config_set(config, "env", "one too many", &err), -1);
    assert_int_equal(err.code, SA_ETOOLARGE);
    sa_config_free(config);
    unsetenv("SA_TEST_LIST");
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(defaults_apply),
        WITH(later_places_win),
        WITH(flags_have_several_forms),
        WITH(a_positional_can_end_the_flags),
        WITH(mistakes_are_explained),
        WITH(the_environment_and_the_file_are_checked),
        WITH(secrets_are_not_shown),
        WITH(help_is_aligned),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(lists_collect_flags_and_forget_weaker_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
