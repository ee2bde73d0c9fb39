/*
 * TEST. A case is turned into a value and back, so that it is decided by what also decides real
 * calls. While it runs a hook counts the lines of the rule's functions.
 */
#include "cases.h"

#include "convert.h"
#include "frozen.h"
#include "rules.h"

#include <string.h>

enum { PART_BYTES = 32 * 1024, MISSED_MAX = 200, COVERAGE_BYTES = 100 * 1024 };

struct one {
    struct sa_vm_rule *rule;
    size_t number; /* from 1 */
    char name[201];
    const char *message; /* NULL: it passed */
    char difference[512];
};

/* ---- coverage ---- */

static void on_line(lua_State *L, lua_Debug *ar)
{
    struct sa_vm *vm = sa_vm_of(L);
    sa_vm_check_deadline(L);
    if (!vm->running || ar->event != LUA_HOOKLINE || !lua_getinfo(L, "S", ar))
        return;
    for (size_t i = 0; i < vm->file_count; i++) {
        struct sa_vm_file *file = &vm->files[i];
        if (file->lines && ar->currentline > 0 && (size_t)ar->currentline < file->line_count &&
            ar->source[0] == '@' && strcmp(ar->source + 1, file->name) == 0)
            file->lines[ar->currentline] |= SA_VM_LINE_HIT;
    }
}

static void add_coverage(const struct sa_vm_file *file, struct sa_buf *out)
{
    int64_t lines = 0, hit = 0, missed = 0;
    for (size_t i = 1; i < file->line_count; i++) {
        lines += (file->lines[i] & SA_VM_LINE_ACTIVE) != 0;
        hit += file->lines[i] == (SA_VM_LINE_ACTIVE | SA_VM_LINE_HIT);
    }
    sa_value_key(out, file->name);
    sa_value_map(out);
    sa_value_put_int(out, "lines", lines);
    sa_value_put_int(out, "hit", hit);
    sa_value_key(out, "missed");
    sa_value_list(out);
    for (size_t i = 1; i < file->line_count && missed < MISSED_MAX; i++)
        if (file->lines[i] == SA_VM_LINE_ACTIVE) {
            sa_value_int(out, (int64_t)i);
            missed++;
        }
    sa_value_end(out);
    sa_value_end(out);
}

/* ---- one case ---- */

static void push_case(lua_State *L, const struct one *one)
{
    sa_vm_push(L, one->rule->tests->tests);
    lua_rawgeti(L, -1, (int)one->number);
    lua_remove(L, -2);
}

static int read_name(lua_State *L)
{
    struct one *one = sa_vm_of(L)->argument;
    push_case(L, one);
    lua_getfield(L, -1, "name");
    snprintf(one->name, sizeof one->name, "%s", lua_tostring(L, -1));
    return 0;
}

/* The case's parameters over the declaration's defaults: what operators set is not looked at. */
static void push_params(lua_State *L, const struct sa_vm_rule *rule, int test)
{
    sa_vm_push(L, rule->defaults);
    lua_getfield(L, test, "params");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, "params");
    int given = lua_gettop(L);
    lua_pushvalue(L, given - 1);
    sa_params_over(L, rule, given);
    lua_replace(L, given - 1);
    lua_settop(L, given - 1);
}

static void push_input(lua_State *L, int test, struct sa_buf *bytes)
{
    bytes->length = 0;
    lua_getfield(L, test, "input");
    sa_convert_add(L, -1, bytes, "input");
    lua_pop(L, 1);
    if (*bytes->data != SA_VALUE_MAP)
        sa_vm_raise(L, SA_VM_TYPE, "input: expected a map");
    sa_convert_push_frozen(L, bytes->data);
}

static int decide_case(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    struct one *one = vm->argument;
    push_case(L, one);
    lua_getfield(L, 1, "with");
    bool all = lua_isstring(L, -1);
    lua_settop(L, 1);
    push_params(L, one->rule, 1);
    push_input(L, 1, &vm->in);
    struct sa_vm_question question = {
        .point = one->rule->point, .only = all ? NULL : one->rule, .params = 2};
    vm->out.length = 0;
    sa_decide(L, &question, &vm->out);
    return 0;
}

static int compare(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    struct one *one = vm->argument;
    push_case(L, one);
    sa_vm_push(L, vm->declare);
    lua_getfield(L, -1, "verdict_differs");
    lua_getfield(L, 1, "expect");
    if (lua_isnil(L, -1)) {
        lua_getfield(L, 1, "expect_error");
        snprintf(one->difference, sizeof one->difference, "expected the error \"%.200s\", got none",
                 lua_tostring(L, -1));
        one->message = one->difference;
        return 0;
    }
    sa_convert_push(L, vm->out.data);
    lua_pushstring(L, one->rule->name);
    lua_call(L, 3, 1);
    if (lua_isstring(L, -1)) {
        snprintf(one->difference, sizeof one->difference, "%s", lua_tostring(L, -1));
        one->message = one->difference;
    }
    return 0;
}

static int compare_error(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    struct one *one = vm->argument;
    push_case(L, one);
    lua_getfield(L, -1, "expect_error");
    if (!lua_isstring(L, -1) || !strstr(one->difference, lua_tostring(L, -1)))
        one->message = one->difference;
    return 0;
}

/* The line is of the rule more often than of the test, so that it is said with its file. */
static void put_failure(struct one *one, const struct sa_vm_failure *failure)
{
    if (*failure->file && failure->line > 0)
        snprintf(one->difference, sizeof one->difference, "%s:%d: %.400s", failure->file,
                 failure->line, failure->message);
    else
        snprintf(one->difference, sizeof one->difference, "%s", failure->message);
}

static void run_one(struct sa_vm *vm, struct one *one)
{
    int64_t cpu_ms = vm->limits.test_cpu_ms;
    sa_vm_protect(vm, read_name, one, cpu_ms);
    lua_sethook(vm->L, on_line, LUA_MASKLINE, 0);
    int status = sa_vm_protect(vm, decide_case, one, cpu_ms);
    lua_sethook(vm->L, NULL, 0, 0);
    if (status < 0) {
        put_failure(one, &vm->failure);
        status = sa_vm_protect(vm, compare_error, one, cpu_ms);
    } else {
        status = sa_vm_protect(vm, compare, one, cpu_ms);
    }
    if (status < 0) {
        snprintf(one->difference, sizeof one->difference, "%s", vm->failure.message);
        one->message = one->difference;
    }
}

/* ---- all of them ---- */

struct running {
    struct sa_vm *vm;
    struct sa_buf results; /* under way */
    void (*part)(void *user, const struct sa_buf *value);
    void *user;
    int64_t passed, failed;
};

static void begin_part(struct running *r)
{
    r->results.length = 0;
    sa_value_map(&r->results);
    sa_value_key(&r->results, "tests");
    sa_value_list(&r->results);
}

static void end_part(struct running *r)
{
    sa_value_end(&r->results);
    sa_value_end(&r->results);
    r->part(r->user, &r->results);
}

static void add_result(struct running *r, const struct one *one)
{
    sa_value_map(&r->results);
    sa_value_put_text(&r->results, "file", one->rule->tests->name);
    sa_value_put_text(&r->results, "name", one->name);
    sa_value_put_bool(&r->results, "ok", !one->message);
    sa_value_put_text(&r->results, "message", one->message);
    sa_value_end(&r->results);
    *(one->message ? &r->failed : &r->passed) += 1;
    if (r->results.length > PART_BYTES) {
        end_part(r);
        begin_part(r);
    }
}

static void summarize(const struct running *r, struct sa_buf *out)
{
    size_t start = out->length;
    sa_value_map(out);
    sa_value_put_int(out, "passed", r->passed);
    sa_value_put_int(out, "failed", r->failed);
    sa_value_key(out, "coverage");
    sa_value_map(out);
    for (size_t i = 0; i < r->vm->file_count; i++)
        if (r->vm->files[i].lines && out->length - start < COVERAGE_BYTES)
            add_coverage(&r->vm->files[i], out);
    sa_value_end(out);
    sa_value_end(out);
}

void sa_cases_run(struct sa_vm *vm, void (*part)(void *user, const struct sa_buf *value),
                  void *user, struct sa_buf *out)
{
    struct running r = {.vm = vm, .part = part, .user = user};
    begin_part(&r);
    for (size_t i = 0; i < vm->rule_count; i++) {
        struct sa_vm_rule *rule = &vm->rules[i];
        for (size_t n = 1; rule->tests && n <= rule->tests->test_count; n++) {
            struct one one = {.rule = rule, .number = n};
            run_one(vm, &one);
            add_result(&r, &one);
        }
    }
    end_part(&r);
    sa_buf_deinit(&r.results);
    summarize(&r, out);
}
