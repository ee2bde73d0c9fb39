/*
 * Memory, deadlines, protected calls.
 *
 * The deadline: a timer of the thread's processor time ticks every TICK_NS of work, forever, so
 * that a call needs no system call to be guarded. The handler sees by `serial` whether the call at
 * work is the one of the last tick, and since when. Past the deadline it sets `stop`, which loops
 * in C look at, and a hook that raises an error at the next instruction of Lua. Rules have no
 * pcall, so nothing catches it.
 */
#include "vm.h"

#include "base/arena.h"
#include "env.h"
#include "frozen.h"
#include "rules.h"

#include <luajit.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TICK_NS = 2 * 1000 * 1000, HEAP_RESERVE = 64 * 1024 };

static struct sa_vm *ticking; /* a signal handler has no other way to its machine */

static void *allocate(void *user, void *old, size_t old_bytes, size_t bytes)
{
    struct sa_vm *vm = user;
    if (!bytes) {
        free(old);
        vm->heap_bytes -= old_bytes;
        return NULL;
    }
    /* Between calls there is a reserve, so that tidying up does not fail. */
    size_t max = vm->serial ? vm->heap_max : vm->heap_max + HEAP_RESERVE;
    if (bytes > old_bytes &&
        bytes - old_bytes > max - (vm->heap_bytes < max ? vm->heap_bytes : max))
        return NULL;
    void *block = realloc(old, bytes);
    if (block)
        vm->heap_bytes += bytes - old_bytes;
    return block;
}

struct sa_vm *sa_vm_of(lua_State *L)
{
    void *vm;
    lua_getallocf(L, &vm);
    return vm;
}

/* ---- errors ---- */

const char *sa_vm_kind_name(enum sa_vm_kind kind)
{
    static const char *const names[] = {"error", "type", "deadline", "memory", "protocol"};
    return names[kind];
}

/* Push "file:line: " of the innermost function of a rule file, or "". */
static void push_place(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++)
        if (lua_getinfo(L, "Sl", &ar) && ar.source[0] == '@' && ar.currentline > 0) {
            lua_pushfstring(L, "%s:%d: ", ar.source + 1, ar.currentline);
            return;
        }
    lua_pushliteral(L, "");
}

int sa_vm_raise(lua_State *L, enum sa_vm_kind kind, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sa_vm_of(L)->kind = kind;
    push_place(L);
    lua_pushstring(L, text);
    lua_concat(L, 2);
    lua_error(L);
    abort();
}

/* "file:line: message", as Lua writes it, into its parts. */
static void split_place(struct sa_vm_failure *failure, const char *text, size_t length)
{
    const char *colon = memchr(text, ':', length);
    char *end;
    failure->file[0] = '\0';
    failure->line = 0;
    if (colon && (size_t)(colon - text) < sizeof failure->file && colon - text > 4 &&
        memcmp(colon - 4, ".lua", 4) == 0) {
        long line = strtol(colon + 1, &end, 10);
        if (end > colon + 1 && end[0] == ':' && end[1] == ' ') {
            memcpy(failure->file, text, (size_t)(colon - text));
            failure->file[colon - text] = '\0';
            failure->line = (int)line;
            length -= (size_t)(end + 2 - text);
            text = end + 2;
        }
    }
    if (length >= sizeof failure->message)
        length = sizeof failure->message - 1;
    for (size_t i = 0; i < length; i++) /* one line, whatever a rule puts there */
        failure->message[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
    failure->message[length] = '\0';
}

static void describe(struct sa_vm *vm, int status)
{
    struct sa_vm_failure *failure = &vm->failure;
    size_t length = 0;
    const char *text =
        lua_type(vm->L, -1) == LUA_TSTRING ? lua_tolstring(vm->L, -1, &length) : NULL;
    memset(failure, 0, sizeof *failure);
    failure->kind = status == LUA_ERRMEM ? SA_VM_MEMORY : vm->stop ? SA_VM_DEADLINE : vm->kind;
    if (failure->kind == SA_VM_MEMORY)
        text = NULL;
    if (text)
        split_place(failure, text, length);
    else if (failure->kind == SA_VM_MEMORY)
        snprintf(failure->message, sizeof failure->message,
                 "it needs more than %zu bytes of memory", vm->heap_max);
    else
        snprintf(failure->message, sizeof failure->message,
                 "it raised an error that is no text but a %s",
                 lua_typename(vm->L, lua_type(vm->L, -1)));
    if (vm->running)
        snprintf(failure->rule, sizeof failure->rule, "%s", vm->running->name);
}

/* ---- deadlines ---- */

static void raise_deadline(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    sa_vm_check_deadline(L);
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void on_tick(int number)
{
    static sig_atomic_t seen;
    static int64_t since;
    struct sa_vm *vm = ticking;
    (void)number;
    if (!vm || !vm->serial)
        return;
    int64_t now = cpu_ns();
    if (vm->serial != seen) {
        seen = vm->serial;
        since = now;
    } else if (now - since >= vm->allowed_ns && !vm->stop) {
        vm->stop = 1;
        lua_sethook(vm->L, raise_deadline, LUA_MASKCOUNT, 1);
    }
}

void sa_vm_check_deadline(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    if (vm->stop)
        sa_vm_raise(L, SA_VM_DEADLINE, "it did not end within %d ms of processor time",
                    (int)(vm->allowed_ns / 1000000));
}

int sa_vm_start_clock(struct sa_vm *vm)
{
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec period = {{0, TICK_NS}, {0, TICK_NS}};
    static bool started; /* the clock is the process's: a next machine takes it over */
    timer_t timer;
    ticking = vm;
    if (started)
        return 0;
    if (sigaction(SIGALRM, &action, NULL) < 0 ||
        timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) < 0 ||
        timer_settime(timer, 0, &period, NULL) < 0)
        return -1;
    started = true;
    return 0;
}

/* ---- protected calls ---- */

static void begin(struct sa_vm *vm, int64_t cpu_ms)
{
    static sig_atomic_t serial;
    vm->kind = SA_VM_ERROR;
    vm->allowed_ns = cpu_ms * 1000000;
    serial = serial == SIG_ATOMIC_MAX ? 1 : serial + 1;
    vm->serial = serial;
}

static void end(struct sa_vm *vm)
{
    vm->serial = 0; /* from here on the handler does nothing */
    if (vm->stop) {
        lua_sethook(vm->L, NULL, 0, 0);
        vm->stop = 0;
    }
}

int sa_vm_protect(struct sa_vm *vm, lua_CFunction fn, void *argument, int64_t cpu_ms)
{
    lua_State *L = vm->L;
    vm->argument = argument;
    vm->running = NULL;
    lua_settop(L, 0);
    begin(vm, cpu_ms);
    vm->entry = fn;
    sa_vm_push(L, vm->enter);
    int status = lua_pcall(L, 0, 0, 0);
    if (status)
        describe(vm, status);
    end(vm);
    vm->running = NULL;
    lua_settop(L, 0);
    sa_vm_pool_reset(vm);
    if (status == LUA_ERRMEM || (status && vm->heap_bytes > vm->heap_max / 2))
        lua_gc(L, LUA_GCCOLLECT, 0);
    return status ? -1 : 0;
}

/* One function for all protected calls, so that none makes a closure. */
static int enter(lua_State *L)
{
    return sa_vm_of(L)->entry(L);
}

int sa_vm_ref(lua_State *L)
{
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void sa_vm_push(lua_State *L, int ref)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
}

static int open_all(lua_State *L)
{
    struct sa_vm *vm = sa_vm_of(L);
    lua_settop(L, 0);
    lua_pushcfunction(L, enter);
    vm->enter = sa_vm_ref(L);
    sa_vm_open_frozen(vm);
    sa_vm_open_env(vm);
    return 0;
}

struct sa_vm *sa_vm_new(size_t memory_bytes)
{
    struct sa_vm *vm = sa_alloc(sizeof *vm);
    vm->arena = sa_arena_new();
    vm->heap_max = memory_bytes;
    vm->limits = (struct sa_vm_limits){.cpu_ms = 10, .test_cpu_ms = 100};
    vm->L = lua_newstate(allocate, vm);
    /* A compiled loop would never see a hook. */
    if (!vm->L || !luaJIT_setmode(vm->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF) ||
        lua_cpcall(vm->L, open_all, NULL)) {
        sa_vm_free(vm);
        return NULL;
    }
    return vm;
}

void sa_vm_free(struct sa_vm *vm)
{
    if (!vm)
        return;
    if (ticking == vm)
        ticking = NULL;
    if (vm->L)
        lua_close(vm->L);
    for (size_t i = 0; i < vm->file_count; i++)
        free((char *)vm->files[i].text); /* those that were never compiled */
    sa_buf_deinit(&vm->in);
    sa_buf_deinit(&vm->out);
    sa_buf_deinit(&vm->scratch);
    sa_buf_deinit(&vm->errors);
    sa_arena_free(vm->arena);
    free(vm);
}
