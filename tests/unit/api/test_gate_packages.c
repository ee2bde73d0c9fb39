/* Packages are decided by one generation: the policies are played here, answer by answer. */
#include "api/gate.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { QUESTIONS_MAX = 64 };

struct sa_policy_call {
    char name[32];
    sa_policy_cb done;
    void *user;
    bool forgotten, answered;
};
struct sa_sandbox {
    int unused;
};

static struct sa_policy_call questions[QUESTIONS_MAX];
static size_t question_count;
static struct sa_sandbox sandbox;
static bool sandbox_lives;

struct sa_policy_call *__wrap_sa_policy_packages(struct sa_policy *policy,
                                                 const struct sa_policy_packages_input *input,
                                                 sa_policy_cb done, void *user);
void __wrap_sa_policy_forget(struct sa_policy_call *call);
struct sa_sandbox *__wrap_sa_sandbox_find(struct sa_sandboxes *all, const char *id);
const char *__wrap_sa_sandbox_id(const struct sa_sandbox *s);
void __wrap_sa_sandbox_facts(const struct sa_sandbox *s, struct sa_policy_sandbox *facts);

struct sa_policy_call *__wrap_sa_policy_packages(struct sa_policy *policy,
                                                 const struct sa_policy_packages_input *input,
                                                 sa_policy_cb done, void *user)
{
    (void)policy;
    assert_in_range(question_count, 0, QUESTIONS_MAX - 1);
    assert_string_equal(input->who.user.name, "tester");
    assert_string_equal(input->sandbox.id, "sb-x");
    struct sa_policy_call *call = &questions[question_count++];
    *call = (struct sa_policy_call){.done = done, .user = user};
    snprintf(call->name, sizeof call->name, "%s", input->name);
    return call;
}

void __wrap_sa_policy_forget(struct sa_policy_call *call)
{
    if (!call)
        return;
    assert_false(call->answered);
    call->forgotten = true;
}

struct sa_sandbox *__wrap_sa_sandbox_find(struct sa_sandboxes *all, const char *id)
{
    (void)all;
    assert_string_equal(id, "sb-x");
    return sandbox_lives ? &sandbox : NULL;
}

const char *__wrap_sa_sandbox_id(const struct sa_sandbox *s)
{
    (void)s;
    return "sb-x";
}

void __wrap_sa_sandbox_facts(const struct sa_sandbox *s, struct sa_policy_sandbox *facts)
{
    (void)s;
    *facts = (struct sa_policy_sandbox){.id = "sb-x"};
}

static void say(size_t index, uint64_t generation, bool allowed)
{
    struct sa_policy_call *call = &questions[index];
    const struct sa_policy_verdict verdict = {.allowed = allowed,
                                              .verdict = allowed ? "allow" : "deny",
                                              .rule = "r/x",
                                              .reason = "so",
                                              .meta = {.id = "dec-x", .generation = generation}};
    assert_in_range(index, 0, question_count - 1);
    assert_false(call->forgotten || call->answered);
    call->answered = true;
    call->done(call->user, &verdict);
}

static struct {
    unsigned count;
    bool allowed;
    enum sa_code code;
} told;

static void on_told(void *user, const struct sa_denial *denial)
{
    (void)user;
    told.count++;
    told.allowed = !denial;
    told.code = denial ? denial->error.code : SA_OK;
}

/* Three packages. */
static void begin(void)
{
    static const char *names[] = {"a", "b", "c"};
    static const struct sa_packages packages = {.manager = "pip", .names = {names, 3}};
    static struct sa_app app;
    static struct sa_principal principal = {.key_id = "key", .name = "tester"};
    question_count = 0;
    sandbox_lives = true;
    memset(&told, 0, sizeof told);
    struct sa_gate *gate =
        sa_gate_packages(&(struct sa_gate_who){&app, &principal, &sandbox}, &packages);
    sa_gate_on(gate, on_told, NULL);
    assert_int_equal(question_count, 3);
}

static void test_one_generation(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i < 3; i++)
        say(i, 7, true);
    assert_int_equal(told.count, 1);
    assert_true(told.allowed);
}

static void test_another_one_is_asked_about_all(void **state)
{
    (void)state;
    begin();
    say(0, 7, true);
    say(1, 8, true);
    assert_int_equal(told.count, 0);
    assert_true(questions[2].forgotten);
    assert_int_equal(question_count, 6);
    assert_string_equal(questions[3].name, "a");
    say(3, 8, true);
    say(4, 8, true);
    assert_int_equal(told.count, 0);
    say(5, 8, true);
    assert_int_equal(told.count, 1);
    assert_true(told.allowed);
}

static void test_the_other_one_may_deny(void **state)
{
    (void)state;
    begin();
    say(0, 7, true);
    say(1, 7, true);
    say(2, 8, true);
    say(3, 8, false);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.code, SA_EPOLICY);
    assert_true(questions[4].forgotten && questions[5].forgotten);
}

static void test_not_for_ever(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; !told.count; i++) {
        say(3 * i, 2 * i + 1, true);
        say(3 * i + 1, 2 * i + 2, true);
        assert_in_range(i, 0, SA_POLICY_TRIES);
    }
    assert_int_equal(question_count, 3 * SA_POLICY_TRIES);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.code, SA_EUNAVAILABLE);
}

static void test_the_sandbox_has_ended(void **state)
{
    (void)state;
    begin();
    say(0, 7, true);
    sandbox_lives = false;
    say(1, 8, true);
    assert_int_equal(question_count, 3);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.code, SA_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_generation),
        cmocka_unit_test(test_another_one_is_asked_about_all),
        cmocka_unit_test(test_the_other_one_may_deny),
        cmocka_unit_test(test_not_for_ever),
        cmocka_unit_test(test_the_sandbox_has_ended),
    };
    return cmocka_run_group_tests_name("gate_packages", tests, NULL, NULL);
}
