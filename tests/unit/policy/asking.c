#include "asking.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "loop/loop.h"
#include "policy/schema.h"
#include "json/write.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the rules ---- */

#define CONTEXT                                                                                    \
    "{runtimeClass='native', uid=UID, gid=1000, capabilities={}, noNewPrivs=true, "                \
    "readOnlyRoot=true, privateNetwork=true, maskProc=true, seccomp='standard', "                  \
    "landlock={enabled=true, writable={'/tmp'}}, writablePaths={'/tmp'}, devices={'null'}, "       \
    "limits={pids=0, openFiles=64, fileSizeBytes=0, coreBytes=0}, requiredControls={}}"

static const struct {
    const char *first, *deny, *change, *wrong, *unknown;
} rules[SA_POINT_COUNT] = {
    [SA_POINT_PROFILE] = {"nil", "deny('r', 'no')", "allow(" CONTEXT ")", "allow({uid='root'})",
                          "allow({nice=1})"},
    [SA_POINT_SECCOMP] = {"nil", "deny('r', 'no')", "allow({allow={'@io'}, telling={'mount'}})",
                          "allow({allow=true})", "allow({nice=1})"},
    [SA_POINT_ADMISSION] = {"nil", "deny('r', 'no')", "allow({spec={timeout=5}})", "allow('x')",
                            "{verdict='allow', nice=1}"},
    [SA_POINT_EXECUTE] = {"nil", "deny('r', 'no')", "allow({timeoutMs=5})",
                          "allow({timeoutMs='5'})", "allow({nice=1})"},
    [SA_POINT_FILES] = {"nil", "deny('r', 'no')", "allow()", "allow({path='/x'})",
                        "{verdict='allow', nice=1}"},
    [SA_POINT_EGRESS] = {"nil", "deny('r', 'no')", "allow({connections=5})",
                         "allow({connections=-1})", "allow({nice=1})"},
    [SA_POINT_PACKAGES] = {"nil", "deny('r', 'no')", "allow()", "allow({name='x'})",
                           "{verdict='allow', nice=1}"},
    [SA_POINT_RECYCLE] = {"nil", "{verdict='replace', rule='r', reason='no'}", "{verdict='reuse'}",
                          "{verdict='allow'}", "{verdict='reuse', nice=1}"},
    [SA_POINT_SCALING] = {"{size=4, reason='so'}", "{size=0, reason='no'}",
                          "{size=900, reason='much'}", "{size='4', reason='so'}",
                          "{size=4, reason='so', nice=1}"},
    [SA_POINT_ANOMALY] = {"{score=0, action='none'}", "{score=90, action='kill', reason='no'}",
                          "{score=40.5, action='pause', reason='so'}",
                          "{score=4, action='explode'}", "{score=4, action='none', nice=1}"},
    [SA_POINT_LIFECYCLE] = {"nil", "{verdict='decide', rule='r', reason='no'}",
                            "allow({action='extend', extendSeconds=60})",
                            "allow({action='extend', extendSeconds=-1})", "allow({nice=1})"},
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void write_rule(const struct asking *a, enum sa_point point)
{
    const char *name = sa_policy_points[point].name;
    sa_autobuf text = SA_BUF_INIT;
    char path[160];
    sa_buf_printf(&text,
                  "local UID = 1000\n"
                  "return {name='made-%s', version=1, point='%s', decide=function(input)\n"
                  "  local act = input.scope.tenant or ''\n"
                  "  if act == 'deny' then return %s\n"
                  "  elseif act == 'change' then return %s\n"
                  "  elseif act == 'wrong' then return %s\n"
                  "  elseif act == 'unknown' then return %s\n"
                  "  elseif act == 'verdict' then return {verdict=true}\n"
                  "  elseif act == 'text' then return 'allow'\n"
                  "  elseif act == 'error' then error('boom')\n"
                  "  elseif act == 'loop' then while true do end\n"
                  "  elseif act == 'memory' then\n"
                  "    local t = {}\n"
                  "    for i = 1, 1e9 do t[i] = {i} end\n"
                  "  end\n"
                  "  return %s\n"
                  "end}\n",
                  name, name, rules[point].deny, rules[point].change, rules[point].wrong,
                  rules[point].unknown, rules[point].first);
    snprintf(path, sizeof path, "%s/policies/made-%s.lua", a->folder, name);
    write_file(path, text.data);
}

/* ---- the folder ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void copy_program(const char *from, const char *to)
{
    sa_autobuf data = SA_BUF_INIT;
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    if (!in || !out)
        fail_msg("%s cannot be copied", from);
    for (size_t n = 1; n > 0; data.length += n)
        n = fread(sa_buf_reserve(&data, 65536), 1, 65536, in);
    assert_int_equal(fwrite(data.data, 1, data.length, out), data.length);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(to, 0755), 0);
}

int asking_setup(void **state)
{
    struct asking *a = sa_alloc(sizeof *a);
    char path[160];
    struct sa_error err = {0};
    snprintf(a->folder, sizeof a->folder, "/tmp/sa-test-policy-XXXXXX");
    assert_non_null(mkdtemp(a->folder));
    snprintf(path, sizeof path, "%s/policies", a->folder);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(a->worker, sizeof a->worker, "%s/policy-worker", a->folder);
    copy_program(SA_POLICY_WORKER, a->worker);
    a->loop = sa_loop_new(&err);
    assert_non_null(a->loop);
    *state = a;
    return 0;
}

int asking_teardown(void **state)
{
    struct asking *a = *state;
    asking_stop(a);
    sa_loop_free(a->loop);
    nftw(a->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(a);
    return 0;
}

/* ---- starting ---- */

static void on_ready(void *owner, const struct sa_error *err)
{
    struct asking *a = owner;
    a->ready = true;
    if (err)
        a->ready_error = *err;
}

static void on_denied(void *owner, const struct sa_decision *decision)
{
    struct asking *a = owner;
    a->denials++;
    snprintf(a->denied, sizeof a->denied, "%s", decision->id);
}

void asking_start(struct asking *a, bool with_rules)
{
    struct sa_error err = {0};
    for (size_t i = 0; with_rules && i < SA_POINT_COUNT; i++)
        write_rule(a, (enum sa_point)i);
    a->options.loop = a->loop;
    a->options.program = a->worker;
    a->options.shipped = a->folder;
    a->options.denied = on_denied;
    a->options.owner = a;
    a->policy = sa_policy_start(&a->options, on_ready, &err);
    if (!a->policy)
        fail_msg("%s", err.message);
    while (!a->ready)
        uv_run(a->loop, UV_RUN_ONCE);
    if (a->ready_error.code)
        fail_msg("%s", a->ready_error.message);
}

void asking_stop(struct asking *a)
{
    sa_policy_stop(a->policy);
    a->policy = NULL;
}

pid_t asking_worker(struct asking *a)
{
    sa_autobuf json = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&json);
    sa_json_w_begin_object(&w);
    sa_engine_print(sa_policy_engine(a->policy), &w);
    sa_json_w_end_object(&w);
    const char *pid = strstr(json.data, "\"pid\":");
    return pid ? (pid_t)strtol(pid + 6, NULL, 10) : 0;
}

/* ---- answers ---- */

static void take(struct asking *a, const struct sa_policy_verdict *verdict)
{
    a->answered = true;
    a->allowed = verdict->allowed;
    a->defaulted = verdict->defaulted;
    snprintf(a->verdict, sizeof a->verdict, "%s", verdict->verdict);
    snprintf(a->rule, sizeof a->rule, "%s", verdict->rule);
    snprintf(a->reason, sizeof a->reason, "%s", verdict->reason);
    snprintf(a->id, sizeof a->id, "%s", verdict->meta.id);
    snprintf(a->result, sizeof a->result, "-");
}

#define RESULT(...) snprintf(a->result, sizeof a->result, __VA_ARGS__)

static void on_plain(void *user, const struct sa_policy_verdict *verdict)
{
    take(user, verdict);
}

static void on_profile(void *user, const struct sa_policy_verdict *verdict,
                       const struct sa_policy_context *context)
{
    struct asking *a = user;
    take(a, verdict);
    if (context)
        RESULT("uid=%d %s", (int)context->uid, context->landlock.writable.items[0]);
}

static void on_seccomp(void *user, const struct sa_policy_verdict *verdict,
                       const struct sa_policy_filter *filter)
{
    struct asking *a = user;
    take(a, verdict);
    if (filter)
        RESULT("allow=%s", filter->allow.items[0]);
}

static void on_admission(void *user, const struct sa_policy_verdict *verdict, const char *object,
                         size_t length)
{
    struct asking *a = user;
    take(a, verdict);
    /* In no particular order. */
    if (object)
        RESULT("%s %s%s", length == strlen(object) ? "object" : "",
               strstr(object, "\"a\":[]") ? "a=[]" : "",
               strstr(object, "\"timeout\":5") ? " timeout=5" : "");
}

static void on_run(void *user, const struct sa_policy_verdict *verdict,
                   const struct sa_policy_run *run)
{
    struct asking *a = user;
    take(a, verdict);
    if (run)
        RESULT("timeoutMs=%d openFiles=%d", (int)run->timeout_ms, (int)run->open_files);
}

static void on_grant(void *user, const struct sa_policy_verdict *verdict,
                     const struct sa_policy_grant *grant)
{
    struct asking *a = user;
    take(a, verdict);
    if (grant)
        RESULT("connections=%d", (int)grant->connections);
}

static void on_scaling(void *user, const struct sa_policy_verdict *verdict,
                       const struct sa_policy_scaling_output *output)
{
    struct asking *a = user;
    take(a, verdict);
    RESULT("size=%d", (int)output->size);
}

static void on_anomaly(void *user, const struct sa_policy_verdict *verdict,
                       const struct sa_policy_anomaly_output *output)
{
    struct asking *a = user;
    take(a, verdict);
    RESULT("score=%g action=%d", output->score, (int)output->action);
}

static void on_end(void *user, const struct sa_policy_verdict *verdict,
                   const struct sa_policy_end *end)
{
    struct asking *a = user;
    take(a, verdict);
    RESULT("%s %d", end->action, (int)end->extend_s);
}

/* ---- questions ---- */

struct sa_policy_call *asking_ask(struct asking *a, enum sa_point point, const char *tenant)
{
    struct sa_policy *p = a->policy;
    const struct sa_policy_who who = {.scope = {.tenant = tenant}};
    const struct sa_policy_profile_input profile = {.who = who, .level = "standard"};
    const struct sa_policy_seccomp_input seccomp = {.who = who, .language = "python"};
    const struct sa_policy_admission_input admission = {
        .who = who, .operation = "CREATE", .kind = "Sandbox", .object = "{\"spec\":{\"a\":[]}}"};
    const struct sa_policy_execute_input execute = {
        .who = who, .kind = "code", .run = {.timeout_ms = 60000, .open_files = 7}};
    const struct sa_policy_files_input files = {.who = who, .operation = "read", .path = "/a"};
    const struct sa_policy_egress_input egress = {
        .who = who, .host = "a.org", .port = 443, .grant = {.connections = 2}};
    const struct sa_policy_packages_input packages = {.who = who, .manager = "pip", .name = "a"};
    const struct sa_policy_recycle_input recycle = {.who = who, .runtime = "python"};
    const struct sa_policy_scaling_input scaling = {
        .who = who, .rule = "made-scaling", .pool = {.min = 1, .max = 10, .size = 7}};
    const struct sa_policy_anomaly_input anomaly = {.who = who};
    const struct sa_policy_lifecycle_input lifecycle = {
        .who = who, .event = "timeout", .end = {.action = "pause"}};
    a->answered = false;
    switch (point) {
    case SA_POINT_PROFILE:
        return sa_policy_profile(p, &profile, on_profile, a);
    case SA_POINT_SECCOMP:
        return sa_policy_seccomp(p, &seccomp, on_seccomp, a);
    case SA_POINT_ADMISSION:
        return sa_policy_admission(p, &admission, on_admission, a);
    case SA_POINT_EXECUTE:
        return sa_policy_execute(p, &execute, on_run, a);
    case SA_POINT_FILES:
        return sa_policy_files(p, &files, on_plain, a);
    case SA_POINT_EGRESS:
        return sa_policy_egress(p, &egress, on_grant, a);
    case SA_POINT_PACKAGES:
        return sa_policy_packages(p, &packages, on_plain, a);
    case SA_POINT_RECYCLE:
        return sa_policy_recycle(p, &recycle, on_plain, a);
    case SA_POINT_SCALING:
        return sa_policy_scaling(p, &scaling, on_scaling, a);
    case SA_POINT_ANOMALY:
        return sa_policy_anomaly(p, &anomaly, on_anomaly, a);
    case SA_POINT_LIFECYCLE:
        return sa_policy_lifecycle(p, &lifecycle, on_end, a);
    case SA_POINT_COUNT:
        break;
    }
    return NULL;
}

void asking_wait(struct asking *a, enum sa_point point, const char *tenant)
{
    asking_ask(a, point, tenant);
    assert_false(a->answered); /* never from within */
    while (!a->answered)
        uv_run(a->loop, UV_RUN_ONCE);
}

void asking_expect(const struct asking *a, const char *expected)
{
    char got[512];
    snprintf(got, sizeof got, "%s%s%s %s", a->verdict, a->allowed ? " allowed" : "",
             a->defaulted ? " defaulted" : "", a->result);
    if (strcmp(got, expected) != 0)
        fail_msg("expected \"%s\", got \"%s\" (%s: %s)", expected, got, a->rule, a->reason);
}
