/*
 * A policy-worker whose rules are JSON, so that a test says exactly what comes back:
 *
 *     {"point": "execute", "answer": {verdict ...}, "tests": [{name, ok, message}],
 *      "error": "does not compile", "die": "compile" | "call" | "test"}
 *
 * An input with {"act": "crash"} kills it, with "sleep" it never answers, with "fail" a rule has
 * raised an error; else the answer of the point's first rule comes back, with "pid" and the
 * input's "n".
 */
#include "lua/wire.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKET = 3, RULES_MAX = 64 };

static struct rule {
    char name[64], file[128];
    struct sa_buf value;
} rules[RULES_MAX];
static size_t rule_count;
static struct sa_buf points, out;

static void flush(void)
{
    if (out.length && send(SOCKET, out.data, out.length, MSG_NOSIGNAL) < 0)
        _exit(9);
    out.length = 0;
}

static void add(enum sa_wire_type type, uint32_t call, const struct sa_buf *body)
{
    if (out.length + body->length + SA_WIRE_HEADER_BYTES > SA_WIRE_PACKET_MAX)
        flush();
    sa_wire_add(&out, &(struct sa_wire_message){
                          .type = type, .call = call, .body = body->data, .length = body->length});
}

static struct sa_value member(const struct rule *rule, const char *name)
{
    struct sa_value value = sa_value_of(rule->value.data, rule->value.length);
    return sa_value_get(&value, name);
}

static bool dies(const char *when)
{
    for (size_t i = 0; i < rule_count; i++) {
        struct sa_value die = member(&rules[i], "die");
        if (sa_value_is(&die, when))
            return true;
    }
    return false;
}

static void on_file(const struct sa_value *body)
{
    struct sa_value name = sa_value_get(body, "name"), text = sa_value_get(body, "text");
    struct rule *rule = &rules[rule_count];
    snprintf(rule->file, sizeof rule->file, "%.*s", (int)name.length, name.data);
    snprintf(rule->name, sizeof rule->name, "%s", strchr(rule->file, '/') + 1);
    rule->name[strlen(rule->name) - 4] = '\0';
    if (sa_value_from_json(text.data, text.length, &rule->value, NULL) == 0)
        rule_count++;
}

static void copy_member(struct sa_buf *body, const char *key, const struct sa_value *value)
{
    sa_value_key(body, key);
    sa_value_copy(body, value);
}

static void on_compile(uint32_t call)
{
    sa_autobuf body = SA_BUF_INIT;
    if (dies("compile"))
        raise(SIGKILL);
    sa_value_map(&body);
    sa_value_key(&body, "rules");
    sa_value_list(&body);
    for (size_t i = 0; i < rule_count; i++) {
        struct sa_value point = member(&rules[i], "point");
        sa_value_map(&body);
        sa_value_put_text(&body, "name", rules[i].name);
        sa_value_put_text(&body, "file", rules[i].file);
        if (point.type != SA_VALUE_NIL)
            copy_member(&body, "point", &point);
        sa_value_end(&body);
    }
    sa_value_end(&body);
    sa_value_key(&body, "errors");
    sa_value_list(&body);
    for (size_t i = 0; i < rule_count; i++) {
        struct sa_value error = member(&rules[i], "error");
        if (error.type == SA_VALUE_NIL)
            continue;
        sa_value_map(&body);
        sa_value_put_text(&body, "file", rules[i].file);
        sa_value_put_int(&body, "line", 7);
        copy_member(&body, "message", &error);
        sa_value_end(&body);
    }
    sa_value_end(&body);
    sa_value_end(&body);
    add(SA_WIRE_DONE, call, &body);
}

/* One PART for each rule with tests. */
static void on_test(uint32_t call)
{
    int64_t passed = 0, failed = 0;
    if (dies("test"))
        raise(SIGKILL);
    for (size_t i = 0; i < rule_count; i++) {
        sa_autobuf body = SA_BUF_INIT;
        struct sa_value tests = member(&rules[i], "tests"), test;
        struct sa_value_reader reader = sa_value_enter(&tests);
        if (tests.type == SA_VALUE_NIL)
            continue;
        sa_value_map(&body);
        sa_value_key(&body, "tests");
        sa_value_list(&body);
        while (sa_value_next(&reader, &test)) {
            bool ok = sa_value_get(&test, "ok").type == SA_VALUE_TRUE;
            struct sa_value name = sa_value_get(&test, "name"),
                            message = sa_value_get(&test, "message");
            passed += ok;
            failed += !ok;
            sa_value_map(&body);
            sa_value_put_text(&body, "file", rules[i].file);
            sa_value_put_bool(&body, "ok", ok);
            copy_member(&body, "name", &name);
            if (message.type != SA_VALUE_NIL)
                copy_member(&body, "message", &message);
            sa_value_end(&body);
        }
        sa_value_end(&body);
        sa_value_end(&body);
        add(SA_WIRE_PART, call, &body);
    }
    sa_autobuf body = SA_BUF_INIT;
    sa_value_map(&body);
    sa_value_put_int(&body, "passed", passed);
    sa_value_put_int(&body, "failed", failed);
    sa_value_end(&body);
    add(SA_WIRE_DONE, call, &body);
}

static const struct rule *rule_of(unsigned index)
{
    struct sa_value list = sa_value_of(points.data, points.length), described, name, point;
    struct sa_value_reader reader = sa_value_enter(&list);
    for (unsigned i = 0; sa_value_next(&reader, &described); i++) {
        name = sa_value_get(&described, "name");
        for (size_t r = 0; i == index && r < rule_count; r++) {
            point = member(&rules[r], "point");
            if (point.length == name.length && memcmp(point.data, name.data, name.length) == 0)
                return &rules[r];
        }
    }
    return NULL;
}

static void fail(uint32_t call)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_value_map(&body);
    sa_value_put_text(&body, "kind", "error");
    sa_value_put_text(&body, "file", "policies/x.lua");
    sa_value_put_int(&body, "line", 3);
    sa_value_put_text(&body, "message", "attempt to index a nil value");
    sa_value_end(&body);
    add(SA_WIRE_FAIL, call, &body);
}

static void on_call(const struct sa_wire_message *message)
{
    sa_autobuf body = SA_BUF_INIT;
    struct sa_value input = sa_value_of(message->body, message->length), key, value;
    struct sa_value act = sa_value_get(&input, "act"), n = sa_value_get(&input, "n");
    const struct rule *rule = rule_of(message->point);
    if (sa_value_is(&act, "crash") || dies("call"))
        raise(SIGKILL);
    while (sa_value_is(&act, "sleep"))
        pause();
    if (sa_value_is(&act, "fail") || !rule) {
        fail(message->call);
        return;
    }
    struct sa_value answer = member(rule, "answer");
    struct sa_value_reader reader = sa_value_enter(&answer);
    sa_value_map(&body);
    while (sa_value_next_member(&reader, &key, &value)) {
        sa_value_keyn(&body, key.data, key.length);
        sa_value_copy(&body, &value);
    }
    if (n.type == SA_VALUE_INT)
        sa_value_put_int(&body, "n", n.integer);
    sa_value_key(&body, "ran");
    sa_value_list(&body);
    sa_value_text(&body, rule->name);
    sa_value_end(&body);
    sa_value_end(&body);
    add(SA_WIRE_DONE, message->call, &body);
}

static void on_setup(const struct sa_wire_message *message, const struct sa_value *body)
{
    sa_autobuf empty = SA_BUF_INIT;
    struct sa_value list = sa_value_get(body, "points");
    sa_value_copy(&points, &list);
    sa_value_map(&empty);
    sa_value_end(&empty);
    add(SA_WIRE_DONE, message->call, &empty);
}

static void on_message(const struct sa_wire_message *message)
{
    struct sa_value body = sa_value_of(message->body, message->length);
    if (message->type == SA_WIRE_SETUP)
        on_setup(message, &body);
    else if (message->type == SA_WIRE_FILE)
        on_file(&body);
    else if (message->type == SA_WIRE_COMPILE)
        on_compile(message->call);
    else if (message->type == SA_WIRE_TEST)
        on_test(message->call);
    else
        on_call(message);
}

int main(void)
{
    static uint8_t packet[SA_WIRE_PACKET_MAX];
    for (;;) {
        ssize_t n = recv(SOCKET, packet, sizeof packet, 0);
        const uint8_t *next = packet;
        size_t left = n > 0 ? (size_t)n : 0;
        struct sa_wire_message message;
        if (n <= 0)
            return 0;
        while (sa_wire_next(&next, &left, &message, NULL) > 0)
            on_message(&message);
        flush();
    }
}
