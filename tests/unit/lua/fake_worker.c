/*
 * A policy-worker that misbehaves as it is told. At the start by the text of policies/mode.lua,
 * later by the member `act` of what it is asked; see the tables at the end.
 */
#include "lua/wire.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKET = 3 };

static char mode[32];
static struct sa_buf out;
extern char **environ;

static void send_packet(const void *data, size_t length)
{
    if (send(SOCKET, data, length, MSG_NOSIGNAL) < 0)
        _exit(9);
}

static void flush(void)
{
    if (out.length)
        send_packet(out.data, out.length);
    out.length = 0;
}

static void add(enum sa_wire_type type, uint32_t call, const struct sa_buf *body)
{
    if (out.length + body->length + SA_WIRE_HEADER_BYTES > SA_WIRE_PACKET_MAX)
        flush();
    sa_wire_add(&out, &(struct sa_wire_message){
                          .type = type, .call = call, .body = body->data, .length = body->length});
}

static void add_json(enum sa_wire_type type, uint32_t call, const char *json)
{
    sa_autobuf body = SA_BUF_INIT;
    if (sa_value_from_json(json, strlen(json), &body, NULL) < 0)
        _exit(8);
    add(type, call, &body);
}

/* ---- at the start ---- */

static void on_file(const struct sa_value *body)
{
    struct sa_value name = sa_value_get(body, "name"), text = sa_value_get(body, "text");
    if (sa_value_is(&name, "policies/mode.lua"))
        snprintf(mode, sizeof mode, "%.*s", (int)text.length, text.data);
}

static bool is(const char *what)
{
    return strcmp(mode, what) == 0;
}

static void on_compile(uint32_t call)
{
    if (is("silent"))
        return;
    if (is("dies"))
        _exit(5);
    if (is("unasked"))
        add_json(SA_WIRE_DONE, call + 1, "{}");
    else if (is("fails"))
        add_json(SA_WIRE_FAIL, call, "{\"kind\":\"memory\",\"message\":\"no room\"}");
    else if (is("list"))
        add_json(SA_WIRE_DONE, call, "[]");
    else if (is("nothing"))
        add_json(SA_WIRE_DONE, call, "{}");
    else if (is("errors"))
        add_json(SA_WIRE_DONE, call,
                 "{\"rules\":[],\"errors\":[{\"file\":\"policies/x.lua\",\"line\":3,"
                 "\"message\":\"what\\nis this\"},{\"message\":\"more\"}]}");
    else
        add_json(SA_WIRE_DONE, call, "{\"rules\":[{\"name\":\"fake\"}],\"errors\":[]}");
    if (is("compiled twice"))
        add_json(SA_WIRE_DONE, call, "{\"rules\":[],\"errors\":[]}");
    if (is("tests unasked"))
        add_json(SA_WIRE_PART, call + 7, "{\"tests\":[]}");
}

static void on_test(uint32_t call)
{
    add_json(SA_WIRE_PART, call, "{\"tests\":[{\"name\":\"one\",\"ok\":true}]}");
    if (is("bad part"))
        add_json(SA_WIRE_PART, call, "{\"tests\":{}}");
    add_json(SA_WIRE_PART, call, "{\"tests\":[{\"name\":\"two\",\"ok\":true}]}");
    if (is("no numbers"))
        add_json(SA_WIRE_DONE, call, "{\"passed\":true}");
    else if (is("tests fail"))
        add_json(SA_WIRE_DONE, call, "{\"passed\":1,\"failed\":1,\"coverage\":{}}");
    else
        add_json(SA_WIRE_DONE, call, "{\"passed\":2,\"failed\":0,\"coverage\":{}}");
}

/* ---- calls ---- */

static void act_ok(uint32_t call)
{
    add_json(SA_WIRE_DONE, call, "{\"verdict\":\"allow\"}");
}

static void act_spin(uint32_t call)
{
    flush();
    for (volatile uint32_t i = call;; i++)
        ;
}

static void act_sleep(uint32_t call)
{
    (void)call;
    flush();
    for (;;)
        pause();
}

static void act_crash(uint32_t call)
{
    (void)call;
    flush();
    signal(SIGABRT, SIG_DFL);
    raise(SIGKILL);
}

static void act_answer_and_exit(uint32_t call)
{
    act_ok(call);
    flush();
    _exit(3);
}

static void act_hang_up(uint32_t call)
{
    (void)call;
    flush();
    close(SOCKET);
    for (;;)
        pause();
}

static void act_twice(uint32_t call)
{
    act_ok(call);
    act_ok(call);
}

static void act_stranger(uint32_t call)
{
    act_ok(call + 1000);
}

static void act_next_first(uint32_t call)
{
    act_ok(call + 1);
}

static void act_part(uint32_t call)
{
    add_json(SA_WIRE_PART, call, "{\"tests\":[]}");
}

static void act_question(uint32_t call)
{
    add_json(SA_WIRE_CALL, call, "{}");
}

static void act_no_map(uint32_t call)
{
    add_json(SA_WIRE_DONE, call, "[\"allow\"]");
}

static void act_fail_no_map(uint32_t call)
{
    add_json(SA_WIRE_FAIL, call, "\"error\"");
}

static void act_garbage(uint32_t call)
{
    static const char bytes[] = "HTTP/1.1 200 OK\r\n\r\nverdict: allow";
    (void)call;
    send_packet(bytes, sizeof bytes);
}

static void act_cut(uint32_t call)
{
    act_ok(call);
    send_packet(out.data, out.length - 1);
    out.length = 0;
}

static void act_empty(uint32_t call)
{
    (void)call;
    send_packet("", 0);
}

static void act_large(uint32_t call)
{
    static char bytes[SA_WIRE_PACKET_MAX + 1];
    act_ok(call);
    memcpy(bytes, out.data, out.length);
    send_packet(bytes, sizeof bytes);
    out.length = 0;
}

static void act_nan(uint32_t call)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_value_map(&body);
    sa_value_key(&body, "score");
    sa_buf_add(&body, "\5\0\0\0\0\0\0\xf8\x7f", 9);
    sa_value_end(&body);
    add(SA_WIRE_DONE, call, &body);
}

static void act_inspect(uint32_t call)
{
    sa_autobuf body = SA_BUF_INIT;
    DIR *folder = opendir("/proc/self/fd");
    sigset_t mask;
    int64_t count = 0, environment = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    while (environ[environment])
        environment++;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    sa_value_map(&body);
    sa_value_put_int(&body, "descriptors", count - 3); /* ".", "..", and the folder itself */
    sa_value_put_int(&body, "environment", environment);
    sa_value_put_bool(&body, "leads", getsid(0) == getpid());
    sa_value_put_bool(&body, "blocked", sigismember(&mask, SIGTERM) == 1);
    sa_value_put_bool(&body, "pipe", signal(SIGPIPE, SIG_DFL) == SIG_DFL);
    sa_value_end(&body);
    add(SA_WIRE_DONE, call, &body);
}

static void on_call(const struct sa_wire_message *message)
{
    static const struct {
        const char *name;
        void (*act)(uint32_t call);
    } acts[] = {
        {"ok", act_ok},
        {"spin", act_spin},
        {"sleep", act_sleep},
        {"crash", act_crash},
        {"answer and exit", act_answer_and_exit},
        {"hang up", act_hang_up},
        {"twice", act_twice},
        {"stranger", act_stranger},
        {"next first", act_next_first},
        {"part", act_part},
        {"question", act_question},
        {"no map", act_no_map},
        {"fail no map", act_fail_no_map},
        {"garbage", act_garbage},
        {"cut", act_cut},
        {"empty", act_empty},
        {"large", act_large},
        {"nan", act_nan},
        {"inspect", act_inspect},
    };
    struct sa_value input = sa_value_of(message->body, message->length);
    struct sa_value act = sa_value_get(&input, "act"), fail = sa_value_get(&input, "fail");
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        if (sa_value_is(&act, acts[i].name)) {
            acts[i].act(message->call);
            return;
        }
    sa_autobuf body = SA_BUF_INIT; /* FAIL as told, or the input itself */
    sa_value_copy(&body, fail.type == SA_VALUE_MAP ? &fail : &input);
    add(fail.type == SA_VALUE_MAP ? SA_WIRE_FAIL : SA_WIRE_DONE, message->call, &body);
}

static void on_message(const struct sa_wire_message *message)
{
    struct sa_value body = sa_value_of(message->body, message->length);
    switch (message->type) {
    case SA_WIRE_SETUP:
        add_json(SA_WIRE_DONE, message->call, "{}");
        break;
    case SA_WIRE_FILE:
        on_file(&body);
        break;
    case SA_WIRE_COMPILE:
        on_compile(message->call);
        break;
    case SA_WIRE_TEST:
        on_test(message->call);
        break;
    case SA_WIRE_CALL:
        on_call(message);
        break;
    default:
        _exit(7);
    }
}

int main(void)
{
    static uint8_t packet[SA_WIRE_PACKET_MAX];
    for (;;) {
        ssize_t n = recv(SOCKET, packet, sizeof packet, MSG_TRUNC);
        if (n <= 0 || (size_t)n > sizeof packet)
            return n == 0 ? 0 : 6;
        const uint8_t *next = packet;
        size_t left = (size_t)n;
        struct sa_wire_message message;
        int r;
        while ((r = sa_wire_next(&next, &left, &message, NULL)) > 0)
            on_message(&message);
        if (r < 0)
            return 4;
        flush();
    }
}
