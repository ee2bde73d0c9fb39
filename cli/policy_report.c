/* Results of tests as text, TAP (testanything.org, version 14) and JUnit's XML. */
#include "policy_report.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

struct test { /* one of the results; texts are to be freed */
    char *file, *name, *message;
    const char *origin; /* of the test file */
    bool ok;
};

static void read_test(const struct sa_policy_results *results, const struct sa_value *one,
                      struct test *test)
{
    struct sa_value file = sa_value_get(one, "file");
    *test = (struct test){.file = sa_policy_text(one, "file"),
                          .name = sa_policy_text(one, "name"),
                          .message = sa_policy_text(one, "message"),
                          .ok = sa_value_get(one, "ok").type == SA_VALUE_TRUE};
    test->origin = sa_policy_origin(results->bundle, &file);
}

static void free_test(struct test *test)
{
    free(test->file);
    free(test->name);
    free(test->message);
}

typedef void test_visit(void *user, const struct test *test);

static void each_test(const struct sa_policy_results *results, test_visit *visit, void *user)
{
    struct sa_value tests = sa_value_get(&results->tested, "tests"), one;
    if (tests.type != SA_VALUE_LIST)
        return;
    struct sa_value_reader reader = sa_value_enter(&tests);
    while (sa_value_next(&reader, &one)) {
        struct test test;
        read_test(results, &one, &test);
        visit(user, &test);
        free_test(&test);
    }
}

struct count {
    const char *file; /* only of this one; NULL: of all */
    size_t passed, failed;
};

static void count_one(void *user, const struct test *test)
{
    struct count *count = user;
    if (count->file && strcmp(count->file, test->file) != 0)
        return;
    count->passed += test->ok;
    count->failed += !test->ok;
}

static struct count count_tests(const struct sa_policy_results *results, const char *file)
{
    struct count count = {.file = file};
    each_test(results, count_one, &count);
    return count;
}

size_t sa_policy_failures(const struct sa_policy_results *results)
{
    return count_tests(results, NULL).failed;
}

/* "x_test.lua" */
static bool is_test(const char *name)
{
    static const char end[] = "_test.lua";
    size_t length = strlen(name);
    return length >= sizeof end - 1 && strcmp(name + length - (sizeof end - 1), end) == 0;
}

/* Is this the file of rules that the report is about? */
static bool is_subject(const struct sa_policy_results *results, const struct sa_bundle_file *file)
{
    return !is_test(file->name) && strcmp(file->name, "params.lua") != 0 &&
           (results->dir_count == 0 || sa_policy_is_own(file, results->dirs, results->dir_count));
}

static char *test_file_of(const char *rule)
{
    return sa_printf("%.*s_test.lua", (int)(strlen(rule) - 4), rule);
}

/* ---- coverage ---- */

/* "12-14, 20"; "" when every line is reached. */
static void print_missed(const struct sa_value *coverage, struct sa_buf *out)
{
    struct sa_value missed = sa_value_get(coverage, "missed"), one;
    if (missed.type != SA_VALUE_LIST)
        return;
    struct sa_value_reader reader = sa_value_enter(&missed);
    int64_t first = 0, last = -1;
    bool more = true;
    while (more) {
        more = sa_value_next(&reader, &one);
        if (more && one.integer == last + 1) {
            last++;
            continue;
        }
        if (last > 0)
            sa_buf_printf(out, last > first ? "%s%lld-%lld" : "%s%lld", out->length ? ", " : "",
                          (long long)first, (long long)last);
        first = last = more ? one.integer : 0;
    }
}

static void describe_coverage(const struct sa_policy_results *results, const char *file,
                              struct sa_buf *out)
{
    struct sa_value all = sa_value_get(&results->tested, "coverage");
    struct sa_value one = sa_value_get(&all, file);
    int64_t lines = sa_value_get(&one, "lines").integer, hit = sa_value_get(&one, "hit").integer;
    sa_autobuf missed = SA_BUF_INIT;
    if (one.type != SA_VALUE_MAP || lines <= 0)
        return;
    print_missed(&one, &missed);
    sa_buf_printf(out, "%lld%% of %lld lines", (long long)(hit * 100 / lines), (long long)lines);
    if (missed.length)
        sa_buf_printf(out, ", not reached: %s", missed.data);
}

/* ---- text ---- */

static void print_failure(void *user, const struct test *test)
{
    (void)user;
    if (test->ok)
        return;
    printf("FAILED  %s", test->origin ? test->origin : test->file);
    printf(": %s\n        %s\n", test->name, test->message);
}

void sa_policy_report_text(const struct sa_policy_results *results)
{
    struct count all = count_tests(results, NULL);
    size_t own = 0;
    for (size_t i = 0; i < sa_bundle_count(results->bundle); i++) {
        const struct sa_bundle_file *file = sa_bundle_file(results->bundle, i);
        sa_autobuf coverage = SA_BUF_INIT;
        if (!is_subject(results, file))
            continue;
        sa_autofree char *tests = test_file_of(file->name);
        struct count count = count_tests(results, tests);
        size_t total = count.passed + count.failed;
        own += total;
        describe_coverage(results, file->name, &coverage);
        printf("%s  %s: %zu test%s%s%s\n",
               count.failed ? "FAILED"
               : total      ? "ok    "
                            : "-     ",
               file->origin, total, total == 1 ? "" : "s", coverage.length ? "; " : "",
               coverage.length ? coverage.data : "");
    }
    if (all.failed)
        putchar('\n');
    each_test(results, print_failure, NULL);
    printf("\n%zu passed, %zu failed", all.passed, all.failed);
    if (results->dir_count)
        printf(" (%zu of them of the shipped rules)", all.passed + all.failed - own);
    putchar('\n');
}

/* ---- TAP ---- */

/* A name on a TAP line: `#` begins a directive. */
static void print_tap_name(const char *text)
{
    for (; *text; text++)
        printf(*text == '#' || *text == '\\' ? "\\%c" : "%c", *text);
}

/* In double quotes of YAML, which are those of JSON. */
static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    putchar('"');
}

static void print_tap(void *user, const struct test *test)
{
    size_t *number = user;
    printf("%sok %zu - ", test->ok ? "" : "not ", ++*number);
    print_tap_name(test->file);
    fputs(": ", stdout);
    print_tap_name(test->name);
    putchar('\n');
    if (test->ok)
        return;
    fputs("  ---\n  message: ", stdout);
    print_quoted(test->message);
    fputs("\n  file: ", stdout);
    print_quoted(test->origin ? test->origin : test->file);
    fputs("\n  ...\n", stdout);
}

void sa_policy_report_tap(const struct sa_policy_results *results)
{
    struct count all = count_tests(results, NULL);
    size_t number = 0;
    if (results->tested.type != SA_VALUE_MAP) {
        puts("TAP version 14\nBail out! The rules cannot be loaded");
        return;
    }
    printf("TAP version 14\n1..%zu\n", all.passed + all.failed);
    each_test(results, print_tap, &number);
    for (size_t i = 0; i < sa_bundle_count(results->bundle); i++) {
        const struct sa_bundle_file *file = sa_bundle_file(results->bundle, i);
        sa_autobuf coverage = SA_BUF_INIT;
        if (!is_subject(results, file))
            continue;
        describe_coverage(results, file->name, &coverage);
        if (coverage.length)
            printf("# %s: %s\n", file->name, coverage.data);
    }
}

/* ---- JUnit ---- */

static void print_xml(const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", stdout);
            break;
        case '<':
            fputs("&lt;", stdout);
            break;
        case '>':
            fputs("&gt;", stdout);
            break;
        case '"':
            fputs("&quot;", stdout);
            break;
        default:
            putchar(*text);
        }
}

static void print_case(void *user, const struct test *test)
{
    const char *file = user;
    if (strcmp(file, test->file) != 0)
        return;
    fputs("    <testcase classname=\"", stdout);
    print_xml(test->file);
    fputs("\" name=\"", stdout);
    print_xml(test->name);
    if (test->ok) {
        fputs("\"/>\n", stdout);
        return;
    }
    fputs("\">\n      <failure message=\"", stdout);
    print_xml(test->message);
    fputs("\">", stdout);
    print_xml(test->origin ? test->origin : test->file);
    fputs("</failure>\n    </testcase>\n", stdout);
}

void sa_policy_report_junit(const struct sa_policy_results *results)
{
    struct count all = count_tests(results, NULL);
    if (results->tested.type != SA_VALUE_MAP) {
        puts("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
             "<testsuites tests=\"1\" failures=\"0\" errors=\"1\">\n"
             "  <testsuite name=\"rules\" tests=\"1\" failures=\"0\" errors=\"1\">\n"
             "    <testcase classname=\"rules\" name=\"they can be loaded\">\n"
             "      <error message=\"the rules cannot be loaded\"/>\n"
             "    </testcase>\n  </testsuite>\n</testsuites>");
        return;
    }
    printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
           "<testsuites tests=\"%zu\" failures=\"%zu\">\n",
           all.passed + all.failed, all.failed);
    for (size_t i = 0; i < sa_bundle_count(results->bundle); i++) {
        const struct sa_bundle_file *file = sa_bundle_file(results->bundle, i);
        sa_autofree char *name = sa_strdup(file->name);
        struct count count = count_tests(results, name);
        if (count.passed + count.failed == 0)
            continue;
        fputs("  <testsuite name=\"", stdout);
        print_xml(name);
        printf("\" tests=\"%zu\" failures=\"%zu\">\n", count.passed + count.failed, count.failed);
        each_test(results, print_case, name);
        fputs("  </testsuite>\n", stdout);
    }
    puts("</testsuites>");
}
