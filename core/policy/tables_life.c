/* Tables of what is asked about pods and sandboxes as time goes by: recycle, scaling, anomaly,
 * lifecycle. */
#include "policy/tables.h"

#include "base/cleanup.h"

enum { MUST = SA_FIELD_REQUIRED };
#define ROW_SANDBOX(STRUCT)                                                                        \
    SA_ROW(STRUCT, sandbox, "sandbox", "the sandbox", .fields = sa_fields_sandbox)

/* ---- recycle ---- */

const struct sa_policy_field sa_fields_recycle[] = {
    SA_ROWS_WHO,
    SA_ROW(sa_policy_recycle_input, runtime, "runtime", "the pod's runtime"),
    SA_ROW(sa_policy_recycle_input, security_level, "securityLevel", "standard, high or custom"),
    SA_ROW(sa_policy_recycle_input, enabled, "enabled", "the pool asks for recycling"),
    SA_ROW(sa_policy_recycle_input, uses, "uses", "how often it was used"),
    SA_ROW(sa_policy_recycle_input, max_uses, "maxUses", "how often it may be; 0: any"),
    SA_ROW(sa_policy_recycle_input, age_s, "ageSeconds", "seconds since it was made"),
    SA_ROW(sa_policy_recycle_input, same_tenant, "sameTenant",
           "whoever gets it next is whoever had it"),
    SA_ROW(sa_policy_recycle_input, clean, "clean",
           "the check against the pristine fingerprint passed"),
    SA_ROW(sa_policy_recycle_input, end_reason, "endReason",
           "how the last use ended: deleted, timeout, oom, failed"),
    SA_ROW(sa_policy_recycle_input, oom_kills, "oomKills", "times that memory ran out"),
    SA_ROW(sa_policy_recycle_input, denials, "denials", "telling system calls that were refused"),
    SA_ROW(sa_policy_recycle_input, memory_peak_bytes, "memoryPeakBytes", "most bytes in use"),
    SA_ROW(sa_policy_recycle_input, memory_limit_bytes, "memoryLimitBytes", "bytes it may use"),
    SA_ROW_ANY(sa_policy_recycle_input, criteria, "criteria", "the pool's recycle.criteria"),
    SA_ROWS_END};

/* ---- scaling ---- */

static const struct sa_policy_field pool[] = {
    SA_ROW(sa_policy_pool, name, "name", "its name"),
    SA_ROW(sa_policy_pool, runtime, "runtime", "of its pods"),
    SA_ROW(sa_policy_pool, min, "min", "fewest warm pods"),
    SA_ROW(sa_policy_pool, max, "max", "most warm pods"),
    SA_ROW(sa_policy_pool, size, "size", "warm pods wanted until now, in use ones not counted"),
    SA_ROWS_END};
static const struct sa_policy_field pods[] = {
    SA_ROW(sa_policy_pods, available, "available", "warm and free"),
    SA_ROW(sa_policy_pods, assigned, "assigned", "in use"),
    SA_ROW(sa_policy_pods, pending, "pending", "on their way"),
    SA_ROW(sa_policy_pods, recycling, "recycling", "being cleaned"), SA_ROWS_END};
static const struct sa_policy_field demand[] = {
    SA_ROW(sa_policy_demand, claims_per_second, "claimsPerSecond", "of the last minute"),
    SA_ROW(sa_policy_demand, misses_per_second, "missesPerSecond",
           "claims that found no warm pod, of the last minute"),
    SA_ROW(sa_policy_demand, claims_per_second_peak, "claimsPerSecondPeak",
           "of the busiest second in it"),
    SA_ROWS_END};
static const struct sa_policy_field sample[] = {
    SA_ROW(sa_policy_sample, at, "at", "end of the interval, seconds since 1970"),
    SA_ROW(sa_policy_sample, claims, "claims", "in the interval"),
    SA_ROW(sa_policy_sample, misses, "misses", "claims that found no warm pod"),
    SA_ROW(sa_policy_sample, claims_peak, "claimsPeak", "in the busiest second of the interval"),
    SA_ROW(sa_policy_sample, available, "available", "warm and free at its end"),
    SA_ROW(sa_policy_sample, assigned, "assigned", "in use at its end"),
    SA_ROW(sa_policy_sample, size, "size", "warm pods wanted at its end"),
    SA_ROWS_END};
const struct sa_policy_field sa_fields_scaling[] = {
    SA_ROWS_WHO,
    SA_ROW(sa_policy_scaling_input, rule, "rule", "name of the rule that the pool asks for"),
    SA_ROW_ANY(sa_policy_scaling_input, params, "params",
               "the pool's scaling.params, over those of params.lua"),
    SA_ROW(sa_policy_scaling_input, pool, "pool", "the pool", .fields = pool),
    SA_ROW(sa_policy_scaling_input, pods, "pods", "its pods", .fields = pods),
    SA_ROW(sa_policy_scaling_input, demand, "demand", "claims of late", .fields = demand),
    SA_ROW(sa_policy_scaling_input, history, "history", "oldest first, one each interval",
           .fields = sample, .size = sizeof(struct sa_policy_sample)),
    SA_ROW(sa_policy_scaling_input, refill_p50_ms, "refillP50Ms",
           "milliseconds until a claimed pod is made up for, in the middle"),
    SA_ROW(sa_policy_scaling_input, refill_p95_ms, "refillP95Ms", "and of the slowest twentieth"),
    SA_ROW(sa_policy_scaling_input, last_scale_at, "lastScaleAt",
           "seconds since 1970; 0: never scaled"),
    SA_ROW(sa_policy_scaling_input, last_scale_from, "lastScaleFrom", "pods before that"),
    SA_ROW(sa_policy_scaling_input, last_scale_to, "lastScaleTo", "pods after that"),
    SA_ROW(sa_policy_scaling_input, capacity, "capacity",
           "pods that the node has room for; -1: not known"),
    SA_ROWS_END};
const struct sa_policy_field sa_fields_scaling_returns[] = {
    SA_ROW(sa_scaling_returns, size, "size",
           "warm pods that the pool shall have, in use ones not counted", .flags = MUST,
           .high = 1000000),
    SA_ROWS_END};

/* ---- anomaly ---- */

static const struct sa_policy_field counters[] = {
    SA_ROW(sa_policy_counters, cpu_us, "cpuUs", "microseconds of processor time"),
    SA_ROW(sa_policy_counters, throttled_us, "throttledUs",
           "microseconds that it was held back by its limit"),
    SA_ROW(sa_policy_counters, memory_peak_bytes, "memoryPeakBytes", "most bytes in use"),
    SA_ROW(sa_policy_counters, memory_limit_bytes, "memoryLimitBytes", "bytes it may use"),
    SA_ROW(sa_policy_counters, processes, "processes", "processes and threads now"),
    SA_ROW(sa_policy_counters, pids_limit, "pidsLimit", "processes and threads it may have"),
    SA_ROW(sa_policy_counters, oom_kills, "oomKills", "times that memory ran out"),
    SA_ROW(sa_policy_counters, denials, "denials", "telling system calls that were refused"),
    SA_ROW(sa_policy_counters, executions, "executions", "started until now"),
    SA_ROW(sa_policy_counters, output_bytes, "outputBytes", "bytes that its programs wrote"),
    SA_ROW(sa_policy_counters, egress_denials, "egressDenials", "connections that were refused"),
    SA_ROWS_END};
static const struct sa_policy_field event[] = {
    SA_ROW(sa_policy_event, at, "at", "seconds since 1970"),
    SA_ROW(sa_policy_event, type, "type", "Security, ..."),
    SA_ROW(sa_policy_event, reason, "reason", "mount, ptrace, ..."),
    SA_ROW(sa_policy_event, count, "count", "how often"), SA_ROWS_END};
const struct sa_policy_field sa_fields_anomaly[] = {
    SA_ROWS_WHO, ROW_SANDBOX(sa_policy_anomaly_input),
    SA_ROW(sa_policy_anomaly_input, counters, "counters", "since it was made", .fields = counters),
    SA_ROW(sa_policy_anomaly_input, events, "events", "oldest first, at most 64", .fields = event,
           .size = sizeof(struct sa_policy_event)),
    SA_ROWS_END};
static const char *const actions[] = {"none", "alert", "pause", "kill", NULL};
const struct sa_policy_field sa_fields_anomaly_returns[] = {
    SA_ROW(sa_anomaly_returns, score, "score", "0 (as always) to 100", .flags = MUST, .high = 100),
    SA_ROW(sa_anomaly_returns, action, "action", "what to do", .flags = MUST, .values = actions),
    SA_ROWS_END};

/* ---- lifecycle ---- */

static const char *const ends[] = {"delete", "pause", "extend", NULL};
const struct sa_policy_field sa_fields_end[] = {
    SA_ROW(sa_policy_end, action, "action", "what happens", .flags = MUST, .values = ends),
    SA_ROW(sa_policy_end, extend_s, "extendSeconds", "seconds that extend adds", .flags = MUST,
           .high = 86400),
    SA_ROWS_END};
static const char *const lifecycle_events[] = {"timeout", "idle", NULL};
const struct sa_policy_field sa_fields_lifecycle[] = {
    SA_ROWS_WHO,
    ROW_SANDBOX(sa_policy_lifecycle_input),
    SA_ROW(sa_policy_lifecycle_input, event, "event", "what has come", .values = lifecycle_events),
    SA_ROW(sa_policy_lifecycle_input, timeout_s, "timeoutSeconds", "its timeout"),
    SA_ROW(sa_policy_lifecycle_input, idle_s, "idleSeconds", "seconds since it was last used"),
    SA_ROW(sa_policy_lifecycle_input, running_executions, "runningExecutions", "now"),
    SA_ROW(sa_policy_lifecycle_input, extensions, "extensions", "how often it was extended"),
    SA_ROW(sa_policy_lifecycle_input, end, "outcome",
           "what happens; what the sandbox's own lifecycle says at first", .fields = sa_fields_end),
    SA_ROWS_END};
