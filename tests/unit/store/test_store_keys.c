/* API keys: formats, checks, roles, expiry, revocation, persistence. */
#include "fixture.h"

#include <ctype.h>

static void make(struct fixture *f, struct sa_key_params params, struct sa_key_info *info,
                 char text[SA_KEY_TEXT_BYTES])
{
    struct sa_error err = {.code = SA_OK};
    if (!params.name)
        params.name = "test";
    if (sa_store_key_create_sync(f->store, &params, info, text, &err) < 0)
        fail_msg("%s", err.message);
}

static const struct sa_key_info *check(struct fixture *f, const char *text)
{
    const struct sa_key_info *info = NULL;
    struct sa_error err = {.code = SA_OK};
    if (sa_store_key_check(f->store, text, strlen(text), &info, &err) < 0) {
        assert_int_equal(err.code, SA_EUNAUTHORIZED);
        assert_null(strstr(err.message, text)); /* no secrets in messages */
        return NULL;
    }
    return info;
}

static void assert_says(struct fixture *f, const char *text, const char *says)
{
    const struct sa_key_info *info;
    struct sa_error err = {.code = SA_OK};
    assert_int_equal(sa_store_key_check(f->store, text, strlen(text), &info, &err), -1);
    if (!strstr(err.message, says))
        fail_msg("unexpected: %s", err.message);
}

static void formats(void **state)
{
    struct fixture *f = *state;
    struct sa_key_info info;
    char text[SA_KEY_TEXT_BYTES], other[SA_KEY_TEXT_BYTES];
    make(f, (struct sa_key_params){.role = SA_ROLE_ADMIN}, &info, text);
    assert_int_equal(strlen(text), 3 + 8 + 1 + 32);
    assert_memory_equal(text, "sa_", 3);
    assert_int_equal(text[11], '_');
    assert_int_equal(strlen(info.prefix), 11);
    assert_memory_equal(info.prefix, text, 11);
    assert_true(sa_id_valid("key-", info.id));
    assert_int_equal(info.created_ms, test_clock_ms);
    make(f, (struct sa_key_params){.role = SA_ROLE_ADMIN}, &info, other);
    assert_string_not_equal(text, other);
    make(f, (struct sa_key_params){.role = SA_ROLE_VIEWER, .e2b = true}, &info, other);
    assert_int_equal(strlen(other), 4 + 40);
    for (int i = 4; i < 44; i++)
        assert_true(isxdigit((unsigned char)other[i]) && !isupper((unsigned char)other[i]));
    assert_memory_equal(info.prefix, other, 12);
    assert_int_equal(check(f, text)->role, SA_ROLE_ADMIN);
    assert_int_equal(check(f, other)->role, SA_ROLE_VIEWER);
    assert_string_equal(check(f, other)->id, info.id);
    assert_int_equal(sa_store_key_count(f->store), 3);
}

static void wrong_keys(void **state)
{
    struct fixture *f = *state;
    struct sa_key_info info;
    char text[SA_KEY_TEXT_BYTES], bad[SA_KEY_TEXT_BYTES + 40];
    static const char *const odd[] = {"",
                                      "sa_",
                                      "e2b_",
                                      "sa_aaaaaaaa_",
                                      "Bearer",
                                      "sa_aaaaaaaa-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                      "sa_AAAAAAAA_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                      "e2b_0123456789abcdef0123456789abcdef0123456", /* 39 */
                                      "e2b_0123456789abcdef0123456789abcdef012345678",
                                      "e2b_0123456789ABCDEF0123456789abcdef01234567"};
    make(f, (struct sa_key_params){.role = SA_ROLE_DEVELOPER}, &info, text);
    for (size_t i = 0; i < SA_COUNT(odd); i++)
        assert_null(odd[i][0] ? check(f, odd[i]) : NULL);
    const struct sa_key_info *found;
    assert_int_equal(sa_store_key_check(f->store, "", 0, &found, NULL), -1);
    /* Unknown prefix, well formed. */
    assert_null(check(f, "sa_zzzzzzzz_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    assert_null(check(f, "e2b_0123456789abcdef0123456789abcdef01234567"));
    /* Each single character changed. */
    for (size_t i = 0; text[i]; i++) {
        snprintf(bad, sizeof bad, "%s", text);
        bad[i] = bad[i] == 'a' ? 'b' : 'a';
        assert_null(check(f, bad));
    }
    /* Shorter, longer, with a NUL inside. */
    snprintf(bad, sizeof bad, "%sa", text);
    assert_null(check(f, bad));
    assert_int_equal(sa_store_key_check(f->store, text, strlen(text) - 1, &found, NULL), -1);
    snprintf(bad, sizeof bad, "%s", text);
    bad[20] = '\0';
    assert_int_equal(sa_store_key_check(f->store, bad, strlen(text), &found, NULL), -1);
    assert_non_null(check(f, text));
}

static void secrets_are_not_stored(void **state)
{
    struct fixture *f = *state;
    struct sa_key_info info;
    char text[SA_KEY_TEXT_BYTES], path[128];
    make(f, (struct sa_key_params){.role = SA_ROLE_DEVELOPER}, &info, text);
    fixture_close(f);
    snprintf(path, sizeof path, "%s/secureagent.db", f->dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    static char data[1 << 20];
    size_t length = fread(data, 1, sizeof data, file);
    fclose(file);
    assert_non_null(memmem(data, length, info.prefix, strlen(info.prefix)));
    assert_null(memmem(data, length, text + 12, 32));
    fixture_open(f);
    assert_non_null(check(f, text));
}

static void expiry(void **state)
{
    struct fixture *f = *state;
    struct sa_key_info info;
    char text[SA_KEY_TEXT_BYTES];
    make(f, (struct sa_key_params){.role = SA_ROLE_DEVELOPER, .expires_ms = test_clock_ms + 1000},
         &info, text);
    assert_non_null(check(f, text));
    test_clock_ms += 999;
    assert_non_null(check(f, text));
    test_clock_ms += 1;
    assert_says(f, text, "expired");
    text[20] = text[20] == 'a' ? 'b' : 'a'; /* not told to who does not hold it */
    assert_says(f, text, "not valid");
}

static void revocation(void **state)
{
    struct fixture *f = *state;
    struct sa_key_info info;
    struct outcome o = {0};
    struct sa_error err;
    char text[SA_KEY_TEXT_BYTES];
    make(f, (struct sa_key_params){.role = SA_ROLE_DEVELOPER}, &info, text);
    assert_int_equal(sa_store_key_revoke(f->store, "key-no", outcome_done, &o, &err), -1);
    assert_int_equal(err.code, SA_ENOTFOUND);
    assert_int_equal(sa_store_key_revoke(f->store, info.id, outcome_done, &o, NULL), 0);
    assert_says(f, text, "revoked"); /* at once */
    assert_int_equal(o.calls, 0);
    fixture_run(f);
    assert_int_equal(o.calls, 1);
    assert_int_equal(o.failures, 0);
    test_clock_ms += 5;
    assert_int_equal(sa_store_key_revoke(f->store, info.id, NULL, NULL, NULL), 0);
    fixture_close(f);
    fixture_open(f);
    assert_says(f, text, "revoked");
    assert_int_equal(sa_store_key_get(f->store, info.id)->revoked_ms, test_clock_ms - 5);
    /* Retention forgets it. */
    test_clock_ms += 1000;
    assert_int_equal(sa_store_prune(f->store, test_clock_ms, NULL, NULL, NULL), 0);
    assert_null(sa_store_key_get(f->store, info.id));
    fixture_close(f);
    assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM keys"), 0);
}

struct created {
    int calls, failures;
    struct sa_error err;
    struct sa_key_info info;
    char text[SA_KEY_TEXT_BYTES];
};
static void on_created(void *user, const struct sa_error *err, const struct sa_key_info *info,
                       const char *text)
{
    struct created *c = user;
    c->calls++;
    if (err) {
        c->failures++;
        c->err = *err;
        return;
    }
    c->info = *info;
    snprintf(c->text, sizeof c->text, "%s", text);
}

static void create_while_running(void **state)
{
    struct fixture *f = *state;
    struct created c = {0};
    struct sa_key_params params = {.name = "caf\xc3\xa9", .role = SA_ROLE_OPERATOR};
    assert_int_equal(sa_store_key_create(f->store, &params, on_created, &c, NULL), 0);
    assert_int_equal(c.calls, 0);
    fixture_run(f);
    assert_int_equal(c.calls, 1);
    assert_string_equal(check(f, c.text)->id, c.info.id);
    assert_int_equal(sa_store_key_create(f->store, &params, NULL, NULL, NULL), 0);
    fixture_run(f);
    assert_int_equal(sa_store_key_count(f->store), 2);
    fixture_close(f);
    fixture_open(f);
    const struct sa_key_info *info = check(f, c.text);
    assert_non_null(info);
    assert_string_equal(info->name, "caf\xc3\xa9");
    assert_int_equal(info->role, SA_ROLE_OPERATOR);
}

static void given_keys(void **state)
{
    struct fixture *f = *state;
    static const char mine[] = "e2b_0123456789abcdef0123456789abcdef01234567";
    static const char twin[] = "e2b_01234567ffffffffffffffffffffffffffffffff";
    struct sa_key_info info, again;
    struct created first = {0}, second = {0};
    struct sa_error err;
    char text[SA_KEY_TEXT_BYTES];
    struct sa_key_params params = {.name = "given", .role = SA_ROLE_ADMIN, .text = mine};
    assert_int_equal(sa_store_key_create_sync(f->store, &params, &info, text, NULL), 0);
    assert_string_equal(text, mine);
    assert_non_null(check(f, mine));
    assert_int_equal(sa_store_key_create_sync(f->store, &params, &again, text, NULL), 0);
    assert_string_equal(again.id, info.id);
    params.text = twin;
    assert_int_equal(sa_store_key_create_sync(f->store, &params, &again, text, &err), -1);
    assert_int_equal(err.code, SA_ECONFLICT);
    params.text = "guessme";
    assert_int_equal(sa_store_key_create_sync(f->store, &params, &again, text, &err), -1);
    assert_int_equal(err.code, SA_EINVALID);
    assert_string_equal(err.path, "text");
    /* Two of the same prefix on their way at once: the database decides. */
    params.text = "e2b_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_int_equal(sa_store_key_create(f->store, &params, on_created, &first, NULL), 0);
    assert_int_equal(sa_store_key_create(f->store, &params, on_created, &second, NULL), 0);
    fixture_run(f);
    assert_int_equal(first.failures, 0);
    assert_int_equal(second.failures, 1);
    assert_int_equal(second.err.code, SA_ECONFLICT);
    assert_int_equal(sa_store_key_count(f->store), 2);
    assert_non_null(check(f, params.text));
}

static void bad_parameters(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {NULL,
                                        "",
                                        "a\nb",
                                        "\x7f",
                                        "\xff",
                                        "\xc2\x85",
                                        "12345678901234567890123456789012"
                                        "123456789012345678901234567890123"};
    struct sa_error err;
    enum sa_role role = SA_ROLE_COUNT;
    for (size_t i = 0; i < SA_COUNT(names); i++) {
        struct sa_key_params params = {.name = names[i], .role = SA_ROLE_ADMIN};
        assert_int_equal(sa_store_key_create(f->store, &params, on_created, NULL, &err), -1);
        assert_int_equal(err.code, SA_EINVALID);
        assert_string_equal(err.path, "name");
    }
    struct sa_key_params params = {.name = "n", .role = SA_ROLE_ADMIN, .expires_ms = test_clock_ms};
    assert_int_equal(sa_store_key_create(f->store, &params, on_created, NULL, &err), -1);
    assert_string_equal(err.path, "expires");
    params = (struct sa_key_params){.name = "n", .role = SA_ROLE_COUNT};
    assert_int_equal(sa_store_key_create(f->store, &params, on_created, NULL, &err), -1);
    assert_string_equal(err.path, "role");
    assert_int_equal(sa_role_parse("root", &role, &err), -1);
    for (int i = 0; i < SA_ROLE_COUNT; i++) {
        assert_int_equal(sa_role_parse(sa_role_name((enum sa_role)i), &role, NULL), 0);
        assert_int_equal(role, i);
    }
    fixture_run(f);
    assert_int_equal(sa_store_key_count(f->store), 0);
}

static void use_is_noted_once_a_minute(void **state)
{
    struct fixture *f = *state;
    struct sa_key_info info;
    struct sa_store_stats stats;
    char text[SA_KEY_TEXT_BYTES];
    make(f, (struct sa_key_params){.role = SA_ROLE_DEVELOPER}, &info, text);
    assert_int_equal(info.last_used_ms, 0);
    int64_t first = test_clock_ms;
    for (int i = 0; i < 1000; i++) {
        assert_non_null(check(f, text));
        test_clock_ms += 59; /* just below a minute in all */
    }
    assert_int_equal(sa_store_key_get(f->store, info.id)->last_used_ms, first);
    test_clock_ms = first + 60000;
    assert_non_null(check(f, text));
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(sa_store_key_get(f->store, info.id)->last_used_ms, first + 60000);
    sa_store_stats(f->store, &stats);
    assert_int_equal(stats.writes, 0);
    assert_non_null(check(f, text)); /* not again after a restart */
    fixture_close(f);
    fixture_open(f);
}

static void lists(void **state)
{
    struct fixture *f = *state;
    struct sa_key_info made[10], got[10];
    struct sa_error err;
    char text[SA_KEY_TEXT_BYTES];
    for (int i = 0; i < 10; i++)
        make(f, (struct sa_key_params){.role = SA_ROLE_VIEWER}, &made[i], text);
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(sa_store_key_list(f->store, NULL, 4, got, NULL), 4);
        for (int i = 0; i < 4; i++)
            assert_string_equal(got[i].id, made[i].id);
        assert_int_equal(sa_store_key_list(f->store, made[7].id, 10, got, NULL), 2);
        assert_string_equal(got[0].id, made[8].id);
        assert_int_equal(sa_store_key_list(f->store, made[9].id, 10, got, NULL), 0);
        assert_int_equal(sa_store_key_list(f->store, "key-no", 10, got, &err), -1);
        assert_string_equal(err.path, "cursor");
        fixture_close(f); /* the same order after loading */
        fixture_open(f);
    }
}

static void damaged_keys_are_refused(void **state)
{
    struct fixture *f = *state;
    struct sa_key_info info;
    struct sa_error err;
    char text[SA_KEY_TEXT_BYTES];
    make(f, (struct sa_key_params){.role = SA_ROLE_VIEWER}, &info, text);
    fixture_close(f);
    sql(f->dir, "UPDATE keys SET role='root'");
    assert_null(sa_store_open(f->dir, &f->loop, NULL, &err));
    assert_int_equal(err.code, SA_EINVALID);
    assert_non_null(strstr(err.message, info.id));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(formats),
        CASE(wrong_keys),
        CASE(secrets_are_not_stored),
        CASE(expiry),
        CASE(revocation),
        CASE(create_while_running),
        CASE(given_keys),
        CASE(bad_parameters),
        CASE(use_is_noted_once_a_minute),
        CASE(lists),
        CASE(damaged_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
