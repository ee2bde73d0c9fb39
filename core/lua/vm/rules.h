/* Decision points, files and rules, as the machine holds them once they are known. */
#ifndef SA_LUA_RULES_H
#define SA_LUA_RULES_H

#include "vm.h"

enum sa_vm_combine { SA_VM_FIRST_FINAL, SA_VM_NAMED, SA_VM_MAX_SCORE };
enum sa_vm_type {
    SA_VM_BOOLEAN,
    SA_VM_INTEGER,
    SA_VM_NUMBER,
    SA_VM_STRING,
    SA_VM_STRINGS,
    SA_VM_MAP,
    SA_VM_OBJECT,
    SA_VM_OBJECTS,
    SA_VM_ANY
};

struct sa_vm_texts {
    const char **text;
    size_t count;
};
struct sa_vm_fields {
    struct sa_vm_field *field;
    size_t count;
};
struct sa_vm_field {
    const char *name;
    enum sa_vm_type type;
    bool required, has_low, has_high;
    double low, high;
    struct sa_vm_texts values;  /* none: any */
    struct sa_vm_fields fields; /* of objects */
};

struct sa_vm_point {
    const char *name;
    struct sa_vm_texts verdicts, final; /* the first verdict is what no rule means */
    enum sa_vm_combine combine;
    const char *target; /* or NULL */
    bool any_change;    /* `changes` are not described: any member */
    struct sa_vm_fields changes, returns;
    struct sa_vm_rule **rules; /* in their order */
    size_t rule_count;
};

struct sa_vm_file {
    const char *name, *text; /* text: until compiled */
    size_t length;
    int chunk; /* reference: the function; 0: it does not compile */
    int tests; /* reference: the list, of a _test.lua */
    size_t test_count;
    uint8_t *lines; /* one byte a line: SA_VM_LINE_*; while testing */
    size_t line_count;
};
enum { SA_VM_LINE_ACTIVE = 1, SA_VM_LINE_HIT = 2 };

struct sa_vm_rule {
    const char *name, *description;
    double version;
    struct sa_vm_file *file, *tests; /* tests NULL: none */
    struct sa_vm_point *point;
    size_t order;
    int decide;   /* reference */
    int declared; /* reference: params as declared */
    int defaults; /* reference: frozen values, of the declarations alone */
    int params;   /* reference: and those of params.lua */
    int scoped;   /* reference: {of the overrides' numbers as text = frozen values} */
};

struct sa_vm_override {
    const char *tenant, *namespace_, *pool; /* NULL: any */
    int rules;                              /* reference: {rule = {parameter = value}} */
};

/* ---- points.c: what SETUP says ---- */
/* 0, or -1 with err. */
int sa_points_read(struct sa_vm *vm, const struct sa_value *points, struct sa_error *err);
struct sa_vm_point *sa_points_find(struct sa_vm *vm, const char *name);

/* ---- load.c: files become rules ---- */
/* Keep a file until COMPILE. -1: too many, too large, or its name will not do. */
int sa_load_file(struct sa_vm *vm, const struct sa_value *file, struct sa_error *err);
/* Compile and check everything; appends COMPILE's answer. Errors of the files are in it. */
void sa_load_compile(struct sa_vm *vm, struct sa_buf *out);

/* ---- params.c: parameters in force ---- */
/* What declare.lua made of params.lua is on top, and popped. */
void sa_params_set(lua_State *L);
/* Push the frozen params of the rule for the input, whose frozen data is at `input`. */
void sa_params_push(lua_State *L, const struct sa_vm_rule *rule, int input);
/* The params on top with the input's own `params` over them. */
void sa_params_over(lua_State *L, const struct sa_vm_rule *rule, int input);

/* ---- decide.c ---- */
struct sa_vm_question {
    struct sa_vm_point *point;
    const struct sa_vm_rule *only; /* a test of one rule: as if it were the only one */
    int params;                    /* stack index of its parameters, with `only` */
    bool trace;
};
/* With the input's frozen map at the top of the stack: run the rules, append the verdict. */
void sa_decide(lua_State *L, const struct sa_vm_question *question, struct sa_buf *out);
/* CALL with a checked value, protected: appends the verdict; -1: vm->failure. */
int sa_decide_call(struct sa_vm *vm, struct sa_vm_point *point, const void *input, bool trace,
                   struct sa_buf *out);

/* ---- check.c: is it what it must be? Raises "type" errors that name the member. ---- */
void sa_check_fields(lua_State *L, int table, const struct sa_vm_fields *fields, const char *path);
void sa_check_value(lua_State *L, int index, const struct sa_vm_field *field, const char *path);
const struct sa_vm_field *sa_check_find(const struct sa_vm_fields *fields, const char *name);
bool sa_check_listed(const struct sa_vm_texts *texts, const char *text);

/* ---- bytecode.c ---- */
/* What a compiled file may not do is seen here, before it runs: set or read globals that do not
 * exist, and (unless `may_keep`) set locals of the file from within functions, which would keep
 * state. Calls `found` for each, and marks the lines of functions, but those of the file itself, in
 * `lines`. The function is at the top of the stack. */
struct sa_bytecode_finder {
    bool may_keep;
    uint8_t *lines; /* or NULL */
    size_t line_count;
    void (*found)(void *user, int line, const char *message);
    void *user;
};
void sa_bytecode_look(lua_State *L, const struct sa_bytecode_finder *finder);
/* The line on which the Lua function on top, or one that it makes, sets a variable that was there
 * before it was called; 0: nowhere. */
int sa_bytecode_keeps(lua_State *L);
/* Does the machine's bytecode look as this code believes? False: nothing may be loaded. */
bool sa_bytecode_known(lua_State *L);

#endif
