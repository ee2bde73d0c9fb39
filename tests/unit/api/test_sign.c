/* Signed URLs: what is signed and nothing else, until it expires or its key is revoked. */
#include "api/sign.h"

#include "base/clock.h"
#include "loop/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    uv_loop_t loop;
    char folder[64];
    struct sa_store *store;
    struct sa_signer *signer;
    struct sa_key_info key;
    int64_t now_s;
} t;

static const struct sa_grant grant = {"GET", "sb-aaaaaaaaaaaaaaaaaaaa", "files:/workspace/a"};

static int start(void **state)
{
    struct sa_error err = {0};
    char text[SA_KEY_TEXT_BYTES];
    struct sa_key_params params = {.name = "test", .role = SA_ROLE_DEVELOPER};
    (void)state;
    uv_loop_init(&t.loop);
    snprintf(t.folder, sizeof t.folder, "/tmp/sa-sign-XXXXXX");
    assert_non_null(mkdtemp(t.folder));
    t.store = sa_store_open(t.folder, &t.loop, NULL, &err);
    assert_non_null(t.store);
    assert_int_equal(sa_store_key_create_sync(t.store, &params, &t.key, text, &err), 0);
    t.signer = sa_signer_open(t.folder, &err);
    assert_non_null(t.signer);
    t.now_s = sa_wall_ms() / 1000;
    return 0;
}

static int stop(void **state)
{
    char command[128];
    (void)state;
    sa_signer_free(t.signer);
    sa_store_close(t.store, NULL, NULL);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t.loop), 0);
    snprintf(command, sizeof command, "rm -r %s", t.folder);
    return system(command);
}

static int check_at(const struct sa_grant *asked, const char *text, int64_t now_s,
                    struct sa_error *err)
{
    const struct sa_key_info *info = NULL;
    int rc = sa_sign_check(t.signer, t.store, asked, text, now_s, &info, err);
    assert_true(rc == 0 ? info && strcmp(info->id, t.key.id) == 0
                        : err->code == SA_EUNAUTHORIZED && !info);
    return rc;
}

static int check(const struct sa_grant *asked, const char *text)
{
    struct sa_error err;
    return check_at(asked, text, t.now_s, &err);
}

static void test_what_was_signed(void **state)
{
    char text[SA_SIGN_TEXT_BYTES];
    (void)state;
    sa_sign(t.signer, &grant, t.key.id, t.now_s + 60, text);
    assert_int_equal(check(&grant, text), 0);
    assert_int_equal(check(&(struct sa_grant){"HEAD", grant.sandbox, grant.resource}, text), 0);
    const struct sa_grant others[] = {{"PUT", grant.sandbox, grant.resource},
                                      {"*", grant.sandbox, grant.resource},
                                      {"GET", "sb-aaaaaaaaaaaaaaaaaaab", grant.resource},
                                      {"GET", grant.sandbox, "files:/workspace/b"},
                                      {"GET", grant.sandbox, "files:/workspace/a/"},
                                      {"GET", grant.sandbox, "ports:3000"},
                                      {"GET", "sb-aaaaaaaaaaaaaaaaaaaa1", "8:files:/workspace/a"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(check(&others[i], text), -1);
}

static void test_every_character_counts(void **state)
{
    char text[SA_SIGN_TEXT_BYTES], changed[SA_SIGN_TEXT_BYTES + 1] = "";
    (void)state;
    sa_sign(t.signer, &grant, t.key.id, t.now_s + 60, text);
    for (size_t i = 0; text[i]; i++) {
        memcpy(changed, text, sizeof text);
        changed[i] = changed[i] == '7' ? '6' : '7';
        assert_int_equal(check(&grant, changed), -1);
        changed[i] = '\0';
        assert_int_equal(check(&grant, changed), -1);
    }
    snprintf(changed, sizeof changed, "%sa", text);
    assert_int_equal(check(&grant, changed), -1);
}

static void test_expiry(void **state)
{
    char text[SA_SIGN_TEXT_BYTES];
    struct sa_error err = {0};
    (void)state;
    sa_sign(t.signer, &grant, t.key.id, t.now_s + 60, text);
    assert_int_equal(check_at(&grant, text, t.now_s + 59, &err), 0);
    assert_int_equal(check_at(&grant, text, t.now_s + 60, &err), -1);
    assert_non_null(strstr(err.message, "expired at 2"));
}

static void test_malformed(void **state)
{
    static const char *const texts[] = {"",
                                        "1",
                                        "1.",
                                        "1..",
                                        "1.1.key.x",
                                        "2.99999999999.key-aaaaaaaaaaaaaaaaaaaa.00",
                                        "1.9999999999999999999999.key-aaaaaaaaaaaaaaaaaaaa.00",
                                        "1.-5.key-aaaaaaaaaaaaaaaaaaaa.00",
                                        "1.5.key-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.00"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(check(&grant, texts[i]), -1);
}

static void test_the_secret_stays(void **state)
{
    char text[SA_SIGN_TEXT_BYTES], path[96];
    struct sa_error err = {0};
    struct stat st;
    (void)state;
    sa_sign(t.signer, &grant, t.key.id, t.now_s + 60, text);
    sa_signer_free(t.signer);
    t.signer = sa_signer_open(t.folder, &err);
    assert_int_equal(check(&grant, text), 0);
    snprintf(path, sizeof path, "%s/signing.key", t.folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 32);
    assert_int_equal(chmod(path, 0640), 0);
    assert_null(sa_signer_open(t.folder, &err));
    assert_non_null(strstr(err.message, "read by others"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 31), 0);
    assert_null(sa_signer_open(t.folder, &err));
    assert_non_null(strstr(err.message, "damaged"));
    assert_int_equal(unlink(path), 0); /* another secret: what was signed so far ends */
    sa_signer_free(t.signer);
    t.signer = sa_signer_open(t.folder, &err);
    assert_non_null(t.signer);
    assert_int_equal(check(&grant, text), -1);
}

static void test_a_revoked_key(void **state)
{
    char text[SA_SIGN_TEXT_BYTES];
    struct sa_error err = {0};
    (void)state;
    sa_sign(t.signer, &grant, t.key.id, t.now_s + 60, text);
    assert_int_equal(check(&grant, text), 0);
    assert_int_equal(sa_store_key_revoke(t.store, t.key.id, NULL, NULL, &err), 0);
    assert_int_equal(check_at(&grant, text, t.now_s, &err), -1);
    assert_non_null(strstr(err.message, "revoked"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_signed),  cmocka_unit_test(test_every_character_counts),
        cmocka_unit_test(test_expiry),           cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_the_secret_stays), cmocka_unit_test(test_a_revoked_key)};
    return cmocka_run_group_tests(tests, start, stop);
}
