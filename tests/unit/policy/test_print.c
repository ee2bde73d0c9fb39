/* core/policy/print_*.c: what is generated is what the tree has. With --write it is written there
 * instead: `build/tests/test_policy_print --write`. */
#include "policy/tables.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *path;
    void (*print)(struct sa_buf *out);
} generated[] = {{SA_SOURCE_DIR "/lua/library/secureagent.lua", sa_policy_print_luals},
                 {SA_SOURCE_DIR "/docs/policy-reference.md", sa_policy_print_markdown}};
enum { GENERATED = sizeof generated / sizeof *generated };

static void read_file(const char *path, struct sa_buf *out)
{
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("%s is missing", path);
    for (size_t n = 1; n > 0; out->length += n)
        n = fread(sa_buf_reserve(out, 65536), 1, 65536, file);
    fclose(file);
    sa_buf_addc(out, '\0');
}

static void the_tree_is_current(void **state)
{
    (void)state;
    for (size_t i = 0; i < GENERATED; i++) {
        sa_autobuf now = SA_BUF_INIT, then = SA_BUF_INIT;
        generated[i].print(&now);
        read_file(generated[i].path, &then);
        if (strcmp(now.data, then.data) != 0)
            fail_msg("%s is old: run build/tests/test_policy_print --write", generated[i].path);
    }
}

static void json_is_whole(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_arena *arena = sa_arena_new();
    struct sa_error err = {0};
    struct sa_json_obj root, point;
    struct sa_json_arr points = {0};
    const char *name = "";
    sa_policy_print_json(&out);
    struct sa_json_doc *doc = sa_json_parse(out.data, out.length, NULL, &err);
    if (!doc || sa_json_root(doc, arena, &root, &err) < 0 ||
        sa_json_get_arr(&root, "points", 64, &points, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(points.count, SA_POINT_COUNT);
    for (size_t i = 0; i < points.count; i++) {
        assert_int_equal(sa_json_arr_obj(&points, i, &point, &err), 0);
        assert_int_equal(sa_json_get_string(&point, "name", 64, &name, &err), 0);
        assert_string_equal(name, sa_policy_points[i].name);
    }
    sa_json_free(doc);
    sa_arena_free(arena);
}

/* A class is named after the member it is the type of: two tables must not share a name. */
static void classes_have_names_of_their_own(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    sa_policy_print_luals(&out);
    for (char *at = strstr(out.data, "---@class "); at; at = strstr(at + 1, "---@class ")) {
        char line[128];
        snprintf(line, sizeof line, "%.*s\n", (int)strcspn(at, "\n"), at);
        char *again = strstr(at + 1, line);
        if (again)
            fail_msg("twice: %s", line);
    }
}

static int write_all(void)
{
    for (size_t i = 0; i < GENERATED; i++) {
        sa_autobuf out = SA_BUF_INIT;
        generated[i].print(&out);
        FILE *file = fopen(generated[i].path, "we");
        if (!file || fwrite(out.data, 1, out.length, file) != out.length || fclose(file) != 0)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_is_current),
        cmocka_unit_test(json_is_whole),
        cmocka_unit_test(classes_have_names_of_their_own),
    };
    if (argc == 2 && strcmp(argv[1], "--write") == 0)
        return write_all();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
