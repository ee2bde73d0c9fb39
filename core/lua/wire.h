/*
 * The messages between a process and its policy-worker, over one SOCK_SEQPACKET socket
 * (descriptor 3 in the worker). A packet holds one or more messages, at most SA_WIRE_PACKET_MAX
 * bytes; a message is
 *
 *     u32 length   of body
 *     u8  type, u8 flags, u16 point (index in SETUP's list; CALL only, otherwise 0)
 *     u32 call     chosen by the parent, comes back in the answer
 *     body         a value (lua/value.h)
 *
 * Integers are little-endian. A worker answers in the order of the questions, so the oldest
 * question without an answer is the one it is at work on.
 *
 *   parent -> worker                                    worker -> parent
 *   SETUP    {limits, points}; once, first              DONE {}
 *   FILE     {name = "policies/x.lua", text}            -
 *   COMPILE  {}: compile what came                      DONE {rules, errors}
 *   TEST     {}: run all tests beside the rules         PART {tests = [...]} ..., DONE {passed,
 *                                                       failed, coverage}
 *   CALL     input of a decision point                  DONE verdict
 *   any of them                                         FAIL {kind, rule?, file?, line?, message}
 *
 * limits: cpuMs (of a call), memoryBytes (of the Lua heap), testCpuMs.
 * points: [{name, verdicts = [...], final = [...], combine, input = {fields}, target?,
 *   changes? = {fields}, returns = {fields}}]; policy/schema.h says what they mean and prints them.
 *   combine: "firstFinal", "named", "maxScore". target without changes: a map of anything. fields:
 *   {name = {type, low?, high?, values? = [...], required? = true, fields?}}; type: "boolean",
 *   "integer", "number", "string", "strings" (a list), "map" (of strings), "object" and "objects"
 * (a list of them; both with fields), "any". low and high: of numbers; values: all that a string,
 * or each of strings, may be; required: in what a rule returns, or the target in the end. rules:
 * [{name, version, point, file, description, order, params = {name = {type, default, ...}},
 *   tests}]; errors: [{file, line, message}]. Files whose rules do not compile make COMPILE a list
 *   of errors; there is no half-loaded generation.
 * tests: [{file, name, ok, message?}]; coverage: {file = {lines = n, hit = n,
 *   missed = [numbers]}}.
 * verdict: {verdict, rule = "file's name/id", reason, changes?, result?, fields of `returns`,
 *   ran = [names]}, and with SA_WIRE_TRACE trace = [{rule, verdict?, id?, reason?, changes?,
 *   micros, error?}] and params = {...}. `result` is the target after all changes, there only
 *   when a rule changed it.
 * kind: "deadline", "memory", "error", "type" (what a rule returned), "protocol".
 */
#ifndef SA_LUA_WIRE_H
#define SA_LUA_WIRE_H

#include "lua/value.h"

enum {
    SA_WIRE_HEADER_BYTES = 12,
    SA_WIRE_PACKET_MAX = 128 * 1024,
    SA_WIRE_FILE_MAX = 96 * 1024, /* text of one file */
};

enum sa_wire_type {
    SA_WIRE_SETUP = 1,
    SA_WIRE_FILE = 2,
    SA_WIRE_COMPILE = 3,
    SA_WIRE_TEST = 4,
    SA_WIRE_CALL = 5,
    SA_WIRE_DONE = 16,
    SA_WIRE_PART = 17,
    SA_WIRE_FAIL = 18,
};
enum { SA_WIRE_TRACE = 1 }; /* flags of CALL */

struct sa_wire_message {
    enum sa_wire_type type;
    uint8_t flags;
    uint16_t point;
    uint32_t call;
    const void *body; /* a checked value, in the packet */
    size_t length;
};

/* Append a message to a packet under way. */
void sa_wire_add(struct sa_buf *packet, const struct sa_wire_message *message);
/* Bytes of a message that sa_wire_add() wrote, by its header. */
size_t sa_wire_length(const uint8_t *header);
/* Take the next message of a packet: 1, 0 at the end, -1 SA_EPROTOCOL (the peer is to be given
 * up). The body has passed sa_value_check(). */
int sa_wire_next(const uint8_t **next, size_t *left, struct sa_wire_message *message,
                 struct sa_error *err);

#endif
