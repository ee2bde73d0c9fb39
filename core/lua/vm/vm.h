/*
 * The Lua machine of a policy-worker: what guards it, and the pieces it is made of. Internal to
 * this folder; everything runs on one thread.
 *
 *     main.c lockdown.c   the process: one socket, no rights
 *     serve.c             messages in, answers out
 *     points.c load.c     SETUP, COMPILE: decision points, rule files, parameters
 *     bytecode.c          what a rule file does, seen before it runs
 *     decide.c check.c    CALL: the pipeline of a point, what rules return
 *     cases.c             TEST
 *     vm.c                memory, deadlines, protected calls
 *     frozen.c convert.c  data that rules cannot change; values (lua/value.h) there and back
 *     env.c lib_*.c       what rules may call
 *     prelude/            the parts that are Lua themselves
 *
 * Errors inside are Lua errors (longjmp): what is held across one belongs to the machine, never to
 * a C stack.
 */
#ifndef SA_LUA_VM_H
#define SA_LUA_VM_H

#include "base/buf.h"
#include "lua/wire.h"

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct sa_arena;
struct sa_vm_point;
struct sa_vm_rule;
struct sa_vm_file;
struct sa_vm_override;
struct sa_vm_pool;

enum sa_vm_kind { SA_VM_ERROR, SA_VM_TYPE, SA_VM_DEADLINE, SA_VM_MEMORY, SA_VM_PROTOCOL };

struct sa_vm_limits {
    int64_t cpu_ms, test_cpu_ms, memory_bytes;
};

/* Why something failed; for FAIL and for the errors of COMPILE. */
struct sa_vm_failure {
    enum sa_vm_kind kind;
    char rule[80]; /* "" when none was running */
    char file[80]; /* "" when unknown */
    int line;      /* 0: unknown */
    char message[512];
};

struct sa_vm {
    lua_State *L;
    struct sa_arena *arena; /* what lives as long as the machine */
    struct sa_vm_limits limits;

    size_t heap_bytes, heap_max; /* the heap's, counted by the allocator */

    /* The deadline: see vm.c. */
    volatile sig_atomic_t serial, stop;
    int64_t allowed_ns;

    enum sa_vm_kind kind;             /* of the error that is being raised */
    const struct sa_vm_rule *running; /* whose function is being called */
    struct sa_vm_failure failure;     /* of the last protected call */

    struct sa_vm_point *points;
    size_t point_count;
    struct sa_vm_file *files; /* in the order of their names, once compiled */
    size_t file_count;
    size_t file_bytes;
    struct sa_vm_rule *rules;
    size_t rule_count;
    struct sa_vm_override *overrides;
    size_t override_count, kept; /* kept: sums of overrides and parameters: params.c */
    bool compiled;
    struct sa_buf errors; /* of COMPILE: values, one after the other */
    size_t error_count;

    struct sa_vm_pool *pool; /* of frozen inputs: frozen.c */
    int env, env_meta;       /* references: env.c */
    int declare;             /* reference: what prelude/declare.lua returns */
    struct sa_buf in;        /* of a test */
    struct sa_buf out;       /* a value under way */
    struct sa_buf scratch;   /* of a function in C, until it returns */
    void *argument;          /* of sa_vm_protect() */
    lua_CFunction entry;     /* what it calls */
    int enter;               /* reference: the function through which it does */
};

/* ---- vm.c ---- */

/* A machine with an empty heap of at most `memory_bytes`, compiler off; NULL: it cannot be had. */
struct sa_vm *sa_vm_new(size_t memory_bytes);
void sa_vm_free(struct sa_vm *vm);
struct sa_vm *sa_vm_of(lua_State *L);

/* Call fn(L) within a deadline of `cpu_ms` of processor time; what it leaves on the stack is
 * dropped. 0, or -1 with vm->failure filled. `argument` is vm->argument during the call. */
int sa_vm_protect(struct sa_vm *vm, lua_CFunction fn, void *argument, int64_t cpu_ms);

/* The signal that ticks along with the processor time; before the first protected call. */
int sa_vm_start_clock(struct sa_vm *vm);

/* In every loop of C that a rule can make long: raises the error of a deadline that has passed. */
void sa_vm_check_deadline(lua_State *L);

/* Raise an error of that kind, with the place in the rule in front where there is one. */
int sa_vm_raise(lua_State *L, enum sa_vm_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn));

const char *sa_vm_kind_name(enum sa_vm_kind kind);

/* References in the registry. */
int sa_vm_ref(lua_State *L); /* of the value on top, which is popped */
void sa_vm_push(lua_State *L, int ref);

#endif
