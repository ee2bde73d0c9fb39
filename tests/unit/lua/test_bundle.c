/* Bundles of rules: reading folders one over the other, digests, and the kept file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "lua/bundle.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct folder a, b;

static int setup(void **state)
{
    (void)state;
    folder_make(&a);
    folder_make(&b);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(&a);
    folder_remove(&b);
    return 0;
}

static struct sa_bundle *read_both(struct sa_error *err)
{
    return sa_bundle_read((const char *const[]){a.path, b.path}, 2, err);
}

static void test_overlay(void **state)
{
    (void)state;
    struct sa_error err;
    folder_write(&a, "policies/b.lua", "shipped b");
    folder_write(&a, "policies/a.lua", "shipped a");
    folder_write(&a, "scaling/s.lua", "");
    folder_write(&b, "policies/b.lua", "own b");
    folder_write(&b, "params.lua", "return {}");
    folder_write(&b, "policies/.hidden.lua", "no");
    folder_write(&b, "policies/notes.txt", "no");
    folder_write(&b, "policies/deeper/x.lua", "no");
    folder_write(&b, "policies/folder.lua/x", "no");
    struct sa_bundle *bundle = read_both(&err);
    assert_non_null(bundle);
    assert_int_equal(sa_bundle_count(bundle), 4);
    static const char *const names[] = {"params.lua", "policies/a.lua", "policies/b.lua",
                                        "scaling/s.lua"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(sa_bundle_file(bundle, i)->name, names[i]);
    const struct sa_bundle_file *file = sa_bundle_file(bundle, 2);
    assert_string_equal(file->text, "own b");
    assert_int_equal(file->length, 5);
    assert_non_null(strstr(file->origin, b.path));
    assert_int_equal(sa_bundle_file(bundle, 3)->length, 0);
    sa_bundle_unref(bundle);
}

static void test_digest(void **state)
{
    (void)state;
    struct sa_error err;
    char first[65];
    folder_write(&a, "policies/a.lua", "one");
    folder_write(&b, "scaling/b.lua", "two");
    struct sa_bundle *bundle = read_both(&err);
    snprintf(first, sizeof first, "%s", sa_bundle_digest(bundle));
    assert_int_equal(strlen(first), 64);
    sa_bundle_unref(bundle);
    bundle = read_both(&err); /* the same files */
    assert_string_equal(sa_bundle_digest(bundle), first);
    sa_bundle_unref(bundle);
    folder_write(&b, "scaling/b.lua", "twO");
    bundle = read_both(&err);
    assert_string_not_equal(sa_bundle_digest(bundle), first);
    sa_bundle_unref(bundle);
}

/* What a text ends with does not pass for the beginning of the next name. */
static void test_digest_keeps_files_apart(void **state)
{
    (void)state;
    struct sa_error err;
    folder_write(&a, "policies/a.lua", "xpolicies/b.luay");
    struct sa_bundle *one = sa_bundle_read((const char *const[]){a.path}, 1, &err);
    folder_write(&b, "policies/a.lua", "x");
    folder_write(&b, "policies/b.lua", "y");
    struct sa_bundle *two = sa_bundle_read((const char *const[]){b.path}, 1, &err);
    assert_string_not_equal(sa_bundle_digest(one), sa_bundle_digest(two));
    sa_bundle_unref(one);
    sa_bundle_unref(two);
}

static void refused(enum sa_code code, const char *part)
{
    struct sa_error err = {.code = SA_OK};
    assert_null(read_both(&err));
    assert_int_equal(err.code, code);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void test_refusals(void **state)
{
    (void)state;
    folder_write(&a, "policies/a.lua", "");
    refused(SA_EINVALID, "holds no rules"); /* b */
    folder_write(&b, "policies/b c.lua", "");
    refused(SA_EINVALID, "policies/b c.lua");
    folder_delete(&b, "policies/b c.lua");
    static char big[97 * 1024];
    memset(big, '-', sizeof big - 1);
    folder_write(&b, "policies/big.lua", big);
    refused(SA_ETOOLARGE, "big.lua");
    folder_delete(&b, "policies/big.lua");
    char path[256];
    snprintf(path, sizeof path, "%s/policies/pipe.lua", b.path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(SA_EINVALID, "pipe.lua is not a file"); /* and does not wait for a writer */
    folder_delete(&b, "policies/pipe.lua");
    assert_int_equal(symlink("nowhere", path), 0);
    refused(SA_EINVALID, "pipe.lua");
    folder_remove(&b);
    refused(SA_EINVALID, b.path);
}

static void test_too_many(void **state)
{
    (void)state;
    char name[64];
    for (int i = 0; i <= SA_BUNDLE_FILES_MAX; i++) {
        snprintf(name, sizeof name, "policies/r%d.lua", i);
        folder_write(&a, name, "");
    }
    folder_write(&b, "policies/r0.lua", "");
    refused(SA_ETOOLARGE, "at most 512 files");
    snprintf(name, sizeof name, "policies/r%d.lua", SA_BUNDLE_FILES_MAX);
    folder_delete(&a, name);
    struct sa_error err;
    struct sa_bundle *bundle = read_both(&err);
    assert_int_equal(sa_bundle_count(bundle), SA_BUNDLE_FILES_MAX);
    sa_bundle_unref(bundle);
}

/* As Kubernetes mounts a ConfigMap: the files are links into "..data", itself a link. */
static void test_config_map(void **state)
{
    (void)state;
    struct sa_error err;
    folder_write(&a, "..2026_01/policies/x.lua", "old");
    folder_link(&a, "..2026_01", "..data");
    folder_link(&a, "..data/policies", "policies");
    struct sa_bundle *bundle = sa_bundle_read((const char *const[]){a.path}, 1, &err);
    assert_non_null(bundle);
    assert_int_equal(sa_bundle_count(bundle), 1);
    assert_string_equal(sa_bundle_file(bundle, 0)->text, "old");
    sa_bundle_unref(bundle);
}

static void test_save_and_load(void **state)
{
    (void)state;
    struct sa_error err;
    char path[256];
    folder_write(&a, "policies/a.lua", "return 1");
    folder_write(&a, "scaling/b.lua", "");
    folder_write(&b, "params.lua", "return {}");
    snprintf(path, sizeof path, "%s/kept", a.path);
    struct sa_bundle *bundle = read_both(&err);
    for (int i = 0; i < 2; i++) /* also over itself */
        assert_int_equal(sa_bundle_save(bundle, path, &err), 0);
    struct sa_bundle *loaded = sa_bundle_load(path, &err);
    assert_non_null(loaded);
    assert_int_equal(sa_bundle_count(loaded), 3);
    assert_string_equal(sa_bundle_digest(loaded), sa_bundle_digest(bundle));
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(sa_bundle_file(loaded, i)->name, sa_bundle_file(bundle, i)->name);
        assert_string_equal(sa_bundle_file(loaded, i)->origin, sa_bundle_file(bundle, i)->origin);
        assert_string_equal(sa_bundle_file(loaded, i)->text, sa_bundle_file(bundle, i)->text);
    }
    sa_bundle_unref(loaded);
    sa_bundle_unref(bundle);
    snprintf(path, sizeof path, "%s/none/kept", a.path);
    assert_null(sa_bundle_load(path, &err));
    assert_int_equal(err.code, SA_ENOTFOUND);
}

/* Each byte turned, and each length that it may be cut to: refused, but for an origin, which only
 * messages show. */
static void test_broken_kept_files(void **state)
{
    (void)state;
    struct sa_error err;
    sa_autobuf kept = SA_BUF_INIT;
    char path[256];
    folder_write(&a, "policies/a.lua", "return 1");
    folder_write(&a, "policies/b.lua", "return 2");
    snprintf(path, sizeof path, "%s/kept", a.path);
    struct sa_bundle *bundle = sa_bundle_read((const char *const[]){a.path}, 1, &err);
    assert_int_equal(sa_bundle_save(bundle, path, &err), 0);
    assert_int_equal(sa_read_file(AT_FDCWD, path, 1 << 20, &kept, &err), 0);
    for (size_t i = 0; i < 2 * kept.length; i++) {
        sa_autobuf bad = SA_BUF_INIT;
        sa_buf_add(&bad, kept.data, i < kept.length ? kept.length : i - kept.length);
        if (i < kept.length)
            bad.data[i] = (char)(bad.data[i] ^ 0x41);
        folder_write_bytes(&a, "kept", bad.data, bad.length);
        struct sa_bundle *loaded = sa_bundle_load(path, &err);
        if (!loaded)
            continue;
        assert_true(i < kept.length);
        assert_string_equal(sa_bundle_digest(loaded), sa_bundle_digest(bundle));
        sa_bundle_unref(loaded);
    }
    sa_buf_addc(&kept, 'x');
    folder_write_bytes(&a, "kept", kept.data, kept.length);
    assert_null(sa_bundle_load(path, &err));
    assert_int_equal(err.code, SA_EINVALID);
    sa_bundle_unref(bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_overlay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_digest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_digest_keeps_files_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config_map, setup, teardown),
        cmocka_unit_test_setup_teardown(test_save_and_load, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_kept_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
