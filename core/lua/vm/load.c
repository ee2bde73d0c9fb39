/*
 * Files become rules. Each step on a file is a protected call of its own, so that one broken file
 * does not hide what is wrong with the others; all errors are collected.
 */
#include "rules.h"

#include "base/arena.h"
#include "convert.h"
#include "env.h"
#include "frozen.h"

#include <stdlib.h>
#include <string.h>

enum {
    FILES_MAX = 512,
    FILE_NAME_MAX = 58, /* longer ones would be cut in messages, and then not be found again */
    BYTES_MAX = 8 * 1024 * 1024,
    ERRORS_MAX = 100
};

/* ---- errors ---- */

static void add_error(struct sa_vm *vm, const char *file, int line, const char *message)
{
    if (vm->error_count++ >= ERRORS_MAX)
        return;
    sa_value_map(&vm->errors);
    sa_value_put_text(&vm->errors, "file", file);
    if (line > 0)
        sa_value_put_int(&vm->errors, "line", line);
    sa_value_put_text(&vm->errors, "message", message);
    sa_value_end(&vm->errors);
}

/* The first line that has the word; 0: none. */
static int line_with(const struct sa_vm_file *file, const char *word, size_t length)
{
    const char *at = length ? memmem(file->text, file->length, word, length) : NULL;
    int line = 1;
    if (!at)
        return 0;
    for (const char *c = file->text; c < at; c++)
        line += *c == '\n';
    return line;
}

/* report(message, word) of declare.lua; upvalue: the file. */
static int report(lua_State *L)
{
    const struct sa_vm_file *file = lua_touserdata(L, lua_upvalueindex(1));
    size_t length = 0;
    const char *word = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &length) : NULL;
    char message[400];
    snprintf(message, sizeof message, "%s", luaL_checkstring(L, 1));
    add_error(sa_vm_of(L), file->name, word ? line_with(file, word, length) : 0, message);
    return 0;
}

static void found(void *user, int line, const char *message)
{
    const struct sa_vm_file *file = ((void **)user)[1];
    add_error(((void **)user)[0], file->name, line, message);
}

/* Run a step on a file; false: there are new errors. */
static bool step(struct sa_vm *vm, lua_CFunction fn, struct sa_vm_file *file)
{
    size_t before = vm->error_count;
    if (sa_vm_protect(vm, fn, file, vm->limits.test_cpu_ms) < 0) {
        const struct sa_vm_failure *failure = &vm->failure;
        add_error(vm, *failure->file ? failure->file : file->name, failure->line, failure->message);
    }
    return vm->error_count == before;
}

/* ---- files ---- */

static bool name_is_good(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (strlen(name) > FILE_NAME_MAX || !dot || strcmp(dot, ".lua") != 0)
        return false;
    if (strcmp(name, "params.lua") == 0)
        return true;
    if (strncmp(name, "policies/", 9) != 0 && strncmp(name, "scaling/", 8) != 0)
        return false;
    const char *base = strchr(name, '/') + 1;
    return *base != '.' && strspn(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789._-") == strlen(base);
}

static struct sa_vm_file *file_of(struct sa_vm *vm, const char *name)
{
    for (size_t i = 0; i < vm->file_count; i++)
        if (strcmp(vm->files[i].name, name) == 0)
            return &vm->files[i];
    return NULL;
}

/* In the order of names. (glibc's qsort asks the kernel how much memory there is.) */
static struct sa_vm_file *insert(struct sa_vm *vm, const char *name)
{
    size_t at = vm->file_count;
    while (at && strcmp(vm->files[at - 1].name, name) > 0)
        at--;
    memmove(&vm->files[at + 1], &vm->files[at], (vm->file_count - at) * sizeof *vm->files);
    vm->file_count++;
    vm->files[at] = (struct sa_vm_file){.name = name};
    return &vm->files[at];
}

int sa_load_file(struct sa_vm *vm, const struct sa_value *map, struct sa_error *err)
{
    struct sa_value name = sa_value_get(map, "name"), text = sa_value_get(map, "text");
    if (name.type != SA_VALUE_STRING || text.type != SA_VALUE_STRING || vm->compiled)
        return sa_error_set(err, SA_EPROTOCOL, "a FILE without name and text, or after COMPILE");
    if (!vm->files)
        vm->files = sa_arena_alloc(vm->arena, FILES_MAX * sizeof *vm->files);
    if (vm->file_count == FILES_MAX || vm->file_bytes + text.length > BYTES_MAX)
        return sa_error_set(err, SA_ETOOLARGE, "more than %d files or %d bytes", FILES_MAX,
                            BYTES_MAX);
    char *copy = sa_arena_strndup(vm->arena, name.data, name.length);
    if (strlen(copy) != name.length || !name_is_good(copy)) {
        add_error(vm, copy, 0, "its name is not of letters, digits, '.', '_' and '-', or too long");
        return 0;
    }
    if (file_of(vm, copy)) {
        add_error(vm, copy, 0, "it is there twice");
        return 0;
    }
    struct sa_vm_file *file = insert(vm, copy);
    file->text = sa_strndup(text.data, text.length);
    file->length = text.length;
    vm->file_bytes += text.length;
    return 0;
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static bool is_test(const struct sa_vm_file *file)
{
    return has_suffix(file->name, "_test.lua");
}

static bool is_params(const struct sa_vm_file *file)
{
    return strcmp(file->name, "params.lua") == 0;
}

/* ---- steps ---- */

static void mark_lines(struct sa_vm *vm, struct sa_vm_file *file)
{
    file->line_count = 2;
    for (size_t i = 0; i < file->length; i++)
        file->line_count += file->text[i] == '\n';
    file->lines = sa_arena_alloc(vm->arena, file->line_count);
}

/* Text to a function, looked at before it may run. */
static int compile(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    struct sa_vm_file *file = vm->argument;
    char chunk[FILE_NAME_MAX + 2];
    size_t before = vm->error_count;
    snprintf(chunk, sizeof chunk, "@%s", file->name);
    if (luaL_loadbufferx(L, file->text, file->length, chunk, "t"))
        lua_error(L);
    if (!is_test(file) && !is_params(file))
        mark_lines(vm, file);
    void *user[] = {vm, file};
    struct sa_bytecode_finder finder = {.may_keep = is_test(file),
                                        .lines = file->lines,
                                        .line_count = file->line_count,
                                        .found = found,
                                        .user = user};
    sa_bytecode_look(L, &finder);
    if (vm->error_count > before)
        return 0;
    sa_env_push(L);
    lua_setfenv(L, -2);
    file->chunk = sa_vm_ref(L);
    return 0;
}

static void push_declare(lua_State *L, const char *function)
{
    sa_vm_push(L, sa_vm_of(L)->declare);
    lua_getfield(L, -1, function);
    lua_remove(L, -2);
}

static void push_report(lua_State *L, struct sa_vm_file *file)
{
    lua_pushlightuserdata(L, file);
    lua_pushcclosure(L, report, 1);
}

static void push_point_names(lua_State *L)
{
    const struct sa_vm *vm = sa_vm_of(L);
    lua_createtable(L, (int)vm->point_count, 0);
    for (size_t i = 0; i < vm->point_count; i++) {
        lua_pushstring(L, vm->points[i].name);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static const char *text_member(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const char *text =
        lua_isstring(L, -1) ? sa_arena_strdup(sa_vm_of(L)->arena, lua_tostring(L, -1)) : NULL;
    lua_pop(L, 1);
    return text;
}

static void refuse_twin(struct sa_vm *vm, const struct sa_vm_rule *rule)
{
    for (size_t i = 0; i < vm->rule_count; i++) {
        if (strcmp(vm->rules[i].name, rule->name) != 0)
            continue;
        char message[200];
        snprintf(message, sizeof message, "name: \"%s\" is the name of the rule in %s, too",
                 rule->name, vm->rules[i].file->name);
        add_error(vm, rule->file->name, line_with(rule->file, rule->name, strlen(rule->name)),
                  message);
    }
}

/* The rule's table, which has been checked, is at 1. */
static void add_rule(lua_State *L, struct sa_vm_file *file)
{
    struct sa_vm *vm = sa_vm_of(L);
    struct sa_vm_rule *rule = &vm->rules[vm->rule_count];
    *rule = (struct sa_vm_rule){.file = file, .name = text_member(L, "name")};
    rule->description = text_member(L, "description");
    lua_getfield(L, 1, "version");
    rule->version = lua_tonumber(L, -1);
    lua_getfield(L, 1, "point");
    rule->point = sa_points_find(vm, lua_tostring(L, -1));
    lua_settop(L, 1);

    lua_getfield(L, 1, "params");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
    push_declare(L, "defaults");
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    sa_frozen_make(L);
    rule->defaults = rule->params = sa_vm_ref(L);
    sa_frozen_make(L);
    rule->declared = sa_vm_ref(L);
    lua_getfield(L, 1, "decide");
    sa_frozen_make(L); /* and with it all that it can reach */
    rule->decide = sa_vm_ref(L);
    refuse_twin(vm, rule);
    vm->rule_count++;
}

static int make_rule(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    struct sa_vm_file *file = vm->argument;
    size_t before = vm->error_count;
    sa_vm_push(L, file->chunk);
    lua_call(L, 0, 1);
    push_declare(L, "rule");
    lua_pushvalue(L, 1);
    push_point_names(L);
    push_report(L, file);
    lua_call(L, 3, 0);
    if (vm->error_count == before)
        add_rule(L, file);
    return 0;
}

static const struct sa_vm_file *rule_file_of(struct sa_vm *vm, const struct sa_vm_file *test)
{
    char name[FILE_NAME_MAX + 1];
    int stem = (int)(strlen(test->name) - strlen("_test.lua"));
    snprintf(name, sizeof name, "%.*s.lua", stem, test->name);
    return file_of(vm, name);
}

static struct sa_vm_rule *rule_of(struct sa_vm *vm, const struct sa_vm_file *test)
{
    const struct sa_vm_file *file = rule_file_of(vm, test);
    for (size_t i = 0; file && i < vm->rule_count; i++)
        if (vm->rules[i].file == file)
            return &vm->rules[i];
    return NULL;
}

static int make_tests(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    struct sa_vm_file *file = vm->argument;
    struct sa_vm_rule *rule = rule_of(vm, file);
    if (!rule) {
        if (!rule_file_of(vm, file)) /* one that is broken is told already */
            add_error(vm, file->name, 0, "there is no rule file of that name without _test");
        return 0;
    }
    sa_vm_push(L, file->chunk);
    lua_call(L, 0, 1);
    if (lua_isfunction(L, 1))
        lua_call(L, 0, 1);
    push_declare(L, "tests");
    lua_pushvalue(L, 1);
    sa_vm_push(L, rule->declared);
    push_report(L, file);
    lua_call(L, 3, 0);
    if (!lua_istable(L, 1))
        return 0; /* reported */
    file->test_count = lua_objlen(L, 1);
    file->tests = sa_vm_ref(L);
    rule->tests = file;
    return 0;
}

static int make_params(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    struct sa_vm_file *file = vm->argument;
    push_declare(L, "settings");
    sa_vm_push(L, file->chunk);
    lua_call(L, 0, 1);
    lua_newtable(L);
    for (size_t i = 0; i < vm->rule_count; i++) {
        sa_vm_push(L, vm->rules[i].declared);
        lua_setfield(L, -2, vm->rules[i].name);
    }
    push_report(L, file);
    lua_call(L, 3, 1);
    sa_params_set(L);
    return 0;
}

/* ---- all of it ---- */

static void run_steps(struct sa_vm *vm)
{
    struct sa_vm_file *file, *end = vm->file_count ? vm->files + vm->file_count : NULL;
    for (file = vm->files; file < end; file++)
        step(vm, compile, file);
    for (file = vm->files; file < end; file++)
        if (file->chunk && !is_test(file) && !is_params(file))
            step(vm, make_rule, file);
    for (file = vm->files; file < end; file++)
        if (file->chunk && is_test(file))
            step(vm, make_tests, file);
    for (file = vm->files; file < end; file++)
        if (file->chunk && is_params(file))
            step(vm, make_params, file);
}

static void order_rules(struct sa_vm *vm)
{
    for (size_t i = 0; i < vm->point_count; i++)
        vm->points[i].rules =
            sa_arena_alloc(vm->arena, (vm->rule_count + 1) * sizeof(struct sa_vm_rule *));
    for (size_t i = 0; i < vm->rule_count; i++) { /* they are in the order of their files */
        struct sa_vm_point *point = vm->rules[i].point;
        vm->rules[i].order = point->rule_count;
        point->rules[point->rule_count++] = &vm->rules[i];
    }
}

/* Texts and the files' own functions are not needed any more. */
static void forget_files(struct sa_vm *vm)
{
    for (size_t i = 0; i < vm->file_count; i++) {
        struct sa_vm_file *file = &vm->files[i];
        free((char *)file->text);
        file->text = NULL;
        luaL_unref(vm->L, LUA_REGISTRYINDEX, file->chunk);
        file->chunk = 0;
    }
    lua_gc(vm->L, LUA_GCCOLLECT, 0);
    lua_gc(vm->L, LUA_GCCOLLECT, 0);
}

static int print_rules(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    struct sa_buf *out = vm->argument;
    sa_value_key(out, "rules");
    sa_value_list(out);
    for (size_t i = 0; i < vm->rule_count; i++) {
        const struct sa_vm_rule *rule = &vm->rules[i];
        sa_value_map(out);
        sa_value_put_text(out, "name", rule->name);
        sa_value_put_int(out, "version", (int64_t)rule->version);
        sa_value_put_text(out, "point", rule->point->name);
        sa_value_put_text(out, "file", rule->file->name);
        sa_value_put_text(out, "description", rule->description);
        sa_value_put_int(out, "order", (int64_t)rule->order);
        sa_value_key(out, "params");
        sa_vm_push(L, rule->declared);
        sa_convert_add(L, -1, out, "params");
        lua_pop(L, 1);
        sa_value_put_int(out, "tests", rule->tests ? (int64_t)rule->tests->test_count : 0);
        sa_value_end(out);
    }
    sa_value_end(out);
    return 0;
}

void sa_load_compile(struct sa_vm *vm, struct sa_buf *out)
{
    size_t start = out->length;
    vm->rules = sa_arena_alloc(vm->arena, (vm->file_count + 1) * sizeof *vm->rules);
    run_steps(vm);
    order_rules(vm);
    forget_files(vm);
    sa_value_map(out);
    size_t inside = out->length;
    if (sa_vm_protect(vm, print_rules, out, vm->limits.test_cpu_ms) < 0) {
        out->length = inside;
        add_error(vm, "params.lua", 0, "the declarations of all rules are too large");
    }
    if (out->length - start + vm->errors.length + 64 > SA_VALUE_MAX)
        out->length = inside; /* errors matter more */
    sa_value_key(out, "errors");
    sa_value_list(out);
    if (vm->errors.length)
        sa_buf_add(out, vm->errors.data, vm->errors.length);
    sa_value_end(out);
    sa_value_end(out);
    vm->compiled = vm->error_count == 0;
}
