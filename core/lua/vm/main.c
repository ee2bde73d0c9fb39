/* policy-worker: a child of a SecureAgent process that runs Lua rules and nothing else. It talks on
 * descriptor 3; see serve.h. `--stderr` keeps standard error, to look for faults in it. */
#include "lockdown.h"
#include "serve.h"
#include "vm.h"

#include "base/error.h"
#include "rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { START_HEAP = 16 * 1024 * 1024 };

static int check(lua_State *L)
{
    if (!sa_bytecode_known(L))
        luaL_error(L, "unknown bytecode");
    return 0;
}

int main(int argc, char **argv)
{
    const char *step = "clock";
    bool keep_stderr = argc > 1 && strcmp(argv[1], "--stderr") == 0;
    struct sa_vm *vm = sa_vm_new(START_HEAP);
    if (!vm || sa_vm_protect(vm, check, NULL, 1000) < 0) {
        fputs("policy-worker: this LuaJIT is not one it can guard\n", stderr);
        return 1;
    }
    if (sa_vm_start_clock(vm) < 0 || sa_lockdown(keep_stderr, &step) < 0) {
        fprintf(stderr, "policy-worker: %s: %s\n", step, strerror(errno));
        return 1;
    }
    _exit(sa_serve(vm, SA_LOCKDOWN_SOCKET));
}
